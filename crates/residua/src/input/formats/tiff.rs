//! The first image of a TIFF: gray, RGB or CMYK, of 8 or 16 bits, or of one in gray. Palettes are refused by the decoder.

use std::io::{BufRead, Seek};

use residua_ir::budget::Limit;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::super::decode::{DecodeError, most_bytes, without_alpha};
use super::super::resize::Image;

pub(super) fn decode(file: impl BufRead + Seek) -> Result<Image, DecodeError> {
    let most = usize::try_from(most_bytes()).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (most, most);
    let mut decoder = Decoder::new(file)?.with_limits(limits);
    let (width, height) = decoder.dimensions()?;
    Limit::ImagePixels.check(u64::from(width) * u64::from(height))?;
    let (width, height) = (width as usize, height as usize);
    let color = decoder.colortype()?;
    let unread = || DecodeError::Samples(format!("of a TIFF in {color:?}"));
    let samples: Vec<u8> = match decoder.read_image()? {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.into_iter().map(rounded).collect(),
        _ => return Err(unread()),
    };
    let whole = |stored: usize| {
        let fits = width.checked_mul(height).and_then(|area| area.checked_mul(stored)) == Some(samples.len());
        if fits { Ok(()) } else { Err(unread()) }
    };
    match color {
        ColorType::Gray(8 | 16) => whole(1).map(|()| without_alpha(width, height, 1, samples)),
        ColorType::GrayA(8 | 16) => whole(2).map(|()| without_alpha(width, height, 2, samples)),
        ColorType::RGB(8 | 16) => whole(3).map(|()| without_alpha(width, height, 3, samples)),
        ColorType::RGBA(8 | 16) => whole(4).map(|()| without_alpha(width, height, 4, samples)),
        ColorType::CMYK(8) => {
            whole(4)?;
            let samples = samples.chunks_exact(4).flat_map(from_cmyk).collect();
            Ok(Image { width, height, channels: 3, samples })
        }
        ColorType::Gray(1) => {
            let across = width.div_ceil(8);
            if samples.len() != across.saturating_mul(height) {
                return Err(unread());
            }
            let bit = |row: &[u8], x: usize| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 255 } else { 0 };
            let samples = samples.chunks_exact(across.max(1));
            let samples = samples.flat_map(|row| (0..width).map(move |x| bit(row, x))).collect();
            Ok(Image { width, height, channels: 1, samples })
        }
        _ => Err(unread()),
    }
}

/// The nearest of 256 levels.
fn rounded(sample: u16) -> u8 {
    u8::try_from((u32::from(sample) + 128) / 257).unwrap_or(u8::MAX)
}

/// Inks to light as Pillow's `cmyk2rgb` computes it.
fn from_cmyk(inks: &[u8]) -> [u8; 3] {
    let black = 255 - u32::from(inks[3]);
    [0, 1, 2].map(|ink| {
        let product = u32::from(inks[ink]) * black + 128;
        let part = ((product >> 8) + product) >> 8;
        u8::try_from(black.saturating_sub(part)).unwrap_or(u8::MAX)
    })
}
