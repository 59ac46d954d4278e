//! What a node costs: multiply-adds, from shapes alone.
//!
//! One multiply-add is one MAC and two FLOPs. What is counted besides the multiplications of convolutions and matrix
//! products is a convention, and tools differ: [`Counting`] has ours and those of two that are much quoted. All are for
//! a model that is run, not trained, and a free batch counts as 1.

use std::borrow::Borrow;

use crate::graph::{Graph, Node, Role, ValueId};
use crate::op::description::{Class, Products, Statistics};
use crate::op::{Op, PoolKind};
use crate::shape::TensorType;
use crate::validate::Checked;

/// What counts as a multiply-add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counting {
    /// The products of convolutions and matrix products, without biases. Everything else counts none.
    #[default]
    Products,
    /// As torchinfo 1.8: each learned number of a layer once, in convolutions once for every pixel of the result. So
    /// biases count, and a normalisation counts its scale and offset once, not for every pixel.
    Torchinfo,
    /// As fvcore 0.1.5 (which calls them flops): products; for each element of its operand a batch norm counts 2, or 1
    /// without scale and offset, a norm with statistics of its own 5, or 4; a mean over all pixels counts its operand.
    Fvcore,
}

/// Multiply-adds of one node of a model; `None` where a size is not known or the number overflows.
#[must_use]
pub fn counted(model: &Checked, node: &Node, counting: Counting) -> Option<u64> {
    let types: Vec<&TensorType> = node.inputs.iter().map(|&id| model.type_of(id)).collect::<Option<_>>()?;
    let result = model.type_of(node.output())?;
    match counting {
        Counting::Products => macs(&node.op, &types, result),
        Counting::Torchinfo => learned_numbers(model.graph(), node, &types, result),
        Counting::Fvcore => macs(&node.op, &types, result)?.checked_add(touched(model.graph(), node, &types)?),
    }
}

/// Elements of a value from this axis on; a free batch is 1.
fn elements(ty: &TensorType, skip: usize) -> Option<u64> {
    let sizes = ty.shape.dims().iter().enumerate().skip(skip);
    sizes
        .map(|(axis, dim)| dim.fixed().or((axis == 0).then_some(1)))
        .try_fold(1, |product: u64, size| product.checked_mul(size? as u64))
}

/// Images, or rows, that are computed at once.
fn batch(result: &TensorType) -> u64 {
    result.shape.dims().first().and_then(|dim| dim.fixed()).map_or(1, |size| size as u64)
}

/// Products of one node for operands and result of these types; `None` where a size is free or the number overflows.
#[must_use]
pub fn macs<T: Borrow<TensorType>>(op: &Op, operands: &[T], result: &TensorType) -> Option<u64> {
    let operand = |index: usize| operands.get(index).map(Borrow::borrow);
    let per_element = match op.describe().products {
        Products::None => return Some(0),
        Products::Filter => elements(operand(1)?, 1)?,
        Products::Inner => operand(0)?.shape.dims().last()?.fixed()? as u64,
        // Every element of `x` meets every tap of its group's kernels.
        Products::SpreadFilter => return elements(operand(0)?, 0)?.checked_mul(elements(operand(1)?, 1)?),
    };
    elements(result, 0)?.checked_mul(per_element)
}

/// Whether a value is a tensor that is learned.
fn is_learned(graph: &Graph, value: ValueId) -> bool {
    graph.as_parameter(value).is_some_and(|parameter| parameter.role == Role::Weight)
}

fn learned_numbers(graph: &Graph, node: &Node, operands: &[&TensorType], result: &TensorType) -> Option<u64> {
    let learned = node.inputs.iter().zip(operands).filter(|&(&id, _)| is_learned(graph, id));
    let count = learned.map(|(_, ty)| elements(ty, 0)).try_fold(0, |sum: u64, count| sum.checked_add(count?))?;
    if count == 0 {
        return Some(0);
    }
    let is_conv = node.op.describe().class.groups().is_some();
    let places = if is_conv { elements(result, 2)? } else { 1 };
    count.checked_mul(places)?.checked_mul(batch(result))
}

