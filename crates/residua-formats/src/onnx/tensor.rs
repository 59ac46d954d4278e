//! `TensorProto` to [`Tensor`]: raw bytes as they lie in the file, typed fields converted, external data mapped.

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::tensor::element_count;
use residua_ir::{DType, Endian, Shown, Tensor, TensorError};

use super::schema::{DataLocation, DataType, TensorProto};
use crate::FormatError;
use crate::error::Result;

/// How errors name a tensor.
pub(super) fn place(name: &str) -> String {
    format!("tensor `{name}`")
}

/// The elements of a tensor; `external` gives the bytes of another file.
pub(super) fn read(proto: &TensorProto, external: &dyn Fn(&str) -> Result<Bytes>) -> Result<Tensor> {
    let at = place(&proto.name);
    if proto.segment.is_some() {
        return Err(FormatError::unsupported(at, "a tensor in segments", "export the model again in one piece"));
    }
    let dtype = DataType::read_as(proto.data_type).ok_or_else(|| {
        let name = match DataType::try_from(proto.data_type) {
            Ok(known) => format!("{known:?}"),
            Err(_) => proto.data_type.to_string(),
        };
        let help = "tensors are read as floats of 16 to 64 bits, integers of 8 to 64 bits and booleans";
        FormatError::unsupported(&*at, format!("the type {name}"), help)
    })?;
    FormatError::check(&at, Limit::Rank, proto.dims.len() as u64)?;
    let shape = proto.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let shape =
        shape.map_err(|_| FormatError::malformed(&*at, "a shape of numbers from 0 on", format!("{:?}", proto.dims)))?;
    let malformed =
        |error: TensorError| FormatError::malformed(&*at, "as many elements as the shape says", error.to_string());
    let places = places(proto);
    if let [_, _, ..] = places[..] {
        return Err(FormatError::malformed(&*at, "its elements in one place", places.join(" and ")));
    }
    let bytes = if proto.data_location == DataLocation::External as i32 {
        let needed = element_count(&shape).map_err(malformed)? * dtype.size();
        external_range(proto, &at, needed, external)?
    } else if proto.raw_data.is_empty() {
        typed(proto, dtype, &at)?
    } else {
        proto.raw_data.clone()
    };
    Tensor::from_bytes(dtype, Endian::Little, shape, bytes).map_err(malformed)
}

/// Where a tensor has elements.
fn places(proto: &TensorProto) -> Vec<&'static str> {
    let external = proto.data_location == DataLocation::External as i32;
    let places = [
        ("another file", external),
        ("raw_data", !proto.raw_data.is_empty()),
        ("float_data", !proto.float_data.is_empty()),
        ("int32_data", !proto.int32_data.is_empty()),
        ("int64_data", !proto.int64_data.is_empty()),
        ("double_data", !proto.double_data.is_empty()),
        ("uint64_data", !proto.uint64_data.is_empty()),
    ];
    places.into_iter().filter_map(|(place, used)| used.then_some(place)).collect()
}

/// The elements from the field that the specification gives this type, as little-endian bytes.
fn typed(proto: &TensorProto, dtype: DType, at: &str) -> Result<Bytes> {
    let narrow = |size: usize, min: i32, max: i32| {
        if let Some(value) = proto.int32_data.iter().find(|value| !(min..=max).contains(*value)) {
            return Err(FormatError::malformed(at, format!("values of {dtype}"), value.to_string()));
        }
        Ok(proto.int32_data.iter().flat_map(|value| value.to_le_bytes().into_iter().take(size)).collect())
    };
    Ok(match dtype {
        DType::F32 => proto.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::F64 => proto.double_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::I64 => proto.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::U64 => proto.uint64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::U32 => {
            let narrow = |&value: &u64| {
                u32::try_from(value).map_err(|_| FormatError::malformed(at, "values of u32", value.to_string()))
            };
            let values = proto.uint64_data.iter().map(narrow).collect::<Result<Vec<_>>>()?;
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        DType::I32 => proto.int32_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        // Halves are bit patterns.
        DType::F16 | DType::BF16 | DType::U16 => narrow(2, 0, i32::from(u16::MAX))?,
        DType::I16 => narrow(2, i32::from(i16::MIN), i32::from(i16::MAX))?,
        DType::I8 => narrow(1, i32::from(i8::MIN), i32::from(i8::MAX))?,
        DType::U8 => narrow(1, 0, i32::from(u8::MAX))?,
        DType::Bool => narrow(1, 0, 1)?,
    })
}

/// The part of another file that the entries `location`, `offset` and `length` name.
fn external_range(
    proto: &TensorProto,
    at: &str,
    needed: usize,
    external: &dyn Fn(&str) -> Result<Bytes>,
) -> Result<Bytes> {
    let entry = |key: &str| proto.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let number = |key: &str, otherwise: usize| match entry(key) {
        None => Ok(otherwise),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| FormatError::malformed(at, format!("a number as `{key}`"), format!("`{}`", text.shown()))),
    };
    let location = entry("location").ok_or_else(|| FormatError::malformed(at, "a `location` of its data", "none"))?;
    let (offset, length) = (number("offset", 0)?, number("length", needed)?);
    let file = external(location)?;
    match offset.checked_add(length) {
        Some(end) if end <= file.len() => Ok(file.slice(offset..end)),
        Some(_) | None => {
            let found = format!("{length} bytes at {offset} of `{location}`, which has {}", file.len());
            Err(FormatError::malformed(at, "data that lies in its file", found))
        }
    }
}
