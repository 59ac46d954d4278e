//! timm's `config.json`: `pretrained_cfg`, or the same keys without it in old files.
//!
//! (Source: timm 1.0, `data/config.py` `resolve_data_config`, `data/transforms_factory.py`
//! `transforms_imagenet_eval`, `models/_hub.py` `_parse_model_cfg`.)

use residua_ir::Hint;
use residua_ir::preparation::{Channels, Crop, Filter, Middle, Preparation, Preprocessing, Resize, Values};
use serde_json::Value;

use super::settings::{Settings, Triple};
use super::{Read, wrong_part};
use crate::error::Result;

/// Keys that say how images are prepared.
const KEYS: [&str; 6] = ["input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode"];

/// What timm takes where `input_size` is not said.
const SIZE: usize = 224;
/// Where `crop_pct` is not said.
const SHARE: f64 = 0.875;

fn settings(value: &Value) -> Option<&Value> {
    let states = |value: &&Value| KEYS.iter().any(|key| value.get(key).is_some_and(|value| !value.is_null()));
    let nested = value.get("pretrained_cfg").or_else(|| value.get("default_cfg"));
    match nested {
        Some(nested) => Some(nested).filter(states),
        None => Some(value).filter(|value| value.get("architecture").is_some()).filter(states),
    }
}

/// Whether a configuration is one of timm's that says how images are prepared.
pub(crate) fn is_timm(value: &Value) -> bool {
    settings(value).is_some()
}

/// What it says.
pub(super) fn read(file: &str, value: &Value) -> Result<Read> {
    let Some(inner) = settings(value) else { return Ok(Read::default()) };
    let settings = Settings { file, value: inner };
    let mut notes = Vec::new();
    let (channels, height, width) = size(settings, value)?;
    let share = settings.share("crop_pct")?.unwrap_or(SHARE);
    let filter = match settings.text("interpolation")? {
        Some("random") => {
            notes.push(format!(
                "{file} resizes by a random filter, which is for training; taken: bilinear; {} says otherwise",
                Hint::Interpolation
            ));
            Filter::Bilinear
        }
        Some(_) => settings.filter("interpolation")?.unwrap_or(Filter::Bicubic),
        None => Filter::Bicubic,
    };
    let values = values(settings, channels, &mut notes)?;
    let (resize, crop) = geometry(settings, height, width, share, values)?;
    if let Some(note) = other_size(settings, (height, width))? {
        notes.push(note);
    }
    let preparation = Preparation { resize: Some(resize), crop: Some(crop), filter: Some(filter), values };
    preparation.check().map_err(|error| wrong_part(file, error))?;
    Ok(Read { preparation, notes })
}

/// Channels, rows and columns of the input.
fn size(settings: Settings<'_>, config: &Value) -> Result<(usize, usize, usize)> {
    let three = |key: &str, value: &Value| -> Result<(usize, usize, usize)> {
        let [channels, height, width] = value.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(settings.wrong(key, "channels, rows and columns", value));
        };
        Ok((settings.side(key, channels)?, settings.side(key, height)?, settings.side(key, width)?))
    };
    let stated = settings.get("input_size").map(|value| three("input_size", value)).transpose()?;
    let (mut channels, mut height, mut width) = stated.unwrap_or((3, SIZE, SIZE));
    // What the model was built with, where it is not what the weights were trained with.
    if let Some(args) = config.get("model_args") {
        let args = Settings { file: settings.file, value: args };
        if let Some(count) = args.get("in_chans") {
            channels = args.side("in_chans", count)?;
        }
        if let (Some(size), Some(true)) = (args.get("img_size"), settings.flag("fixed_input_size")?) {
            (height, width) = match size.as_array().map(Vec::as_slice) {
                Some([rows, columns]) => (args.side("img_size", rows)?, args.side("img_size", columns)?),
                Some(_) => return Err(args.wrong("img_size", "rows and columns", size)),
                None => args.side("img_size", size).map(|side| (side, side))?,
            };
        }
    }
    Ok((channels, height, width))
}

fn values(settings: Settings<'_>, channels: usize, notes: &mut Vec<String>) -> Result<Option<Values>> {
    let torch = Preprocessing::Torch.values();
    let mean = settings.triple("mean", Some(channels))?.unwrap_or(Triple::Of(torch.mean));
    let deviation = settings.triple("std", Some(channels))?.unwrap_or(Triple::Of(torch.deviation));
    Ok(match (mean, deviation) {
        (Triple::Of(mean), Triple::Of(deviation)) => {
            Some(Values { channels: Channels::Rgb, factor: 1.0 / 255.0, mean, deviation })
        }
        (Triple::Other(count), _) | (_, Triple::Other(count)) => {
            notes.push(format!(
                "{} has means of {count} channels, which no image has; they were not taken",
                settings.file
            ));
            None
        }
    })
}

/// The rule for the size and the crop, for an input of this size and the share of it that is cut out.
fn geometry(
    settings: Settings<'_>,
    height: usize,
    width: usize,
    share: f64,
    values: Option<Values>,
) -> Result<(Resize, Crop)> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "sizes of images over a share of at least 0.01"
    )]
    let before = |side: usize| (side as f64 / share).floor() as usize;
    let (rows, columns) = (before(height), before(width));
    let middle = |fill| Crop::Center { height, width, rounding: Middle::HalfToEven, fill };
    match settings.text("crop_mode")?.unwrap_or("center") {
        "center" if rows == columns => Ok((Resize::Shortest { edge: rows }, middle([0; 3]))),
        "center" => Ok((Resize::Cover { height: rows, width: columns }, middle([0; 3]))),
        "squash" => Ok((Resize::Exact { height: rows, width: columns }, middle([0; 3]))),
        "border" => {
            let mean = values.map_or([0.0; 3], |values| values.mean);
            // Python's `round`, half to even.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
            let fill = mean.map(|mean| (255.0 * mean).round_ties_even().clamp(0.0, 255.0) as u8);
            Ok((Resize::Within { height: rows, width: columns }, middle(fill)))
        }
        other => Err(settings.wrong("crop_mode", "`center`, `squash` or `border`", &other.into())),
    }
}

/// A note where timm's own evaluation takes larger images.
fn other_size(settings: Settings<'_>, (height, width): (usize, usize)) -> Result<Option<String>> {
    let share = settings.share("test_crop_pct")?;
    let size = match settings.get("test_input_size") {
        None => None,
        Some(value) => match value.as_array().map(Vec::as_slice) {
            Some([_, rows, columns]) => {
                Some((settings.side("test_input_size", rows)?, settings.side("test_input_size", columns)?))
            }
            Some(_) | None => return Err(settings.wrong("test_input_size", "channels, rows and columns", value)),
        },
    };
    Ok(size.filter(|&size| size != (height, width)).map(|(rows, columns)| {
        let share = share.map_or_else(String::new, |share| format!(", of which {share} is cut out,"));
        format!(
            "{} recommends images of {rows}x{columns}{share} for evaluation; taken: {height}x{width}; --resize and \
             --crop say otherwise",
            settings.file
        )
    }))
}
