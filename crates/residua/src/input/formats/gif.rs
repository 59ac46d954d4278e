//! The first frame of a GIF, on its screen; where the frame is smaller, around it is what Pillow puts there: the colour of
//! the index that is transparent, else of the first.

use std::io::Read;

use residua_ir::budget::Limit;

use super::super::decode::{DecodeError, most_bytes};
use super::super::resize::Image;

pub(super) fn decode(file: impl Read) -> Result<Image, DecodeError> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    if let Some(most) = std::num::NonZeroU64::new(most_bytes()) {
        options.set_memory_limit(gif::MemoryLimit::Bytes(most));
    }
    let mut decoder = options.read_info(file)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    Limit::ImagePixels.check(width as u64 * height as u64)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let unread = |what: &str| DecodeError::Samples(format!("of a GIF {what}"));
    let frame = decoder.read_next_frame()?.ok_or_else(|| unread("without a frame"))?;
    let palette = frame.palette.clone().or(global).ok_or_else(|| unread("without a palette"))?;
    let color = |index: u8| -> [u8; 3] {
        let at = usize::from(index) * 3;
        palette.get(at..at + 3).and_then(|color| color.try_into().ok()).unwrap_or_default()
    };
    if width == 0 || height == 0 {
        return Err(unread("without pixels"));
    }
    let mut samples = color(frame.transparent.unwrap_or(0)).repeat(width * height);
    let (left, top, across) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    for (y, row) in frame.buffer.chunks_exact(across.max(1)).enumerate() {
        for (x, &index) in row.iter().enumerate() {
            if left + x >= width || top + y >= height {
                continue;
            }
            let at = ((top + y) * width + left + x) * 3;
            if let Some(place) = samples.get_mut(at..at + 3) {
                place.copy_from_slice(&color(index));
            }
        }
    }
    Ok(Image { width, height, channels: 3, samples })
}
