//! BMP: 1, 4, 8, 16, 24 or 32 bits a pixel, with a palette or colours of given bits, upright or not, not compressed.
//!
//! The format is that of `BITMAPFILEHEADER` and `BITMAPINFOHEADER` in Microsoft's documentation of the Windows GDI, and
//! of the core header of OS/2 before it. Colours of fewer than 8 bits are spread to 255 as Pillow does it.

use std::io::{Read, Seek, SeekFrom};

use residua_ir::budget::Limit;

use super::super::decode::DecodeError;
use super::super::resize::Image;

struct Header {
    width: usize,
    height: usize,
    /// Whether the first row is the upper one.
    downwards: bool,
    bits: u16,
    /// Bits of red, green and blue, where pixels are colours.
    masks: [u32; 3],
    /// Colours in the order blue, green, red.
    palette: Vec<[u8; 3]>,
    /// Where pixels are.
    offset: u64,
}

fn wrong(text: impl Into<String>) -> DecodeError {
    DecodeError::Bmp(text.into())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, DecodeError> {
    let part = bytes.get(at..at + 2).and_then(|part| part.try_into().ok());
    part.map(u16::from_le_bytes).ok_or_else(|| wrong(format!("it ends before byte {at} of its header")))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, DecodeError> {
    let part = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
    part.map(u32::from_le_bytes).ok_or_else(|| wrong(format!("it ends before byte {at} of its header")))
}

fn header(file: &mut (impl Read + Seek)) -> Result<Header, DecodeError> {
    /// Both headers and the largest palette.
    const LONGEST: u64 = 14 + 124 + 12 + 4 * 256;
    let mut bytes = Vec::new();
    file.by_ref().take(LONGEST).read_to_end(&mut bytes)?;
    let offset = u64::from(u32_at(&bytes, 10)?);
    let size = u32_at(&bytes, 14)?;
    let signed = |at| -> Result<i64, DecodeError> { Ok(i64::from(u32_at(&bytes, at)?.cast_signed())) };
    let (width, height, bits, compression, colors, each) = match size {
        12 => (i64::from(u16_at(&bytes, 18)?), i64::from(u16_at(&bytes, 20)?), u16_at(&bytes, 24)?, 0, 0, 3),
        40..=124 => (signed(18)?, signed(22)?, u16_at(&bytes, 28)?, u32_at(&bytes, 30)?, u32_at(&bytes, 46)?, 4),
        _ => return Err(wrong(format!("its header has {size} bytes, expected 12, or 40 to 124"))),
    };
    let rows = height.unsigned_abs();
    if width <= 0 || rows == 0 {
        return Err(wrong(format!("it is {width}x{height}")));
    }
    Limit::ImagePixels.check(width.unsigned_abs().saturating_mul(rows))?;
    let side = |side: u64| usize::try_from(side).map_err(|_| wrong("it is too large"));
    // A palette lies behind the header; masks too where the header has no place for them.
    let behind = 14 + size as usize;
    let masks = match (compression, bits) {
        (0, 16) => [0x7c00, 0x03e0, 0x001f],
        (0, 24 | 32) => [0x00ff_0000, 0xff00, 0xff],
        (0, 1 | 4 | 8) => [0; 3],
        (3 | 6, 16 | 32) => [u32_at(&bytes, 54)?, u32_at(&bytes, 58)?, u32_at(&bytes, 62)?],
        (0 | 3 | 6, _) => return Err(wrong(format!("it has {bits} bits a pixel, expected 1, 4, 8, 16, 24 or 32"))),
        (other, _) => return Err(wrong(format!("it is compressed (method {other}), which is not read"))),
    };
    let count = match bits {
        1 | 4 | 8 if colors == 0 => 1 << bits,
        1 | 4 | 8 => colors.min(256) as usize,
        _ => 0,
    };
    let entry = |index: usize| {
        let at = behind + index * each;
        bytes.get(at..at + 3).and_then(|part| part.try_into().ok()).ok_or_else(|| wrong("its palette is cut off"))
    };
    let palette = (0..count).map(entry).collect::<Result<_, _>>()?;
    let (width, downwards) = (side(width.unsigned_abs())?, height < 0);
    Ok(Header { width, height: side(rows)?, downwards, bits, masks, palette, offset })
}

/// A colour of some bits of a word, spread to 255.
fn channel(word: u32, mask: u32) -> u8 {
    let most = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
    let value = (word & mask).checked_shr(mask.trailing_zeros()).unwrap_or(0);
    if most == 0 { 0 } else { u8::try_from(u64::from(value) * 255 / u64::from(most)).unwrap_or(u8::MAX) }
}

pub(super) fn decode(mut file: impl Read + Seek) -> Result<Image, DecodeError> {
    let header = header(&mut file)?;
    let Header { width, height, bits, .. } = header;
    file.seek(SeekFrom::Start(header.offset))?;
    let per_pixel = usize::from(bits);
    let stride =
        width.checked_mul(per_pixel).map(|all| all.div_ceil(32) * 4).ok_or_else(|| wrong("it is too large"))?;
    let mut rows: Vec<Vec<u8>> = Vec::new();
    let mut row = vec![0; stride];
    for _ in 0..height {
        file.read_exact(&mut row).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => wrong(format!("it ends after {} of {height} rows", rows.len())),
            _ => DecodeError::Read(error),
        })?;
        rows.push(pixels(&row, &header)?);
    }
    if !header.downwards {
        rows.reverse();
    }
    let samples = rows.concat();
    // Pillow takes a palette of grays as an image in gray.
    let gray =
        !header.palette.is_empty() && samples.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
    let samples = if gray { samples.chunks_exact(3).map(|pixel| pixel[0]).collect() } else { samples };
    Ok(Image { width, height, channels: if gray { 1 } else { 3 }, samples })
}

/// The pixels of a row, red, green and blue.
fn pixels(row: &[u8], header: &Header) -> Result<Vec<u8>, DecodeError> {
    let mut samples = Vec::with_capacity(header.width * 3);
    for x in 0..header.width {
        let color = match header.bits {
            24 => row.get(x * 3..x * 3 + 3).map(|color| [color[2], color[1], color[0]]),
            16 | 32 => {
                let size = usize::from(header.bits / 8);
                let bytes = row.get(x * size..(x + 1) * size).unwrap_or_default();
                let word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
                Some(header.masks.map(|mask| channel(word, mask)))
            }
            bits => {
                let (per_byte, bits) = (8 / usize::from(bits.max(1)), u32::from(bits));
                let shift = 8 - bits * (x % per_byte + 1) as u32;
                let index = row.get(x / per_byte).map(|&byte| u32::from(byte) >> shift & ((1 << bits) - 1));
                let color = index.and_then(|index| header.palette.get(index as usize));
                color.map(|&[blue, green, red]| [red, green, blue])
            }
        };
        samples.extend(color.ok_or_else(|| wrong(format!("pixel {x} of a row has no colour in its palette")))?);
    }
    Ok(samples)
}
