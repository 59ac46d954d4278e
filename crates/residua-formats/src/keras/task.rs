//! A task of KerasHub in a folder: a model around the one whose weights the folder holds, with weights of its own.
//!
//! `config.json` and `model.weights.h5` are of the backbone, `task.json` and `task.weights.h5` of what was built on it. Both are
//! brought together as the file that saving the whole task would give. Where there are no weights of a task, the folder is the backbone.

use bytes::Bytes;
use serde_json::Value;

use super::{KerasFile, KerasWeights, VariableGroup};
use crate::error::Result;
use crate::{FormatError, json};

const TASK: &str = "task.json";
const WEIGHTS: &str = "task.weights.h5";

/// The backbone, or the task where there is one.
pub(super) fn with_task(
    backbone: KerasFile,
    entry: &mut dyn FnMut(&str) -> Result<Option<Bytes>>,
) -> Result<KerasFile> {
    let (Some(text), Some(weights)) = (entry(TASK)?, entry(WEIGHTS)?) else { return Ok(backbone) };
    let config = json::parse(TASK, &text)?;
    let Some(class) = config.pointer("/config/backbone/class_name").and_then(Value::as_str) else {
        return Ok(backbone);
    };
    let task = super::read_h5(weights).map_err(|error| error.within(WEIGHTS))?;
    let (KerasWeights::Paths(inner), KerasWeights::Paths(mut groups)) = (backbone.weights, task.weights) else {
        return Err(FormatError::malformed(WEIGHTS, "weights as Keras 3 saves them", "those of Keras 2"));
    };
    let place = format!("layers/{}", snake_case(class));
    if groups.iter().any(|group| group.path.starts_with(&place) && !group.tensors.is_empty()) {
        return Err(FormatError::malformed(WEIGHTS, "weights of the task alone", "weights of its backbone, too"));
    }
    groups.retain(|group| !group.path.starts_with(&place));
    groups.extend(inner.into_iter().map(|group| {
        let path = if group.path.is_empty() { place.clone() } else { format!("{place}/{}", group.path) };
        VariableGroup { path, ..group }
    }));
    let unused = backbone.unused.into_iter().chain(task.unused).collect();
    Ok(KerasFile { config: Some(config), weights: KerasWeights::Paths(groups), unused, ..backbone })
}

/// A class as the path of its variables has it: `PReLU` is `p_re_lu`, `Conv2D` is `conv2d`: an underscore before a capital that a small letter follows, then
/// between a small letter and a capital.
#[must_use]
pub fn snake_case(class: &str) -> String {
    let chars: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let is_upper = |i: usize| chars.get(i).is_some_and(char::is_ascii_uppercase);
    let is_lower = |i: usize| chars.get(i).is_some_and(char::is_ascii_lowercase);
    let mut out = String::with_capacity(class.len() + 4);
    for (i, c) in chars.iter().enumerate() {
        if i > 0 && is_upper(i) && (is_lower(i + 1) || is_lower(i - 1)) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_become_the_keys_that_keras_writes() {
        for (class, key) in [
            ("Conv2D", "conv2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("TFOpLambda", "tf_op_lambda"),
            ("ELU", "elu"),
        ] {
            assert_eq!(snake_case(class), key);
        }
    }
}
