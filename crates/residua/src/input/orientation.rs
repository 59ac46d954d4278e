//! How the camera was held when an image was taken, as EXIF says it, and the image turned upright by that.
//!
//! Tag 0x0112 of the first directory, EXIF 2.3, section 4.6.4 A: 1 is upright, 2 to 8 are turned or seen in a mirror.
//! The libraries that networks were trained with ignore it, so that it is followed only where somebody asks for it.

use super::resize::Image;

/// The tag of a directory of TIFF.
const TAG: u16 = 0x0112;
/// A directory is not looked through further: cameras write some dozen entries.
const MOST_ENTRIES: u16 = 512;

/// One of the eight ways to hold a camera, before a mirror or not; the first, upright, is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orientation(u8);

impl Orientation {
    /// That of EXIF's data, with or without their own header; [`None`] where they say nothing or upright.
    pub(super) fn of_exif(exif: &[u8]) -> Option<Self> {
        let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        let big = match tiff.get(..2)? {
            b"MM" => true,
            b"II" => false,
            _ => return None,
        };
        let two = |at: usize| -> Option<u16> {
            let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let four = |at: usize| -> Option<u32> {
            let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
        };
        let directory = usize::try_from(four(4)?).ok()?;
        let entries = two(directory)?.min(MOST_ENTRIES);
        let entry = (0..usize::from(entries))
            .map(|index| directory.saturating_add(2 + index * 12))
            .find(|&at| two(at) == Some(TAG))?;
        let value = u8::try_from(two(entry.checked_add(8)?)?).ok()?;
        (2..=8).contains(&value).then_some(Self(value))
    }

    /// The image as it was seen.
    #[cfg(feature = "more-images")]
    pub(super) fn upright(self, image: &Image) -> Image {
        let Image { width, height, channels, ref samples } = *image;
        let turned = self.0 >= 5;
        let (columns, rows) = if turned { (height, width) } else { (width, height) };
        let mut upright = Vec::with_capacity(samples.len());
        for y in 0..rows {
            for x in 0..columns {
                let (across, down) = match self.0 {
                    2 => (width - 1 - x, y),
                    3 => (width - 1 - x, height - 1 - y),
                    4 => (x, height - 1 - y),
                    5 => (y, x),
                    6 => (y, height - 1 - x),
                    7 => (width - 1 - y, height - 1 - x),
                    8 => (width - 1 - y, x),
                    _ => (x, y),
                };
                let at = (down * width + across) * channels;
                upright.extend_from_slice(samples.get(at..at + channels).unwrap_or_default());
            }
        }
        Image { width: columns, height: rows, channels, samples: upright }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(big: bool, value: u16) -> Vec<u8> {
        let mut bytes =
            if big { b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec() } else { b"Exif\0\0II\x2a\0\x08\0\0\0".to_vec() };
        let mut put = |number: u32, size: usize| {
            let all = number.to_be_bytes();
            let mut part = all[4 - size..].to_vec();
            if !big {
                part.reverse();
            }
            bytes.extend(part);
        };
        put(2, 2);
        [(0x010f, 2), (1, 2), (0, 2), (0, 2), (0, 4)].iter().take(4).for_each(|&(n, size)| put(n, size));
        put(0, 4);
        [(u32::from(TAG), 2), (3, 2), (1, 4), (u32::from(value), 2), (0, 2)].iter().for_each(|&(n, size)| put(n, size));
        bytes
    }

    #[test]
    fn the_tag_is_found_in_either_byte_order_and_damage_is_none() {
        for big in [true, false] {
            for value in 0..12 {
                let found = Orientation::of_exif(&exif(big, value));
                assert_eq!(found.is_some(), (2..=8).contains(&value), "{big} {value}");
            }
            let whole = exif(big, 6);
            for end in 0..whole.len() - 2 {
                assert_eq!(Orientation::of_exif(&whole[..end]).filter(|_| end < whole.len() - 4), None, "{end}");
            }
        }
    }

    /// `PIL.ImageOps.exif_transpose` of the pixels 0 to 5 in two rows.
    #[cfg(feature = "more-images")]
    #[test]
    fn images_are_turned_as_pillow_turns_them() {
        let image = Image { width: 3, height: 2, channels: 1, samples: vec![0, 1, 2, 3, 4, 5] };
        let cases: [(u8, usize, [u8; 6]); 8] = [
            (1, 3, [0, 1, 2, 3, 4, 5]),
            (2, 3, [2, 1, 0, 5, 4, 3]),
            (3, 3, [5, 4, 3, 2, 1, 0]),
            (4, 3, [3, 4, 5, 0, 1, 2]),
            (5, 2, [0, 3, 1, 4, 2, 5]),
            (6, 2, [3, 0, 4, 1, 5, 2]),
            (7, 2, [5, 2, 4, 1, 3, 0]),
            (8, 2, [2, 5, 1, 4, 0, 3]),
        ];
        for (value, width, samples) in cases {
            let upright = Orientation(value).upright(&image);
            assert_eq!((upright.width, upright.samples.as_slice()), (width, &samples[..]), "{value}");
        }
    }
}
