//! `preprocessor_config.json` of transformers: the settings of an image processor, of this age or of the feature
//! extractors before.
//!
//! A key that is not there has the value that its class has. (Source: transformers 5, `image_processing_backends.py`
//! and `image_processing_pil_*.py` of the classes; the Pillow back end is followed.)

use residua_ir::Shown;
use residua_ir::preparation::{Channels, Crop, Filter, Middle, Preparation, Preprocessing, Resize, Values};
use serde_json::Value;

use super::settings::{Settings, Triple};
use super::{Read, timm, wrong_part};
use crate::error::{Error, Result};

/// What a class of image processors does by itself.
struct Class {
    /// Its name without the endings `ImageProcessor`, `ImageProcessorFast` and `FeatureExtractor`.
    name: &'static str,
    filter: Filter,
    mean: [f64; 3],
    deviation: [f64; 3],
    size: Size,
    /// Side of the square that is cut out.
    crop: Option<usize>,
    normalises: bool,
    /// Whether the channels come out in the order BGR.
    flips: bool,
}

/// `size` of a class.
#[derive(Clone, Copy, PartialEq)]
enum Size {
    /// A number is that of both sides.
    Square(usize),
    /// A number is that of the shorter side.
    Shortest(usize),
    /// As `Shortest`, with `crop_pct`: below 384 pixels the side over it is the shorter one, and the middle is cut out.
    Share(usize),
}

const HALF: [f64; 3] = [0.5; 3];
const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_DEVIATION: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

const PLAIN: Class = Class {
    name: "",
    filter: Filter::Bilinear,
    mean: HALF,
    deviation: HALF,
    size: Size::Square(224),
    crop: None,
    normalises: true,
    flips: false,
};

const CLASSES: [Class; 9] = [
    Class { name: "ConvNext", filter: Filter::Bicubic, size: Size::Share(384), ..PLAIN },
    Class { name: "Bit", ..CLIP },
    CLIP,
    Class { name: "ViT", ..PLAIN },
    Class { name: "Siglip", filter: Filter::Bicubic, ..PLAIN },
    Class { name: "DeiT", filter: Filter::Bicubic, size: Size::Square(256), crop: Some(224), ..PLAIN },
    Class { name: "MobileNetV1", size: Size::Shortest(256), crop: Some(224), ..PLAIN },
    Class { name: "MobileNetV2", size: Size::Shortest(256), crop: Some(224), ..PLAIN },
    Class {
        name: "MobileViT",
        filter: Filter::Bicubic,
        size: Size::Shortest(224),
        crop: Some(256),
        normalises: false,
        flips: true,
        ..PLAIN
    },
];

const CLIP: Class = Class {
    name: "CLIP",
    filter: Filter::Bicubic,
    mean: CLIP_MEAN,
    deviation: CLIP_DEVIATION,
    size: Size::Shortest(224),
    crop: Some(224),
    normalises: true,
    flips: false,
};

/// Side from which on `crop_pct` is not looked at and images are squeezed into the square.
const NO_SHARE_FROM: usize = 384;
/// `crop_pct` where it is not said.
const SHARE: f64 = 224.0 / 256.0;

/// What it says.
pub(super) fn read(file: &str, value: &Value) -> Result<Read> {
    if !value.is_object() {
        let found: String = value.to_string().chars().take(40).collect();
        return Err(Error::Config { at: file.into(), expected: "an object".into(), found: found.into() });
    }
    let settings = Settings { file, value };
    let name = match settings.text("image_processor_type")? {
        Some(name) => Some(name),
        None => settings.text("feature_extractor_type")?,
    };
    if name.is_some_and(|name| name.starts_with("TimmWrapper")) || timm::is_timm(value) {
        return timm::read(file, value);
    }
    let name = name.unwrap_or_default();
    let stem = ["Pil", "Fast", "ImageProcessor", "FeatureExtractor"]
        .iter()
        .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    match CLASSES.iter().find(|class| class.name == stem) {
        Some(class) => {
            let preparation = follow(settings, class)?;
            let notes = other_back_end(file, name, &preparation).into_iter().collect();
            Ok(Read { preparation, notes })
        }
        None => {
            let called = if name.is_empty() { "no class that is named" } else { name };
            let known = CLASSES.map(|class| format!("{}ImageProcessor", class.name)).join(", ");
            let note = format!(
                "{file} is of {}, which is not known here, so nothing was taken from it (known are {known})",
                called.shown()
            );
            Ok(Read { preparation: Preparation::default(), notes: vec![note] })
        }
    }
}