/// What fvcore adds to the products.
fn touched(graph: &Graph, node: &Node, operands: &[&TensorType]) -> Option<u64> {
    let scaled = node.inputs.iter().skip(1).any(|&id| is_learned(graph, id));
    let per_element = match node.op.describe().class {
        Class::Norm(Statistics::Stored) => 1 + u64::from(scaled),
        Class::Norm(Statistics::Own) => 4 + u64::from(scaled),
        Class::GlobalPool(PoolKind::Mean) => 1,
        Class::Norm(Statistics::Neighbours(_))
        | Class::GlobalPool(_)
        | Class::Convolution { .. }
        | Class::TransposedConvolution { .. }
        | Class::Dense
        | Class::MatrixProduct
        | Class::Activation
        | Class::Arithmetic(_)
        | Class::Logic
        | Class::Pool
        | Class::Reduction(_)
        | Class::Ranking
        | Class::Scan
        | Class::Padding
        | Class::Resampling
        | Class::Concatenation
        | Class::Reshape
        | Class::Slice
        | Class::Gather
        | Class::Repetition
        | Class::Sizes
        | Class::Softmax
        | Class::Identity
        | Class::Cast
        | Class::Quantisation
        | Class::Dequantisation
        | Class::DynamicRange
        | Class::Unknown => return Some(0),
    };
    elements(operands.first()?, 0)?.checked_mul(per_element)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNorm, Conv, GlobalPool, GraphBuilder, Shape, Tensor, validate};

    /// A convolution with a bias, its batch norm and a global pool; MACs of each as this convention counts.
    fn counted(batch: Shape, counting: Counting) -> Vec<Option<u64>> {
        let mut g = GraphBuilder::new("net");
        let weight = |g: &mut GraphBuilder, name: &str, shape: &[usize]| {
            let values = vec![0.0; shape.iter().product()];
            g.weight(name, Tensor::from_f32(shape.to_vec(), &values).unwrap())
        };
        let x = g.input("x", batch);
        let (kernel, bias) = (weight(&mut g, "kernel", &[6, 2, 3, 3]), weight(&mut g, "bias", &[6]));
        let y = g.add("conv", Op::Conv(Conv { groups: 2, ..Conv::default() }), &[x, kernel, bias]);
        let (scale, offset) = (weight(&mut g, "scale", &[6]), weight(&mut g, "offset", &[6]));
        let [mean, variance] = ["mean", "variance"].map(|name| {
            let layer = g.layer(name, "BatchNorm", true);
            let tensor = Tensor::from_f32(vec![6], &[1.0; 6]).unwrap();
            let (name, location) = (name.to_owned(), String::new());
            g.parameter(crate::Parameter {
                name: name.into(),
                location: location.into(),
                role: Role::Statistic,
                layer,
                tensor,
            })
        });
        let norm = Op::BatchNorm(BatchNorm { epsilon: 1e-5 });
        let y = g.add("norm", norm, &[y, scale, offset, mean, variance]);
        let y = g.add("pool", Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: false }), &[y]);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        model.graph().nodes().iter().map(|node| super::counted(&model, node, counting)).collect()
    }

    #[test]
    fn each_convention_counts_what_it_says() {
        let (kernel, pixels) = (6 * 2 * 9, 5 * 5);
        let of = |counting| counted(Shape::batch(&[4, 7, 7]), counting);
        assert_eq!(of(Counting::Products), [Some(kernel * pixels), Some(0), Some(0)]);
        assert_eq!(of(Counting::Torchinfo), [Some((kernel + 6) * pixels), Some(12), Some(0)]);
        assert_eq!(of(Counting::Fvcore), [Some(kernel * pixels), Some(2 * 6 * pixels), Some(6 * pixels)]);
    }

    #[test]
    fn a_batch_counts_as_often_as_it_is_large() {
        let shape = |batch| Shape::fixed(&[batch, 4, 7, 7]);
        for counting in [Counting::Products, Counting::Torchinfo, Counting::Fvcore] {
            let one: Option<u64> = counted(shape(1), counting).into_iter().sum();
            let three: Option<u64> = counted(shape(3), counting).into_iter().sum();
            assert_eq!(one.map(|one| 3 * one), three, "{counting:?}");
        }
    }

    #[test]
    fn a_free_size_leaves_open_only_what_depends_on_it() {
        use crate::Dim;
        let free = || Shape::new(vec![Dim::symbol("N"), Dim::Fixed(4), Dim::symbol("H"), Dim::symbol("W")]);
        assert_eq!(counted(free(), Counting::Products), [None, Some(0), Some(0)]);
        assert_eq!(counted(free(), Counting::Torchinfo), [None, Some(12), Some(0)]);
        assert_eq!(counted(free(), Counting::Fvcore), [None, None, None]);
    }
}
