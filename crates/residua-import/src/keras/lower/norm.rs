//! Normalisations: batch, group, layer.

use residua_ir::{BatchNorm, DType, GroupNorm, LayerNorm, Op, Role, SourceOrder, Tensor};

use crate::error::Error;
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val, Weight};
use crate::keras::order;

/// Keras's default epsilon for all of them.
const EPSILON: f64 = 1e-3;

/// The only axis of an `axis` key.
fn single_axis(layer_call: &LayerCall<'_, '_>) -> Lowered<i64> {
    match layer_call.fields().integers("axis")?.as_deref() {
        None => Ok(-1),
        Some(&[axis]) => Ok(axis),
        Some(_) => Err(Stop::Opaque("it normalises over several axes at once, which has no operator".to_owned())),
    }
}

/// The value with this source axis as axis 1 of the graph's, which is where operators expect channels.
fn with_channels_second(layer_call: &mut LayerCall<'_, '_>, x: &Val, axis: i64) -> Lowered {
    let rank = layer_call.rank(x)?;
    if rank < 2 {
        return Err(layer_call.misfit("takes an input of at least 2 axes"));
    }
    let at = layer_call.axis(x, axis)?;
    let Some(axes) = x.axes().filter(|_| at != 1) else { return Ok(x.clone()) };
    if at == 0 {
        return Err(Stop::Opaque("it normalises over the batch axis, which has no operator".to_owned()));
    }
    let swapped = |a: usize| {
        if a == at {
            1
        } else if a < at && a > 0 {
            a + 1
        } else {
            a
        }
    };
    let wanted = order::permuted(axes.into_iter().map(swapped).collect());
    layer_call.reordered(x, wanted)
}

/// Scale and offset, or 1 and 0 where the layer has none, over these sizes in the source's order.
struct Affine {
    scale: bool,
    center: bool,
}

impl Affine {
    fn of(layer_call: &LayerCall<'_, '_>) -> Lowered<Self> {
        let fields = layer_call.fields();
        Ok(Self { scale: fields.bool_or("scale", true)?, center: fields.bool_or("center", true)? })
    }

    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [("gamma", self.scale), ("beta", self.center)].into_iter().filter_map(|(name, there)| there.then_some(name))
    }

    /// The two operands, of which `bound` are those that the file holds; the others are made in the graph's order.
    fn operands(
        &self,
        layer_call: &mut LayerCall<'_, '_>,
        shape: &[usize],
        bound: &mut dyn Iterator<Item = Val>,
    ) -> Lowered<[Val; 2]> {
        let mut operand = |there: bool, name: &str, filler: f64| {
            if there {
                return bound.next().ok_or_else(|| layer_call.wrong("its tensors cannot be bound"));
            }
            let bytes = shape.iter().fold(DType::F32.size(), |bytes, &size| bytes.saturating_mul(size));
            layer_call.net.made.spend_here(bytes).map_err(Error::from)?;
            let tensor = Tensor::filled(DType::F32, shape.to_vec(), filler);
            let tensor = tensor.map_err(|error| layer_call.tensor_error(error))?;
            Ok(layer_call.made(name, Role::Default, tensor))
        };
        Ok([operand(self.scale, "gamma", 1.0)?, operand(self.center, "beta", 0.0)?])
    }
}

/// `BatchNormalization`, as it runs: with the moving statistics.
pub(super) fn batch(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    if fields.bool_or("renorm", false)? {
        return Err(layer_call.wrong("batch renormalisation (renorm=True) is not supported"));
    }
    if layer_call.training && fields.bool_or("trainable", true)? {
        return Err(Stop::Opaque("it is called with training=True, so it normalises by the batch when run".to_owned()));
    }
    let epsilon = fields.f64_or("epsilon", EPSILON)?;
    let axis = single_axis(layer_call)?;
    let x = layer_call.input()?;
    let x = if layer_call.shared { unflattened(layer_call, &x)? } else { x };
    let x = with_channels_second(layer_call, &x, axis)?;
    let order = x.order.clone();
    let features = matches!(order, SourceOrder::FlattenedChannelsLast { .. });
    let vector = |name: &'static str| {
        let weight = Weight::new(name, &[x.size(1)]);
        let order = order.clone();
        weight.view(move |t| if features { order::view(t, &order) } else { Ok(t.clone()) })
    };
    let affine = Affine::of(layer_call)?;
    let mut weights: Vec<Weight<'_>> = affine.names().map(vector).collect();
    weights.extend(["moving_mean", "moving_variance"].map(|name| vector(name).role(Role::Statistic)));
    let mut bound = layer_call.weight_list(weights)?;
    let statistics = bound.split_off(bound.len().saturating_sub(2));
    let sizes: Vec<usize> = statistics.first().and_then(|mean| mean.size(0)).into_iter().collect();
    let [scale, offset] = affine.operands(layer_call, &sizes, &mut bound.into_iter())?;
    let operands: Vec<&Val> = [&x, &scale, &offset].into_iter().chain(&statistics).collect();
    Ok(layer_call.finish(Op::BatchNorm(BatchNorm { epsilon }), &operands, order))
}

