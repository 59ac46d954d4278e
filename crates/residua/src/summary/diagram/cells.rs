//! The words in the boxes.

use residua_ir::{AvgPool, Checked, Dim, Elementwise, GlobalPool, MaxPool, Node, Op, PoolKind, Reduce, Shape, ValueId};
use residua_resnet::anatomy::ConvNormAct;

use super::{Bound, Cell, CellKind};

/// Longer names are cut.
const LONGEST: usize = 40;

/// `3×3, 64, /2`: kernel, channels, stride; groups and dilation where there are any.
pub(super) fn conv(conv: &ConvNormAct, bound: Bound) -> Cell {
    let mut parts = Vec::new();
    parts.push(if conv.kernel[0] == 0 { "conv".to_owned() } else { window(conv.kernel) });
    parts.push(conv.outputs.to_string());
    push_stride(&mut parts, conv.stride);
    push_groups(&mut parts, conv.groups, conv.outputs);
    if conv.dilation > 1 {
        parts.push(format!("d{}", conv.dilation));
    }
    Cell { text: parts.join(", "), kind: CellKind::Weighted(bound), strided: conv.stride > 1 }
}

fn window([rows, columns]: [usize; 2]) -> String {
    format!("{rows}×{columns}")
}

fn push_stride(parts: &mut Vec<String>, stride: usize) {
    if stride > 1 {
        parts.push(format!("/{stride}"));
    }
}

fn push_groups(parts: &mut Vec<String>, groups: usize, outputs: usize) {
    if groups > 1 {
        parts.push(if groups == outputs { "depthwise".to_owned() } else { format!("g{groups}") });
    }
}

fn pool(what: &str, kernel: [usize; 2], strides: [usize; 2]) -> Cell {
    let mut parts = vec![format!("{what} {}", window(kernel))];
    let stride = strides[0].max(strides[1]);
    push_stride(&mut parts, stride);
    Cell { text: parts.join(", "), kind: CellKind::Pool, strided: stride > 1 }
}

/// A fixed filter before a stride.
pub(super) fn blur(model: &Checked, node: &Node) -> Cell {
    let strides = if let Op::Conv(conv) = node.op { conv.strides } else { [1; 2] };
    let kernel = node.inputs.get(1).and_then(|&kernel| model.shape_of(kernel)?.as_fixed()).unwrap_or_default();
    let at = |axis: usize| kernel.get(axis).copied().unwrap_or(0);
    pool("blur", [at(2), at(3)], strides)
}

/// What a node does, where a drawing should say so; nothing for norms, activations and changes of shape.
pub(super) fn node(model: &Checked, node: &Node) -> Option<Cell> {
    let op = &node.op;
    if let Op::Conv(attributes) = op {
        let kernel = model.shape_of(*node.inputs.get(1)?)?.as_fixed()?;
        let at = |axis: usize| kernel.get(axis).copied().unwrap_or(0);
        let mut parts = vec![window([at(2), at(3)]), at(0).to_string()];
        let stride = attributes.strides[0].max(attributes.strides[1]);
        push_stride(&mut parts, stride);
        push_groups(&mut parts, attributes.groups, at(0));
        return Some(Cell { text: parts.join(", "), kind: CellKind::Weighted(Bound::Nowhere), strided: stride > 1 });
    }
    if matches!(op, Op::Linear | Op::MatMul) {
        return Some(dense(model, node));
    }
    if let Op::MaxPool(MaxPool { kernel, strides, .. }) = op {
        return Some(pool("max", *kernel, *strides));
    }
    if let Op::AvgPool(AvgPool { kernel, strides, .. }) = op {
        return Some(pool("mean", *kernel, *strides));
    }
    if let Op::GlobalPool(GlobalPool { kind, .. }) | Op::Reduce(Reduce { kind, .. }) = op {
        return Some(global_pool(*kind));
    }
    // Adding a constant is a bias.
    let joins = || node.inputs.iter().filter(|&&value| model.graph().as_parameter(value).is_none()).count() > 1;
    if let Op::Slice { axis: 2, step, .. } = op {
        return (*step > 1).then(|| Cell { strided: true, ..Cell::new(format!("thin, /{step}"), CellKind::Pool) });
    }
    let text = if let Op::Pad(pad) = op {
        (pad.channels != [0, 0]).then(|| format!("zeros, +{}", pad.channels[0] + pad.channels[1]))
    } else if let Op::Concat { .. } = op {
        joins().then(|| "concat".to_owned())
    } else if let Op::Elementwise(Elementwise::Add) = op {
        joins().then(|| "add".to_owned())
    } else if let Op::Opaque(opaque) = op {
        Some(cut(&opaque.op_type))
    } else {
        matches!(op, Op::ConvTranspose(_) | Op::LpPool(_) | Op::Resize(_)).then(|| op.name().to_owned())
    };
    Some(Cell::new(text?, CellKind::Other))
}

