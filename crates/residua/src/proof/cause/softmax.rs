//! One of the models ends in a softmax or sigmoid, the other does not.

use crate::error::Result;

use super::super::compared_values::squashed;
use super::{Case, Change, Trial};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let (a, b) = (&case.a().model, &case.b().model);
    let pairs = a.graph().outputs().iter().zip(b.graph().outputs());
    let once = pairs.map(|(&x, &y)| (squashed(a, x).is_some(), squashed(b, y).is_some())).find(|(a, b)| a != b);
    let Some((first, _)) = once.filter(|_| !case.state.before_softmax) else { return Ok(Vec::new()) };
    let (with, without) = if first { ("A", "B") } else { ("B", "A") };
    let what = format!("{with} ends in a softmax or sigmoid, {without} gives what goes into it");
    Ok(vec![Trial { kind: "softmax", what, change: Change::BeforeSoftmax }])
}
