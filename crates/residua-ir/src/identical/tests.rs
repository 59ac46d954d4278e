use super::*;
use crate::graph::{GraphBuilder, InputType, SourceOrder};
use crate::op::{Activation, AvgPool, Conv, Elementwise, Extent, Op, Padding, Pads, ReshapeDim};
use crate::shape::{Dim, Shape};
use crate::tensor::{DType, Tensor};
use crate::validate::{Typed, validate};

fn kernel(start: usize) -> Tensor {
    let values: Vec<f32> = (start..start + 4 * 4 * 9).map(|i| i as f32).collect();
    Tensor::from_f32(vec![4, 4, 3, 3], &values).unwrap()
}

fn padded() -> Conv {
    let padding = Padding::Explicit(Pads { top: 1, left: 1, bottom: 1, right: 1 });
    Conv { padding, ..Conv::default() }
}

/// A block of two convolutions and a shortcut, as `how` says.
#[derive(Clone, Copy, Default)]
struct How {
    /// The shortcut comes first in the sum.
    exchanged: bool,
    /// The second convolution is written before the first one's activation is needed: other names, another order.
    renamed: bool,
    /// The activation is computed twice, once for nothing.
    doubled: bool,
    /// The activation is computed once for the convolution and once for the shortcut.
    twice: bool,
    /// The difference instead of the sum.
    subtracts: bool,
    /// The kernels the other way round.
    other_kernels: bool,
    /// An identity in between.
    identity: bool,
    /// The first convolution has another attribute.
    dilated: bool,
}

fn block(how: How) -> Typed {
    let name = |name: &str| if how.renamed { format!("renamed_{name}") } else { name.to_owned() };
    let mut g = GraphBuilder::new(name("net"));
    let shape = Shape::new(vec![
        Dim::symbol(if how.renamed { "batch" } else { "N" }),
        Dim::Fixed(4),
        Dim::Fixed(8),
        Dim::Fixed(8),
    ]);
    let x = g.input_with(&name("x"), InputType { dtype: DType::F32, shape }, SourceOrder::Same);
    let starts = if how.other_kernels { [144, 0] } else { [0, 144] };
    // Of two branches, the one that is written first.
    let (k1, k2) = if how.renamed {
        let k2 = g.weight(&name("k2"), kernel(starts[1]));
        (g.weight(&name("k1"), kernel(starts[0])), k2)
    } else {
        let k1 = g.weight(&name("k1"), kernel(starts[0]));
        (k1, g.weight(&name("k2"), kernel(starts[1])))
    };
    let relu = Op::Activation(Activation::RELU);
    let start = g.add(&name("start"), relu.clone(), &[x]);
    let again = if how.twice || how.doubled { g.add(&name("again"), relu.clone(), &[x]) } else { start };
    let conv = if how.dilated { Conv { dilations: [2, 2], ..padded() } } else { padded() };
    let first = g.add(&name("first"), Op::Conv(conv), &[start, k1]);
    let first =
        if how.identity { g.add(&name("pass"), Op::Identity(crate::IdentityReason::Dropout), &[first]) } else { first };
    let shortcut = if how.twice { again } else { start };
    let second = g.add(&name("second"), Op::Conv(padded()), &[shortcut, k2]);
    let op = if how.subtracts { Elementwise::Sub } else { Elementwise::Add };
    let pair = if how.exchanged { [second, first] } else { [first, second] };
    let sum = g.add(&name("sum"), Op::Elementwise(op), &pair);
    g.output(sum);
    Typed::new(g.finish().unwrap())
}

/// Whether two blocks are one function, tensors included.
fn same(a: How, b: How) -> bool {
    let (a, b) = (block(a), block(b));
    let found = pair(&a, &b, None);
    let differ = |&(p, q): &(ParameterId, ParameterId)| {
        a.graph().parameter(p).tensor.first_difference(&b.graph().parameter(q).tensor).unwrap().is_some()
    };
    found.differences.is_empty() && !found.tensors.iter().any(differ)
}

