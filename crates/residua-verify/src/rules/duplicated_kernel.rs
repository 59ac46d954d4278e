//! Kernels that are the same in two layers, or filters that are the same in one.

use std::collections::BTreeMap;

use residua_ir::tensor::Channel;
use residua_ir::{Finding, Parameter, Statistics};

use crate::Subject;

residua_ir::code! {
    /// Two layers have kernels of exactly the same values and do not share them; or some filters within one kernel are
    /// the same.
    ///
    /// ## Why it matters
    ///
    /// Training does not make two kernels alike. A tensor was bound to two layers, or a layer was copied over another;
    /// within one kernel, all filters were initialised to one constant.
    ///
    /// ## Example
    ///
    /// `layer2.1.conv2: layer2.1.conv2.weight has the same values as layer2.1.conv1.weight`
    ///
    /// ## How to fix it
    ///
    /// Compare the names of the tensors with those of the checkpoint that it came from.
    pub(super) static CODE = Values Warning R306 "duplicated-kernel";
}

/// Fewer values than this are alike by chance, or by design.
const LEAST: usize = 16;

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let help = "compare the names of the tensors with those of the checkpoint that it came from";
    let mut by_values: BTreeMap<(&[usize], u64), &Parameter> = BTreeMap::new();
    for (parameter, statistics) in subject.kernels() {
        let Ok(found) = statistics else { continue };
        if parameter.tensor.len() < LEAST || found.is_all(0.0) || found.non_finite() > 0 {
            continue;
        }
        let key = (parameter.tensor.shape(), whole(&found.channels));
        if let Some(first) = by_values.get(&key) {
            // One tensor of the file that two layers read is shared, as some networks have it; what one layer holds twice
            // is the same thing under two names, as wrappers have it.
            let shared = first.location == parameter.location || first.layer == parameter.layer;
            if !shared && same(first, parameter) {
                let message = format!("`{}` has the same values as `{}`", parameter.name, first.name);
                findings.push(subject.about(&CODE, parameter, message, help));
            }
        } else {
            by_values.insert(key, parameter);
        }
        if let Some((count, first)) = alike(parameter, found) {
            let total = found.channels.len();
            let message =
                format!("{count} of {total} filters of `{}` repeat another, the first is {first}", parameter.name);
            findings.push(subject.about(&CODE, parameter, message, help));
        }
    }
}

fn whole(channels: &[Channel]) -> u64 {
    channels.iter().fold(0, |hash, channel| (hash ^ channel.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
}

/// Hashes that are equal are a reason to look.
fn same(a: &Parameter, b: &Parameter) -> bool {
    matches!((a.tensor.to_f64(), b.tensor.to_f64()), (Ok(a), Ok(b)) if a == b)
}

/// How many filters are the same as one before them, and which is the first.
fn alike(parameter: &Parameter, found: &Statistics) -> Option<(usize, usize)> {
    let channels = &found.channels;
    let row = parameter.tensor.len().checked_div(channels.len()).filter(|&row| row >= LEAST)?;
    let mut first_of: BTreeMap<u64, usize> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (at, channel) in channels.iter().enumerate().filter(|(_, channel)| !channel.zero) {
        match first_of.get(&channel.hash) {
            Some(&first) => pairs.push((first, at)),
            None => {
                first_of.insert(channel.hash, at);
            }
        }
    }
    if pairs.is_empty() {
        return None;
    }
    let values = parameter.tensor.to_f64().ok()?;
    let of = |at: usize| &values[at * row..(at + 1) * row];
    pairs.retain(|&(a, b)| of(a) == of(b));
    Some((pairs.len(), pairs.first()?.1))
}
