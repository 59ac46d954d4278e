//! Inputs of free sizes, for a runtime that takes none.

use std::collections::HashSet;

use residua_formats::onnx::schema::{DimensionValue, TypeValue, ValueInfoProto};
use residua_ir::{Finding, Hint, Level};

use crate::Subject;
use crate::targets::{FreeSizes, Runtime};

residua_ir::code! {
    /// An input of the ONNX model has a size that is left free, such as the batch, and the runtime wants all of them fixed.
    /// Where it takes them, and cannot fix one whose name the types of other values have, that is a note. Where the graph
    /// contradicts what is declared free (R114), no runtime can run the model at other sizes.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded.
    ///
    /// ## Example
    ///
    /// `wonnx 0.5 takes fixed sizes only, input pixels leaves its sizes 0, 2 and 3 free`
    ///
    /// ## How to fix it
    ///
    /// Fix them when the model is written: `residua convert MODEL OUT.onnx --input-shape 1,3,224,224`.
    pub(super) static CODE = Target Error R405 "target-free-size";
}

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, takes, text) in subject.onnx_targets() {
        let Some(graph) = text.graph() else { continue };
        let tensors: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let is_tensor = |info: &&ValueInfoProto| tensors.contains(info.name.as_str());
        let inputs = graph.input.iter().filter(|input| !is_tensor(input));
        match takes.free_sizes {
            FreeSizes::Taken => {}
            FreeSizes::Promised => findings.extend(promised(runtime, inputs, &graph.value_info)),
            FreeSizes::Refused => findings.extend(inputs.filter_map(|input| refused(runtime, input))),
        }
        findings.extend(subject.contradictions().iter().map(|found| {
            let message = format!(
                "{} cannot run it at the sizes that it declares: {}",
                runtime.about,
                super::contradicted_size::message(subject, found)
            );
            let help = format!(
                "declare the size as it is, with `residua convert --input-shape`, or free it with `{}`",
                Hint::FreeBatch
            );
            Finding::new(&CODE, message, help).at(subject.layer(found.node))
        }));
    }
}

fn refused(runtime: &Runtime, input: &ValueInfoProto) -> Option<Finding> {
    let is_free = |value: &Option<DimensionValue>| !matches!(value, Some(DimensionValue::Value(1..)));
    let free: Vec<String> =
        sizes(input).enumerate().filter(|(_, size)| is_free(size)).map(|(axis, _)| axis.to_string()).collect();
    let axes = match &free[..] {
        [] => return None,
        [only] => format!("size {only}"),
        [before @ .., last] => format!("sizes {} and {last}", before.join(", ")),
    };
    let message = format!("{} takes fixed sizes only, input `{}` leaves its {axes} free", runtime.about, input.name);
    Some(Finding::new(&CODE, message, "fix them: `residua convert --input-shape`"))
}

fn promised<'a>(
    runtime: &Runtime,
    mut inputs: impl Iterator<Item = &'a ValueInfoProto>,
    between: &'a [ValueInfoProto],
) -> Option<Finding> {
    let name_of = |size: &'a Option<DimensionValue>| match size {
        Some(DimensionValue::Param(name)) => Some(name.as_str()),
        Some(DimensionValue::Value(_)) | None => None,
    };
    let named: HashSet<&str> = between.iter().flat_map(sizes).filter_map(name_of).collect();
    inputs.find_map(|input| {
        let named = sizes(input).find_map(|size| match size {
            Some(DimensionValue::Param(name)) if named.contains(name.as_str()) => Some(name),
            Some(DimensionValue::Param(_) | DimensionValue::Value(_)) | None => None,
        })?;
        let message = format!(
            "{} can run input `{}` with `{named}` left free, and not with a number for it: the types of values in between \
             have its name",
            runtime.about, input.name
        );
        let help = "nothing to do where it stays free; otherwise `residua convert`, with `--input-shape` or without";
        Some(Finding::new(&CODE, message, help).leveled(Level::Note))
    })
}

/// Sizes of a tensor as they are declared.
fn sizes(info: &ValueInfoProto) -> impl Iterator<Item = &Option<DimensionValue>> {
    let value = info.r#type.as_ref().and_then(|ty| ty.value.as_ref());
    let shape = match value {
        Some(TypeValue::Tensor(tensor)) => tensor.shape.as_ref(),
        Some(
            TypeValue::Sequence(_)
            | TypeValue::Map(_)
            | TypeValue::Opaque(_)
            | TypeValue::SparseTensor(_)
            | TypeValue::Optional(_),
        )
        | None => None,
    };
    shape.into_iter().flat_map(|shape| shape.dim.iter().map(|dim| &dim.value))
}
