//! Activations that were written out: `x · sigmoid(x)`, `x · clip(x + 3, 0, 6) / 6`, `x / 2 · (1 + erf(x / √2))`, …
//!
//! They are products, whose factors come in any order and with the numbers anywhere; so a product is taken apart
//! first and told by its factors.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::matching::{Matcher, Product, near};
use super::{Form, Found};
use crate::graph::{Node, ValueId};
use crate::op::{Activation, Elementwise, Op};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};

pub(super) const PASS: Form =
    Form { name: "activations", what: "made activations of what they were written out as", find };

/// √(2/π), of GELU's tanh approximation.
const TANH_SCALE: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const TANH_CUBIC: f64 = 0.044_715;

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::rounding();
    for (id, node) in m.nodes() {
        let known = of_bound(m, node).or_else(|| of_clip(m, node)).or_else(|| of_product(m, node));
        if let Some((activation, x)) = known.filter(|(_, x)| m.same_shape(*x, node.output())) {
            edits.replace(id, Expr::made(Op::Activation(activation), vec![x.into()]));
            found.nodes.push(node.name.raw().to_owned());
        }
    }
    Ok(found)
}

/// `max(x, 0)` and `min(max(x, 0), 6)`.
fn of_bound(m: &Matcher<'_>, node: &Node) -> Option<(Activation, ValueId)> {
    if let Some((x, least)) = commuting(m, node, Elementwise::Max) {
        return (least == 0.0).then_some((Activation::RELU, x));
    }
    let (x, most) = commuting(m, node, Elementwise::Min).filter(|(_, most)| *most >= 0.0)?;
    match (&m.inner(x)?.1.op, m.inner(x)?.1.inputs.first()) {
        (&Op::Activation(Activation::RELU), Some(&x)) => {
            let relu = Activation::Relu { negative_slope: 0.0, threshold: 0.0, max_value: Some(most) };
            Some((relu, x))
        }
        _ => None,
    }
}

/// A value and a number, in any order.
fn commuting(m: &Matcher<'_>, node: &Node, op: Elementwise) -> Option<(ValueId, f64)> {
    let [a, b] = m.pair(node, op)?;
    match (m.number(a), m.number(b)) {
        (None, Some(number)) => Some((a, number)),
        (Some(number), None) => Some((b, number)),
        (None, None) | (Some(_), Some(_)) => None,
    }
}

/// Bounds of a clip or of a ReLU that has one.
fn bounds(op: &Op) -> Option<[f64; 2]> {
    let Op::Activation(
        Activation::Clip { min: Some(min), max: Some(max) }
        | Activation::Relu { negative_slope: 0.0, threshold: min, max_value: Some(max) },
    ) = *op
    else {
        return None;
    };
    (min == 0.0).then_some([min, max])
}

/// `clip(slope · x + offset, 0, 1)`.
fn of_clip(m: &Matcher<'_>, node: &Node) -> Option<(Activation, ValueId)> {
    let [_, most] = bounds(&node.op)?;
    let (_, sum) = m.inner(*node.inputs.first()?).filter(|_| near(most, 1.0))?;
    let (scaled, offset) = m.with_number(sum, Elementwise::Add)?;
    let Product { number, factors } = m.product(scaled);
    let alone = scaled == *factors.first()? || m.inner(scaled).is_some();
    match factors[..] {
        [x] if alone => Some((hard_sigmoid(number, offset), x)),
        _ => None,
    }
}

fn hard_sigmoid(slope: f64, offset: f64) -> Activation {
    let exact = |number: f64, meant: f64| if near(number, meant) { meant } else { number };
    Activation::HardSigmoid { slope: exact(slope, 1.0 / 6.0), offset }
}

/// What `x + 3` between 0 and 6 is of.
fn above_three(m: &Matcher<'_>, value: ValueId) -> Option<ValueId> {
    let (_, clip) = m.inner(value)?;
    let (_, sum) = m.inner(*clip.inputs.first()?).filter(|_| bounds(&clip.op) == Some([0.0, 6.0]))?;
    m.with_number(sum, Elementwise::Add).filter(|(_, number)| *number == 3.0).map(|(x, _)| x)
}

