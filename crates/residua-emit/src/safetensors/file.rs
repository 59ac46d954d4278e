//! The bytes of a safetensors file: length of the header (u64, little-endian), JSON, elements.
//!
//! The header is padded to 8 bytes and tensors are sorted by element size and name, as the `safetensors` crate writes
//! them. It is laid out here because elements are streamed, and because the crate's order of metadata differs from run
//! to run.

use ::safetensors::Dtype;
use residua_ir::{DType, Tensor};
use serde_json::{Map, Value, json};

use crate::EmitError;
use crate::sink::Segment;

/// Most bytes of a header that readers accept.
const MAX_HEADER: usize = 100_000_000;

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// The whole file: header, then elements. Names are unique.
pub(super) fn segments(
    about: Map<String, Value>,
    mut tensors: Vec<(String, Tensor)>,
) -> Result<Vec<Segment>, EmitError> {
    tensors
        .sort_by(|(a_name, a), (b_name, b)| dtype(b.dtype()).cmp(&dtype(a.dtype())).then_with(|| a_name.cmp(b_name)));
    let mut segments = vec![Segment::Bytes(header(about, &tensors)?)];
    segments.extend(tensors.into_iter().map(|(name, tensor)| Segment::Tensor { name, tensor }));
    Ok(segments)
}

fn header(about: Map<String, Value>, tensors: &[(String, Tensor)]) -> Result<Vec<u8>, EmitError> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), Value::Object(about));
    let mut offset = 0;
    for (name, tensor) in tensors {
        let end = offset + tensor.byte_len();
        let kind = dtype(tensor.dtype());
        let entry = json!({ "dtype": kind, "shape": tensor.shape(), "data_offsets": [offset, end] });
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut bytes = Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    if bytes.len() > MAX_HEADER {
        let message = format!("the header has {} bytes, readers take at most {MAX_HEADER}", bytes.len());
        return Err(EmitError::Option(message.into()));
    }
    let mut framed = (bytes.len() as u64).to_le_bytes().to_vec();
    framed.extend(bytes);
    Ok(framed)
}
