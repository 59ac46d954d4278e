//! What is different about two fused layers that should be the same, as far as the two tell.

use residua_ir::rewrite::Expr;
use residua_ir::{AvgPool, Checked, Conv, MaxPool, Node, NodeId, Op, Pad, Padding, Pads, ValueId};

use super::examined::Examined;
use super::fused_layer::Weights;
use super::landmarks::Landmark;

/// What is different about two fused layers, in words; down to the last bit of a tensor where that is what is asked for.
pub(super) fn cause(a: &Examined, first: &Landmark, b: &Examined, second: &Landmark, exactly: bool) -> Option<String> {
    let (x, y) = (a.model.graph().node(first.anchor), b.model.graph().node(second.anchor));
    let bits = || x.inputs.iter().zip(&y.inputs).find_map(|(&p, &q)| tensors_differ(&a.model, p, &b.model, q));
    attributes(a, first, b, second).or_else(|| epsilons(a, first, b, second)).or_else(|| {
        match (Weights::of(a, first), Weights::of(b, second)) {
            (Some(x), Some(y)) => weights(a, first, &x, b, second, &y).or_else(|| exactly.then(bits).flatten()),
            (None, _) | (_, None) => bits(),
        }
    })
}

/// What is different about the weights of two fused layers, their norms folded in, where both are known.
pub(super) fn other_weights(a: &Examined, first: &Landmark, b: &Examined, second: &Landmark) -> Option<String> {
    weights(a, first, &Weights::of(a, first)?, b, second, &Weights::of(b, second)?)
}

fn weights(
    a: &Examined,
    first: &Landmark,
    x: &Weights,
    b: &Examined,
    second: &Landmark,
    y: &Weights,
) -> Option<String> {
    let words = x.differences(y)?.words(x.bias.len())?;
    let name = |examined: &Examined, mark: &Landmark| {
        let graph = examined.model.graph();
        let kernel = graph.as_parameter(*graph.node(mark.anchor).inputs.get(1)?)?;
        Some(format!("`{}`", kernel.name))
    };
    Some(match (name(a, first), name(b, second)) {
        (Some(x), Some(y)) => format!("{words} ({x} and {y})"),
        _ => words,
    })
}

fn attributes(a: &Examined, first: &Landmark, b: &Examined, second: &Landmark) -> Option<String> {
    let (x, y) = (a.model.graph().node(first.anchor), b.model.graph().node(second.anchor));
    if let (Some(p), Some(q)) = (Window::of(&a.model, first.anchor), Window::of(&b.model, second.anchor)) {
        return p.against(&q);
    }
    if x.op != y.op && x.op.name() != y.op.name() {
        return Some(format!("{} against {}", x.op.name(), y.op.name()));
    }
    let acts = |examined: &Examined, mark: &Landmark| {
        let nodes = mark.followers.iter().map(|&node| examined.model.graph().node(node));
        nodes.filter_map(|node| if let Op::Activation(f) = node.op { Some(f) } else { None }).collect::<Vec<_>>()
    };
    let (p, q) = (acts(a, first), acts(b, second));
    (p != q).then(|| format!("{} against {}", list(&p), list(&q)))
}

fn list(functions: &[residua_ir::Activation]) -> String {
    match functions {
        [] => "no activation".to_owned(),
        [..] => functions.iter().map(|function| function.name()).collect::<Vec<_>>().join(" and "),
    }
}

/// What a convolution or pool does apart from its weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    kind: &'static str,
    pub(super) kernel: Option<[usize; 2]>,
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    pub(super) padding: Padding,
    groups: usize,
    /// Zeros that are put around the image before, where that is not the operator's own padding.
    pub(super) zeros: Pads,
}

impl Window {
    pub(super) fn of(model: &Checked, id: NodeId) -> Option<Self> {
        let node = model.graph().node(id);
        let zeros = zeros_before(model, node);
        let (kind, kernel, strides, dilations, padding, groups) = match &node.op {
            Op::Conv(c) => ("convolution", None, c.strides, c.dilations, c.padding, c.groups),
            Op::MaxPool(p) => ("maximum", Some(p.kernel), p.strides, p.dilations, p.padding, 1),
            Op::AvgPool(p) => ("average", Some(p.kernel), p.strides, p.dilations, p.padding, 1),
            _ => return None,
        };
        // Zeros are what a convolution pads with anyway.
        match (kind, padding) {
            ("convolution", Padding::Explicit(own)) if !zeros.is_zero() => {
                let padding = Padding::Explicit(Pads {
                    top: own.top + zeros.top,
                    left: own.left + zeros.left,
                    bottom: own.bottom + zeros.bottom,
                    right: own.right + zeros.right,
                });
                Some(Self { kind, kernel, strides, dilations, padding, groups, zeros: Pads::default() })
            }
            _ => Some(Self { kind, kernel, strides, dilations, padding, groups, zeros }),
        }
    }

