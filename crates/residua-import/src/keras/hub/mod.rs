//! Classes of KerasHub, whose files hold the arguments of a constructor and no graph: each is written out as the functional
//! model that the constructor makes, with the layers and names that it gives them.
//!
//! Where KerasHub notes the name of a layer beside its variables, those names are held against these when the variables are bound.
//!
//! Source: `resnet_backbone.py`, `vgg_backbone.py` and `image_classifier.py` of KerasHub 0.32.

mod resnet;
mod vgg;

use residua_ir::budget::Limit;
use serde_json::{Map, Value, json};

use super::functional::Layers;
use super::json::unexpected;
use crate::error::{Error, Result};

/// Classes that are not written out here, by what their names end with.
const PARTS: [&str; 4] = ["Backbone", "ImageClassifier", "TextClassifier", "ImageSegmenter"];

/// The configuration with every class of KerasHub that is known written out; none where there is none.
///
/// # Errors
/// [`Error::Config`] where an argument of such a class is not what the constructor takes.
pub(super) fn expanded(config: &Value) -> Result<Option<Value>> {
    if !mentions(config, 0) {
        return Ok(None);
    }
    let mut expanded = config.clone();
    expand(&mut expanded, 0)?;
    Ok(Some(expanded))
}

/// Whether a class is one of KerasHub, which says so where it registers it.
fn is_hub(entry: &Value) -> bool {
    let says =
        |key: &str, start: &str| entry.get(key).and_then(Value::as_str).is_some_and(|text| text.starts_with(start));
    says("registered_name", "keras_hub>") || says("module", "keras_hub.")
}

/// The class of KerasHub that an object is of, without the package.
pub(super) fn class(entry: &Value) -> Option<&str> {
    let class = entry.get("class_name").and_then(Value::as_str)?;
    let bare = class.strip_prefix("keras_hub>").unwrap_or(class);
    (is_hub(entry) && PARTS.iter().any(|part| bare.ends_with(part))).then_some(bare)
}

/// Layers of a model, if it is one.
fn entries(entry: &Value) -> &[Value] {
    entry.pointer("/config/layers").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn mentions(entry: &Value, depth: u64) -> bool {
    Limit::ModelNesting.check_here(usize::try_from(depth).unwrap_or(usize::MAX)).is_ok()
        && (is_known(entry) || entries(entry).iter().any(|entry| mentions(entry, depth + 1)))
}

fn is_known(entry: &Value) -> bool {
    matches!(class(entry), Some("ResNetBackbone" | "ResNetImageClassifier" | "VGGBackbone"))
}

fn expand(entry: &mut Value, depth: usize) -> Result<()> {
    Limit::ModelNesting.check_here(depth)?;
    let own = match class(entry) {
        Some("ResNetBackbone") => Some(resnet::backbone(arguments(entry)?)?),
        Some("VGGBackbone") => Some(vgg::backbone(arguments(entry)?)?),
        Some("ResNetImageClassifier") => Some(classifier(entry)?),
        _ => None,
    };
    if let Some(model) = own {
        entry["config"] = model;
        return Ok(());
    }
    let layers = entry.pointer_mut("/config/layers").and_then(Value::as_array_mut);
    layers.into_iter().flatten().try_for_each(|layer| expand(layer, depth + 1))
}

fn arguments(entry: &Value) -> Result<Arguments<'_>> {
    let class = entry.get("class_name").and_then(Value::as_str).unwrap_or_default();
    let config = entry.get("config").and_then(Value::as_object);
    let name = entry.get("name").and_then(Value::as_str);
    Ok(Arguments {
        class,
        name,
        map: config.ok_or_else(|| unexpected(class, "an object of arguments", entry.get("config")))?,
    })
}

/// What a constructor was called with.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    class: &'a str,
    /// What the layer is called beside its arguments.
    name: Option<&'a str>,
    map: &'a Map<String, Value>,
}

impl<'a> Arguments<'a> {
    fn get(self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong(self, key: &str, expected: &str) -> Error {
        unexpected(format!("{}, key `{key}`", self.class), expected, self.map.get(key))
    }

    fn name(self) -> &'a str {
        self.get("name").and_then(Value::as_str).or(self.name).unwrap_or(self.class)
    }

