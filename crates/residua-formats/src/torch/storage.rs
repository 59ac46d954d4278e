//! Storages: the bytes that tensors are views on.

use std::collections::BTreeMap;

use bytes::Bytes;
use residua_ir::{DType, Endian};

/// Bytes of a storage, and what its class says of them.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// Where in the file.
    pub(super) location: String,
    /// Its class without its module: `FloatStorage`.
    pub(super) class: String,
    pub(super) endian: Endian,
    pub(super) bytes: Bytes,
}

impl Storage {
    /// Some of its elements, as a storage of this class; [`None`] where they are not all there.
    pub(super) fn part(&self, offset: u64, count: u64, class: &str) -> Option<Self> {
        let size = element_size(class)? as u64;
        let start = usize::try_from(offset.checked_mul(size)?).ok()?;
        let end = usize::try_from(offset.checked_add(count)?.checked_mul(size)?).ok()?;
        (start <= end && end <= self.bytes.len()).then(|| Self {
            location: format!("{} from element {offset} on", self.location),
            class: class.to_owned(),
            endian: self.endian,
            bytes: self.bytes.slice(start..end),
        })
    }
}

/// Element type of a storage's class; [`None`] for those that are not read.
pub(super) fn dtype_of_class(class: &str) -> Option<DType> {
    Some(match class {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" | "UntypedStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        _ => return None,
    })
}

/// Bytes of one element of a storage's class; [`None`] for classes that are not known.
pub(super) fn element_size(class: &str) -> Option<usize> {
    match class {
        "ComplexDoubleStorage" => Some(16),
        "ComplexFloatStorage" => Some(8),
        "QInt32Storage" => Some(4),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => Some(1),
        _ => dtype_of_class(class).map(DType::size),
    }
}

/// Element type of torch's name for it: `torch.float32`.
pub(super) fn dtype_of_name(name: &str) -> Option<DType> {
    Some(match name.strip_prefix("torch.").unwrap_or(name) {
        "float64" | "double" => DType::F64,
        "float32" | "float" => DType::F32,
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::BF16,
        "int64" | "long" => DType::I64,
        "int32" | "int" => DType::I32,
        "int16" | "short" => DType::I16,
        "int8" => DType::I8,
        "uint64" => DType::U64,
        "uint32" => DType::U32,
        "uint16" => DType::U16,
        "uint8" => DType::U8,
        "bool" => DType::Bool,
        _ => return None,
    })
}

/// Storages by the key that persistent identifiers have.
pub(super) type Storages = BTreeMap<String, Storage>;