#[test]
fn names_the_order_of_nodes_and_what_does_nothing_play_no_part() {
    let plain = How::default();
    for how in [
        plain,
        How { exchanged: true, ..plain },
        How { renamed: true, ..plain },
        How { renamed: true, exchanged: true, ..plain },
        How { doubled: true, ..plain },
        How { twice: true, ..plain },
        How { identity: true, ..plain },
    ] {
        assert!(same(plain, how) && same(how, plain));
    }
    let found = pair(&block(plain), &block(plain), None);
    assert_eq!((found.operators, found.edges, found.tensors.len()), (4, 7, 2));
}

#[test]
fn what_computes_something_else_is_not_the_same() {
    let plain = How::default();
    for how in [How { subtracts: true, ..plain }, How { dilated: true, ..plain }] {
        assert!(!same(plain, how) && !same(how, plain));
    }
    // A sum does not know an order, a difference does.
    let difference = How { subtracts: true, ..plain };
    assert!(same(difference, difference));
    assert!(!same(difference, How { exchanged: true, ..difference }));
    // The same for which of two alike branches has which kernel.
    assert!(same(plain, How { other_kernels: true, ..plain }));
    assert!(!same(difference, How { other_kernels: true, ..difference }));
}

fn of_input(dims: &[Dim], dtype: DType) -> Typed {
    let mut g = GraphBuilder::new("net");
    let x = g.input_with("x", InputType { dtype, shape: Shape::new(dims.to_vec()) }, SourceOrder::Same);
    let y = g.add("y", Op::Activation(Activation::RELU), &[x]);
    g.output(y);
    Typed::new(g.finish().unwrap())
}

#[test]
fn inputs_have_types_and_free_sizes_that_can_be_named_alike() {
    let (n, m, four) = (Dim::symbol("n"), Dim::symbol("m"), Dim::Fixed(4));
    let square = of_input(&[n.clone(), n.clone()], DType::F32);
    let alike = |a: &Typed, b: &Typed| pair(a, b, None).differences.is_empty();
    assert!(alike(&square, &of_input(&[m.clone(), m.clone()], DType::F32)));
    assert!(!alike(&square, &of_input(&[n.clone(), m.clone()], DType::F32)));
    assert!(!alike(&of_input(&[n.clone(), m.clone()], DType::F32), &square));
    assert!(!alike(&square, &of_input(&[n.clone(), n.clone()], DType::F16)));
    assert!(!alike(&square, &of_input(&[four.clone(), n.clone()], DType::F32)));
    assert!(!alike(&of_input(&[Dim::Unknown], DType::F32), &of_input(&[Dim::Unknown], DType::F32)));
    assert!(pair(&square, &of_input(&[n.clone(), n.clone()], DType::F16), Some(DType::F16)).differences.is_empty());
    assert!(!pair(&square, &square, Some(DType::F16)).differences.is_empty());
    let found = pair(&square, &of_input(std::slice::from_ref(&n), DType::F32), None);
    assert_eq!(found.differences[0].unlike, Unlike::InputShape);
}

fn two_inputs(exchanged: bool) -> Typed {
    let mut g = GraphBuilder::new("net");
    let names = if exchanged { ["b", "a"] } else { ["a", "b"] };
    let x = names.map(|name| g.input(name, Shape::fixed(&[2])));
    let [a, b] = if exchanged { [x[1], x[0]] } else { x };
    let y = g.add("y", Op::Elementwise(Elementwise::Sub), &[a, b]);
    g.output(y);
    Typed::new(g.finish().unwrap())
}

#[test]
fn inputs_have_an_order() {
    assert!(pair(&two_inputs(false), &two_inputs(false), None).differences.is_empty());
    assert!(!pair(&two_inputs(false), &two_inputs(true), None).differences.is_empty());
}

#[test]
fn what_gives_the_same_elements_other_axes_is_known_by_its_shape() {
    let flattened = |how: &[Op]| {
        let mut g = GraphBuilder::new("net");
        let mut x = g.input("x", Shape::fixed(&[2, 3, 4, 1]));
        for (at, op) in how.iter().enumerate() {
            x = g.add(&format!("step{at}"), op.clone(), &[x]);
        }
        let y = g.add("y", Op::Activation(Activation::RELU), &[x]);
        g.output(y);
        validate(g.finish().unwrap()).unwrap()
    };
    let fixed = |sizes: &[usize]| Op::Reshape { shape: sizes.iter().map(|&size| ReshapeDim::Fixed(size)).collect() };
    let flat = flattened(&[Op::Flatten { axis: 1 }]);
    let same = |other: &Typed| pair(&flat, other, None).differences.is_empty();
    assert!(same(&flattened(&[fixed(&[2, 12])])));
    assert!(same(&flattened(&[Op::Squeeze { axes: vec![3] }, Op::Flatten { axis: 1 }])));
    assert!(same(&flattened(&[fixed(&[24]), fixed(&[2, 12])])));
    assert!(!same(&flattened(&[fixed(&[4, 6])])));
    assert!(!same(&flattened(&[])));
    assert!(!same(&flattened(&[Op::Transpose { perm: vec![0, 2, 1, 3] }, fixed(&[2, 12])])));
}

