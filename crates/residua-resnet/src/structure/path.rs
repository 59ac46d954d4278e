//! One way from where paths part to where they are joined again, read from its end to its start.

use residua_ir::budget::Limit;
use residua_ir::op::description::Flow as DataFlow;
use residua_ir::{Activation, Conv, NodeId, Op, Role, ValueId};

use super::flow::Flow;
use super::parts::{ConvNormAct, NormKind, SqueezeExcite, Step};

/// More nodes than lie between a pool and its gate.
const MAX_GATE: usize = 32;

/// Nodes of one path, in the order in which data flows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Path {
    pub(crate) nodes: Vec<NodeId>,
    /// Values where the path forks and meets again, nested sums among them.
    pub(crate) merges: Vec<ValueId>,
    pub(crate) squeeze_excite: Option<SqueezeExcite>,
    pub(crate) other_gate: bool,
}

impl Path {
    /// The path from `from` to `to`; [`None`] where there is none, or it is longer than a block's.
    pub(crate) fn between(flow: &Flow, from: ValueId, to: ValueId) -> Option<Self> {
        let mut path = Self::default();
        let mut value = to;
        while value != from {
            if !flow.may_go_on(Limit::SearchPath, path.nodes.len()) {
                return None;
            }
            let node = flow.graph.producer(value)?;
            path.nodes.push(node);
            value = path.step_back(flow, node)?;
        }
        path.nodes.reverse();
        Some(path)
    }

    /// The value before a node, as the path sees it: through a gate along what is gated, and where paths meet along the
    /// one with most convolutions.
    pub(crate) fn step_back(&mut self, flow: &Flow, node: NodeId) -> Option<ValueId> {
        let operands = flow.operands(node);
        if let [only] = operands[..] {
            return Some(only);
        }
        let output = flow.output(node);
        let origin = flow.dominator(output);
        if let ([a, b], Step::Gate) = (&operands[..], flow.step(node))
            && let Some(origin) = origin
            && (origin == *a || origin == *b)
        {
            let gate = if origin == *a { *b } else { *a };
            match gate_kind(flow, node, origin, gate) {
                Some(Gate::SqueezeExcite(found)) => self.squeeze_excite = Some(found),
                Some(Gate::Other) => self.other_gate = true,
                None => {}
            }
            return Some(origin);
        }
        self.merges.push(output);
        flow.longest(&operands)
    }

    pub(crate) fn steps<'a>(&'a self, flow: &'a Flow) -> impl Iterator<Item = (NodeId, Step)> + 'a {
        self.nodes.iter().map(|&node| (node, flow.step(node)))
    }

    pub(crate) fn count(&self, flow: &Flow, step: Step) -> usize {
        self.steps(flow).filter(|&(_, s)| s == step).count()
    }

    /// Product of all strides.
    pub(crate) fn stride(&self, flow: &Flow) -> usize {
        self.nodes.iter().fold(1, |product, &node| product.saturating_mul(stride(flow, node)))
    }

    /// Which nodes carry a stride: `conv2`, `pool`, …; several are joined by `+`.
    pub(crate) fn stride_on(&self, flow: &Flow) -> Option<String> {
        let mut carriers = Vec::new();
        let mut conv = 0;
        for (node, step) in self.steps(flow) {
            conv += usize::from(step == Step::Conv);
            if stride(flow, node) > 1 {
                carriers.push(if step == Step::Conv {
                    format!("conv{conv}")
                } else if step == Step::Blur {
                    "blur".to_owned()
                } else if step == Step::Pool {
                    "pool".to_owned()
                } else {
                    "slice".to_owned()
                });
            }
        }
        (!carriers.is_empty()).then(|| carriers.join("+"))
    }

    /// The convolutions with the normalisation and activation of each: those behind it, or, with `before`, in front.
    pub(crate) fn convs(&self, flow: &Flow, before: bool) -> Vec<ConvNormAct> {
        let mut units: Vec<ConvNormAct> = Vec::new();
        let mut waiting = (None, None);
        for (node, step) in self.steps(flow) {
            if step == Step::Conv {
                let mut unit = conv_unit(flow, node);
                if before {
                    (unit.norm, unit.activation) = std::mem::take(&mut waiting);
                }
                units.push(unit);
            } else if matches!(step, Step::Norm | Step::Activation) {
                let place = match units.last_mut() {
                    Some(unit) if !before => (&mut unit.norm, &mut unit.activation),
                    Some(_) | None => (&mut waiting.0, &mut waiting.1),
                };
                let place = if step == Step::Norm { place.0 } else { place.1 };
                place.get_or_insert(node);
            }
        }
        units
    }
}

