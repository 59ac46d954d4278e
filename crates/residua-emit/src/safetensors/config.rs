//! `config.json` of Hugging Face's ResNet and BiT: what their model code is built from.
//! (Source: transformers 5, `configuration_resnet.py`, `configuration_bit.py`.)
//!
//! Classes are `LABEL_0`, `LABEL_1`, …, as transformers names them by itself: no source says what they are.

use residua_ir::{Activation, DType};
use residua_resnet::Form;
use residua_resnet::anatomy::{ActivationOrder, BlockKind};
use residua_resnet::layout_fit::Fitted;
use residua_resnet::recipe::Norms;
use serde_json::{Map, Value, json};

/// The configuration; none where the library has no such file.
pub(super) fn text(fitted: &Fitted, float: Option<DType>) -> Option<String> {
    if fitted.library.name != "huggingface" {
        return None;
    }
    // What classifies among no classes gives the features that it would tell them by.
    let head = fitted.recipe.head.as_ref();
    let classes = head.map(|head| head.classifier.as_ref().map_or(0, |dense| dense.classes));
    let mut config = match fitted.recipe.form.order {
        ActivationOrder::Post => resnet(fitted, classes.is_some()),
        ActivationOrder::Pre => bit(fitted, classes.is_some()),
    };
    let mut put = |key: &str, value: Value| config.insert(key.to_owned(), value);
    if let Some(classes) = classes {
        let names = || (0..classes).map(|class| format!("LABEL_{class}"));
        let by_number = (0..classes).map(|class| class.to_string()).zip(names().map(Value::String));
        put("id2label", Value::Object(by_number.collect()));
        put("label2id", Value::Object(names().zip((0..classes).map(|class| json!(class))).collect()));
        put("problem_type", Value::Null);
    }
    if let Some(name) = float.and_then(dtype) {
        put("dtype", json!(name));
    }
    Some(format!("{:#}\n", Value::Object(config)))
}

fn dtype(float: DType) -> Option<&'static str> {
    match float {
        DType::F64 => Some("float64"),
        DType::F32 => Some("float32"),
        DType::F16 => Some("float16"),
        DType::BF16 => Some("bfloat16"),
        DType::I64
        | DType::I32
        | DType::I16
        | DType::I8
        | DType::U64
        | DType::U32
        | DType::U16
        | DType::U8
        | DType::Bool => None,
    }
}

/// What both have.
fn sizes(fitted: &Fitted, model_type: &str, architecture: String) -> Map<String, Value> {
    let form: &Form = &fitted.recipe.form;
    let outputs: Vec<usize> = form.stages.iter().map(|stage| stage.outputs).collect();
    let depths: Vec<usize> = form.stages.iter().map(|stage| stage.blocks).collect();
    let Value::Object(sizes) = json!({
        "architectures": [architecture],
        "model_type": model_type,
        "num_channels": fitted.recipe.input.channels,
        "embedding_size": form.stem_width,
        "hidden_sizes": outputs,
        "depths": depths,
        "hidden_act": activation(fitted.recipe.conventions.activation),
    }) else {
        return Map::new();
    };
    sizes
}

/// Transformers' name of an activation: those that [`residua_resnet::fit_layout()`] lets through are called as here, in small letters.
fn activation(activation: Activation) -> String {
    activation.name().to_lowercase()
}

fn resnet(fitted: &Fitted, classifies: bool) -> Map<String, Value> {
    let recipe = &fitted.recipe;
    let name = if classifies { "ResNetForImageClassification" } else { "ResNetModel" };
    let mut config = sizes(fitted, "resnet", name.to_owned());
    let layer = match recipe.form.block {
        BlockKind::Basic => "basic",
        BlockKind::Bottleneck | BlockKind::Other => "bottleneck",
    };
    config.insert("layer_type".to_owned(), json!(layer));
    config.insert("downsample_in_first_stage".to_owned(), json!(recipe.conventions.first_stride == 2));
    let in_first = recipe.form.block == BlockKind::Bottleneck && recipe.form.stride_on == 1;
    config.insert("downsample_in_bottleneck".to_owned(), json!(in_first));
    config
}

fn bit(fitted: &Fitted, classifies: bool) -> Map<String, Value> {
    let name = if classifies { "BitForImageClassification" } else { "BitModel" };
    let mut config = sizes(fitted, "bit", name.to_owned());
    let groups = match fitted.recipe.conventions.norms {
        Norms::Group(groups) => groups,
        Norms::Batch => 1,
    };
    let Value::Object(own) = json!({
        "layer_type": "preactivation",
        "num_groups": groups,
        "global_padding": null,
        "embedding_dynamic_padding": false,
        "output_stride": 32,
        "width_factor": 1,
        "drop_path_rate": 0.0,
    }) else {
        return config;
    };
    config.extend(own);
    config
}
