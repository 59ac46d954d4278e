//! `image_converter.json` and `preprocessor.json` of a KerasHub preset: the settings of its image converter.
//!
//! Read are the values exactly. Sizes are read as what comes nearest: KerasHub cuts or fills before it resizes, and
//! smooths nothing unless asked to, which is said. (Source: keras_hub 0.32, `layers/preprocessing/image_converter.py`, and
//! keras 3.15, `image_preprocessing/resizing.py`.)

use residua_ir::Shown;
use residua_ir::preparation::{Channels, Crop, Filter, Middle, Preparation, Resize, Values};
use serde_json::Value;

use super::settings::{Settings, Triple};
use super::{Read, wrong_part};
use crate::error::{Error, Result};

/// Files of a preset, and where in them the converter is; the first that is there counts.
pub(super) const FILES: [(&str, &str); 2] =
    [("image_converter.json", ""), ("preprocessor.json", "/config/image_converter")];

/// Whether a file is one of KerasHub's: others have files of these names too.
pub(super) fn is_hub(value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    ["module", "registered_name"]
        .iter()
        .any(|key| ["keras_hub", "keras_nlp"].iter().any(|hub| text(key).starts_with(hub)))
}

/// What the converter at a place of a file says; nothing where there is none.
pub(super) fn read(file: &str, place: &str, value: &Value) -> Result<Read> {
    let Some(converter) = value.pointer(place).filter(|value| !value.is_null()) else { return Ok(Read::default()) };
    let Some(config) = converter.get("config").filter(|config| config.is_object()) else {
        let found: String = converter.to_string().chars().take(40).collect();
        let at = format!("{file}, `config`").into();
        return Err(Error::Config { at, expected: "an object".into(), found: found.into() });
    };
    let settings = Settings { file, value: config };
    let values = values(settings)?;
    let mut notes = Vec::new();
    let Some([height, width]) = size(settings)? else {
        return finish(
            file,
            Preparation { values, resize: Some(Resize::Keep), crop: Some(Crop::All), filter: None },
            notes,
        );
    };
    let crops = settings.flag("crop_to_aspect_ratio")?.unwrap_or(true);
    let pads = settings.flag("pad_to_aspect_ratio")?.unwrap_or(false);
    let middle = Crop::Center { height, width, rounding: Middle::default(), fill: [0; 3] };
    let (resize, crop) = match (crops, pads) {
        (true, false) => (Resize::Cover { height, width }, middle),
        (false, true) => (Resize::Within { height, width }, middle),
        (false, false) => (Resize::Exact { height, width }, Crop::All),
        (true, true) => {
            return Err(settings.wrong("pad_to_aspect_ratio", "`false`, as it crops to the ratio", &true.into()));
        }
    };
    let (filter, other) = filter(settings)?;
    let smooths = settings.flag("antialias")?.unwrap_or(false);
    let mut differs = Vec::new();
    differs.extend(other.map(|name| format!("its filter is {}, for which {} is taken", name.shown(), filter.name())));
    if crops || pads {
        differs.push(format!("it {} before it resizes", if crops { "cuts" } else { "fills" }));
    }
    if !smooths && filter != Filter::Nearest {
        differs.push("it smooths nothing where images get smaller".to_owned());
    }
    let differs = if differs.is_empty() { "samples differ by rounding".to_owned() } else { differs.join(", ") };
    notes.push(format!(
        "{file} is KerasHub's, and images are resized as Pillow does it: {differs}; images of {height}x{width} are taken as they are"
    ));
    let preparation = Preparation { resize: Some(resize), crop: Some(crop), filter: Some(filter), values };
    finish(file, preparation, notes)
}

fn finish(file: &str, preparation: Preparation, notes: Vec<String>) -> Result<Read> {
    preparation.check().map_err(|error| wrong_part(file, error))?;
    Ok(Read { preparation, notes })
}

/// Rows and columns: `image_size`, or `height` and `width` in older presets.
fn size(settings: Settings<'_>) -> Result<Option<[usize; 2]>> {
    if let (Some(height), Some(width)) = (settings.get("height"), settings.get("width")) {
        return Ok(Some([settings.side("height", height)?, settings.side("width", width)?]));
    }
    let Some(value) = settings.get("image_size") else { return Ok(None) };
    match value.as_array().map(Vec::as_slice) {
        Some([height, width]) => Ok(Some([settings.side("image_size", height)?, settings.side("image_size", width)?])),
        Some(_) | None => Err(settings.wrong("image_size", "rows and columns", value)),
    }
}

/// The filter, and what it is called where it is none that is known here.
fn filter<'a>(settings: Settings<'a>) -> Result<(Filter, Option<&'a str>)> {
    Ok(match settings.text("interpolation")? {
        None | Some("bilinear") => (Filter::Bilinear, None),
        Some("nearest") => (Filter::Nearest, None),
        Some("bicubic") => (Filter::Bicubic, None),
        Some("lanczos3") => (Filter::Lanczos, None),
        Some("area") => (Filter::Box, None),
        Some(other @ ("lanczos5" | "mitchellcubic" | "gaussian")) => (Filter::Bicubic, Some(other)),
        Some(other) => {
            let known = "`bilinear`, `nearest`, `bicubic`, `lanczos3` or `area`";
            return Err(settings.wrong("interpolation", known, &other.into()));
        }
    })
}

