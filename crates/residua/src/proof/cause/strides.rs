//! The strides are on other convolutions: ResNet v1 against v1.5.

use crate::error::Result;

use super::{Case, Change, Trial, and_more};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let found = case.windows(|a, b| a.strides != b.strides);
    Ok(found.into_iter().map(|(graph, places)| trial(&places, Change::B(graph))).collect())
}

fn trial(places: &[String], change: Change) -> Trial {
    Trial { kind: "strides", what: format!("strides are elsewhere: {}", and_more(places)), change }
}
