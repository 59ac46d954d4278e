//! Images of 8-bit samples brought to another size, as Pillow's `Image.resize` does it, sample for sample.
//!
//! The filter is stretched over the source's pixels when the image gets smaller (so nothing aliases), weights are
//! rounded to 22 fractional bits, and the horizontal pass is rounded to 8 bits before the vertical one. Since
//! networks were trained on images that went through Pillow, doing otherwise costs accuracy.
//!
//! The horizontal pass is the first one, but where the height shrinks by more than twice as many pixels as the width:
//! so does Pillow since version 13. Versions before always begin with the horizontal one; samples then differ by at most 1.

use std::f64::consts::PI;

use residua_ir::preparation::Filter;

/// Samples, of 8 bits as they are decoded, row by row, the channels of a pixel side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image<T = u8> {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub samples: Vec<T>,
}

const FRACTION_BITS: u32 = 22;

fn box_of_one(x: f64) -> f64 {
    if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }
}

fn hamming(x: f64) -> f64 {
    let x = x.abs();
    if x == 0.0 {
        1.0
    } else if x < 1.0 {
        let x = x * PI;
        // Pillow's constants are of single precision.
        x.sin() / x * (f64::from(0.54f32) + f64::from(0.46f32) * x.cos())
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// The function that weighs samples by their distance, and how far it reaches.
pub(super) fn kernel(filter: Filter) -> (fn(f64) -> f64, f64) {
    match filter {
        // The nearest sample is found without weights; its kernel is that of a box.
        Filter::Nearest | Filter::Box => (box_of_one, 0.5),
        Filter::Bilinear => (triangle, 1.0),
        Filter::Hamming => (hamming, 1.0),
        Filter::Bicubic => (cubic, 2.0),
        Filter::Lanczos => (lanczos, 3.0),
    }
}

/// Which samples of the source make one of the result, and how much each counts.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sizes of images are far below 2^31, and the weights of a window add up to 2^22"
)]
fn windows(from: usize, to: usize, filter: fn(f64) -> f64, radius: f64) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = radius * stretch;
    (0..to)
        .map(|index| {
            let center = (index as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            let mut weights: Vec<f64> =
                (first..last).map(|x| filter((x as f64 - center + 0.5) * (1.0 / stretch))).collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= sum);
            }
            let fixed = |weight: f64| {
                let scaled = weight * f64::from(1u32 << FRACTION_BITS);
                (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
            };
            Window { first, weights: weights.into_iter().map(fixed).collect() }
        })
        .collect()
}

fn weigh(window: &Window, sample: impl Fn(usize) -> u8) -> u8 {
    let half = 1i64 << (FRACTION_BITS - 1);
    let sum = window
        .weights
        .iter()
        .enumerate()
        .fold(half, |sum, (offset, &weight)| sum + i64::from(weight) * i64::from(sample(window.first + offset)));
    u8::try_from((sum >> FRACTION_BITS).clamp(0, 255)).unwrap_or(u8::MAX)
}

impl Image {
    /// The image at another size.
    pub(crate) fn resize(&self, width: usize, height: usize, filter: Filter) -> Self {
        if filter == Filter::Nearest {
            return self.nearest(width, height);
        }
        let (kernel, radius) = kernel(filter);
        let across = |image: Self| {
            if width == image.width { image } else { image.horizontally(width, kernel, radius) }
        };
        let down = |image: Self| {
            if height == image.height { image } else { image.vertically(height, kernel, radius) }
        };
        let (fewer_rows, fewer_columns) = (self.height.saturating_sub(height), self.width.saturating_sub(width));
        if fewer_rows > 2 * fewer_columns { across(down(self.clone())) } else { down(across(self.clone())) }
    }

    fn horizontally(&self, width: usize, kernel: fn(f64) -> f64, radius: f64) -> Self {
        let windows = windows(self.width, width, kernel, radius);
        let mut samples = Vec::with_capacity(width * self.height * self.channels);
        for row in self.samples.chunks_exact(self.width * self.channels) {
            for window in &windows {
                samples.extend((0..self.channels).map(|c| weigh(window, |x| row[x * self.channels + c])));
            }
        }
        Self { width, samples, ..*self }
    }