#[test]
fn zeros_of_other_signs_are_other_attributes() {
    let clipped = |min: f64| {
        let mut g = GraphBuilder::new("net");
        let x = g.input("x", Shape::fixed(&[2]));
        let y = g.add("y", Op::Activation(Activation::Clip { min: Some(min), max: None }), &[x]);
        g.output(y);
        Typed::new(g.finish().unwrap())
    };
    assert!(pair(&clipped(0.0), &clipped(0.0), None).differences.is_empty());
    assert_eq!(pair(&clipped(0.0), &clipped(-0.0), None).differences[0].unlike, Unlike::Attributes);
}

#[test]
fn values_that_are_shared_again_and_again_are_looked_at_once() {
    // Each sum is of the one before with itself: as a tree, two to the power of their number.
    let doubled = |times: usize| {
        let mut g = GraphBuilder::new("net");
        let mut x = g.input("x", Shape::fixed(&[2]));
        for at in 0..times {
            x = g.add(&format!("sum{at}"), Op::Elementwise(Elementwise::Add), &[x, x]);
        }
        g.output(x);
        Typed::new(g.finish().unwrap())
    };
    let found = pair(&doubled(2000), &doubled(2000), None);
    assert_eq!((found.operators, found.differences.len()), (2000, 0));
    assert!(!pair(&doubled(2000), &doubled(1999), None).differences.is_empty());
}

#[test]
fn attributes_that_say_nothing_are_no_difference() {
    let of = |op: Op| {
        let mut g = GraphBuilder::new("net");
        let x = g.input("x", Shape::fixed(&[1, 4, 8, 8]));
        let y = g.add("y", op, &[x]);
        g.output(y);
        validate(g.finish().unwrap()).unwrap()
    };
    let same = |a: Op, b: Op| pair(&of(a), &of(b), None).differences.is_empty();
    let pool = |count_include_pad, padding| {
        let (kernel, strides, dilations) = ([2, 2], [2, 2], [1, 1]);
        Op::AvgPool(AvgPool { kernel, strides, padding, dilations, ceil_mode: false, count_include_pad })
    };
    let border = Padding::Explicit(Pads { top: 1, left: 1, bottom: 1, right: 1 });
    assert!(same(pool(true, Padding::default()), pool(false, Padding::default())));
    assert!(!same(pool(true, border), pool(false, border)));
    let slice = |start: usize, end: Option<usize>| Op::Slice {
        axis: 1,
        start: Extent::from(start),
        end: end.map(Extent::from),
        step: 1,
    };
    assert!(same(slice(2, None), slice(2, Some(4))));
    assert!(!same(slice(2, None), slice(2, Some(3))));
    assert!(!same(slice(0, Some(2)), slice(2, None)));
}

/// Two convolutions one behind the other, with something between them.
fn chain(between: &[Op], kernels: [usize; 2]) -> Typed {
    let mut g = GraphBuilder::new("net");
    let x = g.input("x", Shape::fixed(&[1, 4, 8, 8]));
    let [k1, k2] = [("k1", kernels[0]), ("k2", kernels[1])].map(|(name, start)| g.weight(name, kernel(start)));
    let mut value = g.add("first", Op::Conv(padded()), &[x, k1]);
    for op in between {
        value = g.add("between", op.clone(), &[value]);
    }
    let second = g.add("second", Op::Conv(padded()), &[value, k2]);
    g.output(second);
    Typed::new(g.finish().unwrap())
}

fn value(model: &Typed, name: &str) -> ValueId {
    model.graph().value_ids().find(|&id| model.graph().value(id).name.raw() == name).unwrap()
}

