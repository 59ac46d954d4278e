//! Batch norms into the convolution or matrix product before them.
//!
//! `scale · (W·x + b − mean) / √(variance + ε) + offset = (s·W)·x + (s·(b − mean) + offset)` with
//! `s = scale / √(variance + ε)`, one factor per output channel. Computed in f64 and rounded once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::RewriteError;
use super::edit::{Edits, Expr};
use super::passes::{Applied, Change, Pass, Rewritten};
use crate::graph::{Graph, Node, NodeId, Parameter, Role};
use crate::op::Op;
use crate::tensor::{DType, Endian, LazyBytes, Tensor, TensorError};
use crate::validate::Typed;

/// A graph with its batch norms folded.
#[derive(Debug)]
pub struct Folded {
    /// The new graph; to be validated again.
    pub graph: Graph,
    /// How many batch norms went into the layer before them.
    pub folded: usize,
    /// How many could not, since no convolution or matrix product with this one reader is before them.
    pub kept: usize,
}

/// Factor and summand that a batch norm comes to, per channel.
struct Affine {
    factor: Vec<f64>,
    summand: Vec<f64>,
}

/// A kernel times one factor per output channel (its first axis), computed when it is read.
struct ScaledKernel {
    kernel: Tensor,
    factor: Vec<f64>,
    dtype: DType,
}

impl LazyBytes for ScaledKernel {
    fn load(&self) -> Result<Bytes, TensorError> {
        if (self.kernel.dtype(), self.dtype) == (DType::F32, DType::F32) {
            return self.load_f32();
        }
        let mut values = self.kernel.to_f64()?;
        let per_channel = values.len() / self.factor.len().max(1);
        for (channel, factor) in values.chunks_mut(per_channel.max(1)).zip(&self.factor) {
            channel.iter_mut().for_each(|value| *value *= factor);
        }
        let mut out = Vec::with_capacity(values.len() * self.dtype.size());
        Tensor::from_f64(vec![values.len()], &values)?.cast(self.dtype).append_le_bytes(&mut out)?;
        Ok(out.into())
    }
}

impl ScaledKernel {
    /// In place, where both are f32: each product is computed in f64 and rounded once.
    fn load_f32(&self) -> Result<Bytes, TensorError> {
        let mut bytes = vec![0; self.kernel.byte_len()];
        self.kernel.copy_le_bytes(&mut bytes)?;
        let (values, _) = bytes.as_chunks_mut::<4>();
        let per_channel = values.len() / self.factor.len().max(1);
        for (channel, factor) in values.chunks_mut(per_channel.max(1)).zip(&self.factor) {
            for value in channel {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is meant")]
                let scaled = (f64::from(f32::from_le_bytes(*value)) * factor) as f32;
                *value = scaled.to_le_bytes();
            }
        }
        Ok(bytes.into())
    }
}

/// The constant operands of a node from `first` on; `None` where one is not a parameter.
fn constants<'g>(graph: &'g Graph, node: &Node, first: usize) -> Option<Vec<&'g Parameter>> {
    node.inputs.get(first..)?.iter().map(|&id| graph.as_parameter(id)).collect()
}

impl Affine {
    /// `operands` are scale, offset, mean and variance.
    fn of(operands: &[Parameter; 4], epsilon: f64) -> Result<Self, TensorError> {
        let [scale, offset, mean, variance] = operands;
        let (scale, offset) = (scale.tensor.to_f64()?, offset.tensor.to_f64()?);
        let (mean, variance) = (mean.tensor.to_f64()?, variance.tensor.to_f64()?);
        let factor: Vec<f64> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
        let summand = offset.iter().zip(&mean).zip(&factor).map(|((o, m), f)| o - m * f).collect();
        Ok(Affine { factor, summand })
    }
}

/// A batch norm that can be folded.
struct Foldable {
    norm: NodeId,
    operands: [Parameter; 4],
    epsilon: f64,
}

/// For each layer that a batch norm can be folded into, that batch norm.
fn foldable(model: &Typed) -> BTreeMap<NodeId, Foldable> {
    let graph = model.graph();
    let consumers = graph.consumers();
    let pair = |id: NodeId| {
        let norm = graph.node(id);
        let (Op::BatchNorm(attributes), Some(&x)) = (&norm.op, norm.inputs.first()) else { return None };
        let before = graph.producer(x)?;
        let producer = graph.node(before);
        // A batch norm acts on axis 1, a matrix product on the last one.
        let same_axis = matches!(producer.op, Op::Conv(_))
            || (producer.op == Op::Linear && model.shape_of(x).is_some_and(|shape| shape.rank() == 2));
        let only_reader = consumers[x.index()].len() == 1 && !graph.is_output(x);
        constants(graph, producer, 1)?;
        let operands: Vec<Parameter> = constants(graph, norm, 1)?.into_iter().cloned().collect();
        let operands = operands.try_into().ok()?;
        (same_axis && only_reader).then_some((before, Foldable { norm: id, operands, epsilon: attributes.epsilon }))
    };
    graph.node_ids().filter_map(pair).collect()
}

