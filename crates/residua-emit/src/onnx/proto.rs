//! Small messages: attributes, types of values, tensor headers.

use bytes::Bytes;
use residua_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, DimensionProto, DimensionValue, NodeProto, StringStringEntryProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use residua_ir::{DType, Dim, Metadata, Shape};

fn attribute(name: &str, ty: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: ty.into(), ..AttributeProto::default() }
}

/// An integer attribute. Sizes beyond i64 do not pass validation.
pub(crate) fn int(name: &str, value: impl TryInto<i64>) -> AttributeProto {
    AttributeProto { i: Some(value.try_into().unwrap_or(i64::MAX)), ..attribute(name, AttributeType::Int) }
}

/// A list of integers.
pub(crate) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    list(name, to_i64(values))
}

/// A list of integers that may be negative.
pub(crate) fn list(name: &str, values: Vec<i64>) -> AttributeProto {
    AttributeProto { ints: values, ..attribute(name, AttributeType::Ints) }
}

/// Real numbers; ONNX has f32 here.
#[expect(clippy::cast_possible_truncation, reason = "attributes of ONNX are f32")]
pub(crate) fn floats(name: &str, values: &[f64]) -> AttributeProto {
    let floats = values.iter().map(|&value| value as f32).collect();
    AttributeProto { floats, ..attribute(name, AttributeType::Floats) }
}

/// A real number; ONNX has f32 here.
#[expect(clippy::cast_possible_truncation, reason = "attributes of ONNX are f32")]
pub(crate) fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto { f: Some(value as f32), ..attribute(name, AttributeType::Float) }
}

/// A text.
pub(crate) fn string(name: &str, value: &'static str) -> AttributeProto {
    AttributeProto { s: Some(Bytes::from_static(value.as_bytes())), ..attribute(name, AttributeType::String) }
}

pub(crate) fn to_i64(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| i64::try_from(value).unwrap_or(i64::MAX)).collect()
}

/// ONNX's number of an element type.
pub(crate) fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::F64 => DataType::Double,
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::BF16 => DataType::Bfloat16,
        DType::I64 => DataType::Int64,
        DType::I32 => DataType::Int32,
        DType::I16 => DataType::Int16,
        DType::I8 => DataType::Int8,
        DType::U64 => DataType::Uint64,
        DType::U32 => DataType::Uint32,
        DType::U16 => DataType::Uint16,
        DType::U8 => DataType::Uint8,
        DType::Bool => DataType::Bool,
    }
}

/// Name and type of an input or output. A free size keeps its name; one that is computed from it is left open.
pub(crate) fn interface(name: &str, dtype: DType, shape: &Shape) -> ValueInfoProto {
    typed(name, dtype, shape, |dim| match dim {
        Dim::Fixed(size) => Some(DimensionValue::Value(i64::try_from(*size).unwrap_or(i64::MAX))),
        Dim::Symbolic { symbol, offset: 0, divisor: 1 } => Some(DimensionValue::Param(symbol.to_string())),
        Dim::Symbolic { .. } | Dim::Unknown => None,
    })
}

/// Name and type of a value in between. Free sizes are left open: tract takes a name here for a promise, and refuses
/// whoever then asks for a batch of one.
pub(crate) fn value_info(name: &str, dtype: DType, shape: &Shape) -> ValueInfoProto {
    typed(name, dtype, shape, |dim| {
        dim.fixed().map(|size| DimensionValue::Value(i64::try_from(size).unwrap_or(i64::MAX)))
    })
}

fn typed(name: &str, dtype: DType, shape: &Shape, size: impl Fn(&Dim) -> Option<DimensionValue>) -> ValueInfoProto {
    let dim = shape.dims().iter().map(|dim| DimensionProto { value: size(dim), ..DimensionProto::default() });
    let tensor =
        TensorTypeProto { elem_type: data_type(dtype).into(), shape: Some(TensorShapeProto { dim: dim.collect() }) };
    let ty = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(ty), ..ValueInfoProto::default() }
}

/// A key and its value.
pub(crate) fn entry(key: &str, value: impl Into<String>) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.into() }
}

/// Keys and values.
pub(crate) fn entries(metadata: &Metadata) -> Vec<StringStringEntryProto> {
    metadata.properties.iter().map(|(key, value)| entry(key, value.as_str())).collect()
}

/// Says of a node what its source says.
pub(crate) fn annotate_node(node: &mut NodeProto, metadata: &Metadata) {
    (node.doc_string, node.metadata_props) = (metadata.doc.clone(), entries(metadata));
}

/// Says of a value what its source says.
pub(crate) fn annotate_value(value: &mut ValueInfoProto, metadata: &Metadata) {
    (value.doc_string, value.metadata_props) = (metadata.doc.clone(), entries(metadata));
}
