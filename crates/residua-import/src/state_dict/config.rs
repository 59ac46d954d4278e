//! `config.json` of Hugging Face: what it says of a network, and whether its tensors agree.
//!
//! (Source: transformers 5, `configuration_resnet.py` and `configuration_bit.py`.)

use residua_ir::{Activation, Shown, Text};
use residua_resnet::anatomy::BlockKind;
use residua_resnet::layouts::{Headless, ModelLibrary};
use residua_resnet::recipe::Recipe;
use residua_resnet::recognise::Given;
use serde_json::Value;

use super::refused::EXPORT;
use crate::error::{Error, Result};
use crate::preparation::is_timm;

/// What a configuration says.
pub(super) struct Config<'a> {
    value: &'a Value,
    /// Whether it is that of a BiT network.
    bit: bool,
    activation: Option<Activation>,
}

fn wrong(key: &str, expected: impl Into<Text>, found: &Value) -> Error {
    let found: String = found.to_string().chars().take(64).collect();
    Error::Config { at: format!("config.json, `{key}`").into(), expected: expected.into(), found: found.into() }
}

/// Refuses timm's networks whose strides are behind filters: all their tensors are those of networks without.
pub(super) fn refuse_hidden(name: &str, by: &str) -> Result<()> {
    match ["resnetblur", "resnetaa", "resnextaa"].iter().any(|hidden| name.contains(hidden)) {
        true => Err(Error::Unsupported {
            what: format!(
                "`{}`, as {by} calls the network, has filters that its weights do not show and",
                name.shown()
            )
            .into(),
            help: EXPORT.into(),
        }),
        false => Ok(()),
    }
}

impl<'a> Config<'a> {
    /// The configuration, where it is one of these networks; a note where it is another.
    pub(super) fn read(value: &'a Value, notes: &mut Vec<String>) -> Result<Option<Self>> {
        let model = value.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let architecture = value.get("architecture").and_then(Value::as_str);
        if let Some(name) = architecture {
            refuse_hidden(name, "config.json")?;
        }
        if let Some(pool) = value.get("global_pool").and_then(Value::as_str).filter(|pool| pool.contains("max")) {
            return Err(wrong("global_pool", "`avg`", &pool.into()));
        }
        let known = value.get("hidden_sizes").is_some() && matches!(model, "resnet" | "bit");
        if !known {
            let name = architecture.unwrap_or(model);
            let taken = match is_timm(value) {
                true => "how images are prepared was taken from it, nothing else",
                false => "nothing was taken from it",
            };
            notes.push(format!("config.json is of `{name}`, {taken}"));
            return Ok(None);
        }
        let bit = model == "bit";
        if bit {
            let layer = value.get("layer_type").and_then(Value::as_str).unwrap_or("preactivation");
            if layer != "preactivation" {
                return Err(wrong("layer_type", "`preactivation`", &value["layer_type"]));
            }
            // Both pad and dilate where weights do not show it.
            for (key, plain) in [
                ("global_padding", Value::Null),
                ("embedding_dynamic_padding", false.into()),
                ("output_stride", 32.into()),
            ] {
                if let Some(found) = value.get(key).filter(|found| **found != plain) {
                    return Err(wrong(key, plain.to_string(), found));
                }
            }
        }
        let activation = match value.get("hidden_act") {
            None | Some(Value::Null) => None,
            Some(name) => {
                Some(activation(name).ok_or_else(|| wrong("hidden_act", "an activation that is known here", name))?)
            }
        };
        Ok(Some(Self { value, bit, activation }))
    }

    fn flag(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&self, key: &str) -> Option<usize> {
        self.value.get(key)?.as_u64().and_then(|number| usize::try_from(number).ok())
    }

    /// What names and shapes leave open, where the user does not say it.
    pub(super) fn fill(&self, given: &mut Given) {
        let bottleneck = self.value.get("layer_type").and_then(Value::as_str) != Some("basic");
        given.library = given.library.or_else(|| ModelLibrary::named("huggingface"));
        if !self.bit && bottleneck {
            let on = if self.flag("downsample_in_bottleneck") { 1 } else { 2 };
            given.stride_on = given.stride_on.or(Some(on));
        }
        let first = if self.flag("downsample_in_first_stage") { 2 } else { 1 };
        given.first_stride = given.first_stride.or(Some(first));
        given.activation = given.activation.or(self.activation);
        let class = self.value.get("architectures").and_then(|classes| classes.get(0)).and_then(Value::as_str);
        given.headless = given.headless.or(match class {
            Some("ResNetForImageClassification" | "BitForImageClassification") => Some(Headless::Features),
            Some("ResNetModel" | "BitModel" | "ResNetBackbone" | "BitBackbone") => Some(Headless::Map),
            Some(_) | None => None,
        });
        if self.bit {
            given.norm_groups = given.norm_groups.or(self.number("num_groups"));
        }
    }

    /// Holds what it says against the network that the tensors are of.
    pub(super) fn hold(&self, recipe: &Recipe) -> Result<()> {
        let form = &recipe.form;
        let list = |numbers: Vec<usize>| Value::from(numbers);
        let depths = list(form.stages.iter().map(|stage| stage.blocks).collect());
        let sizes = list(form.stages.iter().map(|stage| stage.outputs).collect());
        let mut facts = vec![
            ("depths", depths),
            ("embedding_size", Value::from(form.stem_width)),
            ("num_channels", Value::from(recipe.input.channels)),
        ];
        if !self.bit {
            let layer = if form.block == BlockKind::Basic { "basic" } else { "bottleneck" };
            facts.push(("layer_type", Value::from(layer)));
            facts.push(("hidden_sizes", sizes));
        }
        for (key, fact) in facts {
            match self.value.get(key) {
                Some(said) if *said != fact => return Err(wrong(key, format!("{fact}, as the tensors have it"), said)),
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

fn activation(name: &Value) -> Option<Activation> {
    Some(match name.as_str()? {
        "relu" => Activation::RELU,
        "relu6" => Activation::RELU6,
        "gelu" | "gelu_python" => Activation::Gelu { tanh_approximation: false },
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Activation::Gelu { tanh_approximation: true },
        "silu" | "swish" => Activation::Silu,
        "leaky_relu" => Activation::leaky_relu(0.01),
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "mish" => Activation::Mish,
        "hardswish" => Activation::HardSwish,
        _ => return None,
    })
}
