//! Whether two graphs are one function by what they are made of: the same operators with the same attributes on the same
//! operands, from the inputs and tensors to the outputs. What is so for the graphs is so for all inputs; nothing is run.
//!
//! Both are walked in lock step from their outputs. Two values that are to be the same are joined into one class, once; then
//! what gives them must be alike, and their operands are to be the same in turn. Where nothing was found unlike, equality
//! is kept by every operator, so all values of a class are the same function of the inputs: graphs have no cycles, and by
//! induction from the inputs on there is no first value that is not. Each join makes one class less of what are as many as
//! values, so the walk is linear in them whatever the graphs share.
//!
//! Names and the order of nodes play no part, nor what reaches no output, nor whether something is computed once and
//! read twice or computed twice. An operator that does nothing is looked through. What only gives other axes to the same elements in
//! row-major order (flatten, reshape, squeeze, unsqueeze) is known by the shape that it gives. Free sizes are the same
//! where they can be named alike throughout.
//!
//! The two operands of a sum or a product may be exchanged: IEEE 754 rounds the exact result, which knows no order, and its
//! signs of zero follow from both operands alike. (Which bits a NaN gets is left open there; a network whose values are NaN is no
//! matter of this.) So may the operands of logical operators and of the question whether two values are equal. Not those of maxima and minima, which may
//! tell 0 from -0 by the order. Of more than two operands only the first two, since all are folded from the left. In which
//! order they belong together is guessed from hashes by structure (`hashes`). A wrong guess finds a difference where
//! there is none; none hides one.
//!
//! Where two values are given by other operators, the walk may go on behind that ([`pair_in_parts`]): from values that are said
//! to correspond. What lies between is a part of its own, which has to be shown to be the same by other means, given the same
//! values at its beginning. That is sound whatever is said to correspond: each claim about a value of the second graph rests on
//! claims about values that it is computed from.
//!
//! Tensors are paired here and not read: whoever asks compares their bits, in [`Pairing::tensors`].

mod attributes;
mod hashes;
mod walk;

use crate::graph::{ParameterId, ValueId};
use crate::tensor::DType;
use crate::validate::Typed;

/// What was found alike in two graphs, and what was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Pairs of operators that are alike.
    pub operators: usize,
    /// Operands of these.
    pub edges: usize,
    /// Tensors of both that are to be the same, of the same element types and shapes; each pair once. The graphs are one
    /// function where the bits of each pair are the same, and nothing is unlike.
    pub tensors: Vec<(ParameterId, ParameterId)>,
    /// Where the graphs are not alike, from the outputs on. What lies behind such a place is not looked at.
    pub differences: Vec<Difference>,
    /// What is made otherwise between values that correspond, where that was asked for.
    pub parts: Vec<Part>,
}

/// A value that is made otherwise in both graphs, of values that correspond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The value of the first graph.
    pub a: ValueId,
    /// The one of the second that is to be the same.
    pub b: ValueId,
    /// What the second graph makes it of: pairs of values of both that are to be the same.
    pub from: Vec<(ValueId, ValueId)>,
}

/// A place where two graphs are not alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The value of the first graph.
    pub a: Option<ValueId>,
    /// The one of the second that should be the same.
    pub b: Option<ValueId>,
    /// What is unlike.
    pub unlike: Unlike,
}

/// What can be unlike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlike {
    /// How many inputs or outputs there are.
    Interface,
    /// Element types of inputs.
    Input,
    /// Shapes of inputs, or sizes that are free in one graph alone.
    InputShape,
    /// What gives the value: another operator, another input, a tensor here and something that is computed there.
    Operator,
    /// Attributes of the same operator.
    Attributes,
    /// Element types or shapes of tensors.
    Tensor,
}

/// Pairs what two graphs are made of, from their outputs on. Inputs and outputs are paired in order; the axes of an input must
/// be the same in both. Where the second graph is to have its real inputs and tensors in one `float` type, whatever type
/// those of the first have, that is said; the pairs in [`Pairing::tensors`] are then the same once the first is rounded.
#[must_use]
pub fn pair(a: &Typed, b: &Typed, float: Option<DType>) -> Pairing {
    walk::Walk::new(a, b, float, None).run()
}

/// The same, and goes on behind what is made otherwise: from the inputs, and from values that are said to correspond, each a
/// computed one of the first graph with one of the second.
#[must_use]
pub fn pair_in_parts(a: &Typed, b: &Typed, float: Option<DType>, corresponding: &[(ValueId, ValueId)]) -> Pairing {
    walk::Walk::new(a, b, float, Some(corresponding)).run()
}

#[cfg(test)]
mod tests;