fn of_product(m: &Matcher<'_>, node: &Node) -> Option<(Activation, ValueId)> {
    if !matches!(node.op, Op::Elementwise(Elementwise::Mul | Elementwise::Div)) {
        return None;
    }
    let Product { number, factors } = m.product(node.output());
    match factors[..] {
        [only] if near(number, 1.0 / 6.0) => Some((hard_sigmoid(1.0 / 6.0, 0.5), above_three(m, only)?)),
        [a, b] => of_gate(m, number, a, b).or_else(|| of_gate(m, number, b, a)),
        _ => None,
    }
}

/// A value times what is computed from it.
fn of_gate(m: &Matcher<'_>, number: f64, x: ValueId, gate: ValueId) -> Option<(Activation, ValueId)> {
    let activation = if near(number, 1.0) {
        of_function(m, x, gate)?
    } else if near(number, 1.0 / 6.0) {
        (above_three(m, gate) == Some(x)).then_some(Activation::HardSwish)?
    } else if near(number, 0.5) {
        gelu(m, x, gate)?
    } else {
        return None;
    };
    Some((activation, x))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a pattern: whatever else stands here is no such gate")]
fn of_function(m: &Matcher<'_>, x: ValueId, gate: ValueId) -> Option<Activation> {
    let (_, function) = m.inner(gate)?;
    let &[operand] = &function.inputs[..] else { return None };
    match function.op {
        Op::Activation(Activation::Sigmoid) if operand == x => Some(Activation::Silu),
        Op::Activation(Activation::HardSigmoid { slope, offset: 0.5 }) if operand == x && near(slope, 1.0 / 6.0) => {
            Some(Activation::HardSwish)
        }
        Op::Activation(Activation::Tanh) => {
            let (_, softplus) = m.inner(operand)?;
            (softplus.op == Op::Activation(Activation::Softplus) && softplus.inputs[..] == [x])
                .then_some(Activation::Mish)
        }
        _ => None,
    }
}

/// What is multiplied with `x / 2`: `1 + erf(x / √2)`, or `1 + tanh(√(2/π) (x + 0.044715 x³))`.
#[expect(clippy::wildcard_enum_match_arm, reason = "a pattern: whatever else stands here is no such gate")]
fn gelu(m: &Matcher<'_>, x: ValueId, gate: ValueId) -> Option<Activation> {
    let (_, sum) = m.inner(gate)?;
    let (function, _) = m.with_number(sum, Elementwise::Add).filter(|(_, one)| *one == 1.0)?;
    let (_, function) = m.inner(function)?;
    let &[operand] = &function.inputs[..] else { return None };
    let Product { number, factors } = m.product(operand);
    match function.op {
        Op::Activation(Activation::Erf) if factors[..] == [x] && near(number, FRAC_1_SQRT_2) => {
            Some(Activation::Gelu { tanh_approximation: false })
        }
        Op::Activation(Activation::Tanh) => {
            let &[cubic] = &factors[..] else { return None };
            let (_, sum) = m.inner(cubic).filter(|_| near(number, TANH_SCALE))?;
            let [a, b] = m.pair(sum, Elementwise::Add)?;
            let cube = if a == x { b } else { a };
            (sum.inputs.contains(&x) && is_cube(m, cube, x)).then_some(Activation::Gelu { tanh_approximation: true })
        }
        _ => None,
    }
}

/// `0.044715 x³`.
fn is_cube(m: &Matcher<'_>, value: ValueId, x: ValueId) -> bool {
    let Product { number, factors } = m.product(value);
    let power = |value: ValueId| {
        let (_, node) = m.inner(value)?;
        m.with_number(node, Elementwise::Pow).filter(|(base, power)| *base == x && *power == 3.0)
    };
    let cubed = match factors[..] {
        [only] => power(only).is_some(),
        [..] => factors == [x; 3],
    };
    cubed && near(number, TANH_CUBIC)
}

#[cfg(test)]
mod tests {
    use super::super::normalise;
    use super::*;
    use crate::{GraphBuilder, Shape, Tensor, validate};

    fn normal(build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> String {
        let mut g = GraphBuilder::new("g");
        let x = g.input("x", Shape::batch(&[4, 8, 8]));
        let y = build(&mut g, x);
        g.output(y);
        let model = validate(g.finish().unwrap()).unwrap();
        let normal = normalise(&model).unwrap();
        let graph = normal.as_ref().map_or(model.graph(), |normal| normal.model.graph());
        let ops: Vec<&str> = graph.nodes().iter().map(|node| node.op.name()).collect();
        ops.join(" ")
    }

    struct Write<'g>(&'g mut GraphBuilder, usize);

    impl Write<'_> {
        fn name(&mut self) -> String {
            self.1 += 1;
            format!("n{}", self.1)
        }
        fn of(&mut self, f: Activation, x: ValueId) -> ValueId {
            let name = self.name();
            self.0.add(&name, Op::Activation(f), &[x])
        }
        fn two(&mut self, op: Elementwise, a: ValueId, b: ValueId) -> ValueId {
            let name = self.name();
            self.0.add(&name, Op::Elementwise(op), &[a, b])
        }
        fn with(&mut self, op: Elementwise, x: ValueId, number: f32) -> ValueId {
            let name = self.name();
            let number = self.0.weight(&name, Tensor::from_f32(vec![], &[number]).unwrap());
            self.two(op, x, number)
        }
    }

    #[test]
    fn a_product_of_a_value_and_its_gate_is_one_activation_in_any_order() {
        use Elementwise::{Add, Div, Mul};
        let silu = normal(|g, x| {
            let mut w = Write(g, 0);
            let gate = w.of(Activation::Sigmoid, x);
            w.two(Mul, gate, x)
        });
        assert_eq!(silu, "Silu");
        let hard = normal(|g, x| {
            let mut w = Write(g, 0);
            let above = w.with(Add, x, 3.0);
            let clip = w.of(Activation::RELU6, above);
            let product = w.two(Mul, x, clip);
            w.with(Div, product, 6.0)
        });
        assert_eq!(hard, "HardSwish");
        let keras = normal(|g, x| {
            let mut w = Write(g, 0);
            let above = w.with(Add, x, 3.0);
            let clip = w.of(Activation::RELU6, above);
            let gate = w.with(Mul, clip, 1.0 / 6.0);
            w.two(Mul, x, gate)
        });
        assert_eq!(keras, "HardSwish");
        let gelu = normal(|g, x| {
            let mut w = Write(g, 0);
            let scaled = w.with(Div, x, std::f32::consts::SQRT_2);
            let erf = w.of(Activation::Erf, scaled);
            let one = w.with(Add, erf, 1.0);
            let product = w.two(Mul, x, one);
            w.with(Mul, product, 0.5)
        });
        assert_eq!(gelu, "Gelu");
    }

    #[test]
    fn what_is_nearly_an_activation_stays_as_it_is() {
        use Elementwise::{Add, Mul};
        let other_value = normal(|g, x| {
            let mut w = Write(g, 0);
            let y = w.of(Activation::Tanh, x);
            let gate = w.of(Activation::Sigmoid, y);
            w.two(Mul, gate, x)
        });
        assert_eq!(other_value, "Tanh Sigmoid Mul");
        let read_elsewhere = normal(|g, x| {
            let mut w = Write(g, 0);
            let gate = w.of(Activation::Sigmoid, x);
            let product = w.two(Mul, gate, x);
            w.two(Add, product, gate)
        });
        assert_eq!(read_elsewhere, "Sigmoid Mul Add");
        let other_number = normal(|g, x| {
            let mut w = Write(g, 0);
            let gate = w.of(Activation::Sigmoid, x);
            let product = w.two(Mul, gate, x);
            w.with(Mul, product, 0.9)
        });
        assert_eq!(other_number, "Silu Mul");
    }
}
