//! Images of more formats than a run takes: PNG, JPEG, BMP, the first frame of a GIF, WebP and TIFF, told by their bytes.
//!
//! Samples are what Pillow gives after `convert("RGB")`, or `convert("L")` for an image in gray: transparency is dropped,
//! no colour profile is applied. JPEG is decoded to within a few levels, the rest to the last sample.

mod bmp;
mod gif;
mod tiff;
mod webp;

use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use residua_ir::{Shown, files};

use super::decode::{DecodeError, of_jpeg, of_png};
use super::orientation::Orientation;
use super::resize::Image;
use crate::error::{Context, Result, bail};

/// Endings of files that hold images of these formats, without the dot, in lower case.
pub const EXTENSIONS: [&str; 9] = ["png", "jpg", "jpeg", "jpe", "bmp", "gif", "webp", "tif", "tiff"];

/// An image as it is stored, and how the camera was held where that was not upright.
#[derive(Debug)]
struct Stored {
    image: Image,
    /// What EXIF says; of JPEG only.
    orientation: Option<Orientation>,
}

/// Reads an image of any of the formats; upright where that is asked for, and whether it was not so as it is stored.
///
/// # Errors
/// Where it is none, is damaged, cannot be read, or has more pixels than the budget allows.
pub(crate) fn read_image(path: &Path, upright: bool) -> Result<(Image, bool)> {
    let Stored { image, orientation } = read(path)?;
    Ok(match orientation {
        Some(orientation) if upright => (orientation.upright(&image), true),
        Some(_) => (image, true),
        None => (image, false),
    })
}

fn read(path: &Path) -> Result<Stored> {
    let what = || format!("{} is no usable image", path.shown());
    let cannot = || format!("cannot read {}", path.shown());
    if !std::fs::metadata(path).with_context(cannot)?.is_file() {
        bail!("{}: not a regular file", cannot());
    }
    let file = BufReader::new(files::open(path).with_context(cannot)?);
    decode(file).with_context(what)
}

fn decode(mut file: impl BufRead + Seek) -> Result<Stored, DecodeError> {
    let start = file.fill_buf()?;
    let stored = |image| Stored { image, orientation: None };
    if start.starts_with(b"\x89PNG\r\n\x1a\n") {
        of_png(file).map(stored)
    } else if start.starts_with(b"\xff\xd8\xff") {
        of_jpeg(file).map(|(image, orientation)| Stored { image, orientation })
    } else if start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a") {
        gif::decode(file).map(stored)
    } else if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        webp::decode(file).map(stored)
    } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|mark| start.starts_with(mark)) {
        tiff::decode(file).map(stored)
    } else if start.starts_with(b"BM") {
        bmp::decode(file).map(stored)
    } else {
        Err(DecodeError::NoFormat)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io::{Cursor, Read};

    use super::*;

    fn fixtures() -> BTreeMap<String, Vec<u8>> {
        let path = residua_tests::folder().join("formats/formats.zip");
        let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
        let count = archive.len();
        let member = |at: usize| {
            let mut member = archive.by_index(at).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (member.name().unwrap().into_owned(), bytes)
        };
        (0..count).map(member).collect()
    }

    /// The last of which also decoders of C disagree by a few levels.
    fn tolerance(name: &str) -> u8 {
        if name.ends_with(".jpg") { 3 } else { 0 }
    }

    #[test]
    fn samples_are_those_that_pillow_gives() {
        let all = fixtures();
        let facts: BTreeMap<String, [usize; 3]> = serde_json::from_slice(&all["formats.json"]).unwrap();
        assert_eq!(facts.len(), 37);
        let mut wrong = Vec::new();
        let palette = |name: &str| name.starts_with("palette") && name.contains(".tif");
        for name in facts.keys().filter(|name| palette(name)) {
            let error = decode(Cursor::new(all[name].clone())).unwrap_err().to_string();
            assert!(error.starts_with("TIFF: ") && error.contains("Palette"), "{name}: {error}");
        }
        for (name, [width, height, channels]) in facts.iter().filter(|(name, _)| !palette(name)) {
            let image = decode(Cursor::new(all[name].clone())).unwrap_or_else(|error| panic!("{name}: {error}")).image;
            // An image in gray may be stored in colour; both make the same input.
            let image = image.with_channels(*channels);
            assert_eq!((image.width, image.height, image.channels), (*width, *height, *channels), "{name}");
            let raw = &all[&format!("{name}.raw")];
            let most = image.samples.iter().zip(raw).map(|(a, b)| a.abs_diff(*b)).max();
            if image.samples.len() != raw.len() || most > Some(tolerance(name)) {
                wrong.push(format!("{name}: {most:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn orientations_are_read_from_files_of_a_camera() {
        let all = fixtures();
        for value in 1..=8 {
            let stored = decode(Cursor::new(all[&format!("seven{value}.jpg")].clone())).unwrap();
            assert_eq!(stored.orientation.is_some(), value > 1, "{value}");
        }
    }

    #[test]
    fn damage_is_an_error_wherever_a_file_ends() {
        let all = fixtures();
        for (name, bytes) in all.iter().filter(|(name, _)| name.starts_with("damaged/")) {
            assert!(decode(Cursor::new(bytes.clone())).is_err(), "{name}");
        }
        let text = decode(Cursor::new(all["damaged/text.png"].clone())).unwrap_err().to_string();
        assert_eq!(text, "expected PNG, JPEG, BMP, GIF, WebP or TIFF, found the signature of none");
        for name in ["rgb.bmp", "palette.bmp", "565.bmp", "rgb.gif", "rgb-lzw.tiff", "lossless.webp"] {
            for end in 0..all[name].len().min(200) {
                // Whatever it gives: no panic.
                let _ = decode(Cursor::new(all[name][..end].to_vec()));
            }
        }
    }

    #[test]
    fn a_bitmap_that_claims_to_be_huge_is_refused_before_anything_is_allocated() {
        let mut bytes = fixtures()["rgb.bmp"].clone();
        bytes[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
        assert!(matches!(decode(Cursor::new(bytes)), Err(DecodeError::TooLarge(_))));
    }
}