    /// Another model's operator of the same kind with this window, on what is padded there.
    pub(super) fn on(&self, model: &Checked, id: NodeId) -> Expr {
        let (graph, node) = (model.graph(), model.graph().node(id));
        let Self { strides, dilations, padding, .. } = *self;
        let op = match node.op {
            Op::Conv(conv) => Op::Conv(Conv { strides, dilations, padding, ..conv }),
            Op::MaxPool(pool) => {
                let kernel = self.kernel.unwrap_or(pool.kernel);
                Op::MaxPool(MaxPool { kernel, strides, dilations, padding, ..pool })
            }
            Op::AvgPool(pool) => {
                let kernel = self.kernel.unwrap_or(pool.kernel);
                Op::AvgPool(AvgPool { kernel, strides, dilations, padding, ..pool })
            }
            ref other => other.clone(),
        };
        let mut operands: Vec<Expr> = node.inputs.iter().map(|&input| input.into()).collect();
        if !zeros_before(model, node).is_zero()
            && let Some(pad) = node.inputs.first().and_then(|&x| graph.producer(x))
            && let Some(&bare) = graph.node(pad).inputs.first()
        {
            operands[0] = bare.into();
        }
        if !self.zeros.is_zero() {
            let pad = Op::Pad(Pad { pads: self.zeros, channels: [0, 0], value: 0.0 });
            operands[0] = Expr::step("padded", pad, vec![operands[0].clone()]);
        }
        Expr::made(op, operands)
    }

    pub(super) fn against(&self, other: &Self) -> Option<String> {
        let pair = |what: &str, a: [usize; 2], b: [usize; 2]| (a != b).then(|| format!("{what} {a:?} against {b:?}"));
        if self.kind != other.kind {
            return Some(format!("{} against {}", self.kind, other.kind));
        }
        pair("stride", self.strides, other.strides)
            .or_else(|| pair("window", self.kernel?, other.kernel?))
            .or_else(|| {
                let (a, b) = (self.padding(), other.padding());
                (a != b).then(|| format!("padding {a} against {b}"))
            })
            .or_else(|| pair("dilation", self.dilations, other.dilations))
            .or_else(|| {
                (self.groups != other.groups).then(|| format!("groups {} against {}", self.groups, other.groups))
            })
    }

    /// All padding, in words.
    pub(super) fn padding(&self) -> String {
        let sides = |Pads { top, left, bottom, right }: Pads| {
            format!("(top {top}, left {left}, bottom {bottom}, right {right})")
        };
        let with = if self.kind == "maximum" { "−∞" } else { "0" };
        match (self.padding, self.zeros.is_zero()) {
            (Padding::Explicit(own), true) if self.kind == "maximum" && !own.is_zero() => {
                format!("{} with {with}", sides(own))
            }
            (Padding::Explicit(own), true) => sides(own),
            (Padding::Explicit(own), false) if own.is_zero() => format!("{} with 0", sides(self.zeros)),
            (Padding::Explicit(own), false) => format!("{} with 0 and {} with {with}", sides(self.zeros), sides(own)),
            (Padding::SameUpper | Padding::SameLower, _) => format!("{:?}", self.padding),
        }
    }
}

/// Zeros around an image by an operator of its own.
fn zeros_before(model: &Checked, node: &Node) -> Pads {
    let before = node.inputs.first().and_then(|&x| model.graph().producer(x));
    match before.map(|before| &model.graph().node(before).op) {
        Some(Op::Pad(pad)) if pad.value == 0.0 && pad.channels == [0, 0] => pad.pads,
        _ => Pads::default(),
    }
}

/// The epsilons of the batch norms of a fused layer.
pub(super) fn norm_epsilons(examined: &Examined, mark: &Landmark) -> Vec<(NodeId, f64)> {
    let nodes = std::iter::once(mark.anchor).chain(mark.followers.iter().copied());
    nodes
        .filter_map(|id| match examined.model.graph().node(id).op {
            Op::BatchNorm(norm) => Some((id, norm.epsilon)),
            _ => None,
        })
        .collect()
}

/// Whether two epsilons are different numbers, not one that was rounded to f32 on its way.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked about")]
pub(super) fn are_other_epsilons(a: f64, b: f64) -> bool {
    (a as f32 - b as f32).abs() > f32::EPSILON * (a as f32).abs().max((b as f32).abs())
}

fn epsilons(a: &Examined, first: &Landmark, b: &Examined, second: &Landmark) -> Option<String> {
    let (p, q) = (norm_epsilons(a, first), norm_epsilons(b, second));
    let differing = p.iter().zip(&q).find(|((_, p), (_, q))| are_other_epsilons(*p, *q))?;
    // What an exporter wrote out has none left.
    let written_out = [differing.0.1, differing.1.1].contains(&0.0);
    (!written_out).then(|| format!("epsilon of the norm behind it {:e} against {:e}", differing.0.1, differing.1.1))
}

fn tensors_differ(a: &Checked, p: ValueId, b: &Checked, q: ValueId) -> Option<String> {
    let (p, q) = (a.graph().as_parameter(p)?, b.graph().as_parameter(q)?);
    let (x, y) = (p.tensor.to_f64().ok()?, q.tensor.to_f64().ok()?);
    if x.len() != y.len() {
        return Some(format!("`{}` {:?} against `{}` {:?}", p.name, p.tensor.shape(), q.name, q.tensor.shape()));
    }
    let largest = x.iter().zip(&y).fold(0.0f64, |largest, (x, y)| largest.max((x - y).abs()));
    (largest > 0.0).then(|| format!("`{}` and `{}` differ by up to {largest:e}", p.name, q.name))
}
