//! Receptive fields: how much of the image a pixel of each value depends on, through windows alone.
//!
//! A window of k taps at dilation d and stride s widens the field r by (k − 1)·d·j, where j is the step: pixels of the
//! image between neighbouring pixels of its operand. It makes the step j·s (Araujo, Norris and Sim 2019, Computing
//! Receptive Fields of Convolutional Neural Networks). Where paths meet, as behind a residual block, the widest counts.
//!
//! What reaches a pixel through a pool over the whole image (a squeeze-and-excite gate, the statistics of a group
//! norm) is left out as long as another path is there, or every field behind it would be the image.

use crate::graph::{Node, ValueId, ValueKind};
use crate::op::description::{Axes, Flow};
use crate::shape::window::Window;
use crate::validate::Checked;

/// What one pixel of a value depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceptiveField {
    /// A window of the image. The window may be larger than the image.
    Window {
        /// Rows and columns.
        size: [u64; 2],
        /// Rows and columns of the image between neighbouring pixels: the product of all strides.
        step: [u64; 2],
    },
    /// The whole image.
    Whole,
}

/// A field on its way through a graph, with the axes that are its rows and columns.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Part {
        size: [u64; 2],
        step: [u64; 2],
        /// Not known before the first window, for a graph may still turn NHWC into NCHW; gone behind the last.
        axes: Option<[usize; 2]>,
    },
    Whole,
}

impl Seen {
    const PIXEL: Self = Self::Part { size: [1; 2], step: [1; 2], axes: None };
}

/// The field of each value, in the graph's order; `None` for what does not come from an image alone, and behind
/// operators that are not known.
#[must_use]
pub fn receptive_fields(model: &Checked) -> Vec<Option<ReceptiveField>> {
    let graph = model.graph();
    let is_image = |id: ValueId| model.shape_of(id).is_some_and(|shape| shape.rank() == 4);
    let mut seen: Vec<Option<Seen>> = vec![None; graph.values().len()];
    for &input in graph.inputs() {
        seen[input.index()] = is_image(input).then_some(Seen::PIXEL);
    }
    let mut constant: Vec<bool> =
        graph.values().iter().map(|value| matches!(value.kind, ValueKind::Parameter(_))).collect();
    for node in graph.nodes() {
        let operands: Vec<ValueId> = node.read().iter().copied().filter(|id| !constant[id.index()]).collect();
        let behind = operands.iter().map(|id| seen[id.index()]).reduce(|a, b| join(a?, b?)).flatten();
        let result = behind.and_then(|seen| step(model, node, seen, operands.len()));
        for output in &node.outputs {
            seen[output.index()] = result;
            constant[output.index()] = operands.is_empty();
        }
    }
    seen.into_iter()
        .map(|seen| match seen? {
            Seen::Part { size, step, .. } => Some(ReceptiveField::Window { size, step }),
            Seen::Whole => Some(ReceptiveField::Whole),
        })
        .collect()
}

