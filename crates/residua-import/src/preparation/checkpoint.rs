//! What training scripts leave in a checkpoint about preparing images: the options of torchvision's and timm's, and
//! means and deviations under their usual names.
//!
//! (Source: torchvision 0.29, `references/classification/train.py` and `presets.py`; timm 1.0, `train.py`; mmcv's
//! `img_norm_cfg` and mmengine's `data_preprocessor`.)

use std::collections::BTreeMap;

use residua_formats::torch::{Attribute, Scalar};
use residua_ir::preparation::{
    Channels, Crop, Filter, MAX_SIDE, Middle, Preparation, Preprocessing, Resize, Stated, Values,
};
use serde_json::{Map, Value, json};

/// What a place in a checkpoint holds, by its keys.
type Entries<'a> = BTreeMap<&'a str, &'a Scalar>;

/// What the small values of a checkpoint state, a place each; and notes about what states it but cannot be followed.
pub(crate) fn of_scalars(scalars: &[(String, Scalar)]) -> (Vec<Stated>, Vec<String>) {
    let mut places: BTreeMap<&str, Entries<'_>> = BTreeMap::new();
    for (path, value) in scalars {
        let (place, key) = path.rsplit_once('.').unwrap_or(("", path));
        places.entry(place).or_default().insert(key, value);
    }
    let (mut stated, mut notes) = (Vec::new(), Vec::new());
    for (place, entries) in places {
        if let Some(Attribute::Text(text)) = entries.get("cfg")
            && let Some(preparation) = mmengine(text).filter(|preparation| preparation.check().is_ok())
        {
            stated.push(Stated::new(format!("`data_preprocessor` in `{}.cfg`", place.escape_debug()), preparation));
        }
        if place.rsplit('.').next() == Some("pretrained_cfg") {
            module_of_timm(place, &entries, &mut stated, &mut notes);
            continue;
        }
        let Some(preparation) = torchvision(&entries).or_else(|| timm(&entries)).or_else(|| numbers(&entries)) else {
            continue;
        };
        let by = if place.is_empty() { "the checkpoint".to_owned() } else { format!("`{place}` in the checkpoint") };
        match preparation.check() {
            Ok(()) => stated.push(Stated::new(by, preparation)),
            Err(error) => notes.push(format!("{by} says how images are prepared, but cannot be followed: {error}")),
        }
    }
    (stated, notes)
}

/// Where the parenthesis closes that is open before a text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1usize;
    let mut brackets = text.match_indices(['(', ')']);
    brackets.find_map(|(at, bracket)| {
        open = if bracket == "(" { open.saturating_add(1) } else { open.saturating_sub(1) };
        (open == 0).then_some(at)
    })
}

