//! `VGGBackbone`: stages of 3x3 convolutions, each with a pool behind it.

use serde_json::{Value, json};

use super::super::functional::Layers;
use super::Arguments;
use crate::error::Result;

/// What the constructor makes of its arguments.
pub(super) fn backbone(arguments: Arguments<'_>) -> Result<Value> {
    let (repeats, filters) = (arguments.sizes("stackwise_num_repeats")?, arguments.sizes("stackwise_num_filters")?);
    if repeats.len() != filters.len() {
        return Err(arguments.wrong("stackwise_num_repeats", "one for each of stackwise_num_filters"));
    }
    // The code has channels last throughout.
    let mut layers = Layers::new(arguments.get("dtype").cloned(), "channels_last");
    let mut x = layers.input("input_layer", arguments.get("image_shape").cloned())?;
    for (stage, (&repeats, &filters)) in repeats.iter().zip(&filters).enumerate() {
        for conv in 1..=repeats {
            let keys = json!({
                "filters": filters, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "use_bias": true,
                "activation": "relu", "data_format": "channels_last",
            });
            x = layers.add("Conv2D", &format!("block{}_conv{conv}", stage + 1), keys, &[&x])?;
        }
        let keys = json!({
            "pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last",
        });
        x = layers.add("MaxPooling2D", &format!("block{}_pool", stage + 1), keys, &[&x])?;
    }
    Ok(layers.model_of(arguments.name(), "input_layer", &x))
}
