//! A model against a reference: the same blocks, and the same function.

use std::path::Path;

use crate::error::{Context, Result};
use residua_ir::{Finding, Shown};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::{Block, ShortcutKind};
use residua_verify::numbers;

use super::{Against, Check};
use crate::model::{Model, shapes_for};
use crate::proof::{self, Verdict, Verification};
use crate::render::small;

/// Compares a model with the one at `path`.
///
/// # Errors
/// Where the reference cannot be read, or one of both not be run.
pub(crate) fn hold_against(model: &Model, path: &Path, settings: &Check) -> Result<Against> {
    let named = || format!("the reference {}", path.shown());
    let reference = Model::open_with(path, &settings.open.without_sizes()).with_context(named)?;
    let how = proof::Settings {
        threads: settings.threads,
        input_shapes: shapes_for(reference.checked.graph(), &settings.open.input_shapes).with_context(named)?,
        input_range: reference.input_range(),
        tolerance: settings.tolerance,
        before_softmax: false,
        numeric: false,
        holds_graph: false,
        holds_bits: false,
        as_a_whole: false,
        verdict_alone: false,
        written: None,
    };
    let verification = proof::compare(&reference.checked, &model.checked, &how)
        .with_context(|| format!("held against {}", path.shown()))?;
    let structure = differences(&model.anatomy, &reference.anatomy);
    Ok(Against { file: path.to_string_lossy().into_owned(), structure, verification })
}

/// What was found, as findings.
pub(crate) fn findings(against: &Against) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The name alone: a finding is the same one wherever the repository lies.
    let file = Path::new(&against.file);
    let name = file.file_name().map_or_else(|| against.file.clone().into(), |name| name.to_string_lossy());
    if !against.structure.is_empty() {
        let message = format!("not built as `{name}`: {}", against.structure.join("; "));
        let help = "export the same network, or name the reference that it was made of";
        findings.push(Finding::new(&numbers::REFERENCE_STRUCTURE, message, help));
    }
    let verification = &against.verification;
    if verification.verdict == Verdict::Different {
        let help = "`residua compare` shows every output and the layers where both differ";
        let message = format!("not the function of `{name}`: {}", difference(verification));
        let finding = Finding::new(&numbers::REFERENCE_FUNCTION, message, help);
        findings.push(match &verification.first_divergence {
            Some(first) => finding.at(&first.b),
            None => finding,
        });
    }
    findings
}

/// What differs, in words: the first output beyond its bound, or why there are no numbers; then where it begins.
pub(crate) fn difference(verification: &Verification) -> String {
    let beyond = verification.outputs.iter().find(|output| output.max_abs > output.bound);
    let mut text = match (&verification.reason, beyond) {
        (Some(reason), _) => reason.clone(),
        (None, Some(output)) => {
            let (off, bound) = (small(output.max_abs), small(output.bound));
            format!("output `{}` is off by {off}, where {bound} is the bound", output.name)
        }
        (None, None) => "an output holds values that are infinite or NaN".to_owned(),
    };
    if let Some(first) = &verification.first_divergence {
        text.push_str(&format!("; the difference begins at `{}`", first.b));
        if first.a != first.b {
            text.push_str(&format!(" (there: `{}`)", first.a));
        }
        if let Some(cause) = &first.cause {
            text.push_str(&format!(": {cause}"));
        }
    }
    text
}

/// At most so many blocks are told of: where all differ, the first ones say why.
const TOLD: usize = 4;

/// In what the blocks of a network are not those of another, a sentence each. Names play no part, nor does what may be
/// folded away.
fn differences(own: &Anatomy, reference: &Anatomy) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, own: String, reference: String| {
        if own != reference {
            found.push(format!("{what} {own}, the reference has {reference}"));
        }
    };
    let stages = |anatomy: &Anatomy| {
        let stages: Vec<String> = anatomy.stages.iter().map(|stage| stage.blocks.len().to_string()).collect();
        if stages.is_empty() { "none".to_owned() } else { stages.join(", ") }
    };
    let widths = |anatomy: &Anatomy| {
        let widths: Vec<String> = anatomy.stages.iter().map(|stage| stage.width.to_string()).collect();
        widths.join(", ")
    };
    let kernels = |anatomy: &Anatomy| {
        let convs = anatomy.stem.convs.iter().map(|conv| format!("{}x{}", conv.kernel[0], conv.kernel[1]));
        convs.collect::<Vec<_>>().join(", ")
    };
    differ("depth", own.depth().to_string(), reference.depth().to_string());
    differ("blocks a stage", stages(own), stages(reference));
    differ("widths", widths(own), widths(reference));
    differ("convolutions of the stem", kernels(own), kernels(reference));
    differ("stride of the stem", own.stem.stride.to_string(), reference.stem.stride.to_string());
    differ("long shortcuts", own.long_skips.len().to_string(), reference.long_skips.len().to_string());
    if own.stages != reference.stages {
        return found;
    }
    let differing: Vec<String> =
        own.blocks.iter().zip(&reference.blocks).filter_map(|(own, other)| block_difference(own, other)).collect();
    let more = differing.len().saturating_sub(TOLD);
    found.extend(differing.into_iter().take(TOLD));
    if more > 0 {
        found.push(format!("{more} more blocks differ"));
    }
    found
}

/// The first thing in which a block is not the other.
fn block_difference(own: &Block, other: &Block) -> Option<String> {
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let on = |block: &Block| block.stride_on.clone().unwrap_or_else(|| "none".to_owned());
    // Where nothing is projected, a pool and a slice are the same.
    let pooled = |block: &Block| block.shortcut == ShortcutKind::Projection && block.path.pooled;
    let behind = |block: &Block| block.after_add.clone().unwrap_or_else(|| "nothing".to_owned());
    let facts = [
        ("kind", word(&own.kind), word(&other.kind)),
        ("activation", word(&own.activation), word(&other.activation)),
        ("shortcut", word(&own.shortcut), word(&other.shortcut)),
        ("pool before the projection", word(&pooled(own)), word(&pooled(other))),
        ("stride", own.stride.to_string(), other.stride.to_string()),
        ("stride on", on(own), on(other)),
        ("groups", own.groups.to_string(), other.groups.to_string()),
        ("gate", word(&own.squeeze_excite.is_some()), word(&other.squeeze_excite.is_some())),
        ("activations", own.activations.join(", "), other.activations.join(", ")),
        ("behind the sum", behind(own), behind(other)),
    ];
    let (what, has, reference) = facts.into_iter().find(|(_, own, other)| own != other)?;
    Some(format!("{}: {what} {has}, the reference has {reference}", own.name))
}
