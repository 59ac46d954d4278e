//! Layers to a graph.

use std::collections::BTreeMap;

use residua_ir::{
    AvgPool, BatchNorm, Conv, DType, Elementwise, GlobalPool, Graph, GraphBuilder, GraphError, GroupNorm, InputType,
    LayerNorm, MaxPool, Op, Pad, Padding, Pads, Parameter, PoolKind, Role, Source, SourceOrder, Tensor, Unused,
    ValueId,
};

use super::layers::ConvPadding;
use super::{Framework, Layer, LayerKind, Recipe};
use crate::slot::{Field, Position, Slot};

/// A tensor that a layer needs.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// What it is.
    pub slot: Slot,
    /// The layer.
    pub layer: &'a Layer,
    /// Which of the layer's tensors, in Keras's order.
    pub index: usize,
    /// Shape that it must have: OIHW for kernels, `[out, in]` for dense layers.
    pub shape: &'a [usize],
    /// For a dense layer behind pixels that the source flattens channels last: their channels, rows and columns, in which
    /// order its columns must be.
    pub flattened: Option<[usize; 3]>,
}

/// A tensor that was found.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Its elements, in this project's axis order.
    pub tensor: Tensor,
    /// Its name in the source.
    pub name: String,
    /// Its path in the file.
    pub location: String,
}

impl Recipe {
    /// The graph, with the tensors that `find` gives, noting where it comes from and what it does not use.
    ///
    /// # Errors
    /// The first error of `find`; [`GraphError`] for a network that is too large.
    pub fn build<E: From<GraphError>>(
        &self,
        source: Source,
        unused: Vec<Unused>,
        find: &mut dyn FnMut(&Wanted) -> Result<Bound, E>,
    ) -> Result<Graph, E> {
        self.build_with(source, unused, BTreeMap::new(), find)
    }

    /// As [`Recipe::build`], with the counters of batch norms by their place.
    ///
    /// # Errors
    /// As [`Recipe::build`].
    pub fn build_with<E: From<GraphError>>(
        &self,
        source: Source,
        unused: Vec<Unused>,
        mut counters: BTreeMap<Position, Bound>,
        find: &mut dyn FnMut(&Wanted) -> Result<Bound, E>,
    ) -> Result<Graph, E> {
        let layers = self.layers();
        let mut g = GraphBuilder::new(self.name.clone());
        g.source(source);
        g.unused(unused);
        let mut values: Vec<ValueId> = Vec::with_capacity(layers.len());
        for layer in &layers {
            let operands: Vec<ValueId> = layer.inputs.iter().map(|&input| values[input]).collect();
            let value = self.layer(&mut g, &layers, layer, operands, counters.remove(&layer.position), find)?;
            values.push(value);
        }
        if let Some(&last) = values.last() {
            g.output(last);
        }
        Ok(g.finish()?)
    }

    fn layer<E: From<GraphError>>(
        &self,
        g: &mut GraphBuilder,
        layers: &[Layer],
        layer: &Layer,
        mut operands: Vec<ValueId>,
        counter: Option<Bound>,
        find: &mut dyn FnMut(&Wanted) -> Result<Bound, E>,
    ) -> Result<ValueId, E> {
        let order = self.order(layer);
        let id = g.layer(&layer.name, layer.class, true);
        if let Some(Bound { tensor, name, location }) = counter {
            g.unread_parameter(Parameter {
                name: name.into(),
                location: location.into(),
                role: Role::Counter,
                layer: id,
                tensor,
            });
        }
        let Some(op) = op_of(layer) else {
            let input = InputType { dtype: DType::F32, shape: self.input.shape() };
            return Ok(g.input_with(&layer.name, input, order));
        };
        let before = layer.inputs.first().map(|&input| &layers[input]);
        let flattened = match before {
            Some(Layer { kind: LayerKind::Flatten, size: Some([h, w]), takes, .. })
                if self.conventions.framework == Framework::Keras =>
            {
                Some([*takes, *h, *w])
            }
            Some(_) | None => None,
        };
        for (index, (slot, shape)) in layer.tensors().into_iter().enumerate() {
            let bound = find(&Wanted { slot, layer, index, shape: &shape, flattened })?;
            let role = match slot.field {
                Field::Weight | Field::Bias | Field::Scale | Field::Offset => Role::Weight,
                Field::Mean | Field::Variance => Role::Statistic,
                Field::Batches => Role::Counter,
            };
            let Bound { tensor, name, location } = bound;
            let tensor = match (layer.kind, slot.field) {
                (LayerKind::Conv { standardised: Some(epsilon), .. }, Field::Weight) => {
                    let standardised = tensor.standardised(epsilon);
                    standardised.map_err(|source| GraphError::Tensor { name: name.clone().into(), source })?
                }
                _ => tensor,
            };
            operands.push(g.parameter(Parameter {
                name: name.into(),
                location: location.into(),
                role,
                layer: id,
                tensor,
            }));
        }
        if let LayerKind::BatchNorm { affine: false, .. } = layer.kind {
            for (at, (field, value)) in [(Field::Scale, 1.0), (Field::Offset, 0.0)].into_iter().enumerate() {
                let name = format!("{}.{field}", layer.name);
                let tensor = Tensor::from_f32(vec![layer.gives], &vec![value; layer.gives]);
                let tensor = tensor.map_err(|source| GraphError::Tensor { name: name.clone().into(), source })?;
                let default = Parameter {
                    name: name.into(),
                    location: String::new().into(),
                    role: Role::Default,
                    layer: id,
                    tensor,
                };
                operands.insert(1 + at, g.parameter(default));
            }
        }
        let softmax = matches!(layer.kind, LayerKind::Dense { softmax: true, .. });
        let name = if softmax { format!("{}/linear", layer.name) } else { layer.name.clone() };
        let mut value = g.node(&name, op, &operands, id);
        g.set_order(value, order.clone());
        if softmax {
            value = g.node(&layer.name, Op::Softmax { axis: 1 }, &[value], id);
            g.set_order(value, order);
        }
        Ok(value)
    }

