//! Weights beside the model that cannot be had as they are described.

use std::path::{Component, Path};

use residua_formats::onnx::schema::{DataLocation, TensorProto};
use residua_ir::{Finding, Shown, in_full};

use crate::OnnxText;

residua_ir::code! {
    /// Weights are said to lie in a file beside the ONNX model, and cannot be had from it: the path is absolute or leads
    /// out of the model's folder, the file is not there, or it is too short.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded. A path that leads out of the folder is refused by readers that take care, since it
    /// could name any file of the machine.
    ///
    /// ## Example
    ///
    /// `conv1.weight and 53 more lie in /home/me/model.onnx.data, an absolute path`
    ///
    /// ## How to fix it
    ///
    /// Keep the file of weights beside the model, under the name that the model says. Where it is lost, export again.
    pub(super) static CODE = OnnxText Error R605 "external-data";
}

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let tensors = text.graph().map(|graph| &graph.initializer[..]).unwrap_or_default();
    let mut problems: Vec<(String, &TensorProto, usize)> = Vec::new();
    for tensor in tensors.iter().filter(|tensor| tensor.data_location == DataLocation::External as i32) {
        let Some(problem) = problem(text, tensor) else { continue };
        match problems.iter_mut().find(|(other, ..)| *other == problem) {
            Some((.., count)) => *count += 1,
            None => problems.push((problem, tensor, 1)),
        }
    }
    for (problem, tensor, count) in problems {
        let more = if count == 1 { String::new() } else { format!(" and {} more", count - 1) };
        let help = "keep the file of weights beside the model, under the name that the model says";
        let message = format!("`{}`{more}: {problem}", tensor.name);
        findings.push(Finding::new(&CODE, message, help).of_tensor(&tensor.name));
    }
}

fn problem(text: &OnnxText, tensor: &TensorProto) -> Option<String> {
    let location = tensor.external_data.iter().find(|entry| entry.key == "location").map(|entry| &entry.value);
    let Some(location) = location else { return Some("it does not say which file its data lies in".to_owned()) };
    let shown = location.shown();
    if Path::new(location).is_absolute() || location.starts_with('\\') || location.get(1..2) == Some(":") {
        return Some(format!("its data is said to lie in `{shown}`, an absolute path"));
    }
    if Path::new(location).components().any(|step| step == Component::ParentDir) {
        return Some(format!("its data is said to lie in `{shown}`, outside of the model's folder"));
    }
    text.file().tensor(tensor).err().map(|error| format!("{}, in `{shown}`", in_full(&error.problem)))
}
