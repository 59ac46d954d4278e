//! Inputs to run a model on when the user gives none.

use crate::error::{Context, Result, bail};
use residua_exec::Array;
use residua_ir::budget::{Limit, Meter};
use residua_ir::tensor::element_count;
use residua_ir::{Checked, Graph, Hint, Shape, validate};

/// Sizes tried for a free height and width: that of the images of small networks, one that is large enough for five
/// halvings, then larger.
const FREE_SIZES: [usize; 4] = [SMALL, 64, 224, 512];

/// Taken where no image becomes smaller than [`SMALLEST`] on its way: a run takes a fourth of the time.
const SMALL: usize = 32;

/// Sides of an image that has more inside than borders, for most windows.
const SMALLEST: usize = 8;

/// Images at least this high get a batch of one; smaller ones more, so that batches are tried too.
const LARGE: usize = 96;

/// The model with every size known: what the user fixed, what another model fixes, axis by axis, then what a probe needs.
pub(super) fn fix_sizes(
    model: &Checked,
    wanted: &[Option<Vec<usize>>],
    elsewhere: &[Vec<Option<usize>>],
) -> Result<Checked> {
    let graph = model.graph();
    let inputs: Vec<Shape> = graph
        .inputs()
        .iter()
        .map(|&id| model.shape_of(id).cloned().context("an input without a shape"))
        .collect::<Result<_>>()?;
    let mut last = None;
    for free in FREE_SIZES {
        let shapes: Vec<Option<Vec<usize>>> = inputs
            .iter()
            .enumerate()
            .map(|(i, shape)| {
                let elsewhere = elsewhere.get(i).map(Vec::as_slice).unwrap_or_default();
                wanted.get(i).cloned().flatten().or_else(|| Some(sizes(shape, elsewhere, free)))
            })
            .collect();
        match validate(graph.clone().with_input_shapes(&shapes)?) {
            Ok(checked) if free == SMALL && !stays_large(model, &checked) => {}
            Ok(checked) => return Ok(checked),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => {
            let hint = Hint::InputShapes;
            Err(error)
                .context(format!("the model does not hold together at any size that was tried; fix it with {hint}"))
        }
        None => bail!("no size to try"),
    }
}

/// Whether all images whose size was free have sides of [`SMALLEST`] at least.
fn stays_large(model: &Checked, fixed: &Checked) -> bool {
    let large = |value| {
        let (Some(free), Some(shape)) = (model.shape_of(value), fixed.shape_of(value)) else { return true };
        let sides = free.dims().iter().zip(shape.dims()).skip(2).filter(|(free, _)| free.fixed().is_none());
        free.rank() != 4 || sides.into_iter().all(|(_, side)| side.fixed().is_none_or(|side| side >= SMALLEST))
    };
    model.graph().value_ids().all(large)
}

fn sizes(shape: &Shape, elsewhere: &[Option<usize>], free: usize) -> Vec<usize> {
    let known = |axis: usize| {
        let own = shape.dims().get(axis).and_then(residua_ir::Dim::fixed);
        own.or_else(|| elsewhere.get(axis).copied().flatten())
    };
    let height = if shape.rank() > 2 { known(2).unwrap_or(free) } else { 1 };
    let batch = if height >= LARGE { 1 } else { 2 };
    (0..shape.rank()).map(|axis| known(axis).unwrap_or(if axis == 0 { batch } else { free })).collect()
}

/// Cells along each side of an image.
const CELLS: usize = 4;

/// One array for each input, of numbers that f32 holds exactly, spread over `range`.
///
/// Images are a chequerboard of noise and of flat cells, one level a channel. Over noise, sums of many pixels are all
/// alike; flat cells drive whole regions of a map negative or positive, borders among them, so that what padding
/// holds and where a pool starts shows in the output. The same seed gives the same numbers on every machine.
pub(super) fn arrays(graph: &Graph, model: &Checked, range: (f32, f32), seed: u64) -> Result<Vec<Array>> {
    let mut state = seed;
    check_inputs(graph, model)?;
    graph
        .inputs()
        .iter()
        .map(|&id| {
            let shape = model.shape_of(id).and_then(|shape| shape.as_fixed()).context("an input of unknown size")?;
            let count = element_count(&shape)?;
            let mut values: Vec<f32> =
                (0..count).map(|_| range.0 + (range.1 - range.0) * uniform(&mut state)).collect();
            if let &[_, _, height, width] = &shape[..] {
                flatten_cells(&mut values, height, width);
            }
            Ok(Array::new(shape, values)?)
        })
        .collect()
}

/// Refuses inputs that a run could not hold, before any is made.
pub(super) fn check_inputs(graph: &Graph, model: &Checked) -> Result<()> {
    let mut bytes = Meter::new(Limit::ActivationBytes);
    for &id in graph.inputs() {
        let shape = model.shape_of(id).and_then(|shape| shape.as_fixed()).context("an input of unknown size")?;
        let name = &graph.value(id).name;
        let count = element_count(&shape).with_context(|| format!("input `{name}`"))?;
        let size = count.saturating_mul(size_of::<f64>());
        bytes.spend_here(size).with_context(|| format!("input `{name}` of shape {shape:?} cannot be made"))?;
    }
    Ok(())
}

/// Gives every second cell of each plane the value of its first element.
fn flatten_cells(values: &mut [f32], height: usize, width: usize) {
    let (rows, columns) = (height.div_ceil(CELLS).max(1), width.div_ceil(CELLS).max(1));
    for plane in values.chunks_mut((height * width).max(1)) {
        for y in 0..height {
            for x in (0..width).filter(|x| (y / rows + x / columns) % 2 == 1) {
                plane[y * width + x] = plane[y / rows * rows * width + x / columns * columns];
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), its upper 24 bits as a number in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
pub(crate) fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
}