    /// How the source shows what a layer gives.
    fn order(&self, layer: &Layer) -> SourceOrder {
        if self.conventions.framework == Framework::Torch {
            return SourceOrder::Same;
        }
        match layer.kind {
            LayerKind::GlobalPool { keep_dims: false, .. }
            | LayerKind::LayerNorm { .. }
            | LayerKind::PRelu(_)
            | LayerKind::Softmax { .. }
            | LayerKind::Dense { .. } => SourceOrder::Same,
            LayerKind::Flatten => match layer.size {
                Some([height, width]) if height * width > 1 => {
                    SourceOrder::FlattenedChannelsLast { channels: layer.takes, height, width }
                }
                Some(_) | None => SourceOrder::Same,
            },
            LayerKind::Input
            | LayerKind::Pad(_)
            | LayerKind::PadChannels(_)
            | LayerKind::Conv { .. }
            | LayerKind::BatchNorm { .. }
            | LayerKind::GroupNorm { .. }
            | LayerKind::Activation(_)
            | LayerKind::MaxPool(_)
            | LayerKind::Add
            | LayerKind::Mul
            | LayerKind::Mean
            | LayerKind::Concat
            | LayerKind::GlobalPool { keep_dims: true, .. }
            | LayerKind::AvgPool(_) => SourceOrder::channels_last(),
        }
    }
}

fn op_of(layer: &Layer) -> Option<Op> {
    Some(match layer.kind {
        LayerKind::Input => return None,
        LayerKind::Pad(amount) => Op::Pad(Pad { pads: Pads::all(amount), channels: [0, 0], value: 0.0 }),
        LayerKind::PadChannels(channels) => Op::Pad(Pad { pads: Pads::default(), channels, value: 0.0 }),
        LayerKind::Conv { stride, dilation, groups, padding, .. } => {
            let padding = match padding {
                ConvPadding::Amounts(pads) => Padding::Explicit(pads),
                ConvPadding::Same => Padding::SameUpper,
            };
            Op::Conv(Conv { strides: stride, padding, dilations: dilation, groups })
        }
        LayerKind::BatchNorm { epsilon, .. } => Op::BatchNorm(BatchNorm { epsilon }),
        LayerKind::LayerNorm { epsilon } => Op::LayerNorm(LayerNorm { axes: vec![1], epsilon }),
        LayerKind::PRelu(_) => Op::PRelu,
        LayerKind::Softmax { log: false } => Op::Softmax { axis: 1 },
        LayerKind::Softmax { log: true } => Op::LogSoftmax { axis: 1 },
        LayerKind::GroupNorm { groups, epsilon } => Op::GroupNorm(GroupNorm { groups, epsilon }),
        LayerKind::Activation(activation) => Op::Activation(activation),
        LayerKind::MaxPool(pool) => Op::MaxPool(MaxPool {
            kernel: pool.kernel,
            strides: pool.stride,
            padding: Padding::Explicit(pool.pads),
            dilations: pool.dilation,
            ceil_mode: pool.ceil,
        }),
        LayerKind::Add => Op::Elementwise(Elementwise::Add),
        LayerKind::Mul => Op::Elementwise(Elementwise::Mul),
        LayerKind::AvgPool(pool) => Op::AvgPool(AvgPool {
            kernel: pool.kernel,
            strides: pool.stride,
            padding: Padding::Explicit(pool.pads),
            dilations: pool.dilation,
            ceil_mode: pool.ceil,
            count_include_pad: pool.counts_pads,
        }),
        LayerKind::Mean => Op::Elementwise(Elementwise::Mean),
        LayerKind::Concat => Op::Concat { axis: 1 },
        LayerKind::GlobalPool { keep_dims, max } => {
            let kind = if max { PoolKind::Max } else { PoolKind::Mean };
            Op::GlobalPool(GlobalPool { kind, keep_dims })
        }
        LayerKind::Flatten => Op::Flatten { axis: 1 },
        LayerKind::Dense { as_conv: true, .. } => Op::Conv(Conv::default()),
        LayerKind::Dense { as_conv: false, .. } => Op::Linear,
    })
}
