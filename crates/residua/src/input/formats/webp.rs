//! WebP, lossy or not; of an animation the first frame.

use std::io::{BufRead, Seek};

use residua_ir::budget::Limit;

use super::super::decode::{DecodeError, most_bytes, without_alpha};
use super::super::resize::Image;

pub(super) fn decode(file: impl BufRead + Seek) -> Result<Image, DecodeError> {
    let mut decoder = image_webp::WebPDecoder::new(file)?;
    decoder.set_memory_limit(usize::try_from(most_bytes()).unwrap_or(usize::MAX));
    let (width, height) = decoder.dimensions();
    Limit::ImagePixels.check(u64::from(width) * u64::from(height))?;
    let stored = if decoder.has_alpha() { 4 } else { 3 };
    let size = decoder.output_buffer_size().ok_or_else(|| DecodeError::Samples("of a WebP without end".to_owned()))?;
    let mut samples = vec![0; size];
    decoder.read_image(&mut samples)?;
    Ok(without_alpha(width as usize, height as usize, stored, samples))
}