fn unflattened(layer_call: &mut LayerCall<'_, '_>, x: &Val) -> Lowered {
    if matches!(x.order, SourceOrder::FlattenedChannelsLast { .. }) { layer_call.plain(x) } else { Ok(x.clone()) }
}

/// `GroupNormalization`.
pub(super) fn group(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let epsilon = layer_call.fields().f64_or("epsilon", EPSILON)?;
    let axis = single_axis(layer_call)?;
    let x = layer_call.input()?;
    let x = unflattened(layer_call, &x)?;
    let x = with_channels_second(layer_call, &x, axis)?;
    let Some(channels) = x.size(1) else {
        return Err(layer_call.wrong("the number of channels of its input must be known"));
    };
    // -1 is a group for each channel.
    let groups = match layer_call.fields().i64("groups")?.unwrap_or(32) {
        -1 => channels,
        groups => usize::try_from(groups)
            .ok()
            .filter(|&groups| groups > 0 && channels % groups == 0)
            .ok_or_else(|| layer_call.misfit(format!("{channels} channels cannot be split into {groups} groups")))?,
    };
    let affine = Affine::of(layer_call)?;
    let bound = layer_call.weight_list(affine.names().map(|name| Weight::new(name, &[Some(channels)])).collect())?;
    let [scale, offset] = affine.operands(layer_call, &[channels], &mut bound.into_iter())?;
    Ok(layer_call.finish(Op::GroupNorm(GroupNorm { groups, epsilon }), &[&x, &scale, &offset], x.order.clone()))
}

/// `LayerNormalization`, over one axis or several.
pub(super) fn layer(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    if layer_call.fields().bool_or("rms_scaling", false)? {
        return Err(Stop::Opaque("rms_scaling has no operator".to_owned()));
    }
    let epsilon = layer_call.fields().f64_or("epsilon", EPSILON)?;
    let x = layer_call.input()?;
    let x = unflattened(layer_call, &x)?;
    let rank = layer_call.rank(&x)?;
    let axes = x.axes().unwrap_or_default();
    let mut source: Vec<usize> = Vec::new();
    for axis in layer_call.fields().integers("axis")?.unwrap_or_else(|| vec![-1]) {
        let axis = order::resolve(axis, rank).ok_or_else(|| layer_call.fields().error("axis", "axes of its input"))?;
        source.push(axis);
    }
    source.sort_unstable();
    source.dedup();
    // The tensors have the source's axes in ascending order, the operator wants the graph's.
    let mut by_graph: Vec<(usize, usize)> = source.iter().enumerate().map(|(i, &axis)| (axes[axis], i)).collect();
    by_graph.sort_unstable();
    let (graph_axes, perm): (Vec<usize>, Vec<usize>) = by_graph.into_iter().unzip();
    let sizes: Option<Vec<usize>> = graph_axes.iter().map(|&axis| x.size(axis)).collect();
    let sizes = sizes.ok_or_else(|| layer_call.wrong("the sizes of the axes that it normalises over must be known"))?;
    let shape: Vec<Option<usize>> = source.iter().map(|&axis| x.size(axes[axis])).collect();
    let affine = Affine::of(layer_call)?;
    let weight = |name| Weight::new(name, &shape).view(|tensor| tensor.permute(&perm));
    let bound = layer_call.weight_list(affine.names().map(weight).collect())?;
    let [scale, offset] = affine.operands(layer_call, &sizes, &mut bound.into_iter())?;
    Ok(layer_call.finish(
        Op::LayerNorm(LayerNorm { axes: graph_axes, epsilon }),
        &[&x, &scale, &offset],
        x.order.clone(),
    ))
}
