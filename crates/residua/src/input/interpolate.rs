//! Images brought to another size without antialiasing: each sample between the few of the source around it, however many
//! lie between one and the next.
//!
//! That is what TensorFlow's `tf.image.resize` does unless it is told otherwise, and with it Keras's
//! `image_dataset_from_directory`. Samples are not rounded to 8 bits. Bilinear is computed as its kernel does it (f32,
//! across before down, pixels with their centres in the middle), to the last bit. A cubic has a = −0.5, as there; OpenCV's
//! and PyTorch's have −0.75.

use residua_ir::preparation::Filter;

use super::resize::{Image, kernel};

/// The two samples that one lies between, and how far from the first.
struct Between {
    lower: usize,
    upper: usize,
    share: f32,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sizes of images, in the arithmetic of TensorFlow's kernel"
)]
fn between(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    let last = from.saturating_sub(1);
    let of = |index: usize| {
        let place = (index as f32 + 0.5) * scale - 0.5;
        let floor = place.floor();
        let (lower, upper) = (floor.max(0.0) as usize, place.ceil().max(0.0) as usize);
        Between { lower: lower.min(last), upper: upper.min(last), share: place - floor }
    };
    (0..to).map(of).collect()
}

/// Samples of the source that make one, and how much each counts.
struct Taps {
    first: usize,
    weights: Vec<f64>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sizes of images"
)]
fn taps(from: usize, to: usize, filter: fn(f64) -> f64, radius: f64) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let of = |index: usize| {
        let center = (index as f64 + 0.5) * scale;
        let first = ((center - radius + 0.5).max(0.0) as usize).min(from.saturating_sub(1));
        let last = ((center + radius + 0.5) as usize).clamp(first + 1, from.max(first + 1));
        let mut weights: Vec<f64> = (first..last).map(|x| filter(x as f64 - center + 0.5)).collect();
        let sum: f64 = weights.iter().sum();
        if sum == 0.0 {
            // Of a filter that ends where a sample lies, the nearest counts alone.
            weights.truncate(1);
            weights.fill(1.0);
        } else {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        Taps { first, weights }
    };
    (0..to).map(of).collect()
}

impl Image {
    /// The image at another size, without antialiasing.
    pub(crate) fn interpolate(&self, width: usize, height: usize, filter: Filter) -> Image<f32> {
        match filter {
            Filter::Nearest => self.resize(width, height, filter).in_reals(),
            Filter::Bilinear => self.bilinear(width, height),
            Filter::Box | Filter::Hamming | Filter::Bicubic | Filter::Lanczos => self.weighed(width, height, filter),
        }
    }

    fn bilinear(&self, width: usize, height: usize) -> Image<f32> {
        let (columns, rows) = (between(self.width, width), between(self.height, height));
        let channels = self.channels;
        let sample = |y: usize, x: usize, c: usize| f32::from(self.samples[(y * self.width + x) * channels + c]);
        let mut samples = Vec::with_capacity(width * height * channels);
        for row in &rows {
            for column in &columns {
                for c in 0..channels {
                    let across = |y: usize| {
                        let (left, right) = (sample(y, column.lower, c), sample(y, column.upper, c));
                        left + (right - left) * column.share
                    };
                    let (top, bottom) = (across(row.lower), across(row.upper));
                    samples.push(top + (bottom - top) * row.share);
                }
            }
        }
        Image { width, height, channels, samples }
    }

    #[expect(clippy::cast_possible_truncation, reason = "networks take f32")]
    fn weighed(&self, width: usize, height: usize, filter: Filter) -> Image<f32> {
        let (function, radius) = kernel(filter);
        let channels = self.channels;
        let columns = taps(self.width, width, function, radius);
        let mut across = Vec::with_capacity(width * self.height * channels);
        for row in self.samples.chunks_exact(self.width * channels) {
            for Taps { first, weights } in &columns {
                let at = |x: usize, c: usize| f64::from(row[(first + x) * channels + c]);
                let sum = |c: usize| weights.iter().enumerate().map(|(x, weight)| weight * at(x, c)).sum::<f64>();
                across.extend((0..channels).map(sum));
            }
        }
        let stride = width * channels;
        let mut samples = Vec::with_capacity(stride * height);
        for Taps { first, weights } in taps(self.height, height, function, radius) {
            let at = |y: usize, x: usize| across[(first + y) * stride + x];
            let sum = |x: usize| weights.iter().enumerate().map(|(y, weight)| weight * at(y, x)).sum::<f64>() as f32;
            samples.extend((0..stride).map(sum));
        }
        Image { width, height, channels, samples }
    }

    fn in_reals(&self) -> Image<f32> {
        let Self { width, height, channels, ref samples } = *self;
        Image { width, height, channels, samples: samples.iter().map(|&sample| f32::from(sample)).collect() }
    }
}
