//! Layers that networks of Keras Applications and their kin bring along: scaling by constants or learned factors, and
//! dropouts under names of their own.
//!
//! A class of somebody's own may bear such a name and compute something else, so each is taken only with the keys, tensors and operands
//! that the known one has; what is taken for a dropout because of its name is noted.

use residua_ir::{Elementwise, IdentityReason, Op, Role};

use super::preprocess;
use crate::keras::json::Constant;
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val, Weight};

/// The class without the package that it was registered under: `Custom>CustomScaleLayer`.
fn bare(class: &str) -> &str {
    class.rsplit('>').next().unwrap_or(class)
}

/// A layer whose class is no part of Keras itself; nothing where the class says nothing.
pub(super) fn known(layer_call: &mut LayerCall<'_, '_>) -> Lowered<Option<Val>> {
    let class = bare(layer_call.layer.class);
    let keys = |layer_call: &LayerCall<'_, '_>, keys: &[&str]| {
        let fields = layer_call.fields();
        keys.iter().all(|key| fields.get(key).is_some())
    };
    Ok(Some(match class {
        "LayerScale" if keys(layer_call, &["projection_dim", "init_values"]) => layer_scale(layer_call)?,
        "CustomScaleLayer" if keys(layer_call, &["scale"]) && layer_call.inputs.len() == 2 => {
            let scale = layer_call.fields().f64_or("scale", 1.0)?;
            scaled_sum(layer_call, scale)?
        }
        class if drops(class) => match dropped(layer_call)? {
            Some(value) => value,
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

/// Whether a class says that it drops something in training: activations, paths, blocks or connections.
fn drops(class: &str) -> bool {
    let class = class.to_ascii_lowercase().replace('_', "");
    ["dropout", "droppath", "dropblock", "dropconnect", "stochasticdepth"].iter().any(|name| class.contains(name))
}

/// What such a layer gives when it is run: its input, or the sum of two paths, the second by the probability that it is kept.
fn dropped(layer_call: &mut LayerCall<'_, '_>) -> Lowered<Option<Val>> {
    let class = layer_call.layer.class.to_owned();
    if layer_call.training {
        return Err(Stop::Opaque("it is called with training=True, so it is random when run".to_owned()));
    }
    if layer_call.net.store.count(layer_call.path) > 0 {
        return Ok(None);
    }
    let fields = layer_call.fields();
    let kept = match (fields.f64("survival_probability")?, fields.f64("rate")?) {
        (Some(kept), _) => Some(kept),
        (None, Some(rate)) => Some(1.0 - rate),
        (None, None) => None,
    };
    match (layer_call.inputs.len(), kept) {
        (1, _) => {
            if !is_keras_s_own(layer_call) {
                layer_call.net.note(format!(
                    "`{}` of class {class} is taken for a dropout, by its name; a dropout changes nothing when it is run",
                    layer_call.path
                ));
            }
            super::identity(layer_call, IdentityReason::Dropout).map(Some)
        }
        // TensorFlow Addons and KerasCV join two paths in the layer.
        (2, Some(kept)) if bare(&class) == "StochasticDepth" => {
            layer_call.net.note(format!(
                "`{}` of class {class} is taken for TensorFlow Addons' and KerasCV's: the second of its operands times {kept}, \
                 the probability that a path is kept, is added to the first",
                layer_call.path
            ));
            scaled_sum(layer_call, kept).map(Some)
        }
        _ => Ok(None),
    }
}

/// Keras Applications' own, whose configuration has a key that others call otherwise.
fn is_keras_s_own(layer_call: &LayerCall<'_, '_>) -> bool {
    layer_call.layer.class == "StochasticDepth" && layer_call.fields().get("drop_path_rate").is_some()
}

/// ConvNeXt's `LayerScale`: a factor a channel.
fn layer_scale(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if layer_call.shared || x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let last = layer_call.rank(&x)?.checked_sub(1).ok_or_else(|| layer_call.misfit("takes an input with channels"))?;
    let channels = layer_call.fields().required_usize("projection_dim")?;
    let view = |tensor: &residua_ir::Tensor| preprocess::broadcast(tensor, &x, &[last]);
    let gamma = Weight::new("gamma", &[Some(channels)]).view(view);
    let [gamma] = layer_call.weights([gamma])?;
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Mul), &[&x, &gamma], x.order.clone()))
}

/// `a + scale * b`, as InceptionResNetV2 joins its paths.
fn scaled_sum(layer_call: &mut LayerCall<'_, '_>, scale: f64) -> Lowered {
    let [a, b] = <[Val; 2]>::try_from(layer_call.inputs.clone())
        .map_err(|inputs| layer_call.misfit(format!("takes two tensors, found {}", inputs.len())))?;
    let tensor = layer_call.constant(&Constant::scalar(scale))?;
    let factor = layer_call.made("scale", Role::Literal, tensor);
    let order = b.order.clone();
    let scaled = layer_call.step("mul", Op::Elementwise(Elementwise::Mul), &[&b, &factor], order);
    let (operands, order) = super::merge::aligned(layer_call, &[a, scaled], super::merge::Alignment::Numpy)?;
    let operands: Vec<&Val> = operands.iter().collect();
    Ok(layer_call.finish(Op::Elementwise(Elementwise::Add), &operands, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropouts_are_told_by_their_names() {
        for class in ["FixedDropout", "DropPath", "StochasticDepth", "Drop_Connect", "DropBlock2D", "MyStochasticDepth"]
        {
            assert!(drops(class), "{class}");
        }
        for class in ["Drop", "Depth", "DropletConv", "LayerScale"] {
            assert!(!drops(class), "{class}");
        }
        assert_eq!(bare("Custom>CustomScaleLayer"), "CustomScaleLayer");
    }
}