    fn vertically(&self, height: usize, kernel: fn(f64) -> f64, radius: f64) -> Self {
        let stride = self.width * self.channels;
        let mut samples = Vec::with_capacity(stride * height);
        for window in windows(self.height, height, kernel, radius) {
            samples.extend((0..stride).map(|x| weigh(&window, |y| self.samples[y * stride + x])));
        }
        Self { height, samples, ..*self }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "positions within an image"
    )]
    fn nearest(&self, width: usize, height: usize) -> Self {
        // Positions are summed up, as Pillow does it: where one lies on a border, rounding decides.
        let sources = |from: usize, to: usize| -> Vec<usize> {
            let step = from as f64 / to as f64;
            let positions = std::iter::successors(Some(step * 0.5), |position| Some(position + step));
            positions.take(to).map(|position| (position as usize).min(from - 1)).collect()
        };
        let (columns, rows) = (sources(self.width, width), sources(self.height, height));
        let mut samples = Vec::with_capacity(width * height * self.channels);
        for y in rows {
            let row = y * self.width;
            for &x in &columns {
                let at = (row + x) * self.channels;
                samples.extend_from_slice(&self.samples[at..at + self.channels]);
            }
        }
        Self { width, height, samples, ..*self }
    }

    /// One channel of three by ITU-R 601-2 luma in 16-bit fixed point, or three equal ones of one; otherwise as it is.
    pub(crate) fn with_channels(self, channels: usize) -> Self {
        let samples: Vec<u8> = match (self.channels, channels) {
            (3, 1) => {
                let luma = |p: &[u8]| {
                    let sum = u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + 0x8000;
                    u8::try_from(sum >> 16).unwrap_or(u8::MAX)
                };
                self.samples.chunks_exact(3).map(luma).collect()
            }
            (1, 3) => self.samples.iter().flat_map(|&sample| [sample; 3]).collect(),
            _ => return self,
        };
        Self { channels, samples, ..self }
    }
}

impl<T: Copy + From<u8>> Image<T> {
    /// A part of the image, which must lie within it.
    pub(crate) fn cut(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let mut samples = Vec::with_capacity(width * height * self.channels);
        for y in top..top + height {
            let at = (y * self.width + left) * self.channels;
            samples.extend_from_slice(&self.samples[at..at + width * self.channels]);
        }
        Self { width, height, samples, ..*self }
    }

    /// The image within a larger one of this colour, whose sides are at least its own and what is before it.
    pub(crate) fn within(&self, width: usize, height: usize, left: usize, top: usize, fill: [u8; 3]) -> Self {
        let channels = self.channels;
        let mut samples = fill.map(T::from)[..channels.min(3)].repeat(width * height);
        for (y, row) in self.samples.chunks_exact(self.width * channels).enumerate() {
            let at = ((top + y) * width + left) * channels;
            samples[at..at + row.len()].copy_from_slice(row);
        }
        Self { width, height, channels, samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern() -> Image {
        let (width, height, channels) = (17usize, 13usize, 3usize);
        let mut samples = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for c in 0..channels {
                    samples.push(u8::try_from((x * x * 7 + y * 31 + x * y * 5 + c * 67) % 256).unwrap());
                }
            }
        }
        Image { width, height, channels, samples }
    }

