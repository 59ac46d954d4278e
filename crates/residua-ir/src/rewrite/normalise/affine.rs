//! A product with one constant a channel and a sum with another, as Keras's export leaves of a batch norm: the batch
//! norm that it was, with mean 0 and variance 1.
//!
//! Not made of what prepares the image, before any convolution, nor of a lone factor, which is a layer's own scale.

use super::matching::Matcher;
use super::{Form, Found};
use crate::graph::{Node, Parameter, Role, ValueId};
use crate::op::{BatchNorm, Elementwise, Op};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};
use crate::tensor::{DType, Tensor, TensorError};

pub(super) const PASS: Form =
    Form { name: "batch-norms", what: "made batch norms of products and sums with one constant a channel", find };

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let behind = behind_convolutions(m);
    let mut found = Found::default();
    for (id, node) in m.nodes() {
        if let Some(affine) = Affine::ending_in(m, node).filter(|affine| behind[affine.x.index()]) {
            edits.replace(id, affine.batch_norm(m, node)?);
            found.nodes.push(node.name.raw().to_owned());
        }
    }
    Ok(found)
}

/// Values that a convolution lies before.
fn behind_convolutions(m: &Matcher<'_>) -> Vec<bool> {
    let mut behind = vec![false; m.graph.values().len()];
    for (_, node) in m.nodes() {
        let is = matches!(node.op, Op::Conv(_)) || node.inputs.iter().any(|input| behind[input.index()]);
        node.outputs.iter().for_each(|output| behind[output.index()] = is);
    }
    behind
}

/// A tensor of one number a channel of a value, on that axis.
fn per_channel<'m>(m: &Matcher<'m>, tensor: ValueId, x: ValueId) -> Option<&'m Parameter> {
    let parameter = m.parameter(tensor)?;
    let (shape, rank, channels) = (parameter.tensor.shape(), m.rank(x)?, m.size(x, 1)?);
    let axis = (shape.len() + 1).checked_sub(rank)?;
    let fits = rank >= 2 && channels > 1 && shape.get(axis) == Some(&channels) && parameter.tensor.len() == channels;
    (fits && parameter.tensor.dtype().is_float()).then_some(parameter)
}

/// A value and a tensor of one number a channel, in any order.
fn operands<'m>(m: &Matcher<'m>, node: &Node, op: Elementwise) -> Option<(ValueId, &'m Parameter)> {
    let [a, b] = m.pair(node, op)?;
    if let Some(parameter) = per_channel(m, b, a) {
        return Some((a, parameter));
    }
    let commutes = matches!(op, Elementwise::Add | Elementwise::Mul);
    per_channel(m, a, b).filter(|_| commutes).map(|parameter| (b, parameter))
}

/// `(x − mean) · scale + offset`, the mean where it is subtracted first.
struct Affine<'m> {
    x: ValueId,
    mean: Option<&'m Parameter>,
    scale: &'m Parameter,
    offset: &'m Parameter,
}

impl<'m> Affine<'m> {
    fn ending_in(m: &Matcher<'m>, node: &Node) -> Option<Self> {
        let (product, offset) = operands(m, node, Elementwise::Add)?;
        let (_, product) = m.inner(product)?;
        let (x, scale) = operands(m, product, Elementwise::Mul)?;
        let difference = m.inner(x).and_then(|(_, before)| operands(m, before, Elementwise::Sub));
        let (x, mean) = difference.map_or((x, None), |(x, mean)| (x, Some(mean)));
        Some(Self { x, mean, scale, offset })
    }

    fn batch_norm(&self, m: &Matcher<'_>, node: &Node) -> Result<Expr, TensorError> {
        let channels = self.scale.tensor.len();
        let vector = |parameter: &Parameter| -> Result<Expr, TensorError> {
            Ok(Parameter { tensor: parameter.tensor.reshape(&[channels])?, ..parameter.clone() }.into())
        };
        let dtype = m.model.type_of(self.x).map_or(DType::F32, |ty| ty.dtype);
        let filled = |what: &str, number: f64| -> Result<Expr, TensorError> {
            let tensor = Tensor::filled(dtype, vec![channels], number)?;
            let name = format!("{}/{what}", node.name.raw());
            Ok(Parameter {
                name: name.into(),
                location: String::new().into(),
                role: Role::Default,
                layer: node.layer,
                tensor,
            }
            .into())
        };
        let operands = vec![
            self.x.into(),
            vector(self.scale)?,
            vector(self.offset)?,
            self.mean.map_or_else(|| filled("mean", 0.0), vector)?,
            filled("variance", 1.0)?,
        ];
        Ok(Expr::made(Op::BatchNorm(BatchNorm { epsilon: 0.0 }), operands))
    }
}
