//! `preprocessor_config.json` of Hugging Face: how images are prepared, for transformers' image processors.
//! (Source: transformers 5, `image_processing_backends.py`; the classes of ViT and BiT differ in what they do by themselves alone.)
//!
//! Written is what the source states of sizes and values. What it does not state is not made up, and what no image
//! processor does is a note.

use residua_ir::Graph;
use residua_ir::preparation::{Channels, Crop, Filter, Preparation, Resize};
use residua_resnet::layout_fit::Fitted;
use serde_json::{Value, json};

/// The settings, or why there are none: nothing where the library has no such file or the source states nothing of sizes.
pub(super) fn text(fitted: &Fitted, graph: &Graph) -> Option<Result<String, String>> {
    if fitted.library.name != "huggingface" {
        return None;
    }
    let stated = graph.source().preprocessing.first().filter(|stated| !stated.assumed)?;
    if stated.preparation.resize.is_none() || stated.preparation.values.is_none() {
        return None;
    }
    let refused = |what: &str| {
        format!(
            "preprocessor_config.json is not written: no image processor of transformers {what}, as {} has it",
            stated.origin()
        )
    };
    Some(settings(stated.preparation.clone()).map(|settings| format!("{settings:#}\n")).map_err(|what| refused(&what)))
}

fn settings(preparation: Preparation) -> Result<Value, String> {
    let Preparation { resize, crop, filter, values } = preparation;
    let size = match resize {
        None | Some(Resize::Keep) => None,
        Some(Resize::Shortest { edge }) => Some(json!({ "shortest_edge": edge })),
        Some(Resize::Between { edge, longest }) => Some(json!({ "shortest_edge": edge, "longest_edge": longest })),
        Some(Resize::Exact { height, width }) => Some(json!({ "height": height, "width": width })),
        Some(Resize::Cover { height, width }) => return Err(format!("covers {height}x{width}")),
        Some(Resize::Within { height, width }) => return Err(format!("fits images into {height}x{width}")),
    };
    let middle = match crop {
        None | Some(Crop::All) => None,
        Some(Crop::Center { fill, .. }) if fill != [0; 3] => {
            return Err("fills with another colour than black".to_owned());
        }
        Some(Crop::Center { height, width, .. }) => Some(json!({ "height": height, "width": width })),
    };
    let values = values.ok_or("leaves values open")?;
    let plain = values.mean == [0.0; 3] && values.deviation == [1.0; 3];
    let flips = values.channels == Channels::Bgr;
    if flips && !plain {
        return Err("takes channels in the order BGR and subtracts a mean".to_owned());
    }
    let class = match (flips, &middle) {
        (true, _) => "MobileViTImageProcessor",
        (false, Some(_)) => "BitImageProcessor",
        (false, None) => "ViTImageProcessor",
    };
    let mut settings = json!({
        "image_processor_type": class,
        "do_convert_rgb": true,
        "do_resize": size.is_some(),
        "resample": filter.unwrap_or(Filter::Bilinear).number(),
        "do_center_crop": middle.is_some(),
        "do_rescale": values.factor.to_bits() != 1.0f64.to_bits(),
        "rescale_factor": values.factor,
        "do_normalize": !plain,
        "image_mean": values.mean,
        "image_std": values.deviation,
    });
    let mut put = |key: &str, value: Option<Value>| {
        if let (Some(settings), Some(value)) = (settings.as_object_mut(), value) {
            settings.insert(key.to_owned(), value);
        }
    };
    put("size", size);
    put("crop_size", middle);
    put("do_flip_channel_order", flips.then(|| json!(true)));
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use residua_ir::preparation::{Middle, Preprocessing};

    use super::*;

    #[test]
    fn what_no_processor_does_is_refused() {
        let torch = Preparation {
            resize: Some(Resize::Shortest { edge: 256 }),
            values: Some(Preprocessing::Torch.values()),
            ..Preparation::default()
        };
        assert_eq!(settings(torch.clone()).unwrap()["size"], json!({"shortest_edge": 256}));
        let caffe = Preparation { values: Some(Preprocessing::Caffe.values()), ..torch.clone() };
        assert!(settings(caffe).unwrap_err().contains("BGR"));
        let within = Preparation { resize: Some(Resize::Within { height: 3, width: 4 }), ..torch.clone() };
        assert!(settings(within).unwrap_err().contains("3x4"));
        let fill = Crop::Center { height: 3, width: 4, rounding: Middle::CutOff, fill: [1, 0, 0] };
        assert!(settings(Preparation { crop: Some(fill), ..torch }).is_err());
    }
}
