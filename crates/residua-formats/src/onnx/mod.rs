//! ONNX models: the messages as the file has them, and their tensors as views on it.
//!
//! What decoding would take is counted before it is done (`skim`). External data is read from the model's own folder
//! only. Nothing is interpreted: operators, functions and subgraphs are the importer's business.

pub mod schema;
mod skim;
mod tensor;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use prost::Message;
use residua_ir::Tensor;

use crate::FormatError;
use crate::decoded::Decoded;
use crate::error::Result;
use crate::folder::Folder;
use schema::{GraphProto, ModelProto, NodeProto, TensorProto};

/// An ONNX model.
#[derive(Debug)]
pub struct OnnxFile {
    /// The model. Its `raw_data` are slices of the mapped file.
    pub model: ModelProto,
    /// Where external data may lie.
    folder: Folder,
    external: Mutex<BTreeMap<String, Bytes>>,
    /// None where there is no file: such a model takes the memory that it has already.
    decoded: Option<Decoded>,
}

impl From<ModelProto> for OnnxFile {
    /// A model that is in no file, and so has no external data.
    fn from(model: ModelProto) -> Self {
        Self { model, folder: Folder::none(), external: Mutex::default(), decoded: None }
    }
}

impl OnnxFile {
    /// The elements of a tensor of this model, whether they lie in the file or beside it.
    ///
    /// # Errors
    /// [`FormatError`] naming the tensor.
    pub fn tensor(&self, proto: &TensorProto) -> Result<Tensor> {
        let tensor = tensor::read(proto, &|file| self.external(&proto.name, file))?;
        match &self.decoded {
            Some(decoded) => decoded.take(&tensor::place(&proto.name), tensor),
            None => Ok(tensor),
        }
    }

    /// The bytes of a file of external data, mapped once.
    fn external(&self, tensor: &str, file: &str) -> Result<Bytes> {
        let at = tensor::place(tensor);
        let mut open = self.external.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = open.get(file) {
            return Ok(bytes.clone());
        }
        let bytes = self.folder.map(&at, file)?;
        if let Some(decoded) = &self.decoded {
            decoded.grow(bytes.len());
        }
        open.insert(file.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

/// IR version of the first release of ONNX that had this operator set. (Source: `onnx.helper.VERSION_TABLE`.)
#[must_use]
pub fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=8 => 3,
        9 => 4,
        10 => 5,
        11 => 6,
        12..=14 => 7,
        15..=18 => 8,
        19 | 20 => 9,
        21 | 22 => 10,
        23 => 11,
        24 => 12,
        25..=27 => 13,
        28.. => 14,
    }
}

/// Whether the bytes may be a model: a protobuf message with a graph.
pub(crate) fn is_onnx(bytes: &[u8]) -> bool {
    // The version of the format comes first; where there is none, the producer, the graph, or the operators.
    matches!(bytes.first(), Some(0x08 | 0x12 | 0x3a | 0x42))
        && skim::fields(bytes).any(|field| matches!(field, Some((7 | 25, _))))
}

/// Reads a model; its external data lie in `folder`.
pub(crate) fn read(folder: Folder, bytes: &Bytes) -> Result<OnnxFile> {
    skim::check(bytes)?;
    let model = ModelProto::decode(bytes.clone())
        .map_err(|error| FormatError::malformed("model", "an ONNX message", error.to_string()))?;
    // Not all of them are read by every command, and none is to be replaced by its output.
    external_files(&model).into_iter().for_each(|name| folder.note(name));
    Ok(OnnxFile { model, folder, external: Mutex::default(), decoded: Some(Decoded::of(bytes.len())) })
}

/// Names of all files that tensors of a model lie in, wherever in it the tensors are.
fn external_files(model: &ModelProto) -> BTreeSet<&str> {
    let mut tensors: Vec<&TensorProto> = Vec::new();
    let mut graphs: Vec<&GraphProto> = model.graph.iter().collect();
    let mut nodes: Vec<&NodeProto> = model.functions.iter().flat_map(|function| &function.node).collect();
    loop {
        if let Some(graph) = graphs.pop() {
            let sparse = graph.sparse_initializer.iter().flat_map(|sparse| sparse.values.iter().chain(&sparse.indices));
            tensors.extend(graph.initializer.iter().chain(sparse));
            nodes.extend(&graph.node);
        } else if let Some(node) = nodes.pop() {
            for attribute in &node.attribute {
                tensors.extend(attribute.t.iter().chain(&attribute.tensors));
                graphs.extend(attribute.g.iter().chain(&attribute.graphs));
            }
        } else {
            break;
        }
    }
    let entries = tensors.iter().flat_map(|tensor| &tensor.external_data);
    entries.filter(|entry| entry.key == "location").map(|entry| entry.value.as_str()).collect()
}