/// The larger stride of a node; 1 for whatever has none.
pub(crate) fn stride(flow: &Flow, node: NodeId) -> usize {
    let strides = match flow.graph.node(node).op.describe().flow {
        DataFlow::Window(windows) => windows.strides,
        // An image is thinned along both axes; one of them counts.
        DataFlow::Sliced { axis: 2, step } => [usize::try_from(step).unwrap_or(1); 2],
        DataFlow::Sliced { .. }
        | DataFlow::SamePlace
        | DataFlow::Scaled(_)
        | DataFlow::Padded(_)
        | DataFlow::Spread(_)
        | DataFlow::AllPixels
        | DataFlow::Along(_)
        | DataFlow::Reduced { .. }
        | DataFlow::Resampled(_)
        | DataFlow::MatrixProduct
        | DataFlow::Joined { .. }
        | DataFlow::Flattened { .. }
        | DataFlow::Reshaped(_)
        | DataFlow::Transposed(_)
        | DataFlow::Squeezed(_)
        | DataFlow::Unsqueezed(_)
        | DataFlow::Gathered { .. }
        | DataFlow::Anywhere
        | DataFlow::Expanded(_)
        | DataFlow::Tiled(_)
        | DataFlow::SizesAlone
        | DataFlow::Everything
        | DataFlow::Unknown => [1; 2],
    };
    strides[0].max(strides[1])
}

/// What there is to know about one convolution.
pub(crate) fn conv_unit(flow: &Flow, node: NodeId) -> ConvNormAct {
    let shape = flow.operand_shape(node, 1).unwrap_or_default();
    let at = |axis: usize| shape.get(axis).copied().unwrap_or(0);
    let conv = if let Op::Conv(conv) = flow.graph.node(node).op { conv } else { Conv::default() };
    ConvNormAct {
        node,
        kernel: [at(2), at(3)],
        stride: stride(flow, node),
        dilation: conv.dilations[0].max(conv.dilations[1]),
        groups: conv.groups,
        inputs: at(1).saturating_mul(conv.groups),
        outputs: at(0),
        bias: flow.graph.node(node).inputs.len() > 2,
        padding: conv.padding,
        norm: None,
        activation: None,
    }
}

/// What kind of normalisation a node is.
pub(crate) fn norm_kind(flow: &Flow, node: NodeId) -> Option<NormKind> {
    let op = &flow.graph.node(node).op;
    if flow.step(node) != Step::Norm {
        return None;
    }
    Some(if matches!(op, Op::BatchNorm(_)) {
        // Statistics that the source does not have.
        let variance = flow.graph.node(node).inputs.get(4).and_then(|&variance| flow.graph.as_parameter(variance));
        if variance.is_some_and(|variance| variance.role == Role::Default) { NormKind::Affine } else { NormKind::Batch }
    } else if matches!(op, Op::GroupNorm(_)) {
        if flow.instance_norms() { NormKind::Instance } else { NormKind::Group }
    } else if matches!(op, Op::LayerNorm(_)) {
        NormKind::Layer
    } else {
        NormKind::Affine
    })
}

/// What a value is multiplied with, where that is made from it by pooling over all pixels.
pub(super) enum Gate {
    SqueezeExcite(SqueezeExcite),
    /// One convolution over the channels (ECA), or a choice between branches (SK, ResNeSt).
    Other,
}

/// What `gate` multiplies `from` with.
pub(super) fn gate_kind(flow: &Flow, gate: NodeId, from: ValueId, to: ValueId) -> Option<Gate> {
    if let Some(found) = squeeze_excite(flow, gate, from, to) {
        return Some(Gate::SqueezeExcite(found));
    }
    let mut seen = vec![to];
    let mut at = 0;
    while let Some(&value) = seen.get(at).filter(|_| at < MAX_GATE) {
        at += 1;
        let Some(node) = flow.graph.producer(value).filter(|_| value != from) else { continue };
        if flow.step(node) == Step::GlobalPool {
            return Some(Gate::Other);
        }
        seen.extend(flow.operands(node).into_iter().filter(|operand| !seen.contains(operand)).collect::<Vec<_>>());
    }
    None
}

/// A gate of two layers with a squashing activation.
fn squeeze_excite(flow: &Flow, gate: NodeId, from: ValueId, to: ValueId) -> Option<SqueezeExcite> {
    let mut found = SqueezeExcite { gate, layers: Vec::new(), width: None };
    let (mut value, mut pooled) = (to, false);
    for _ in 0..MAX_GATE {
        if value == from {
            found.layers.reverse();
            found.width = found.layers.first().and_then(|&first| flow.operand_shape(first, 1)?.first().copied());
            return pooled.then_some(found);
        }
        let node = flow.graph.producer(value)?;
        let step = flow.step(node);
        // A choice between branches; a window over the channels.
        let kernel = flow.operand_shape(node, 1).filter(|_| step == Step::Conv).unwrap_or_default();
        if step == Step::Softmax || kernel.iter().skip(2).any(|&taps| taps > 1) {
            return None;
        }
        pooled |= step == Step::GlobalPool;
        if matches!(step, Step::Conv | Step::Dense) {
            found.layers.push(node);
        }
        value = flow.operand(node)?;
    }
    None
}

/// Name of an activation; a clip that is a ReLU by another name is called one.
pub(crate) fn activation_name(flow: &Flow, node: NodeId) -> String {
    let op = &flow.graph.node(node).op;
    match op {
        Op::Activation(Activation::Clip { min: Some(0.0), max: Some(6.0) }) => "Relu6",
        Op::Activation(Activation::Clip { min: Some(0.0), max: None }) => "Relu",
        other => other.name(),
    }
    .to_owned()
}
