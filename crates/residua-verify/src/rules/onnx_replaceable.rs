//! Tensors that are inputs as well.

use std::collections::HashSet;

use residua_ir::{Finding, Level};

use crate::OnnxText;

residua_ir::code! {
    /// Tensors of the ONNX model are listed among its inputs, so whoever runs it may give others instead. Before IR version
    /// 4 they have to be; where one is not, that is an error.
    ///
    /// ## Why it matters
    ///
    /// What may be replaced cannot be folded or packed before the model runs, so it is slower; and some runtimes ask for
    /// these inputs by name.
    ///
    /// ## Example
    ///
    /// `conv1.weight and 61 more tensors are inputs too, which whoever runs the model may replace`
    ///
    /// ## How to fix it
    ///
    /// Export with `keep_initializers_as_inputs=False`, which is the default today, or remove them from the inputs.
    pub(super) static CODE = OnnxText Note R607 "replaceable-tensor";
}

/// From this version of the format on, tensors need not be listed among the inputs.
const TENSORS_ALONE: i64 = 4;

pub(super) fn check(text: &OnnxText, findings: &mut Vec<Finding>) {
    let Some(graph) = text.graph() else { return };
    let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    let must = (1..TENSORS_ALONE).contains(&text.model().ir_version);
    let mut concerned = graph.initializer.iter().filter(|tensor| inputs.contains(tensor.name.as_str()) != must);
    let Some(first) = concerned.next() else { return };
    let (name, more) = (&first.name, concerned.count());
    let subject = match more {
        0 => format!("`{name}` is"),
        more => format!("`{name}` and {more} more tensors are"),
    };
    let (message, level) = if must {
        let ir = text.model().ir_version;
        (format!("{subject} not among the inputs, where IR version {ir} has all tensors"), Level::Error)
    } else {
        (format!("{subject} inputs too, which whoever runs the model may replace"), CODE.level)
    };
    let help = "export with `keep_initializers_as_inputs=False`, or write it again with `residua convert --opset 17`";
    findings.push(Finding::new(&CODE, message, help).leveled(level).of_tensor(name));
}
