//! How images were prepared, as a report states it whole.

use residua_ir::preparation::{Channels, Crop, Filter, Preprocessing, Resize};
use residua_resnet::preprocessing::Known;
use serde::{Deserialize, Serialize};

use crate::preparation::geometry_text;

/// How images were prepared, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Rows and columns of what the model got, where they do not depend on the image.
    pub size: Option<[usize; 2]>,
    /// What becomes of the size, in words: resizing, filter, crop.
    pub geometry: String,
    /// The share of the shorter side that is left.
    pub crop_pct: Option<f64>,
    /// The filter of resizing.
    pub interpolation: String,
    /// Whether it is stretched where an image gets smaller, so that nothing aliases.
    pub antialias: bool,
    /// Whether the ratio of the sides is kept.
    pub aspect_kept: bool,
    /// The mode of the values: `caffe`, `tf`, `torch`, `unit`, `raw`, or `custom`.
    pub preprocess: String,
    /// What becomes of the values, in words.
    pub values: String,
    /// The order of channels: `rgb` or `bgr`.
    pub channels: String,
    /// Whether images are turned as EXIF says (`exif`) or not (`stored`).
    pub orientation: String,
    /// The places that this is from.
    pub by: Vec<String>,
    /// Whether the values are assumed, since nothing states them.
    pub assumed: bool,
}

impl Protocol {
    pub(super) fn of(known: &Known, upright: bool) -> Self {
        let resize = known.resize.as_ref().map_or(Resize::Keep, |told| told.value);
        let crop = known.crop.as_ref().map_or(Crop::All, |told| told.value);
        let values = known.values.as_ref().map_or_else(|| Preprocessing::Raw.values(), |told| told.value);
        let exact = match resize {
            Resize::Exact { height, width } => Some([height, width]),
            Resize::Keep
            | Resize::Shortest { .. }
            | Resize::Between { .. }
            | Resize::Cover { .. }
            | Resize::Within { .. } => None,
        };
        let size = match crop {
            Crop::Center { height, width, .. } => Some([height, width]),
            Crop::All => exact,
        };
        let before = match resize {
            Resize::Shortest { edge } | Resize::Between { edge, .. } => Some(edge),
            Resize::Exact { height, width } | Resize::Cover { height, width } | Resize::Within { height, width } => {
                Some(height.min(width))
            }
            Resize::Keep => None,
        };
        #[expect(clippy::cast_precision_loss, reason = "sizes of images")]
        let crop_pct = size.zip(before).map(|(size, before)| size[0].min(size[1]) as f64 / before.max(1) as f64);
        let mut by: Vec<String> = Vec::new();
        let places = [
            known.resize.as_ref().map(|told| &told.by),
            known.crop.as_ref().map(|told| &told.by),
            known.filter.as_ref().map(|told| &told.by),
            known.antialias.as_ref().map(|told| &told.by),
            known.values.as_ref().map(|told| &told.by),
        ];
        for place in places.into_iter().flatten() {
            if !by.contains(place) {
                by.push(place.clone());
            }
        }
        Self {
            size,
            geometry: geometry_text(known).unwrap_or_else(|| "size as it is".to_owned()),
            crop_pct,
            interpolation: known.filter.as_ref().map_or(Filter::Bilinear, |told| told.value).name().to_owned(),
            antialias: known.filter.as_ref().is_none_or(|told| told.value != Filter::Nearest)
                && known.antialias.as_ref().is_none_or(|told| told.value),
            aspect_kept: exact.is_none(),
            preprocess: values.mode().map_or("custom", Preprocessing::name).to_owned(),
            values: values.describe(),
            channels: if values.channels == Channels::Bgr { "bgr" } else { "rgb" }.to_owned(),
            orientation: if upright { "exif" } else { "stored" }.to_owned(),
            by,
            assumed: known.assumed,
        }
    }

    /// The lines that say all of it.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let size =
            self.size.map_or_else(|| "that of the image".to_owned(), |[rows, columns]| format!("{rows}x{columns}"));
        let antialias = if self.antialias { "antialiased" } else { "not antialiased" };
        let aspect = if self.aspect_kept { "the ratio of sides is kept" } else { "whatever the ratio of sides" };
        let assumed = if self.assumed { "; the values are assumed, since nothing states them" } else { "" };
        let orientation = match self.orientation.as_str() {
            "exif" => "upright as EXIF says",
            _ => "as stored",
        };
        vec![
            ("size", format!("{size}: {}, {aspect}", self.geometry)),
            ("filter", format!("{}, {antialias}", self.interpolation)),
            ("values", format!("{}: {}, {}", self.preprocess, self.values, self.channels.to_uppercase())),
            ("orientation", orientation.to_owned()),
            ("stated by", format!("{}{assumed}", self.by.join(", "))),
        ]
    }
}
