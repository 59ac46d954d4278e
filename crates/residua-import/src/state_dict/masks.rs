//! Weights that `torch.nn.utils.prune` cut: the original times its mask, which is what their module computes with.
//!
//! (Source: torch's `nn/utils/prune.py`: the parameter becomes `NAME_orig`, a buffer `NAME_mask` stands beside it.)

use std::collections::HashMap;

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::{Shown, Tensor};

use crate::error::{Error, Result};

/// Weights that are named in the note.
const SHOWN: usize = 3;

/// Puts the products in place of originals and masks, and notes them.
pub(super) fn multiplied(mut dicts: Vec<StateDict>, notes: &mut Vec<String>) -> Result<Vec<StateDict>> {
    for dict in &mut dicts {
        let pairs = pairs(&dict.tensors);
        if pairs.is_empty() {
            continue;
        }
        let mut names = Vec::new();
        for &(original, mask) in &pairs {
            let name = dict.tensors[original].name.trim_end_matches("_orig").to_owned();
            let product = product(&dict.tensors[original], &dict.tensors[mask])?;
            dict.tensors[original].tensor = product;
            names.push(format!("`{}`", name.shown()));
            dict.tensors[original].name = name;
        }
        let mut masks: Vec<usize> = pairs.into_iter().map(|(_, mask)| mask).collect();
        masks.sort_unstable();
        for mask in masks.into_iter().rev() {
            dict.tensors.remove(mask);
        }
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let plural = if names.len() == 1 { "tensor" } else { "tensors" };
        notes.push(format!(
            "pruned by torch.nn.utils.prune: {} {plural} ({}{more}) taken as the product of `…_orig` and `…_mask`",
            names.len(),
            names[..names.len().min(SHOWN)].join(", ")
        ));
    }
    Ok(dicts)
}

/// Originals and their masks, of one shape.
fn pairs(tensors: &[NamedTensor]) -> Vec<(usize, usize)> {
    let by_name: HashMap<&str, usize> =
        tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.as_str(), index)).collect();
    let mask = |(index, tensor): (usize, &NamedTensor)| {
        let name = tensor.name.strip_suffix("_orig")?;
        let &mask = by_name.get(format!("{name}_mask").as_str())?;
        let fits = tensors[mask].tensor.shape() == tensor.tensor.shape() && tensor.tensor.dtype().is_float();
        (fits && !by_name.contains_key(name)).then_some((index, mask))
    };
    tensors.iter().enumerate().filter_map(mask).collect()
}

fn product(original: &NamedTensor, mask: &NamedTensor) -> Result<Tensor> {
    let of = |tensor: &NamedTensor| {
        tensor.tensor.to_f64().map_err(|source| Error::Tensor { tensor: tensor.name.clone().into(), source })
    };
    let values: Vec<f64> = of(original)?.into_iter().zip(of(mask)?).map(|(value, mask)| value * mask).collect();
    let product = Tensor::from_f64(original.tensor.shape().to_vec(), &values);
    let product = product.map_err(|source| Error::Tensor { tensor: original.name.clone().into(), source })?;
    Ok(product.cast(original.tensor.dtype()).computed(format!("{} * {}", original.name, mask.name)))
}