/// `x * scale + offset`; in older presets, both divided by the root of `variance`, with `mean` before that.
fn values(settings: Settings<'_>) -> Result<Option<Values>> {
    let three = |key: &str| -> Result<Option<[f64; 3]>> {
        match settings.triple(key, None)? {
            Some(Triple::Of(values)) => Ok(Some(values)),
            Some(Triple::Other(_)) | None => Ok(None),
        }
    };
    let scale = three("scale")?.unwrap_or([1.0; 3]);
    if let (Some(mean), Some(variance)) = (three("mean")?, three("variance")?) {
        let deviation = variance.map(f64::sqrt);
        return Ok(Some(Values { channels: Channels::Rgb, factor: scale[0], mean, deviation }));
    }
    let offset = three("offset")?.unwrap_or([0.0; 3]);
    // The scale of a pixel, where it is the same in all channels, else that of pixels from 0 to 1.
    let factor = if scale.iter().all(|one| one.to_bits() == scale[0].to_bits()) { scale[0] } else { 1.0 / 255.0 };
    // The quotient of what was a quotient: its last digits are rounding.
    let tidy = |number: f64| (number * 1e12).round() / 1e12;
    let deviation = scale.map(|scale| tidy(factor / scale));
    let mean = [0, 1, 2].map(|channel| tidy(0.0 - offset[channel] * deviation[channel]));
    Ok(Some(Values { channels: Channels::Rgb, factor, mean, deviation }))
}

#[cfg(test)]
mod tests {
    use residua_ir::preparation::Preprocessing;
    use serde_json::json;

    use super::*;

    fn converter(config: Value) -> Result<Read> {
        let file = json!({ "module": "keras_hub.src.models.resnet.resnet_image_converter", "config": config });
        assert!(is_hub(&file));
        read("image_converter.json", "", &file)
    }

    #[test]
    fn scales_and_offsets_are_the_values_that_they_come_to() {
        let means = [0.485, 0.456, 0.406];
        let deviations = [0.229, 0.224, 0.225];
        let scale: Vec<f64> = deviations.iter().map(|deviation| 1.0 / 255.0 / deviation).collect();
        let offset: Vec<f64> = (0..3).map(|channel| -means[channel] / deviations[channel]).collect();
        let variance: Vec<f64> = deviations.iter().map(|deviation| deviation * deviation).collect();
        let cases = [
            (json!({ "scale": scale, "offset": offset }), Preprocessing::Torch),
            (json!({ "scale": 1.0 / 255.0, "mean": means, "variance": variance }), Preprocessing::Torch),
            (json!({ "scale": 1.0 / 127.5, "offset": -1 }), Preprocessing::Tf),
            (json!({ "scale": 1.0 / 255.0, "offset": null }), Preprocessing::Unit),
            (json!({}), Preprocessing::Raw),
        ];
        for (config, mode) in cases {
            let read = converter(config.clone()).unwrap();
            assert_eq!(read.preparation.values.unwrap().mode(), Some(mode), "{config}");
            assert_eq!((read.preparation.resize, read.notes.len()), (Some(Resize::Keep), 0), "{config}");
        }
    }

    #[test]
    fn sizes_are_followed_as_far_as_they_can_be_and_the_rest_is_said() {
        let size = json!([32, 40]);
        let read = converter(json!({ "image_size": size, "scale": 1 })).unwrap();
        assert_eq!(read.preparation.resize, Some(Resize::Cover { height: 32, width: 40 }));
        assert!(read.notes[0].contains("cuts before it resizes, it smooths nothing"), "{:?}", read.notes);
        let exact =
            json!({ "image_size": size, "crop_to_aspect_ratio": false, "antialias": true, "interpolation": "bicubic" });
        let read = converter(exact).unwrap();
        assert_eq!(read.preparation.resize, Some(Resize::Exact { height: 32, width: 40 }));
        assert_eq!((read.preparation.crop, read.preparation.filter), (Some(Crop::All), Some(Filter::Bicubic)));
        assert!(read.notes[0].contains("differ by rounding"), "{:?}", read.notes);
        let padded = json!({ "image_size": size, "crop_to_aspect_ratio": false, "pad_to_aspect_ratio": true });
        assert!(converter(padded).unwrap().notes[0].contains("fills before it resizes"));
    }

    #[test]
    fn what_cannot_be_followed_is_an_error_with_file_and_key() {
        let bad = [
            (json!({ "image_size": [0, 3] }), "image_size"),
            (json!({ "image_size": 3 }), "image_size"),
            (json!({ "image_size": [3, 3], "pad_to_aspect_ratio": true }), "pad_to_aspect_ratio"),
            (json!({ "image_size": [3, 3], "interpolation": "sharp" }), "interpolation"),
            (json!({ "scale": [1, 2] }), "scale"),
            (json!({ "scale": 0 }), "values"),
            (json!({ "scale": "x" }), "scale"),
        ];
        for (config, key) in bad {
            let error = converter(config.clone()).unwrap_err().to_string();
            assert!(error.contains("image_converter.json") && error.contains(key), "{config}: {error}");
        }
        assert!(
            read("preprocessor.json", "/config/image_converter", &json!({ "config": {} }))
                .unwrap()
                .preparation
                .is_empty()
        );
        assert!(!is_hub(&json!({ "module": "keras.layers" })));
    }
}
