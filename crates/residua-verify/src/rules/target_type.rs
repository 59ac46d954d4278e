//! Element types that a runtime does not compute in.

use std::collections::BTreeMap;

use residua_formats::onnx::schema::{DataType, GraphProto};
use residua_ir::{DType, Finding, Level};

use crate::Subject;
use crate::onnx::{OnnxText, element_type};
use crate::targets::{Onnx, Runtime, Taken};

residua_ir::code! {
    /// Weights, inputs or outputs are of an element type that the runtime does not take, or has no kernels of an operator
    /// for. A type that it turns into another is a note: inputs have to be given in that other type.
    ///
    /// With `--dtype`, the floats of the model are taken to be of that type.
    ///
    /// ## Why it matters
    ///
    /// The model cannot be loaded. Half precision halves the file; not every runtime computes in it, and fewer do in
    /// bfloat16.
    ///
    /// ## Example
    ///
    /// `rten 0.27 takes no bfloat16, of which conv1.weight and 53 more tensors are`
    ///
    /// ## How to fix it
    ///
    /// `residua convert --dtype f32` writes a model that every runtime computes in.
    pub(super) static CODE = Target Error R403 "target-type";
}

const HELP: &str = "`residua convert --dtype f32` writes a type that every runtime has";

pub(super) fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    for (runtime, takes, text) in subject.onnx_targets() {
        let Some(graph) = text.graph() else { continue };
        let meant = Meant(subject.dtype);
        types(graph, &meant, runtime, takes, findings);
        lacks(text, graph, &meant, runtime, takes, findings);
    }
}

/// The float type that the model is to have, where it is another than its own.
struct Meant(Option<DType>);

impl Meant {
    fn of(&self, own: DataType) -> DataType {
        match (own, self.0) {
            (DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16, Some(dtype)) => match dtype {
                DType::F16 => DataType::Float16,
                DType::BF16 => DataType::Bfloat16,
                DType::F64 => DataType::Double,
                DType::F32
                | DType::I64
                | DType::I32
                | DType::I16
                | DType::I8
                | DType::U64
                | DType::U32
                | DType::U16
                | DType::U8
                | DType::Bool => DataType::Float,
            },
            (own, _) => own,
        }
    }
}

/// Tensors, inputs and outputs of each type, and what becomes of them.
fn types(graph: &GraphProto, meant: &Meant, runtime: &Runtime, takes: &Onnx, findings: &mut Vec<Finding>) {
    let tensors = graph.initializer.iter().filter_map(|t| Some((DataType::try_from(t.data_type).ok()?, &t.name)));
    let ends = graph.input.iter().chain(&graph.output).filter_map(|info| Some((element_type(info)?, &info.name)));
    let mut named: BTreeMap<DataType, Vec<&str>> = BTreeMap::new();
    for (own, name) in tensors.chain(ends) {
        let names = named.entry(meant.of(own)).or_default();
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for (kind, names) in named {
        let known = takes.types.iter().find(|(known, _)| *known == kind).map(|(_, taken)| *taken);
        let (text, about) = (name_of(kind), runtime.about);
        let (message, level) = match known {
            Some(Taken::AsIs) => continue,
            // Shapes and axes are of int64 in every model, and no affair of the user's.
            Some(Taken::As(_)) if !kind_is_float(kind) => continue,
            Some(Taken::As(other)) => {
                (format!("{about} turns {text} into {other}, inputs and outputs with it"), Level::Note)
            }
            None => (format!("{about} takes no {text}, of which {}", listed(&names)), CODE.level),
        };
        findings.push(Finding::new(&CODE, message, HELP).leveled(level));
    }
}

/// Operators whose weights are of a type that there are no kernels for.
fn lacks(
    text: &OnnxText,
    graph: &GraphProto,
    meant: &Meant,
    runtime: &Runtime,
    takes: &Onnx,
    findings: &mut Vec<Finding>,
) {
    let tensors = graph.initializer.iter().filter_map(|tensor| {
        let own = DataType::try_from(tensor.data_type).ok()?;
        Some((tensor.name.as_str(), meant.of(own)))
    });
    let tensors: BTreeMap<&str, DataType> = tensors.collect();
    for (kind, operators) in takes.lacks {
        for (op, position) in *operators {
            let of_kind = |name: &String| tensors.get(name.as_str()) == Some(kind);
            let concerned = |node: &crate::onnx::Node<'_>| {
                node.proto.op_type == *op && node.proto.input.get(*position).is_some_and(of_kind)
            };
            let nodes = text.nodes();
            let mut nodes = nodes.iter().filter(|node| concerned(node));
            if let Some(first) = nodes.next() {
                let count = 1 + nodes.count();
                let plural = if count == 1 { String::new() } else { format!(" ({count} nodes)") };
                let message = format!("{} has no {op} of {}{plural}", runtime.about, name_of(*kind));
                findings.push(Finding::new(&CODE, message, HELP).at(first.called()));
            }
        }
    }
}

fn kind_is_float(kind: DataType) -> bool {
    matches!(kind, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
}

/// As ONNX writes it.
fn name_of(kind: DataType) -> String {
    let widths = [(DataType::Float, "float32"), (DataType::Double, "float64")];
    let known = widths.iter().find(|(known, _)| *known == kind);
    known.map_or_else(|| format!("{kind:?}").to_lowercase(), |(_, name)| (*name).to_owned())
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}` is"),
        [first, rest @ ..] => format!("`{first}` and {} more are", rest.len()),
    }
}