/// What is seen where two paths meet.
fn join(a: Seen, b: Seen) -> Option<Seen> {
    let (a_part, b_part) = match (a, b) {
        (Seen::Whole, other) | (other, Seen::Whole) => return Some(other),
        (Seen::Part { size: a, step: s, axes: x }, Seen::Part { size: b, step: t, axes: y }) => ((a, s, x), (b, t, y)),
    };
    let larger = |a: [u64; 2], b: [u64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
    let axes = match (a_part.2, b_part.2) {
        (Some(x), Some(y)) if x != y => return None,
        (x, y) => x.or(y),
    };
    Some(Seen::Part { size: larger(a_part.0, b_part.0), step: larger(a_part.1, b_part.1), axes })
}

/// What is seen behind a node whose operands, joined, see this.
fn step(model: &Checked, node: &Node, seen: Seen, paths: usize) -> Option<Seen> {
    let flow = node.op.describe().flow;
    let Seen::Part { size, step, axes } = seen else {
        // A product of two computed values may bring anything together; so may what is not known.
        return (flow != Flow::Unknown).then_some(seen);
    };
    let with_axes = |axes: Option<[usize; 2]>| Some(Seen::Part { size, step, axes });
    match flow {
        Flow::SamePlace | Flow::Scaled(_) | Flow::Padded(_) | Flow::Joined { .. } => Some(seen),
        Flow::Window(windows) => {
            let kernel = match windows.kernel {
                Some(kernel) => kernel,
                None => {
                    let kernel = model.shape_of(*node.inputs.get(1)?)?.as_fixed()?;
                    [*kernel.get(2)?, *kernel.get(3)?]
                }
            };
            window(size, step, axes, pair(kernel, windows.strides, windows.dilations))
        }
        Flow::AllPixels | Flow::Everything => Some(Seen::Whole),
        Flow::Reduced { axes, keep } => reduced(model, node, seen, axes, keep),
        Flow::Along(mixed) => mixed_along(model, node, seen, &mixed),
        Flow::MatrixProduct if paths == 1 => mixed_along(model, node, seen, &Axes::Last(1)),
        // Attention, what makes images larger, what takes by position: not the windows that this is about.
        Flow::MatrixProduct
        | Flow::Spread(_)
        | Flow::Resampled(_)
        | Flow::Gathered { .. }
        | Flow::Anywhere
        | Flow::Expanded(_)
        | Flow::Tiled(_)
        | Flow::SizesAlone
        | Flow::Unknown => None,
        Flow::Flattened { .. } | Flow::Reshaped(_) => reshaped(model, node, seen),
        Flow::Transposed(perm) => {
            let place = |axis: usize| perm.iter().position(|&from| from == axis);
            match axes {
                Some([rows, columns]) => with_axes(Some([place(rows)?, place(columns)?])),
                None => Some(seen),
            }
        }
        Flow::Squeezed(gone) => with_axes(
            axes.filter(|axes| !axes.iter().any(|axis| gone.contains(axis)))
                .map(|axes| axes.map(|axis| axis - gone.iter().filter(|&&gone| gone < axis).count())),
        ),
        Flow::Unsqueezed(new) => with_axes(axes.map(|axes| {
            axes.map(|axis| new.iter().fold(axis, |axis, &new| if new <= axis { axis + 1 } else { axis }))
        })),
        Flow::Sliced { axis, step: every } => {
            let thinned = |index: usize| match axes {
                Some(axes) if axes[index] == axis => step[index].saturating_mul(every.unsigned_abs()),
                Some(_) | None => step[index],
            };
            Some(Seen::Part { size, step: [thinned(0), thinned(1)], axes })
        }
    }
}

/// Behind a reduction over some axes.
fn reduced(model: &Checked, node: &Node, seen: Seen, over: &[usize], keep_dims: bool) -> Option<Seen> {
    let Seen::Part { size, step, axes } = seen else { return Some(seen) };
    let Some(pixels) = axes else {
        // Before the first window any axis may be one of rows or columns.
        return Some(if model.shape_of(*node.inputs.first()?)?.rank() == 4 { Seen::Whole } else { seen });
    };
    if pixels.iter().any(|axis| over.contains(axis)) {
        return Some(Seen::Whole);
    }
    let removed = |axis: usize| over.iter().filter(|&&gone| gone < axis && !keep_dims).count();
    Some(Seen::Part { size, step, axes: Some(pixels.map(|axis| axis - removed(axis))) })
}

fn pair(kernel: [usize; 2], strides: [usize; 2], dilations: [usize; 2]) -> [Window; 2] {
    [0, 1].map(|axis| Window { kernel: kernel[axis], stride: strides[axis], dilation: dilations[axis] })
}

fn window(size: [u64; 2], step: [u64; 2], axes: Option<[usize; 2]>, windows: [Window; 2]) -> Option<Seen> {
    if axes.is_some_and(|axes| axes != [2, 3]) {
        return None;
    }
    let grown = |axis: usize| {
        let beyond_the_first = u64::try_from(windows[axis].extent()?).ok()?.checked_sub(1)?;
        size[axis].checked_add(beyond_the_first.checked_mul(step[axis])?)
    };
    let stepped = |axis: usize| step[axis].checked_mul(windows[axis].stride as u64);
    Some(Seen::Part { size: [grown(0)?, grown(1)?], step: [stepped(0)?, stepped(1)?], axes: Some([2, 3]) })
}

/// Behind what mixes elements along some axes, which stay.
fn mixed_along(model: &Checked, node: &Node, seen: Seen, mixed: &Axes<'_>) -> Option<Seen> {
    let rank = model.shape_of(*node.inputs.first()?)?.rank();
    Some(match seen {
        Seen::Part { axes: Some(axes), .. } if axes.iter().any(|&axis| mixed.contain(axis, rank)) => Seen::Whole,
        Seen::Part { .. } | Seen::Whole => seen,
    })
}

/// Behind a change of shape: the same where rows and columns stay the last two axes, or there is one pixel only.
fn reshaped(model: &Checked, node: &Node, seen: Seen) -> Option<Seen> {
    let Seen::Part { size, step, axes } = seen else { return Some(seen) };
    let (before, after) = (model.shape_of(*node.inputs.first()?)?, model.shape_of(node.output())?);
    let Some(axes) = axes else {
        // The image itself, or features that have no pixels any more.
        return Some(if before.rank() == 4 { Seen::Whole } else { seen });
    };
    let pixels = axes.map(|axis| before.dims().get(axis));
    if pixels.iter().all(|dim| dim.and_then(|dim| dim.fixed()) == Some(1)) {
        return Some(Seen::Part { size, step, axes: None });
    }
    let rank = after.rank();
    let stay = rank >= 2
        && axes == [before.rank() - 2, before.rank() - 1]
        && axes.iter().zip(&after.dims()[rank - 2..]).all(|(&axis, dim)| before.dims()[axis].is_equal(dim));
    Some(if stay { Seen::Part { size, step, axes: Some([rank - 2, rank - 1]) } } else { Seen::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Activation, AvgPool, Conv, Dim, Elementwise, GlobalPool, GraphBuilder, MaxPool, Op, Padding, Pads, PoolKind,
        ReshapeDim, Shape, Tensor, validate,
    };

    struct Net(GraphBuilder);

    impl Net {
        fn new(shape: Shape) -> (Self, ValueId) {
            let mut g = GraphBuilder::new("net");
            let x = g.input("x", shape);
            (Self(g), x)
        }

        /// An image of 4 channels and free size.
        fn image() -> (Self, ValueId) {
            Self::new(Shape::new(vec![Dim::symbol("N"), Dim::Fixed(4), Dim::symbol("H"), Dim::symbol("W")]))
        }

        fn conv(&mut self, x: ValueId, k: usize, stride: usize, dilation: usize) -> ValueId {
            let kernel = self.0.weight("kernel", Tensor::from_f32(vec![4, 4, k, k], &vec![0.0; 16 * k * k]).unwrap());
            let padding = Padding::Explicit(Pads::all(k / 2 * dilation));
            let conv = Conv { strides: [stride; 2], padding, dilations: [dilation; 2], groups: 1 };
            self.0.add("conv", Op::Conv(conv), &[x, kernel])
        }

        fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
            self.0.add("op", op, inputs)
        }

        fn field(mut self, output: ValueId) -> Option<ReceptiveField> {
            self.0.output(output);
            receptive_fields(&validate(self.0.finish().unwrap()).unwrap())[output.index()]
        }
    }

    fn window(size: u64, step: u64) -> Option<ReceptiveField> {
        Some(ReceptiveField::Window { size: [size; 2], step: [step; 2] })
    }

    fn add() -> Op {
        Op::Elementwise(Elementwise::Add)
    }

    #[test]
    fn windows_add_up_and_strides_multiply() {
        let (mut net, x) = Net::image();
        let x = net.conv(x, 7, 2, 1);
        let padding = Padding::Explicit(Pads::all(1));
        let pool = MaxPool { kernel: [3; 2], strides: [2; 2], padding, dilations: [1; 2], ceil_mode: false };
        let x = net.op(Op::MaxPool(pool), &[x]);
        let x = net.conv(x, 3, 1, 1);
        let x = net.conv(x, 3, 1, 2);
        // 7, 7 + 2·2, 11 + 2·4, 19 + 4·4.
        assert_eq!(net.field(x), window(35, 4));
    }

    #[test]
    fn behind_a_block_the_widest_path_counts() {
        let (mut net, x) = Net::image();
        let narrow = net.conv(x, 1, 2, 1);
        let wide = net.conv(x, 3, 2, 1);
        let wide = net.conv(wide, 3, 1, 1);
        let sum = net.op(add(), &[narrow, wide]);
        assert_eq!(net.field(sum), window(7, 2));
    }

    #[test]
    fn a_gate_over_the_whole_image_does_not_count_and_a_pool_at_the_end_does() {
        let global = |keep_dims| Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims });
        let (mut net, x) = Net::image();
        let x = net.conv(x, 3, 1, 1);
        let gate = net.op(global(true), &[x]);
        let gate = net.conv(gate, 1, 1, 1);
        let x = net.op(Op::Elementwise(Elementwise::Mul), &[x, gate]);
        assert_eq!(net.field(x), window(3, 1));
        let (mut net, x) = Net::image();
        let x = net.op(global(false), &[x]);
        assert_eq!(net.field(x), Some(ReceptiveField::Whole));
    }

    #[test]
    fn rows_and_columns_are_followed_through_changes_of_axes() {
        let (mut net, x) = Net::new(Shape::batch(&[8, 8, 4]));
        let x = net.op(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[x]);
        let x = net.conv(x, 3, 2, 1);
        let x = net.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[x]);
        let x = net.op(Op::slice(1, 0, None, 2), &[x]);
        let x = net.op(Op::Softmax { axis: 3 }, &[x]);
        let expected = ReceptiveField::Window { size: [3; 2], step: [4, 2] };
        assert_eq!(net.field(x), Some(expected));
    }

    #[test]
    fn what_is_flattened_depends_on_every_pixel_unless_there_is_one() {
        for (size, expected) in [(8, Some(ReceptiveField::Whole)), (4, window(6, 4))] {
            let (mut net, x) = Net::new(Shape::batch(&[4, size, size]));
            let x = net.conv(x, 3, 1, 1);
            let pool = AvgPool {
                kernel: [4; 2],
                strides: [4; 2],
                padding: Padding::default(),
                dilations: [1; 2],
                ceil_mode: false,
                count_include_pad: true,
            };
            let x = net.op(Op::AvgPool(pool), &[x]);
            let x = net.op(Op::Reshape { shape: vec![ReshapeDim::Copy(0), ReshapeDim::Infer] }, &[x]);
            assert_eq!(net.field(x), expected, "{size}");
        }
    }

    #[test]
    fn what_comes_from_no_image_has_no_field() {
        let (mut net, x) = Net::new(Shape::batch(&[4]));
        let x = net.op(Op::Activation(Activation::RELU), &[x]);
        assert_eq!(net.field(x), None);
    }
}
