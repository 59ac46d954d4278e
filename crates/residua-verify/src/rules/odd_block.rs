//! Blocks that are built differently from all their siblings.

use std::collections::BTreeMap;
use std::fmt::Debug;

use residua_ir::Finding;
use residua_resnet::anatomy::Block;

use crate::Subject;

residua_ir::code! {
    /// One residual block is built differently from the others of the network: another kind of block, another place of
    /// normalisation and activation, no normalisation where the others have one, another number of groups, no
    /// squeeze-and-excite gate, its stride on another convolution.
    ///
    /// ## Why it matters
    ///
    /// Residual networks repeat one block. A single exception among many is usually an edit that went wrong, or a layer
    /// that an exporter lost. The shapes fit, so nothing else reports it.
    ///
    /// ## Example
    ///
    /// `in block stages.2.blocks.3 the activation behind the sum is none; in the other 15 it is relu`
    ///
    /// ## How to mend it
    ///
    /// Compare this block with its siblings in the code that built the model.
    pub(super) static CODE = Warning R201 "odd-block";
}

/// Fewer blocks than this give no picture of what is usual.
const LEAST: usize = 3;

/// What a block is compared by.
type Trait = (&'static str, fn(&Block) -> Option<String>);

fn word(value: &impl Debug) -> Option<String> {
    Some(format!("{value:?}").to_lowercase())
}

const TRAITS: [Trait; 8] = [
    ("the block kind is", |block| word(&block.kind)),
    ("activation comes", |block| word(&block.activation)),
    ("normalisation is", |block| word(&block.norm)),
    ("the number of normalisations on the main path is", |block| {
        // The very first pre-activated block commonly leaves its own out, as the stem has one already.
        (block.stage != 0 || block.index != 0).then(|| block.norms.len().to_string())
    }),
    ("the number of groups is", |block| word(&block.groups)),
    ("the activation behind the sum is", |block| word(&block.after_add)),
    ("squeeze-and-excite is", |block| word(&block.squeeze_excite.is_some())),
    ("the stride is on", |block| block.stride_on.clone().filter(|_| block.stride > 1)),
];

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let blocks = &subject.anatomy.blocks;
    for (what, of) in TRAITS {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let values: Vec<(&Block, String)> = blocks.iter().filter_map(|block| Some((block, of(block)?))).collect();
        for (_, value) in &values {
            *counts.entry(value.clone()).or_default() += 1;
        }
        let Some((usual, &count)) = counts.iter().max_by_key(|(_, count)| **count) else { continue };
        if values.len() < LEAST || count + 1 != values.len() {
            continue;
        }
        let help = "compare this block with its siblings in the code that built the model";
        findings.extend(values.iter().filter(|(_, value)| value != usual).map(|(block, value)| {
            let message = format!("in block {} {what} {value}; in the other {count} it is {usual}", block.name);
            Finding::new(&CODE, message, help).at(subject.layer(block.add))
        }));
    }
}
