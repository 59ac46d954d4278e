//! How an image becomes an input, where the caller says it.

use residua_ir::preparation::{Crop, Filter, Preprocessing, Resize};

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