/// Says how the back end of a class differs from the one that is followed, where its name says which it is.
///
/// (Compared: transformers 5.23 with torchvision 0.29, images of noise and smooth ones, larger and smaller than the result.)
fn other_back_end(file: &str, name: &str, preparation: &Preparation) -> Option<String> {
    let resizes = !matches!(preparation.resize, None | Some(Resize::Keep));
    // Without an ending it is Pillow's in transformers before 5, and since then torchvision's.
    let plain = name.ends_with("ImageProcessor");
    let (true, true, Some(filter)) = (plain || name.ends_with("Fast"), resizes, preparation.filter) else {
        return None;
    };
    // Samples then differ by 1 or 2 of 255, but for the one filter that it did not always have.
    if plain && filter != Filter::Lanczos {
        return None;
    }
    let differs = match filter {
        Filter::Bilinear | Filter::Bicubic | Filter::Box | Filter::Hamming => "samples differ by 1 or 2 of 255 at most",
        Filter::Nearest => "where sides are odd, single pixels are others",
        Filter::Lanczos => {
            "before torchvision 0.27 and on a GPU it takes a bicubic filter, so that samples differ by more than rounding"
        }
    };
    Some(format!(
        "{file} is of {}, which resizes by torchvision{}; images are resized as Pillow does it: {differs}",
        name.escape_debug(),
        if plain { " in transformers 5" } else { "" }
    ))
}

fn follow(settings: Settings<'_>, class: &Class) -> Result<Preparation> {
    // Done to images by no class that is known here, unless a file says so.
    for key in ["do_pad", "do_grayscale", "rescale_offset"] {
        if settings.flag(key)? == Some(true) {
            return Err(settings.wrong(key, "`false`; nothing of the kind is done here", &true.into()));
        }
    }
    let (resize, squares) = resize(settings, class)?;
    let crop = crop(settings, class, squares)?;
    let values = values(settings, class)?;
    let preparation =
        Preparation { resize: Some(resize), crop: Some(crop), filter: Some(filter(settings, class)?), values };
    preparation.check().map_err(|error| wrong_part(settings.file, error))?;
    Ok(preparation)
}

/// Pillow's number of the filter.
fn filter(settings: Settings<'_>, class: &Class) -> Result<Filter> {
    let Some(value) = settings.get("resample") else { return Ok(class.filter) };
    let found = value.as_u64().and_then(|number| Filter::ALL.into_iter().find(|filter| filter.number() == number));
    found.ok_or_else(|| {
        let known: Vec<String> =
            Filter::ALL.iter().map(|filter| format!("{} ({})", filter.number(), filter.name())).collect();
        settings.wrong("resample", format!("Pillow's number of a filter: {}", known.join(", ")), value)
    })
}

/// The rule for the size, and the side of the square that the class itself cuts out of the result.
fn resize(settings: Settings<'_>, class: &Class) -> Result<(Resize, Option<usize>)> {
    if settings.flag("do_resize")? == Some(false) {
        return Ok((Resize::Keep, None));
    }
    let said = match settings.get("size") {
        None => match class.size {
            Size::Square(side) => Resize::Exact { height: side, width: side },
            Size::Shortest(edge) | Size::Share(edge) => Resize::Shortest { edge },
        },
        Some(value) => size(settings, "size", value, matches!(class.size, Size::Square(_)))?,
    };
    if !matches!(class.size, Size::Share(_)) {
        return Ok((said, None));
    }
    let share = settings.share("crop_pct")?.unwrap_or(SHARE);
    match said {
        Resize::Shortest { edge } if edge < NO_SHARE_FROM => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "below 384 over a share of at least 0.01"
            )]
            let before = (edge as f64 / share) as usize;
            Ok((Resize::Shortest { edge: before }, Some(edge)))
        }
        Resize::Shortest { edge } => Ok((Resize::Exact { height: edge, width: edge }, None)),
        Resize::Keep | Resize::Between { .. } | Resize::Exact { .. } | Resize::Cover { .. } | Resize::Within { .. } => {
            let found = settings.get("size").cloned().unwrap_or_default();
            Err(settings.wrong("size", "`shortest_edge`, as this class takes it", &found))
        }
    }
}

