//! Layers that call the layer within them: `TimeDistributed` for each of a sequence, `SpectralNormalization` as it is.
//!
//! The layer within stands under `<wrapper>/<layer>`; the last node bears the wrapper's name.

use residua_ir::{Dim, Extent, IdentityReason, Op, ReshapeDim, SourceOrder};

use super::config::{Body, Call, Layer};
use super::json::unexpected;
use super::layer_call::{LayerCall, Lowered, Net, Stop, Val};
use crate::error::Result;

/// A call of a wrapper.
pub(super) struct Wrapping<'n, 'a> {
    pub(super) layer: &'n Layer<'a>,
    /// The layer within.
    pub(super) inner: &'n Layer<'a>,
    pub(super) call: &'n Call<'a>,
    pub(super) path: &'n str,
    pub(super) tag: &'n str,
    pub(super) training: bool,
    pub(super) shared: bool,
}

/// Calls the layer within on a value.
pub(super) type Within<'w> = &'w mut dyn FnMut(&mut Net, Val) -> Result<Vec<Val>>;

/// What a call of a wrapper gives.
pub(super) fn apply(
    net: &mut Net,
    wrapping: &Wrapping<'_, '_>,
    inputs: Vec<Val>,
    within: Within<'_>,
) -> Result<Vec<Val>> {
    let &Wrapping { layer, inner, call, path, tag, training, shared } = wrapping;
    let Some(&id) = net.layers.get(path) else {
        return Err(unexpected(path, "a layer", None));
    };
    let mut layer_call = LayerCall { net, layer, call, path, tag, id, shared, training, inputs: inputs.clone() };
    let given = match layer.class {
        "TimeDistributed" => each(&mut layer_call, inner, within),
        _ => normalised(&mut layer_call, inner, within),
    };
    match given {
        Ok(value) => Ok(vec![value]),
        Err(Stop::Fail(error)) => Err(error),
        Err(Stop::Opaque(reason)) => {
            // What lies within the wrapper is shown with it.
            layer.walk_below(path, &mut |inside, _| layer_call.net.store.adopt(path, inside));
            Ok(vec![layer_call.opaque(layer.class, reason, &inputs.iter().collect::<Vec<_>>())])
        }
    }
}

/// What the layer within gives; it must be one value.
fn only(layer_call: &mut LayerCall<'_, '_>, x: Val, within: Within<'_>) -> Lowered {
    match <[Val; 1]>::try_from(within(layer_call.net, x)?) {
        Ok([value]) => Ok(value),
        Err(given) => {
            Err(layer_call.misfit(format!("the layer in it gives {} tensors, one was expected", given.len())))
        }
    }
}

/// When it is run, a spectral norm is in the kernel already.
fn normalised(layer_call: &mut LayerCall<'_, '_>, inner: &Layer<'_>, within: Within<'_>) -> Lowered {
    if layer_call.training {
        return Err(Stop::Opaque("it is called with training=True, so it changes its kernel when run".to_owned()));
    }
    let x = layer_call.input()?;
    let value = only(layer_call, x, within)?;
    let path = layer_call.path;
    layer_call.net.store.leave_to_training(path);
    layer_call.net.store.leave_to_training(&format!("{path}/{}", inner.name));
    let order = value.order.clone();
    Ok(layer_call.finish(Op::Identity(IdentityReason::Linear), &[&value], order))
}

/// `[N, T, …]` as a batch of `N · T`, through the layer, and back.
fn each(layer_call: &mut LayerCall<'_, '_>, inner: &Layer<'_>, within: Within<'_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.plain(&x)?;
    let sizes = x.source_sizes().unwrap_or_default();
    let (Some(Some(steps)), Some(rest)) = (sizes.get(1).copied(), sizes.get(2..)) else {
        return Err(Stop::Opaque("the length of its sequences is not known".to_owned()));
    };
    if matches!(inner.body, Body::Input | Body::Operation) || rest.iter().any(Option::is_none) {
        return Err(Stop::Opaque("the sizes of what its sequences hold are not known".to_owned()));
    }
    let fixed = |size: &Option<usize>| size.map_or(ReshapeDim::Infer, ReshapeDim::Fixed);
    let shape = std::iter::once(ReshapeDim::Infer).chain(rest.iter().map(fixed)).collect();
    let all = layer_call.step("each", Op::Reshape { shape }, &[&x], SourceOrder::Same);
    let given = only(layer_call, all, within)?;
    let given = layer_call.plain(&given)?;
    let Some(ty) = &given.ty else {
        return Err(Stop::Opaque("the shape of what the layer in it gives is not known".to_owned()));
    };
    let sizes: Option<Vec<usize>> = ty.shape.dims().iter().skip(1).map(Dim::fixed).collect();
    let sizes =
        sizes.ok_or_else(|| Stop::Opaque("the sizes of what the layer in it gives are not known".to_owned()))?;
    // The batch is that of the input, which a size of the result cannot tell.
    let batch = ReshapeDim::Computed(Extent::Of { operand: 1, axis: 0 });
    let shape = [batch, ReshapeDim::Fixed(steps)].into_iter().chain(sizes.into_iter().map(ReshapeDim::Fixed)).collect();
    Ok(layer_call.finish(Op::Reshape { shape }, &[&given, &x], SourceOrder::Same))
}