/// Folds every batch norm that directly follows a convolution or matrix product which nothing else reads.
#[derive(Debug, Clone, Copy)]
pub struct FoldBatchNorms;

impl Pass for FoldBatchNorms {
    fn name(&self) -> &'static str {
        "fold-batch-norms"
    }

    fn what(&self) -> &'static str {
        "folded batch norms into the layer before them"
    }

    fn run(&self, model: &Typed) -> Result<Option<Rewritten>, RewriteError> {
        let mut edits = Edits::new(model);
        let mut nodes = Vec::new();
        for (&producer, foldable) in &foldable(model) {
            if let Some(folded) = foldable.folded(model.graph(), producer)? {
                edits.replace(foldable.norm, folded);
                nodes.push(model.graph().node(foldable.norm).name.raw().to_owned());
            }
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let (graph, origin) = edits.apply()?;
        let applied = Applied { pass: self.name(), what: self.what(), change: Change::Rounding, nodes };
        Ok(Some(Rewritten { graph, origin, applied }))
    }
}

/// What [`FoldBatchNorms`] makes of a model, and how many norms it folded.
///
/// # Errors
/// [`RewriteError`] where a tensor cannot be read, or the result is too large.
pub fn fold_batch_norm(model: &Typed) -> Result<Folded, RewriteError> {
    let norms = model.graph().nodes().iter().filter(|node| matches!(node.op, Op::BatchNorm(_))).count();
    Ok(match FoldBatchNorms.run(model)? {
        Some(Rewritten { graph, applied, .. }) => {
            Folded { graph, folded: applied.nodes.len(), kept: norms - applied.nodes.len() }
        }
        None => Folded { graph: Edits::new(model).apply()?.0, folded: 0, kept: norms },
    })
}

impl Foldable {
    /// The producer with the norm in it, under the norm's name: what it gives is what the norm gave.
    fn folded(&self, graph: &Graph, into: NodeId) -> Result<Option<Expr>, RewriteError> {
        let producer = graph.node(into);
        let norm = graph.node(self.norm);
        let affine = Affine::of(&self.operands, self.epsilon)?;
        let Some(constants) = constants(graph, producer, 1) else { return Ok(None) };
        let kernel = constants[0];
        let how = format!("fold_batch_norm({})", norm.name);
        let dtype = if kernel.tensor.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let mut bias = affine.summand;
        if let Some(old) = constants.get(1) {
            for ((sum, old), factor) in bias.iter_mut().zip(old.tensor.to_f64()?).zip(&affine.factor) {
                *sum += old * factor;
            }
        }
        let scaled = ScaledKernel { kernel: kernel.tensor.clone(), factor: affine.factor, dtype };
        let tensor = Tensor::from_lazy(dtype, Endian::Little, kernel.tensor.shape().to_vec(), Arc::new(scaled))?;
        let weight = Parameter { tensor: tensor.computed(how.clone()), ..kernel.clone() };
        let bias = Tensor::from_f64(vec![bias.len()], &bias)?.cast(dtype).computed(how);
        let owner = graph.layer(producer.layer);
        let bias = match constants.get(1) {
            Some(&old) => Parameter { tensor: bias, ..old.clone() },
            None => Parameter {
                name: format!("{}/bias", owner.name.raw()).into(),
                location: norm.name.clone(),
                role: Role::Weight,
                layer: producer.layer,
                tensor: bias,
            },
        };
        let operands = vec![producer.inputs[0].into(), weight.into(), bias.into()];
        Ok(Some(Expr::made(producer.op.clone(), operands).known_as(into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv, GraphBuilder, Shape, validate};

    #[test]
    fn a_folded_kernel_is_the_kernel_times_the_factor_of_its_channel() {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[1, 2, 2]));
        let kernel = g.weight("conv/kernel", Tensor::from_f32(vec![2, 1, 1, 1], &[1.0, 2.0]).unwrap());
        let bias = g.weight("conv/bias", Tensor::from_f32(vec![2], &[0.5, -1.0]).unwrap());
        let conv = g.add("conv", Op::Conv(Conv::default()), &[x, kernel, bias]);
        let [scale, offset, mean, variance] =
            [("scale", [2.0, 3.0]), ("offset", [10.0, 20.0]), ("mean", [1.0, 2.0]), ("variance", [3.0, 8.0])]
                .map(|(name, values)| g.weight(name, Tensor::from_f32(vec![2], &values).unwrap()));
        let norm = g.add("bn", Op::BatchNorm(BatchNorm { epsilon: 1.0 }), &[conv, scale, offset, mean, variance]);
        g.output(norm);
        let folded = fold_batch_norm(&validate(g.finish().unwrap()).unwrap()).unwrap();
        assert_eq!((folded.folded, folded.kept), (1, 0));
        let checked = validate(folded.graph).unwrap();
        let node = &checked.graph().nodes()[0];
        let values = |i: usize| checked.graph().as_parameter(node.inputs[i]).unwrap().tensor.to_f32().unwrap();
        assert_eq!((node.name.raw(), values(1), values(2)), ("bn", vec![1.0, 2.0], vec![9.5, 17.0]));
    }
}