/// A size: a number, rows and columns, or an object.
fn size(settings: Settings<'_>, key: &str, value: &Value, square: bool) -> Result<Resize> {
    let side = |value: &Value| settings.side(key, value);
    let wrong = || settings.wrong(key, "a number, `height` and `width`, or `shortest_edge`", value);
    match value {
        Value::Number(_) => {
            let edge = side(value)?;
            Ok(if square { Resize::Exact { height: edge, width: edge } } else { Resize::Shortest { edge } })
        }
        Value::Array(items) => match &items[..] {
            [edge] => size(settings, key, edge, square),
            [height, width] => Ok(Resize::Exact { height: side(height)?, width: side(width)? }),
            _ => Err(wrong()),
        },
        Value::Object(_) => {
            let inner = Settings { file: settings.file, value };
            let at = |name: &str| inner.get(name).map(side).transpose();
            let known = ["height", "width", "shortest_edge", "longest_edge"];
            let mut keys = value.as_object().into_iter().flatten();
            if keys.any(|(name, value)| !value.is_null() && !known.contains(&name.as_str())) {
                return Err(wrong());
            }
            match (at("height")?, at("width")?, at("shortest_edge")?, at("longest_edge")?) {
                (Some(height), Some(width), None, None) => Ok(Resize::Exact { height, width }),
                (None, None, Some(edge), None) => Ok(Resize::Shortest { edge }),
                (None, None, Some(edge), Some(longest)) => Ok(Resize::Between { edge, longest }),
                _ => Err(wrong()),
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Err(wrong()),
    }
}

fn crop(settings: Settings<'_>, class: &Class, squares: Option<usize>) -> Result<Crop> {
    let middle = |height, width| Crop::Center { height, width, rounding: Middle::CutOff, fill: [0; 3] };
    if !settings.flag("do_center_crop")?.unwrap_or(class.crop.is_some()) {
        return Ok(squares.map_or(Crop::All, |side| middle(side, side)));
    }
    if squares.is_some() {
        return Err(settings.wrong("do_center_crop", "`false`, since `crop_pct` cuts out the middle", &true.into()));
    }
    let missing = || settings.wrong("crop_size", "the size that is cut out", &Value::Null);
    match settings.get("crop_size") {
        None => class.crop.map(|side| middle(side, side)).ok_or_else(missing),
        Some(value) => match size(settings, "crop_size", value, true)? {
            Resize::Exact { height, width } => Ok(middle(height, width)),
            // An older class has the side of the square under this key.
            Resize::Shortest { edge } => Ok(middle(edge, edge)),
            Resize::Keep | Resize::Between { .. } | Resize::Cover { .. } | Resize::Within { .. } => {
                Err(settings.wrong("crop_size", "a number, or `height` and `width`", value))
            }
        },
    }
}

fn values(settings: Settings<'_>, class: &Class) -> Result<Option<Values>> {
    let raw = Preprocessing::Raw.values();
    let factor = match settings.flag("do_rescale")? {
        Some(false) => 1.0,
        Some(true) | None => settings.number("rescale_factor")?.unwrap_or(1.0 / 255.0),
    };
    let flips = settings.flag("do_flip_channel_order")?.unwrap_or(class.flips);
    let normalises = settings.flag("do_normalize")?.unwrap_or(class.normalises);
    if flips && normalises {
        // No class does both; which comes first is not known.
        return Err(settings.wrong("do_flip_channel_order", "`false` where `do_normalize` is `true`", &true.into()));
    }
    let channels = if flips { Channels::Bgr } else { Channels::Rgb };
    if !normalises {
        return Ok(Some(Values { channels, factor, ..raw }));
    }
    let pick = |key: &str, own: [f64; 3]| match settings.triple(key, None)? {
        None => Ok(own),
        Some(Triple::Of(triple)) => Ok(triple),
        Some(Triple::Other(_)) => {
            let found = settings.get(key).cloned().unwrap_or_default();
            Err(settings.wrong(key, "a number, or one for each of 3 channels", &found))
        }
    };
    let (mean, deviation) = (pick("image_mean", class.mean)?, pick("image_std", class.deviation)?);
    Ok(Some(Values { channels, factor, mean, deviation }))
}