/// A fully connected layer.
pub(super) fn dense(model: &Checked, node: &Node) -> Cell {
    let outputs = model.shape_of(node.output()).and_then(|shape| shape.dims().last()?.fixed());
    let text = outputs.map_or_else(|| "dense".to_owned(), |outputs| format!("dense, {outputs}"));
    Cell::new(text, CellKind::Weighted(Bound::Nowhere))
}

fn global_pool(kind: PoolKind) -> Cell {
    let text = match kind {
        PoolKind::Mean => "global mean",
        PoolKind::Max => "global max",
        PoolKind::Sum
        | PoolKind::Min
        | PoolKind::Product
        | PoolKind::L1
        | PoolKind::L2
        | PoolKind::SumSquare
        | PoolKind::LogSum
        | PoolKind::LogSumExp => "global pool",
    };
    Cell::new(text, CellKind::Pool)
}

/// A name that is not too long.
pub(super) fn cut(name: &str) -> String {
    let clean = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = clean.clone().take(LONGEST).collect();
    if clean.count() > LONGEST { format!("{text}…") } else { text }
}

/// An input or output with its shape, in the source's axis order.
pub(super) fn end(model: &Checked, value: ValueId) -> Cell {
    let name = cut(model.graph().value(value).name.raw());
    let shape = model.source_shape_of(value).map(|shape| dims(&shape.dims()[1.min(shape.rank())..]));
    let text = match shape.filter(|shape| !shape.is_empty()) {
        Some(shape) => format!("{name} {shape}"),
        None => name,
    };
    Cell::new(text, CellKind::End)
}

fn dims(dims: &[Dim]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}

/// `56×56` of a map in NCHW.
pub(super) fn pixels(shape: &Shape) -> String {
    dims(shape.dims().get(2..).unwrap_or_default())
}

/// `256 channels` of a map in NCHW, `1000 features` of what has no pixels.
pub(super) fn channels(shape: Option<&Shape>) -> String {
    match shape.map(Shape::dims) {
        Some([_, channels, _, ..]) => format!("{channels} channel{}", s(channels)),
        Some([_, features]) => format!("{features} feature{}", s(features)),
        Some(_) | None => String::new(),
    }
}

fn s(count: &Dim) -> &'static str {
    if count.fixed() == Some(1) { "" } else { "s" }
}

/// `56×56, 256 channels` of a map in NCHW.
pub(super) fn map(shape: Option<&Shape>) -> String {
    let words = [shape.map(pixels).unwrap_or_default(), channels(shape)];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Rows of a map as a share of the image's.
pub(super) fn scale(model: &Checked, value: ValueId) -> Option<f64> {
    let rows = |value: ValueId| model.shape_of(value).filter(|shape| shape.rank() == 4)?.dims()[2].fixed();
    let image = rows(*model.graph().inputs().first()?)?;
    #[expect(clippy::cast_precision_loss, reason = "sizes of images")]
    Some(rows(value)? as f64 / image.max(1) as f64)
}
