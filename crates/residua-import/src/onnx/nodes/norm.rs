//! Normalisations.

use residua_ir::{BatchNorm, GroupNorm, LayerNorm, Op, Role, Tensor, ValueId};

use super::super::{Reader, Unknown};
use super::Read;

fn epsilon(r: &Reader<'_>) -> Result<f64, Unknown> {
    // 1e-5 as f32, which is what an attribute would be.
    Ok(r.attributes.float("epsilon")?.unwrap_or(1e-5))
}

/// Opset 1: `consumed_inputs`, `is_test`, `spatial`; 6: `is_test`, `spatial`; 7: `spatial`; 9: neither; 14: `training_mode`.
pub(super) fn batch_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["momentum", "consumed_inputs"]);
    let training =
        if r.opset < 7 { !r.attributes.flag("is_test", false)? } else { r.attributes.flag("training_mode", false)? };
    if training {
        return Err(Unknown("it is in training mode; export the model for inference".to_owned()));
    }
    let epsilon = epsilon(r)?;
    let x = r.value(0)?;
    // Some exporters said `spatial=0` by mistake, with statistics of one number a channel.
    let spatial = r.opset >= 9 || r.attributes.flag("spatial", true)?;
    if !spatial && r.constant_shape(3).is_none_or(|shape| shape.len() != 1) {
        return Err(Unknown("statistics of each pixel (`spatial` 0) are not known".to_owned()));
    }
    let inputs =
        vec![x, r.value(1)?, r.value(2)?, r.value_as(3, Role::Statistic, &[])?, r.value_as(4, Role::Statistic, &[])?];
    r.end(Op::BatchNorm(BatchNorm { epsilon }), &inputs)
}

pub(super) fn group_norm(r: &mut Reader<'_>) -> Read {
    if r.opset < 21 {
        return Err(Unknown("before opset 21 its scale was one number a group".to_owned()));
    }
    r.attributes.skip(&["stash_type"]);
    let groups = r.attributes.int("num_groups")?.and_then(|groups| usize::try_from(groups).ok());
    let groups = groups.ok_or_else(|| Unknown("`num_groups` is missing".to_owned()))?;
    let epsilon = epsilon(r)?;
    let inputs = [r.value(0)?, r.value(1)?, r.value(2)?];
    r.end(Op::GroupNorm(GroupNorm { groups, epsilon }), &inputs)
}

pub(super) fn instance_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["consumed_inputs"]);
    let epsilon = epsilon(r)?;
    let inputs = [r.value(0)?, r.value(1)?, r.value(2)?];
    let groups = r.scope.fixed(inputs[1], 0).or_else(|| r.scope.fixed(inputs[0], 1));
    let groups = groups.ok_or_else(|| Unknown("the number of its channels is not known".to_owned()))?;
    r.end(Op::GroupNorm(GroupNorm { groups, epsilon }), &inputs)
}

pub(super) fn layer_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["stash_type"]);
    let epsilon = epsilon(r)?;
    let (x, scale) = (r.value(0)?, r.value(1)?);
    let rank = r.known_rank(x)?;
    let first = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), Some(rank))?;
    let offset = if r.operand(2).is_some() { r.value(2)? } else { zeros_like(r, scale)? };
    r.end(Op::LayerNorm(LayerNorm { axes: (first..rank).collect(), epsilon }), &[x, scale, offset])
}

/// An offset that is left out, for this scale.
pub(super) fn zeros_like(r: &mut Reader<'_>, scale: ValueId) -> Read {
    let ty = r.scope.type_of(scale).cloned().ok_or_else(|| Unknown("the type of its scale is not known".to_owned()))?;
    let shape = ty.shape.as_fixed().ok_or_else(|| Unknown("the shape of its scale is not known".to_owned()))?;
    let zeros = Tensor::filled(ty.dtype, shape, 0.0).map_err(|error| Unknown(error.to_string()))?;
    let name = format!("{}/offset", r.name);
    Ok(r.scope.own(&name, r.layer, Role::Default, zeros))
}
