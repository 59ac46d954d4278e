//! PNG and JPEG files to 8-bit samples, gray or RGB, as stored: no colour profile, gamma or orientation is applied, as in
//! the libraries that networks were trained with. Other formats are refused here; [`super::formats`] reads some more.

use std::io::{BufRead, Read, Seek};

use residua_ir::budget::{Limit, Overrun};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::orientation::Orientation;
use super::resize::Image;

/// What a decoder may hold for each pixel: four samples of 16 bits, before and after it turns them into others.
const BYTES_A_PIXEL: u64 = 16;

/// Why a file gives no samples.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Neither of the two formats.
    #[error("expected PNG or JPEG, found neither's signature")]
    Format,
    /// It is larger than the budget allows.
    #[error(transparent)]
    TooLarge(#[from] Overrun),
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// What the reader of PNG found.
    #[error(transparent)]
    Png(#[from] png::DecodingError),
    /// What the reader of JPEG found.
    #[error("JPEG: {0}")]
    Jpeg(DecodeErrors),
    /// None of the formats that are read.
    #[cfg(feature = "more-images")]
    #[error("expected PNG, JPEG, BMP, GIF, WebP or TIFF, found the signature of none")]
    NoFormat,
    /// What the reader of GIF found.
    #[cfg(feature = "more-images")]
    #[error("GIF: {0}")]
    Gif(#[from] gif::DecodingError),
    /// What the reader of WebP found.
    #[cfg(feature = "more-images")]
    #[error("WebP: {0}")]
    Webp(#[from] image_webp::DecodingError),
    /// What the reader of TIFF found.
    #[cfg(feature = "more-images")]
    #[error("TIFF: {0}")]
    Tiff(#[from] tiff::TiffError),
    /// What is wrong with a BMP.
    #[cfg(feature = "more-images")]
    #[error("BMP: {0}")]
    Bmp(String),
    /// Samples that the reader should not give.
    #[error("samples of the type {0}, which is not read")]
    Samples(String),
}

impl From<DecodeErrors> for DecodeError {
    fn from(error: DecodeErrors) -> Self {
        Self::Jpeg(error)
    }
}

/// Decodes a file to 8 bits; transparency is dropped, 16 bits are rounded.
///
/// # Errors
/// Where it is no PNG or JPEG, is damaged, or has more pixels than the budget allows.
pub(super) fn decode(mut file: impl BufRead + Seek) -> Result<Image, DecodeError> {
    let start = file.fill_buf()?;
    if start.starts_with(b"\x89PNG\r\n\x1a\n") {
        of_png(file)
    } else if start.starts_with(b"\xff\xd8\xff") {
        of_jpeg(file).map(|(image, _)| image)
    } else {
        Err(DecodeError::Format)
    }
}

pub(super) fn most_bytes() -> u64 {
    Limit::ImagePixels.most().saturating_mul(BYTES_A_PIXEL)
}

pub(super) fn of_png(file: impl BufRead + Seek) -> Result<Image, DecodeError> {
    let limits = png::Limits { bytes: usize::try_from(most_bytes()).unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(file, limits);
    // Palettes and fewer than 8 bits become 8 bits; 16 stay, since they are rounded here.
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let (width, height) = reader.info().size();
    Limit::ImagePixels.check(u64::from(width) * u64::from(height))?;
    let unread = || DecodeError::Samples(format!("{:?}", reader.output_color_type()));
    let (color, depth) = reader.output_color_type();
    let stored = match color {
        png::ColorType::Grayscale => 1,
        png::ColorType::GrayscaleAlpha => 2,
        png::ColorType::Rgb => 3,
        png::ColorType::Rgba => 4,
        png::ColorType::Indexed => return Err(unread()),
    };
    let size = reader.output_buffer_size().ok_or_else(unread)?;
    let samples = match depth {
        png::BitDepth::Eight => read_frame(&mut reader, size)?,
        png::BitDepth::Sixteen => read_frame(&mut reader, size)?.chunks_exact(2).map(rounded).collect(),
        png::BitDepth::One | png::BitDepth::Two | png::BitDepth::Four => return Err(unread()),
    };
    Ok(without_alpha(width as usize, height as usize, stored, samples))
}

fn read_frame<R: BufRead + Seek>(reader: &mut png::Reader<R>, size: usize) -> Result<Vec<u8>, DecodeError> {
    let mut samples = vec![0; size];
    reader.next_frame(&mut samples)?;
    Ok(samples)
}

/// The nearest of 256 levels to one of 65536, big-endian.
pub(super) fn rounded(sample: &[u8]) -> u8 {
    let value = sample.iter().fold(0_u32, |value, &byte| value << 8 | u32::from(byte));
    u8::try_from((value + 128) / 257).unwrap_or(u8::MAX)
}

/// The samples as they are stored, and how the camera was held where the file says it.
pub(super) fn of_jpeg(file: impl Read) -> Result<(Image, Option<Orientation>), DecodeError> {
    let mut bytes = Vec::new();
    // No JPEG needs more than its pixels do.
    file.take(most_bytes()).read_to_end(&mut bytes)?;
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes.as_slice()), options);
    decoder.decode_headers()?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    Limit::ImagePixels.check(width.saturating_mul(height) as u64)?;
    let (color, stored) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        Some(ColorSpace::LumaA) => (ColorSpace::LumaA, 2),
        Some(ColorSpace::RGBA) => (ColorSpace::RGBA, 4),
        // YCbCr, CMYK and what else there is.
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(color));
    let samples = decoder.decode()?;
    let orientation = decoder.exif().and_then(|exif| Orientation::of_exif(exif));
    Ok((without_alpha(width, height, stored, samples), orientation))
}

/// Keeps of each pixel what is not transparency.
pub(super) fn without_alpha(width: usize, height: usize, stored: usize, samples: Vec<u8>) -> Image {
    let channels = if stored < 3 { 1 } else { 3 };
    let samples = match channels == stored {
        true => samples,
        false => samples.chunks_exact(stored).flat_map(|pixel| &pixel[..channels]).copied().collect(),
    };
    Image { width, height, channels, samples }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A PNG of two pixels.
    fn png(color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == png::ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 250, 251, 252]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn samples(bytes: Vec<u8>) -> (usize, Vec<u8>) {
        let image = decode(Cursor::new(bytes)).unwrap();
        assert_eq!((image.width, image.height), (2, 1));
        (image.channels, image.samples)
    }

    #[test]
    fn every_kind_of_png_becomes_eight_bits_without_transparency() {
        use png::BitDepth::{Eight, One, Sixteen};
        use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        assert_eq!(samples(png(Grayscale, Eight, &[7, 9])), (1, vec![7, 9]));
        assert_eq!(samples(png(Grayscale, One, &[0b0100_0000])), (1, vec![0, 255]));
        assert_eq!(samples(png(GrayscaleAlpha, Eight, &[7, 1, 9, 2])), (1, vec![7, 9]));
        assert_eq!(samples(png(Rgb, Eight, &[1, 2, 3, 4, 5, 6])), (3, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(samples(png(Rgba, Eight, &[1, 2, 3, 0, 4, 5, 6, 0])), (3, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(samples(png(Indexed, One, &[0b0100_0000])), (3, vec![1, 2, 3, 250, 251, 252]));
        // 0x0080 is below a half of 257, 0x0081 above.
        assert_eq!(samples(png(Grayscale, Sixteen, &[0, 0x80, 0, 0x81])), (1, vec![0, 1]));
        let (channels, rgb) = samples(png(Rgba, Sixteen, &[255, 255, 1, 0, 0, 0, 9, 9, 0, 0, 254, 255, 0, 0, 9, 9]));
        assert_eq!((channels, rgb), (3, vec![255, 1, 0, 0, 254, 0]));
    }

    #[test]
    fn what_is_neither_png_nor_jpeg_is_refused_as_such() {
        for bytes in [&b""[..], b"GIF89a", b"\x89PN"] {
            let error = decode(Cursor::new(bytes.to_vec())).unwrap_err().to_string();
            assert_eq!(error, "expected PNG or JPEG, found neither's signature");
        }
    }

    #[test]
    fn a_damaged_image_is_an_error_and_no_panic() {
        let whole = png(png::ColorType::Rgb, png::BitDepth::Eight, &[1, 2, 3, 4, 5, 6]);
        for end in 8..whole.len() - 12 {
            assert!(decode(Cursor::new(whole[..end].to_vec())).is_err(), "{end} bytes");
        }
        for bytes in [&b"\xff\xd8\xff"[..], b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"\xff\xd8\xff\xd9"] {
            assert!(matches!(decode(Cursor::new(bytes.to_vec())), Err(DecodeError::Jpeg(_))), "{bytes:?}");
        }
    }
}
