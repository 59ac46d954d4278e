//! Windows pad otherwise: on another side, or a pool over zeros instead of −∞.

use crate::error::Result;

use super::{Case, Change, Trial, and_more};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let found = case.windows(|a, b| a.strides == b.strides && a.padding() != b.padding());
    Ok(found
        .into_iter()
        .map(|(graph, places)| {
            let what = format!("the padding is another: {}", and_more(&places));
            Trial { kind: "padding", what, change: Change::B(graph) }
        })
        .collect())
}
