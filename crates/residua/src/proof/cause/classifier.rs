//! A dense layer whose matrix is transposed, or whose columns are in the order of another flattening.

use crate::error::Result;
use residua_ir::{Op, ValueId};

use super::super::examined::Examined;
use super::super::fused_layer::Weights;
use super::{Case, Change, Trial, with_weights};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut found = Vec::new();
    for (pair, a, b) in case.marks() {
        if pair.holds() || !matches!(case.b_op(b), Op::Linear) {
            continue;
        }
        let Some(weights) = Weights::of(case.b(), b) else { continue };
        let (inputs, outputs) = (weights.row(), weights.bias.len());
        let mut orders: Vec<(String, Vec<f64>)> = Vec::new();
        if inputs == outputs {
            let turned = (0..inputs * outputs).map(|at| weights.kernel[at % outputs * inputs + at / outputs]).collect();
            orders.push(("its matrix is transposed".to_owned(), turned));
        }
        let image = flattened(case.b(), case.b().model.graph().node(b.anchor).inputs[0]);
        if let Some([channels, pixels]) =
            image.filter(|image| image.iter().all(|&size| size > 1) && image.iter().product::<usize>() == inputs)
        {
            let rows = weights.kernel.chunks(inputs);
            let last =
                rows.clone().flat_map(|row| (0..inputs).map(|at| row[at % pixels * channels + at / pixels])).collect();
            orders.push(("its matrix is for images that are flattened with their channels last".to_owned(), last));
            let first =
                rows.flat_map(|row| (0..inputs).map(|at| row[at % channels * pixels + at / channels])).collect();
            orders.push(("its matrix is for images that are flattened with their channels first".to_owned(), first));
        }
        for (what, kernel) in orders {
            let changed = Weights { kernel, ..weights.clone() };
            let expr = with_weights(case.b(), b, &changed);
            let graph = expr.and_then(|expr| case.edited(|edits| edits.replace(changed.end, expr)));
            found.extend(graph.map(|graph| Trial {
                kind: "classifier",
                what: format!("{}: {what}", case.place(a)),
                change: Change::B(graph),
            }));
        }
    }
    Ok(found)
}

/// Channels and pixels of the image that a value is flattened from.
fn flattened(examined: &Examined, mut value: ValueId) -> Option<[usize; 2]> {
    for _ in 0..8 {
        let shape = examined.model.shape_of(value)?.as_fixed()?;
        if let [_, channels, height, width] = shape[..] {
            return Some([channels, height * width]);
        }
        let graph = examined.model.graph();
        value = *graph.node(graph.producer(value)?).inputs.first()?;
    }
    None
}
