//! How an image becomes an input, where the caller says it.

use residua_ir::preparation::{Channels, Crop, Filter, Preprocessing, Resize};

/// What is said of images; what is not is taken from the file, see [`crate::input`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ImageOptions {
    /// How values are scaled.
    pub preprocess: Option<Preprocessing>,
    /// How an image is brought to size.
    pub resize: Option<Resize>,
    /// What is cut out then.
    pub crop: Option<ImageCrop>,
    /// The filter of resizing, sample for sample Pillow's.
    pub filter: Option<Filter>,
    /// Whether the filter is stretched where an image gets smaller, as Pillow does it and TensorFlow does not; it is where
    /// nothing is said.
    pub antialias: Option<bool>,
    /// What becomes of the ratio of an image's sides.
    pub aspect: Option<Aspect>,
    /// The order in which the model takes the channels; each colour keeps its mean and deviation.
    pub channels: Option<Channels>,
    /// Whether images are turned as EXIF says; a run never does that, prediction does unless this says otherwise.
    pub upright: Option<bool>,
}

/// What is cut out of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ImageCrop {
    /// A part of so many pixels.
    Rule(Crop),
    /// The share of the shorter side that the model's size is.
    Share(f64),
}

/// What becomes of the ratio of an image's sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// It is kept, and what sticks out is cut off: torchvision's `Resize` and `CenterCrop`, timm's mode `center`.
    Keep,
    /// Sides become what is asked for whatever they were: Keras's loaders, timm's mode `squash`.
    Squash,
    /// It is kept, and black fills up: timm's mode `border`.
    Pad,
}