/// The configuration that mmengine puts into `meta.cfg`: a text of Python, of which the numbers of the first `data_preprocessor` (or
/// `img_norm_cfg`, in older files) are taken that has a mean and a deviation.
fn mmengine(text: &str) -> Option<Preparation> {
    let blocks = ["data_preprocessor", "img_norm_cfg"].into_iter().flat_map(|name| text.match_indices(name));
    let values = blocks.take(8).find_map(|(at, name)| {
        let rest = text.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start().strip_prefix("dict(")?;
        let block = rest.get(..closing(rest)?)?;
        let value = |key: &str| -> Option<&str> {
            let mut found = block
                .match_indices(key)
                .filter(|(at, _)| !block[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            found.find_map(|(at, key)| block.get(at + key.len()..)?.trim_start().strip_prefix('=').map(str::trim_start))
        };
        let triple = |key: &str| -> Option<Attribute> {
            let list = value(key)?.strip_prefix(['[', '('])?;
            let items = list
                .get(..list.find([']', ')']).unwrap_or(list.len()))?
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            items.map(|item| item.parse().ok().map(Attribute::Float)).collect::<Option<Vec<_>>>().map(Attribute::List)
        };
        let flag = |key: &str| value(key).map(|text| Attribute::Bool(text.starts_with("True")));
        let (mean, deviation) = (triple("mean")?, triple("std")?);
        let turned = flag("to_rgb").or_else(|| flag("bgr_to_rgb"));
        let mut entries: Entries<'_> = BTreeMap::from([("mean", &mean), ("std", &deviation)]);
        entries.extend(turned.as_ref().map(|turned| ("to_rgb", turned)));
        values(&entries, "mean", "std")
    })?;
    Some(Preparation { values: Some(values), ..Preparation::default() })
}

/// `pretrained_cfg` of a module of timm, which says as much as the one in timm's `config.json`.
fn module_of_timm(place: &str, entries: &Entries<'_>, stated: &mut Vec<Stated>, notes: &mut Vec<String>) {
    let by = format!("`{}` of the module", place.escape_debug());
    let inner: Map<String, Value> =
        entries.iter().filter_map(|(key, value)| Some(((*key).to_owned(), json(value)?))).collect();
    match super::timm::read(&by, &json!({ "pretrained_cfg": inner })) {
        Ok(read) => {
            notes.extend(read.notes);
            if !read.preparation.is_empty() {
                stated.push(Stated::new(by, read.preparation));
            }
        }
        Err(error) => notes.push(format!("{by} says how images are prepared, but cannot be followed: {error}")),
    }
}

/// A plain value as JSON; [`None`] for what JSON has no name for.
fn json(value: &Attribute) -> Option<Value> {
    match value {
        Attribute::None => Some(Value::Null),
        Attribute::Bool(value) => Some(json!(value)),
        Attribute::Int(value) => Some(json!(value)),
        Attribute::Float(value) => Some(json!(value)),
        Attribute::Text(value) => Some(json!(value)),
        Attribute::List(items) => items.iter().map(json).collect::<Option<Vec<Value>>>().map(Value::Array),
        Attribute::Other(_) => None,
    }
}

/// The options of torchvision's reference script for classification, whose presets settle the rest.
fn torchvision(entries: &Entries<'_>) -> Option<Preparation> {
    let (edge, side) = (number(entries, "val_resize_size")?, number(entries, "val_crop_size")?);
    Some(Preparation {
        resize: Some(Resize::Shortest { edge }),
        crop: Some(middle(side, side)),
        filter: Some(filter(entries).unwrap_or(Filter::Bilinear)),
        values: Some(Preprocessing::Torch.values()),
    })
}

/// The options of timm's script. What was left to the model's own configuration is not in the checkpoint.
fn timm(entries: &Entries<'_>) -> Option<Preparation> {
    if !["crop_pct", "interpolation", "mean", "std"].iter().all(|key| entries.contains_key(key)) {
        return None;
    }
    let values = values(entries, "mean", "std").filter(|values| values.factor < 1.0);
    let square = || number(entries, "img_size").map(|side| (side, side));
    let size = match entries.get("input_size") {
        Some(Attribute::List(items)) => match items[..] {
            [_, Attribute::Int(height), Attribute::Int(width)] => Some((side(height)?, side(width)?)),
            _ => square(),
        },
        Some(_) | None => square(),
    };
    let share = match entries.get("crop_pct") {
        Some(Attribute::Float(share)) if (0.01..=2.0).contains(share) => Some(*share),
        Some(Attribute::Int(1)) => Some(1.0),
        Some(_) | None => None,
    };
    // Another mode than the usual one is left to who knows it.
    let center = match entries.get("crop_mode") {
        Some(Attribute::Text(mode)) => mode == "center",
        Some(_) | None => true,
    };
    let mut preparation = Preparation { filter: filter(entries), values, ..Preparation::default() };
    if let (Some((height, width)), Some(share), true) = (size, share, center) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "sizes of images over a share of at least 0.01"
        )]
        let before = |side: usize| (side as f64 / share).floor() as usize;
        let (rows, columns) = (before(height), before(width));
        preparation.resize = Some(match rows == columns {
            true => Resize::Shortest { edge: rows },
            false => Resize::Cover { height: rows, width: columns },
        });
        preparation.crop = Some(middle(height, width));
    }
    Some(preparation).filter(|preparation| !preparation.is_empty())
}

