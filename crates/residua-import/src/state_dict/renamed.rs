//! Names that say in a way of their own what others say as well: Caffe2's, and those of tch.
//!
//! Caffe2's are read as detectron2 renames them (`res2_0_branch2a_w` is `res2.0.conv1.weight`). A norm there is a factor and a summand a
//! channel, what batch statistics were is in both: a norm of mean 0, variance 1 and epsilon 0 is the same function bit for bit.
//!
//! Source: Detectron, `ResNet.py` and `get_imagenet_weights.py`; detectron2 0.6, `c2_model_loading.py`; tch, `var_store.rs`.

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::{Tensor, Unused};
use residua_resnet::recognise::Given;

use crate::error::{Error, Result};

/// State dicts under the names that are known, with what of them is no weight.
pub(super) fn renamed(
    dicts: Vec<StateDict>,
    given: &mut Given,
    notes: &mut Vec<String>,
    unused: &mut Vec<Unused>,
) -> Result<Vec<StateDict>> {
    let mut renamed = Vec::with_capacity(dicts.len());
    for dict in dicts {
        renamed.push(if is_tch(&dict) {
            dotted(dict)
        } else if is_caffe2(&dict) {
            given.epsilon = given.epsilon.or(Some(0.0));
            notes.push(
                "Caffe2's names are read as detectron2's; its norms are a factor and a summand, taken for norms of mean 0, \
                 variance 1 and epsilon 0, which is the same"
                    .to_owned(),
            );
            of_caffe2(dict, unused)?
        } else {
            dict
        });
    }
    Ok(renamed)
}

/// tch parts names by `|`, since a dot may be in a part.
fn is_tch(dict: &StateDict) -> bool {
    dict.modules.is_empty()
        && dict.tensors.iter().any(|tensor| tensor.name.contains('|'))
        && dict.tensors.iter().all(|tensor| !tensor.name.contains('.'))
}

fn dotted(mut dict: StateDict) -> StateDict {
    for tensor in &mut dict.tensors {
        tensor.name = tensor.name.replace('|', ".");
    }
    dict
}

fn is_caffe2(dict: &StateDict) -> bool {
    let has = |name: &str| dict.tensors.iter().any(|tensor| tensor.name == name);
    has("conv1_w") && has("res2_0_branch2a_w")
}

fn of_caffe2(dict: StateDict, unused: &mut Vec<Unused>) -> Result<StateDict> {
    let mut tensors = Vec::with_capacity(dict.tensors.len());
    for named in dict.tensors {
        if named.name.ends_with("_momentum") {
            let reason = "state of an optimizer".to_owned();
            unused.push(Unused { location: named.location.into(), reason });
            continue;
        }
        let Some((layer, field)) = place(&named.name) else {
            tensors.push(named);
            continue;
        };
        if field == "norm.weight" {
            let size = named.tensor.shape().to_vec();
            for (name, value) in [("running_mean", 0.0), ("running_var", 1.0)] {
                let filled = Tensor::filled(named.tensor.dtype(), size.clone(), value);
                let tensor = filled.map_err(|source| Error::Tensor { tensor: named.name.clone().into(), source })?;
                let location = named.location.clone();
                tensors.push(NamedTensor { name: format!("{layer}.norm.{name}"), location, tensor });
            }
        }
        tensors.push(NamedTensor { name: format!("{layer}.{field}"), ..named });
    }
    Ok(StateDict { tensors, ..dict })
}

/// The layer of a blob, as detectron2 calls it, and what of it the blob is.
fn place(name: &str) -> Option<(String, &'static str)> {
    let (layer, field) = [("_bn_s", "norm.weight"), ("_bn_b", "norm.bias"), ("_w", "weight"), ("_b", "bias")]
        .into_iter()
        .find_map(|(end, field)| Some((name.strip_suffix(end)?, field)))?;
    if matches!(layer, "conv1" | "res_conv1") {
        return Some(("stem.conv1".to_owned(), field));
    }
    if layer.strip_prefix("fc").is_some_and(|classes| classes.parse::<u32>().is_ok()) || layer == "pred" {
        return Some(("linear".to_owned(), field));
    }
    let (stage, rest) = layer.strip_prefix("res")?.split_once('_')?;
    let (block, branch) = rest.split_once('_')?;
    let (stage, block) = (stage.parse::<u16>().ok()?, block.parse::<u16>().ok()?);
    let unit = match branch {
        "branch1" => "shortcut",
        "branch2a" => "conv1",
        "branch2b" => "conv2",
        "branch2c" => "conv3",
        _ => return None,
    };
    Some((format!("res{stage}.{block}.{unit}"), field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_of_caffe2_are_the_layers_that_detectron2_calls_otherwise() {
        for (blob, layer, field) in [
            ("conv1_w", "stem.conv1", "weight"),
            ("res_conv1_bn_s", "stem.conv1", "norm.weight"),
            ("res2_0_branch2a_w", "res2.0.conv1", "weight"),
            ("res5_12_branch2c_bn_b", "res5.12.conv3", "norm.bias"),
            ("res3_0_branch1_w", "res3.0.shortcut", "weight"),
            ("fc1000_b", "linear", "bias"),
        ] {
            assert_eq!(place(blob), Some((layer.to_owned(), field)), "{blob}");
        }
        for other in ["conv_rpn_w", "res2_0_branch3_w", "res2_x_branch1_w", "lr", "fcn_w"] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