    fn adler32(bytes: &[u8]) -> u32 {
        let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), &byte| {
            let a = (a + u32::from(byte)) % 65521;
            (a, (b + a) % 65521)
        });
        b << 16 | a
    }

    /// Numbers from Pillow 13.0.0: `zlib.adler32(Image.resize((width, height), filter).tobytes())` and the first pixels.
    #[test]
    fn every_sample_is_what_pillow_gives() {
        let cases: [(Filter, usize, usize, u32, [u8; 6]); 36] = [
            (Filter::Nearest, 8, 5, 3475127553, [43, 110, 177, 109, 176, 243]),
            (Filter::Nearest, 32, 32, 3883864667, [0, 67, 134, 0, 67, 134]),
            (Filter::Nearest, 17, 6, 1914541723, [31, 98, 165, 43, 110, 177]),
            (Filter::Nearest, 5, 13, 893871228, [7, 74, 141, 175, 242, 53]),
            (Filter::Nearest, 40, 3, 662880661, [62, 129, 196, 62, 129, 196]),
            (Filter::Nearest, 15, 5, 227766854, [31, 98, 165, 43, 110, 177]),
            (Filter::Box, 8, 5, 1897545003, [37, 104, 171, 89, 156, 181]),
            (Filter::Box, 32, 32, 3883864667, [0, 67, 134, 0, 67, 134]),
            (Filter::Box, 17, 6, 1596037868, [16, 83, 150, 25, 92, 159]),
            (Filter::Box, 5, 13, 4073677591, [12, 79, 146, 151, 154, 157]),
            (Filter::Box, 40, 3, 1451734765, [47, 114, 181, 47, 114, 181]),
            (Filter::Box, 15, 5, 2971956021, [31, 98, 165, 43, 110, 177]),
            (Filter::Bilinear, 8, 5, 2087533848, [45, 112, 176, 100, 149, 168]),
            (Filter::Bilinear, 32, 32, 337647935, [0, 67, 134, 2, 69, 136]),
            (Filter::Bilinear, 17, 6, 2970917802, [25, 92, 159, 36, 103, 170]),
            (Filter::Bilinear, 5, 13, 583033649, [26, 93, 160, 137, 159, 159]),
            (Filter::Bilinear, 40, 3, 3137779608, [64, 131, 151, 66, 133, 153]),
            (Filter::Bilinear, 15, 5, 3186061955, [35, 102, 169, 52, 119, 182]),
            (Filter::Hamming, 8, 5, 2027109647, [36, 103, 170, 93, 154, 182]),
            (Filter::Hamming, 32, 32, 3731298924, [0, 67, 134, 1, 68, 135]),
            (Filter::Hamming, 17, 6, 1576835822, [20, 87, 154, 31, 98, 165]),
            (Filter::Hamming, 5, 13, 337666860, [19, 86, 153, 148, 171, 153]),
            (Filter::Hamming, 40, 3, 3475421077, [57, 124, 166, 57, 124, 166]),
            (Filter::Hamming, 15, 5, 2246472266, [28, 95, 162, 42, 109, 175]),
            (Filter::Bicubic, 8, 5, 2117483804, [33, 103, 183, 95, 156, 173]),
            (Filter::Bicubic, 32, 32, 3486718246, [0, 63, 130, 0, 65, 132]),
            (Filter::Bicubic, 17, 6, 2899549095, [20, 87, 160, 30, 97, 170]),
            (Filter::Bicubic, 5, 13, 440689436, [16, 89, 160, 145, 161, 160]),
            (Filter::Bicubic, 40, 3, 3008673685, [55, 131, 152, 59, 135, 156]),
            (Filter::Bicubic, 15, 5, 3178263178, [27, 94, 174, 41, 112, 188]),
            (Filter::Lanczos, 8, 5, 2122661154, [25, 98, 192, 94, 160, 170]),
            (Filter::Lanczos, 32, 32, 3262191833, [0, 64, 131, 0, 65, 132]),
            (Filter::Lanczos, 17, 6, 3175717811, [18, 85, 163, 28, 92, 173]),
            (Filter::Lanczos, 5, 13, 415654675, [11, 90, 162, 149, 160, 162]),
            (Filter::Lanczos, 40, 3, 2926229395, [50, 135, 152, 56, 140, 156]),
            (Filter::Lanczos, 15, 5, 3246355091, [25, 87, 180, 35, 108, 195]),
        ];
        for (filter, width, height, checksum, first) in cases {
            let resized = pattern().resize(width, height, filter);
            assert_eq!(resized.samples.len(), width * height * 3);
            assert_eq!(&resized.samples[..6], first, "{filter:?} {width}x{height}");
            assert_eq!(adler32(&resized.samples), checksum, "{filter:?} {width}x{height}");
        }
    }

    /// Numbers from Pillow 13.0.0: `Image.convert("L")`.
    #[test]
    fn gray_is_the_luma_that_pillow_computes() {
        let gray = pattern().with_channels(1);
        assert_eq!(&gray.samples[..6], [55, 62, 83, 118, 167, 200]);
        assert_eq!(adler32(&gray.samples), 3589042226);
        assert_eq!(&gray.with_channels(3).samples[..6], [55, 55, 55, 62, 62, 62]);
    }

    #[test]
    fn a_part_is_cut_out_where_it_was_asked_for() {
        let whole = pattern();
        let part = whole.cut(3, 2, 4, 5);
        assert_eq!((part.width, part.height), (4, 5));
        assert_eq!(part.samples[..3], whole.samples[(2 * 17 + 3) * 3..][..3]);
        assert_eq!(part.samples[57..], whole.samples[(6 * 17 + 6) * 3..][..3]);
    }
}