/// A mean and a deviation, whoever wrote them.
fn numbers(entries: &Entries<'_>) -> Option<Preparation> {
    let names = [("mean", "std"), ("image_mean", "image_std"), ("img_mean", "img_std"), ("pixel_mean", "pixel_std")];
    let values = names.iter().find_map(|(mean, deviation)| values(entries, mean, deviation))?;
    Some(Preparation { values: Some(values), ..Preparation::default() })
}

/// Numbers of pixels from 0 to 1, or of pixels from 0 to 255: a mean of the latter is far above 1.
fn values(entries: &Entries<'_>, mean: &str, deviation: &str) -> Option<Values> {
    let (mean, deviation) = (triple(entries, mean)?, triple(entries, deviation)?);
    let of_bytes = mean.iter().any(|mean| *mean > 4.0);
    let reversed =
        |key: &str, reversing: bool| matches!(entries.get(key), Some(Attribute::Bool(found)) if *found == reversing);
    // These libraries read images as BGR and turn them round where they are told to.
    let bgr = of_bytes && (reversed("to_rgb", false) || reversed("bgr_to_rgb", false));
    let channels = if bgr { Channels::Bgr } else { Channels::Rgb };
    Some(Values { channels, factor: if of_bytes { 1.0 } else { 1.0 / 255.0 }, mean, deviation })
}

fn triple(entries: &Entries<'_>, key: &str) -> Option<[f64; 3]> {
    let Some(Attribute::List(items)) = entries.get(key) else { return None };
    let number = |item: &Attribute| match item {
        Attribute::Float(value) => Some(*value),
        Attribute::Int(value) => i32::try_from(*value).ok().map(f64::from),
        _ => None,
    };
    match &items[..] {
        [one] => number(one).map(|one| [one; 3]),
        [a, b, c] => Some([number(a)?, number(b)?, number(c)?]),
        _ => None,
    }
}

fn side(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|side| (1..=MAX_SIDE).contains(side))
}

fn number(entries: &Entries<'_>, key: &str) -> Option<usize> {
    match entries.get(key) {
        Some(Attribute::Int(value)) => side(*value),
        Some(_) | None => None,
    }
}

fn filter(entries: &Entries<'_>) -> Option<Filter> {
    match entries.get("interpolation") {
        Some(Attribute::Text(name)) => Filter::named(name),
        Some(_) | None => None,
    }
}

fn middle(height: usize, width: usize) -> Crop {
    Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_mmengine_are_found_in_its_text() {
        let values = |text: &str| mmengine(text).and_then(|preparation| preparation.values);
        let nested = "model = dict(backbone=dict(depth=50), data_preprocessor=dict(batch_augments=[dict(type='Pad')], bgr_to_rgb=True, \
                      mean=[123.675, 116.28, 103.53,], other_std=[1], std=(58.4, 57.1, 57.4), type='DetDataPreprocessor'))";
        let found = values(nested).unwrap();
        assert_eq!((found.mean, found.deviation), ([123.675, 116.28, 103.53], [58.4, 57.1, 57.4]));
        assert_eq!((found.channels, found.factor), (Channels::Rgb, 1.0));
        let old = "img_norm_cfg = dict(\n    mean=[103.5, 116.3, 123.7], std=[1.0, 1.0, 1.0], to_rgb=False)";
        assert_eq!(values(old).unwrap().channels, Channels::Bgr);
        for none in [
            "",
            "data_preprocessor = dict(mean=[1, 2, 3], std=[1, 2",
            "data_preprocessor = dict(mean=[x, 2, 3], std=[1, 2, 3])",
        ] {
            assert_eq!(values(none), None, "{none}");
        }
    }
}
