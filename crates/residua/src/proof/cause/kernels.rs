//! Kernels that are turned: flipped along both axes, as a true convolution has them, or with rows and columns exchanged.

use crate::error::Result;
use residua_ir::Op;

use super::super::fused_layer::Weights;
use super::{Case, Change, Trial, with_weights};

/// Taps of one kernel, row-major, and how many a row has; turned.
type Turn = fn(&[f64], usize) -> Vec<f64>;

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let turns: [(&str, Turn); 2] = [
        ("the kernels are flipped along both axes", |taps, _| taps.iter().rev().copied().collect()),
        ("rows and columns of the kernels are exchanged", |taps, width| {
            (0..taps.len()).map(|at| taps[at % width * width + at / width]).collect()
        }),
    ];
    Ok(turns
        .into_iter()
        .filter_map(|(what, turn)| {
            let change = Change::B(turned(case, turn)?);
            Some(Trial { kind: "kernels", what: what.to_owned(), change })
        })
        .collect())
}

/// The second model with its square kernels turned.
fn turned(case: &Case<'_>, turn: Turn) -> Option<residua_ir::Graph> {
    let differs = |pair: &super::Pair| !pair.holds();
    // Only where a first wide convolution differs at all.
    case.marks().find(|(pair, a, _)| differs(pair) && width(case, a).is_some())?;
    // Who turns kernels turns all of them.
    if case.marks().any(|(_, a, b)| is_right(case, a, b, turn)) {
        return None;
    }
    case.edited(|edits| {
        for (_, a, b) in case.marks() {
            let Some(width) = width(case, a).filter(|&width| width > 1) else { continue };
            let Some(mut weights) = Weights::of(case.b(), b) else { continue };
            let taps = weights.kernel.chunks(width * width).flat_map(|taps| turn(taps, width)).collect();
            weights.kernel = taps;
            if let Some(expr) = with_weights(case.b(), b, &weights) {
                edits.replace(weights.end, expr);
            }
        }
    })
}

/// Whether a kernel is the same in both, and would not be once it was turned.
fn is_right(case: &Case<'_>, a: &super::Landmark, b: &super::Landmark, turn: Turn) -> bool {
    let Some(width) = width(case, a).filter(|&width| width > 1) else { return false };
    let (Some(wanted), Some(has)) = (Weights::of(case.a(), a), Weights::of(case.b(), b)) else { return false };
    let same = |has: &Weights| wanted.differences(has).is_some_and(|found| found.is_none());
    let turned = || has.kernel.chunks(width * width).flat_map(|taps| turn(taps, width)).collect();
    same(&has) && !same(&Weights { kernel: turned(), ..has.clone() })
}

/// Rows of a square kernel.
fn width(case: &Case<'_>, mark: &super::Landmark) -> Option<usize> {
    let graph = case.a().model.graph();
    let node = graph.node(mark.anchor);
    let kernel = graph.as_parameter(*node.inputs.get(1)?).filter(|_| matches!(node.op, Op::Conv(_)))?;
    match *kernel.tensor.shape() {
        [_, _, height, width] if height == width && width > 1 => Some(width),
        _ => None,
    }
}
