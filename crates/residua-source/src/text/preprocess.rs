//! From an image to what the network takes.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{ImageResult, RgbImage};

/// How samples in between are found when an image is resized.
const FILTER: FilterType = FilterType::@FILTER@;
/// What pixels, 0 to 255, are multiplied by.
const FACTOR: f64 = @FACTOR@;
/// What is subtracted then, a number for each channel that the network takes.
const MEAN: [f64; @CHANNELS@] = @MEAN@;
/// What the difference is divided by.
const DEVIATION: [f64; @CHANNELS@] = @DEVIATION@;
/// Which of red, green and blue each channel is.
const ORDER: [usize; @CHANNELS@] = @ORDER@;

/// Values of an image in the order of a tensor of this shape: one image, its channels, rows and columns.
pub type Prepared = (Vec<f32>, [usize; 4]);

/// Reads an image as a batch of one.
pub fn read(path: &Path) -> ImageResult<Prepared> {
    Ok(prepare(&image::open(path)?@GRAY@.to_rgb8()))
}

/// Brings an image to the size and the values that the network was trained with.
pub fn prepare(image: &RgbImage) -> Prepared {
    let (width, height) = size(image.width(), image.height());
    let image = if image.dimensions() == (width, height) {
        image.clone()
    } else {
        imageops::resize(image, width, height, FILTER)
    };
    let image = crop(&image);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut values = Vec::with_capacity(MEAN.len() * width * height);
    for channel in 0..MEAN.len() {
        for pixel in image.pixels() {
            let value = f64::from(pixel[ORDER[channel]]) * FACTOR;
            values.push(((value - MEAN[channel]) / DEVIATION[channel]) as f32);
        }
    }
    (values, [1, MEAN.len(), height, width])
}
