//! The bytes of a model, in segments: small messages encoded, and between them the tensors that are yet to be gathered.
//!
//! A protobuf message of known length can be written without holding it: each initializer is its header (dims, type,
//! name), the key and length of `raw_data`, and then its elements.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use residua_formats::onnx::schema::{DataLocation, GraphProto, ModelProto, TensorProto};

use super::proto::{data_type, entries, entry, to_i64};
use super::tensors::Initializer;
use crate::EmitError;
use crate::sink::Segment;

/// Most bytes that a protobuf message may have.
pub(crate) const PROTOBUF_LIMIT: u64 = (1 << 31) - 1;

/// Smaller tensors stay in the model, where shape inference can read them.
const EXTERNAL_FROM: usize = 1024;

// Field numbers of onnx.proto.
const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// A file as segments.
pub(crate) struct Parts {
    pub(crate) model: Vec<Segment>,
    /// The file beside it, where tensors are kept there.
    pub(crate) external: Option<Vec<Segment>>,
}

fn framed(field: u32, len: usize, before: Vec<u8>) -> Vec<u8> {
    let mut bytes = before;
    encode_key(field, WireType::LengthDelimited, &mut bytes);
    encode_varint(len as u64, &mut bytes);
    bytes
}

/// A tensor without its elements.
pub(crate) fn header(initializer: &Initializer) -> TensorProto {
    TensorProto {
        dims: to_i64(initializer.tensor.shape()),
        data_type: data_type(initializer.tensor.dtype()).into(),
        name: initializer.name.clone(),
        doc_string: initializer.metadata.doc.clone(),
        metadata_props: entries(&initializer.metadata),
        ..TensorProto::default()
    }
}

/// Bytes before a tensor so that it starts where a page or a cache line does.
fn alignment(len: usize) -> usize {
    if len >= 1 << 16 { 4096 } else { 64 }
}

/// The segments of a model whose graph has no initializers yet.
///
/// `external` is the name of the file beside it, where tensors are to go there.
pub(crate) fn parts(
    model: &ModelProto,
    graph: &GraphProto,
    initializers: &[Initializer],
    external: Option<&str>,
) -> Parts {
    let mut graph_segments = vec![Segment::Bytes(graph.encode_to_vec())];
    let mut outside = Vec::new();
    let mut offset = 0usize;
    for initializer in initializers {
        let len = initializer.tensor.byte_len();
        let mut proto = header(initializer);
        let Initializer { name, tensor, .. } = initializer;
        let elements = Segment::Tensor { name: name.clone(), tensor: tensor.clone() };
        if let Some(location) = external.filter(|_| len >= EXTERNAL_FROM) {
            let start = offset.next_multiple_of(alignment(len));
            proto.data_location = DataLocation::External.into();
            proto.external_data =
                vec![entry("location", location), entry("offset", start.to_string()), entry("length", len.to_string())];
            outside.extend([Segment::Bytes(vec![0; start - offset]), elements]);
            offset = start + len;
            let bytes = proto.encode_to_vec();
            let mut framed = framed(GRAPH_INITIALIZER, bytes.len(), Vec::new());
            framed.extend(bytes);
            graph_segments.push(Segment::Bytes(framed));
        } else {
            let head = framed(TENSOR_RAW_DATA, len, proto.encode_to_vec());
            let mut framed = framed(GRAPH_INITIALIZER, head.len() + len, Vec::new());
            framed.extend(head);
            graph_segments.extend([Segment::Bytes(framed), elements]);
        }
    }
    let graph_len = graph_segments.iter().map(Segment::len).sum();
    let mut segments = vec![Segment::Bytes(framed(MODEL_GRAPH, graph_len, model.encode_to_vec()))];
    segments.extend(graph_segments);
    Parts { model: segments, external: external.map(|_| outside) }
}

/// Refuses a model that no reader could open.
pub(crate) fn check_size(segments: &[Segment]) -> Result<(), EmitError> {
    let bytes: u64 = segments.iter().map(|segment| segment.len() as u64).sum();
    if bytes > PROTOBUF_LIMIT {
        return Err(EmitError::Option(
            format!("the model has {bytes} bytes, a protobuf message at most {PROTOBUF_LIMIT}; write external data")
                .into(),
        ));
    }
    Ok(())
}
