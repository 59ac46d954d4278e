//! An ONNX model as text: what rules about files and about runtimes look at, before anything is understood of it.

use std::collections::HashMap;
use std::sync::OnceLock;

use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::{
    AttributeProto, DataType, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto, TypeValue,
    ValueInfoProto,
};
use residua_ir::free_sizes::DeclaredSize;
use residua_ir::{Graph, ValueId};

/// An ONNX model under check.
#[derive(Debug)]
pub struct OnnxText<'a> {
    file: File<'a>,
    /// Whether it is what a conversion would write, and not a file.
    drafted: bool,
    /// Versions by domain, made when they are asked for.
    opsets: OnceLock<HashMap<String, i64>>,
    /// Places of functions by domain and name, the first of each.
    functions: OnceLock<HashMap<String, HashMap<String, usize>>>,
}

/// The model of a file that is open, or one of its own.
#[derive(Debug)]
enum File<'a> {
    Open(&'a OnnxFile),
    Own(Box<OnnxFile>),
}

impl<'a> OnnxText<'a> {
    /// What lies in a file that is open.
    #[must_use]
    pub fn of_open(file: &'a OnnxFile) -> Self {
        Self::of(File::Open(file), false)
    }

    /// What lies in a file.
    #[must_use]
    pub fn of_file(file: OnnxFile) -> Self {
        Self::of(File::Own(Box::new(file)), false)
    }

    /// What a conversion would write.
    #[must_use]
    pub fn drafted(model: ModelProto) -> Self {
        Self::of(File::Own(Box::new(model.into())), true)
    }

    fn of(file: File<'a>, drafted: bool) -> Self {
        Self { file, drafted, opsets: OnceLock::new(), functions: OnceLock::new() }
    }

    pub(crate) fn is_drafted(&self) -> bool {
        self.drafted
    }

    pub(crate) fn file(&self) -> &OnnxFile {
        match &self.file {
            File::Open(file) => file,
            File::Own(file) => file,
        }
    }

    pub(crate) fn model(&self) -> &ModelProto {
        &self.file().model
    }

    pub(crate) fn graph(&self) -> Option<&GraphProto> {
        self.file().model.graph.as_ref()
    }

    /// The version of an operator set that the model uses.
    pub(crate) fn opset(&self, wanted: &str) -> Option<i64> {
        let sets = self.opsets.get_or_init(|| {
            let mut sets = HashMap::new();
            for set in &self.file().model.opset_import {
                sets.entry(domain(&set.domain).to_owned()).or_insert(set.version);
            }
            sets
        });
        sets.get(domain(wanted)).copied()
    }

    /// What the file declares of the sizes of a graph's outputs, by their names.
    pub(crate) fn declared_outputs(&self, graph: &Graph) -> Vec<(ValueId, Vec<DeclaredSize>)> {
        let of = |info: &ValueInfoProto| {
            let output = graph.outputs().iter().copied().find(|&id| graph.value(id).name == info.name)?;
            Some((output, declared_sizes(info)?))
        };
        self.graph().iter().flat_map(|text| &text.output).filter_map(of).collect()
    }

    /// The nodes of the graph, and those of graphs within them.
    pub(crate) fn nodes(&self) -> Vec<Node<'_>> {
        let mut found = Vec::new();
        for graph in self.graph().into_iter() {
            collect(graph, &mut found);
        }
        found
    }

    /// The function of the model that a node calls, if it does.
    pub(crate) fn function(&self, node: &NodeProto) -> Option<&FunctionProto> {
        let functions = &self.file().model.functions;
        let places = self.functions.get_or_init(|| {
            let mut places: HashMap<String, HashMap<String, usize>> = HashMap::new();
            for (at, function) in functions.iter().enumerate() {
                let of_domain = places.entry(domain(&function.domain).to_owned()).or_default();
                of_domain.entry(function.name.clone()).or_insert(at);
            }
            places
        });
        functions.get(*places.get(domain(&node.domain))?.get(&node.op_type)?)
    }
}

fn collect<'a>(graph: &'a GraphProto, found: &mut Vec<Node<'a>>) {
    for proto in &graph.node {
        found.push(Node { proto });
        for inner in subgraphs(proto) {
            collect(inner, found);
        }
    }
}

/// Graphs among the attributes of a node.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// One name for each domain; ONNX's own has two.
pub(crate) fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

/// A node, with its attributes by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) proto: &'a NodeProto,
}

impl<'a> Node<'a> {
    /// Its name, or that of its first result where it has none.
    pub(crate) fn called(self) -> &'a str {
        let Self { proto } = self;
        let result = proto.output.iter().find(|name| !name.is_empty());
        if proto.name.is_empty() { result.map_or("", String::as_str) } else { &proto.name }
    }

    fn attribute(self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// Whether it says something of this name.
    pub(crate) fn has(self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer, or what it is where nothing is said.
    pub(crate) fn int(self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(otherwise)
    }

    /// A real number, or what it is where nothing is said.
    pub(crate) fn float(self, name: &str, otherwise: f32) -> f32 {
        self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(otherwise)
    }

    /// Integers; none where nothing is said.
    pub(crate) fn ints(self, name: &str) -> &'a [i64] {
        self.attribute(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// A text, or what it is where nothing is said.
    pub(crate) fn text(self, name: &str, otherwise: &'a str) -> &'a str {
        let bytes = self.attribute(name).and_then(|attribute| attribute.s.as_ref());
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(otherwise)
    }

    /// Whether it is given an operand in this position.
    pub(crate) fn takes(self, position: usize) -> bool {
        self.proto.input.get(position).is_some_and(|name| !name.is_empty())
    }
}

/// Element type of a value, where it is a tensor of one that is known.
pub(crate) fn element_type(info: &ValueInfoProto) -> Option<DataType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        TypeValue::Tensor(tensor) => DataType::try_from(tensor.elem_type).ok(),
        TypeValue::Sequence(_)
        | TypeValue::Map(_)
        | TypeValue::Opaque(_)
        | TypeValue::SparseTensor(_)
        | TypeValue::Optional(_) => None,
    }
}

fn declared_sizes(info: &ValueInfoProto) -> Option<Vec<DeclaredSize>> {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref()?.value.as_ref() else { return None };
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Value(size)) => usize::try_from(*size).map_or(DeclaredSize::Open, DeclaredSize::Fixed),
        Some(DimensionValue::Param(name)) if !name.is_empty() => DeclaredSize::Named(name.clone().into()),
        Some(DimensionValue::Param(_)) | None => DeclaredSize::Open,
    };
    Some(tensor.shape.as_ref()?.dim.iter().map(|dim| size(&dim.value)).collect())
}
