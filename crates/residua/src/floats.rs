//! What there is to say of float types: in which one the source computes, where that is narrower than f32, and what became
//! of it.

use residua_ir::computes::{ComputesIn, KnownBy};
#[cfg(feature = "writers")]
use {
    residua_emit::onnx::{FloatTypes, OnnxOptions},
    residua_ir::computes::computes_in,
    residua_ir::{Checked, DType, Hint},
};

/// What is said of an ONNX output of these options; nothing where the source computes in f32.
#[cfg(feature = "writers")]
pub(crate) fn note(model: &Checked, options: &OnnxOptions) -> Option<String> {
    let found = computes_in(model);
    let first = found.first()?;
    let written = match (options.types, options.float) {
        (FloatTypes::Own, _) => "so does what is written, between the same types of inputs and outputs".to_owned(),
        (FloatTypes::WideInterface, float) => {
            format!("what is written computes in {float} between inputs and outputs of f32")
        }
        (FloatTypes::One, float) if found.len() == 1 && float == first.dtype => {
            "so does what is written, inputs and outputs included".to_owned()
        }
        (FloatTypes::One, float @ (DType::F16 | DType::BF16)) => {
            format!("what is written computes in {float} throughout")
        }
        (FloatTypes::One, float) => {
            let keep = format!(
                "{} {} keeps it, with {} between inputs and outputs of f32",
                Hint::Dtype,
                first.dtype,
                Hint::KeepIoTypes
            );
            format!("what is written is widened to {float} throughout; {keep}")
        }
    };
    Some(format!("{}; {written}", describe(&found)))
}

/// In which types the source computes, as a sentence; nothing where that is f32 or wider.
#[cfg(feature = "writers")]
pub(crate) fn said(model: &Checked) -> Option<String> {
    let found = computes_in(model);
    (!found.is_empty()).then(|| describe(&found))
}

/// The same for a line that says what it is about.
pub(crate) fn facts(found: &[ComputesIn]) -> String {
    let shares = shares(found);
    match found.first().map(|found| found.by) {
        Some(KnownBy::Weights) => format!("{shares}, where its weights are loaded as they are"),
        Some(KnownBy::Values) => format!("{shares}, by the types of its values"),
        Some(KnownBy::Policy) => format!("{shares}, by their dtype policies"),
        None => shares,
    }
}

#[cfg(feature = "writers")]
fn describe(found: &[ComputesIn]) -> String {
    format!("the source computes in {}", facts(found))
}

/// The types, with how many layers each is of.
fn shares(found: &[ComputesIn]) -> String {
    let share = |&ComputesIn { dtype, layers, of, .. }: &ComputesIn| {
        if layers == of { format!("{dtype} in all layers") } else { format!("{dtype} in {layers} of {of} layers") }
    };
    found.iter().map(share).collect::<Vec<String>>().join(", ")
}
