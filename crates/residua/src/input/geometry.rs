//! The size that an image is brought to, and the part of it that is cut out: what a rule comes to for one image.
//!
//! Every rounding is that of the library whose rule it is; see [`residua_ir::preparation`].

use crate::error::{Context, Result};
use residua_ir::budget::Limit;
use residua_ir::preparation::{Crop, Middle, Resize};

use super::resize::Image;

/// Rows and columns.
pub(super) type Size = (usize, usize);

/// The size of an image of `height` by `width` after this rule.
///
/// # Errors
/// Where that is more than can be worked with.
pub(super) fn resized(rule: Resize, (height, width): Size) -> Result<Size> {
    let size = match rule {
        Resize::Keep => (height, width),
        Resize::Exact { height, width } => (height, width),
        Resize::Shortest { edge } => shortest(edge, (height, width)),
        Resize::Between { edge, longest } => between(edge, longest, (height, width)),
        Resize::Cover { height: rows, width: columns } => keeping_ratio((rows, columns), (height, width), f64::min),
        Resize::Within { height: rows, width: columns } => keeping_ratio((rows, columns), (height, width), f64::max),
    };
    let pixels = (size.0 as u64).saturating_mul(size.1 as u64);
    let brought = || format!("it is {height}x{width}, which would be brought to {}x{}", size.0, size.1);
    Limit::ImagePixels.check(pixels).with_context(brought)?;
    Ok(size)
}

/// torchvision's and transformers' rule for one number: the longer side is cut off to a whole one.
fn shortest(edge: usize, (height, width): Size) -> Size {
    let (short, long) = (height.min(width).max(1), height.max(width));
    let other = edge as u128 * long as u128 / short as u128;
    let other = usize::try_from(other).unwrap_or(usize::MAX).max(1);
    if width <= height { (other, edge) } else { (edge, other) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sizes of images"
)]
fn between(edge: usize, longest: usize, (height, width): Size) -> Size {
    let (rows, columns) = (height as f64, width as f64);
    let (least, most) = (rows.min(columns).max(1.0), rows.max(columns));
    let too_long = most / least * edge as f64 > longest as f64;
    let exact = if too_long { longest as f64 * least / most } else { edge as f64 };
    let short = (exact.round_ties_even() as usize).max(1);
    if height.min(width) == short {
        (height, width)
    } else if width < height {
        (((exact * rows / columns) as usize).max(1), short)
    } else {
        (short, ((exact * columns / rows) as usize).max(1))
    }
}

/// timm's `ResizeKeepRatio`; `pick` chooses of the two ratios.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sizes of images"
)]
fn keeping_ratio((rows, columns): Size, (height, width): Size, pick: fn(f64, f64) -> f64) -> Size {
    let ratio = pick(height as f64 / rows as f64, width as f64 / columns as f64);
    let side = |own: usize| ((own as f64 / ratio).round_ties_even() as usize).max(1);
    (side(height), side(width))
}

/// The part of an image that a crop leaves.
pub(super) fn cropped<T: Copy + From<u8>>(image: Image<T>, crop: Crop) -> Image<T> {
    let Crop::Center { height, width, rounding, fill } = crop else { return image };
    if (image.height, image.width) == (height, width) {
        return image;
    }
    let rows = Shift::of(image.height, height, rounding);
    let columns = Shift::of(image.width, width, rounding);
    let part = image.cut(columns.skip, rows.skip, width.min(image.width), height.min(image.height));
    if (part.width, part.height) == (width, height) {
        return part;
    }
    part.within(width, height, columns.before, rows.before, fill)
}

/// Where the middle lies along one axis: samples that are skipped, and samples of fill before the image.
#[derive(Debug, PartialEq)]
struct Shift {
    skip: usize,
    before: usize,
}

impl Shift {
    fn of(own: usize, wanted: usize, rounding: Middle) -> Self {
        let (over, under) = (own.saturating_sub(wanted), wanted.saturating_sub(own));
        match rounding {
            // Python's `round` is half to even: 1.5 is 2, 0.5 is 0.
            Middle::HalfToEven => Self { skip: over / 2 + usize::from(over % 4 == 3), before: under / 2 },
            Middle::CutOff => Self { skip: over / 2, before: under.div_ceil(2) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of torchvision 0.29, timm 1.0.31 and transformers 5.23.
    #[test]
    fn sizes_are_those_of_the_libraries() {
        let size = |rule, image| resized(rule, image).unwrap();
        let edge = |edge| Resize::Shortest { edge };
        assert_eq!(size(edge(256), (375, 500)), (256, 341));
        assert_eq!(size(edge(256), (500, 375)), (341, 256));
        assert_eq!(size(edge(54), (60, 76)), (54, 68));
        assert_eq!(size(Resize::Keep, (3, 5)), (3, 5));
        // `ResizeKeepRatio((54, 73))` and the same with `longest=1`, of 60 by 76 and 33 by 90.
        let (cover, within) = (Resize::Cover { height: 54, width: 73 }, Resize::Within { height: 54, width: 73 });
        assert_eq!((size(cover, (60, 76)), size(cover, (33, 90))), ((58, 73), (54, 147)));
        assert_eq!((size(within, (60, 76)), size(within, (33, 90))), ((54, 68), (27, 73)));
        // `get_size_with_aspect_ratio(…, 40, 50)`.
        let between = Resize::Between { edge: 40, longest: 50 };
        assert_eq!((size(between, (60, 76)), size(between, (33, 90))), ((39, 50), (18, 50)));
        assert!(resized(edge(16384), (1, 16384)).is_err());
    }

    #[test]
    fn the_middle_is_where_each_library_has_it() {
        let shift = |own, wanted, rounding| {
            let Shift { skip, before } = Shift::of(own, wanted, rounding);
            (skip, before)
        };
        let (even, off) = (Middle::HalfToEven, Middle::CutOff);
        assert_eq!((shift(341, 224, even), shift(341, 224, off)), ((58, 0), (58, 0)));
        assert_eq!((shift(339, 224, even), shift(339, 224, off)), ((58, 0), (57, 0)));
        assert_eq!((shift(5, 8, even), shift(5, 8, off)), ((0, 1), (0, 2)));
        assert_eq!((shift(4, 8, even), shift(4, 8, off)), ((0, 2), (0, 2)));
    }

    #[test]
    fn a_smaller_image_lies_in_the_middle_of_the_fill() {
        let image = Image { width: 1, height: 2, channels: 3, samples: vec![1, 2, 3, 4, 5, 6] };
        let crop = Crop::Center { height: 2, width: 2, rounding: Middle::HalfToEven, fill: [7, 8, 9] };
        assert_eq!(cropped(image.clone(), crop).samples, [1, 2, 3, 7, 8, 9, 4, 5, 6, 7, 8, 9]);
        let crop = Crop::Center { height: 1, width: 2, rounding: Middle::CutOff, fill: [0; 3] };
        assert_eq!(cropped(image.clone(), crop).samples, [0, 0, 0, 1, 2, 3]);
        assert_eq!(cropped(image.clone(), Crop::All), image);
    }
}