#[test]
fn behind_what_is_made_otherwise_the_walk_goes_on_from_what_corresponds() {
    let a = chain(&[Op::Activation(Activation::RELU)], [0, 144]);
    let b = chain(&[Op::Activation(Activation::Abs), Op::Activation(Activation::Sigmoid)], [0, 144]);
    // Asked for the whole, it stops there.
    let whole = pair(&a, &b, None);
    assert_eq!((whole.operators, whole.differences.len(), whole.parts.len()), (1, 1, 0));
    // The first convolutions correspond: what lies between them and the second ones is a part.
    let first = (value(&a, "first"), value(&b, "first"));
    let found = pair_in_parts(&a, &b, None, &[first]);
    assert!(found.differences.is_empty());
    assert_eq!((found.operators, found.tensors.len()), (2, 2));
    let part = Part { a: value(&a, "between"), b: value(&b, "between_2"), from: vec![first] };
    assert_eq!(found.parts, [part]);
    // Where nothing is said to, the part begins at the input.
    let found = pair_in_parts(&a, &b, None, &[]);
    assert_eq!((found.operators, found.tensors.len(), found.parts.len()), (1, 1, 1));
    assert_eq!(found.parts[0].from, [(value(&a, "x"), value(&b, "x"))]);
}

#[test]
fn what_is_said_to_correspond_is_held_against_each_other_in_turn() {
    let a = chain(&[Op::Activation(Activation::RELU)], [0, 144]);
    let b = chain(&[Op::Activation(Activation::Abs)], [144, 0]);
    let first = (value(&a, "first"), value(&b, "first"));
    let found = pair_in_parts(&a, &b, None, &[first]);
    // Both pairs of kernels are given to whoever compares their bits, which are not the same.
    let differ = |&(p, q): &(ParameterId, ParameterId)| {
        a.graph().parameter(p).tensor.first_difference(&b.graph().parameter(q).tensor).unwrap().is_some()
    };
    assert_eq!(found.tensors.iter().filter(|pair| differ(pair)).count(), 2);
    // Attributes of what is paired are differences, whatever corresponds.
    let mut g = GraphBuilder::new("net");
    let x = g.input("x", Shape::fixed(&[1, 4, 8, 8]));
    let k = g.weight("k", kernel(0));
    let y = g.add("y", Op::Conv(Conv { dilations: [2, 2], ..padded() }), &[x, k]);
    g.output(y);
    let dilated = Typed::new(g.finish().unwrap());
    let mut g = GraphBuilder::new("net");
    let x = g.input("x", Shape::fixed(&[1, 4, 8, 8]));
    let k = g.weight("k", kernel(0));
    let y = g.add("y", Op::Conv(padded()), &[x, k]);
    g.output(y);
    let plain = Typed::new(g.finish().unwrap());
    let found = pair_in_parts(&plain, &dilated, None, &[]);
    assert_eq!(found.differences.iter().map(|found| found.unlike).collect::<Vec<_>>(), [Unlike::Attributes]);
}

#[test]
fn sums_of_several_are_sums_of_sums_in_their_normal_form() {
    let sum = |in_pairs: bool, last_first: bool| {
        let mut g = GraphBuilder::new("net");
        let [x, y, z] = ["x", "y", "z"].map(|name| g.input(name, Shape::fixed(&[2])));
        let add = Op::Elementwise(Elementwise::Add);
        let so_far = [x, y];
        let sum = match (in_pairs, last_first) {
            (false, _) => g.add("sum", add, &[x, y, z]),
            (true, false) => {
                let first = g.add("first", add.clone(), &so_far);
                g.add("sum", add, &[first, z])
            }
            (true, true) => {
                let first = g.add("first", add.clone(), &[y, z]);
                g.add("sum", add, &[x, first])
            }
        };
        g.output(sum);
        Typed::new(g.finish().unwrap())
    };
    let normal = |model: &Typed| {
        crate::rewrite::normalise_exactly(model).unwrap().map_or_else(|| model.clone(), |normal| normal.model)
    };
    let alike = |a: &Typed, b: &Typed| pair(&normal(a), &normal(b), None).differences.is_empty();
    assert!(alike(&sum(false, false), &sum(true, false)));
    assert!(alike(&sum(true, false), &sum(false, false)));
    // Rounded in another order.
    assert!(!alike(&sum(false, false), &sum(true, true)));
}