    fn flag(self, key: &str) -> Result<bool> {
        self.get(key).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| self.wrong(key, "true or false")))
    }

    /// Integers of at least 1, of which there is at least one and no more than a network has.
    fn sizes(self, key: &str) -> Result<Vec<u64>> {
        const MOST: usize = 64;
        let sizes: Option<Vec<u64>> =
            self.get(key).and_then(Value::as_array).and_then(|list| list.iter().map(Value::as_u64).collect());
        let sizes = sizes.filter(|sizes| (1..=MOST).contains(&sizes.len()) && sizes.iter().all(|&size| size > 0));
        sizes.ok_or_else(|| self.wrong(key, "a list of integers of at least 1"))
    }
}

/// `ImageClassifier`: a backbone, a pool over all pixels, a dense layer.
fn classifier(entry: &Value) -> Result<Value> {
    let own = arguments(entry)?;
    let mut backbone = own.get("backbone").cloned().ok_or_else(|| own.wrong("backbone", "a backbone"))?;
    if class(&backbone) != Some("ResNetBackbone") {
        return Err(own.wrong("backbone", "a ResNetBackbone"));
    }
    let shape = backbone.pointer("/config/image_shape").cloned();
    let format = resnet::data_format(shape.as_ref());
    expand(&mut backbone, 1)?;
    let name = arguments(&backbone)?.name().to_owned();
    let pooling = match own.get("pooling").and_then(Value::as_str) {
        None | Some("avg") => "GlobalAveragePooling2D",
        Some("max") => "GlobalMaxPooling2D",
        Some(_) => return Err(own.wrong("pooling", "avg or max")),
    };
    let activation = own.get("activation").cloned().unwrap_or_else(|| json!("linear"));
    let classes = own.get("num_classes").and_then(Value::as_u64).ok_or_else(|| own.wrong("num_classes", "a number"))?;
    let mut layers = Layers::new(own.get("dtype").cloned(), format);
    let x = layers.input("input_layer", shape)?;
    let x = layers.model(backbone, &name, &x);
    let x = layers.add(pooling, "pooler", json!({ "data_format": format }), &[&x])?;
    let rate = own.get("dropout").cloned().unwrap_or_else(|| json!(0.0));
    let x = layers.add("Dropout", "output_dropout", json!({ "rate": rate }), &[&x])?;
    let dense = json!({ "units": classes, "activation": activation, "use_bias": true });
    let x = layers.add("Dense", "predictions", dense, &[&x])?;
    Ok(layers.model_of(own.name(), "input_layer", &x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backbone(more: Value) -> Value {
        let mut config = json!({
            "name": "res_net_backbone", "input_conv_filters": [8], "input_conv_kernel_sizes": [7],
            "stackwise_num_filters": [64, 8], "stackwise_num_blocks": [2, 1], "stackwise_num_strides": [1, 2],
            "block_type": "basic_block", "use_pre_activation": false, "image_shape": [null, null, 3],
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "registered_name": "keras_hub>ResNetBackbone", "class_name": "ResNetBackbone", "config": config })
    }

    fn names(entry: &Value) -> Vec<String> {
        entries(entry).iter().map(|layer| layer["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_first_stage_of_basic_blocks_has_no_projection_and_blocks_list_theirs_before_their_last_convolution() {
        let model = expanded(&backbone(json!({}))).unwrap().unwrap();
        let names = names(&model);
        assert!(!names.contains(&"stack0_block0_0_conv".to_owned()), "{names:?}");
        let at = |name: &str| names.iter().position(|other| other == name).unwrap();
        assert!(at("stack1_block0_1_conv") < at("stack1_block0_0_conv"));
        assert!(at("stack1_block0_0_conv") < at("stack1_block0_2_conv"));
        assert_eq!(names.last().unwrap(), "stack1_block0_out");
    }

    #[test]
    fn classes_of_others_are_left_alone_and_arguments_that_are_none_are_errors() {
        let mut other = backbone(json!({}));
        other["registered_name"] = json!("mine>ResNetBackbone");
        assert!(expanded(&other).unwrap().is_none());
        for (key, value) in [
            ("block_type", json!("dense_block")),
            ("stackwise_num_blocks", json!([1])),
            ("stackwise_num_blocks", json!([1, 1_000_000_000])),
            ("stackwise_num_filters", json!([64, -1])),
            ("input_conv_kernel_sizes", json!([])),
            ("use_pre_activation", json!("yes")),
        ] {
            let error = expanded(&backbone(json!({ key: value }))).unwrap_err().to_string();
            assert!(error.contains("ResNetBackbone") || error.contains("limit"), "{key}: {error}");
        }
    }
}
