//! Datasets as tensors: views on the file where their bytes lie in one piece, decoded on demand where they do not.

use std::sync::Arc;

use bytes::Bytes;
use hdf5_reader::error::ByteOrder;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::dataspace::DataspaceType;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{Datatype, Hdf5File, dtype_element_size};
use residua_ir::budget::{self, Limit};
use residua_ir::{DType, Endian, LazyBytes, Tensor, TensorError};

use super::{Source, attribute};
use crate::FormatError;
use crate::error::Result;

/// Filters that are decoded: deflate, shuffle, Fletcher-32, and three of HDF5's own for packed numbers.
const FILTERS: std::ops::RangeInclusive<u16> = 1..=6;

/// One dataset; nothing of its elements has been read.
#[derive(Clone)]
pub(crate) struct Dataset {
    pub(crate) path: String,
    shape: Vec<u64>,
    datatype: Datatype,
    layout: DataLayout,
    external: bool,
    filters: Vec<u16>,
    source: Arc<Source>,
}

impl Dataset {
    pub(super) fn new(source: Arc<Source>, path: String, header: &ObjectHeader) -> Result<Self> {
        let (mut shape, mut datatype, mut layout) = (None, None, None);
        let (mut external, mut filters) = (false, Vec::new());
        for message in &header.messages {
            if let HdfMessage::Dataspace(space) = message {
                shape = Some(match space.dataspace_type {
                    DataspaceType::Null => vec![0],
                    DataspaceType::Scalar => Vec::new(),
                    DataspaceType::Simple => space.dims.clone(),
                });
            } else if let HdfMessage::Datatype(message) = message {
                datatype = Some(message.datatype.clone());
            } else if let HdfMessage::DataLayout(message) = message {
                layout = Some(message.layout.clone());
            } else if let HdfMessage::FilterPipeline(pipeline) = message {
                filters = pipeline.filters.iter().map(|filter| filter.id).collect();
            } else if let HdfMessage::ExternalFiles(_) = message {
                external = true;
            }
        }
        // They are not used, but the library reads them all when it decodes chunks, so they have to be within limits.
        attribute::messages(&source, &path, header)?;
        let (Some(shape), Some(datatype), Some(layout)) = (shape, datatype, layout) else {
            return Err(FormatError::malformed(path, "a dataset with shape, type and layout", "one of them missing"));
        };
        Ok(Self { path, shape, datatype, layout, external, filters, source })
    }

    /// Bytes that all elements come to.
    pub(crate) fn byte_len(&self) -> Result<u64> {
        let size = dtype_element_size(&self.datatype).unwrap_or(0) as u64;
        self.shape.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim)).ok_or_else(|| {
            FormatError::malformed(&*self.path, "a size that can be addressed", format!("shape {:?}", self.shape))
        })
    }

    /// The elements, not yet read.
    pub(crate) fn tensor(&self) -> Result<Tensor> {
        if self.external {
            let help = "a model has to be in one file; copy it with `h5repack` or save it again";
            return Err(FormatError::unsupported(&*self.path, "data in another file", help));
        }
        let (dtype, endian) = self.element()?;
        let shape = self.shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX)).collect::<Vec<_>>();
        let malformed = |error: TensorError| {
            FormatError::malformed(&*self.path, "as many bytes as the shape needs", error.to_string())
        };
        let bytes = match &self.layout {
            DataLayout::Compact { data } => Bytes::copy_from_slice(data),
            DataLayout::Contiguous { .. } if self.shape.contains(&0) => Bytes::new(),
            DataLayout::Contiguous { address, .. } => self.contiguous(*address)?,
            DataLayout::Chunked { dims, .. } => {
                self.check_chunks(dims)?;
                let (hdf5, path) = (self.source.hdf5.clone(), self.path.clone());
                let chunks = Arc::new(Chunks { hdf5, path, len: self.byte_len()? });
                return Tensor::from_lazy(dtype, endian, shape, chunks).map_err(malformed);
            }
        };
        Tensor::from_bytes(dtype, endian, shape, bytes).map_err(malformed)
    }

    /// The bytes of the file from this address on.
    fn contiguous(&self, address: u64) -> Result<Bytes> {
        if Cursor::is_undefined_offset(address, self.source.offset_size) {
            return Err(FormatError::malformed(&*self.path, "elements", "a dataset that was never written"));
        }
        let len = self.byte_len()?;
        let range = address.checked_add(len).and_then(|end| {
            let (start, end) = (usize::try_from(address).ok()?, usize::try_from(end).ok()?);
            (end <= self.source.bytes.len()).then(|| self.source.bytes.slice(start..end))
        });
        range.ok_or_else(|| {
            let found = format!("{len} bytes at {address} of a file of {}", self.source.bytes.len());
            FormatError::malformed(&*self.path, "elements that lie in the file", found)
        })
    }

    fn check_chunks(&self, chunk: &[u32]) -> Result<()> {
        if let Some(filter) = self.filters.iter().find(|filter| !FILTERS.contains(filter)) {
            let help = "compress with gzip instead, for example `h5repack -f GZIP=4`";
            return Err(FormatError::unsupported(&*self.path, format!("the HDF5 filter {filter}"), help));
        }
        // Old layouts list the size of an element as one more dimension.
        let matches = chunk.len() == self.shape.len() || chunk.len() == self.shape.len() + 1;
        if !matches || chunk.contains(&0) {
            let found = format!("{chunk:?} for shape {:?}", self.shape);
            return Err(FormatError::malformed(&*self.path, "chunks of the dataset's rank", found));
        }
        let dims = || self.shape.iter().zip(chunk.iter().map(|&dim| u64::from(dim)));
        let count = dims().fold(1u64, |count, (&dim, chunk)| count.saturating_mul(dim.div_ceil(chunk)));
        FormatError::check(&self.path, Limit::HdfChunks, count)?;
        let element = dtype_element_size(&self.datatype).unwrap_or(1) as u64;
        let bytes = dims().fold(count.saturating_mul(element), |bytes, (_, chunk)| bytes.saturating_mul(chunk));
        let limit = budget::decoded(self.source.bytes.len());
        FormatError::check_against(&self.path, Limit::DecodedBytes, limit, bytes)
    }

    fn element(&self) -> Result<(DType, Endian)> {
        let dtype = match &self.datatype {
            Datatype::FloatingPoint { size: 8, .. } => Some(DType::F64),
            Datatype::FloatingPoint { size: 4, .. } => Some(DType::F32),
            Datatype::FloatingPoint { size: 2, .. } => self.half()?,
            Datatype::FixedPoint { size, signed, .. } => integer(*size, *signed),
            Datatype::Enum { base, members } => boolean(base, members),
            // How h5py stores bfloat16, which numpy does not know.
            Datatype::Opaque { size: 2, .. } => Some(DType::BF16),
            Datatype::FloatingPoint { .. }
            | Datatype::String { .. }
            | Datatype::Compound { .. }
            | Datatype::Array { .. }
            | Datatype::VarLen { .. }
            | Datatype::Opaque { .. }
            | Datatype::Reference { .. }
            | Datatype::Bitfield { .. } => None,
        };
        let endian = match &self.datatype {
            Datatype::FloatingPoint { byte_order: ByteOrder::BigEndian, .. }
            | Datatype::FixedPoint { byte_order: ByteOrder::BigEndian, .. } => Endian::Big,
            Datatype::FloatingPoint { .. }
            | Datatype::FixedPoint { .. }
            | Datatype::String { .. }
            | Datatype::Compound { .. }
            | Datatype::Array { .. }
            | Datatype::Enum { .. }
            | Datatype::VarLen { .. }
            | Datatype::Opaque { .. }
            | Datatype::Reference { .. }
            | Datatype::Bitfield { .. } => Endian::Little,
        };
        dtype.map(|dtype| (dtype, endian)).ok_or_else(|| {
            let help = "weights are read as float16, bfloat16, float32, float64, integers and booleans";
            FormatError::unsupported(&*self.path, format!("a dataset of type {:?}", self.datatype), help)
        })
    }

    /// Which of the two-byte floats: HDF5 2.0 has bfloat16 as a type, and only the place of its exponent differs.
    fn half(&self) -> Result<Option<DType>> {
        let fail = |error| self.source.fail(&self.path, "a datatype", &error);
        let raw = self.source.hdf5.dataset(&self.path).and_then(|d| d.raw_datatype()).map_err(fail)?;
        // After class, flags and size: bit offset, precision, and location and size of exponent and mantissa.
        Ok(match raw.get(12..16) {
            Some([10, 5, 0, 10]) => Some(DType::F16),
            Some([7, 8, 0, 7]) => Some(DType::BF16),
            Some(_) | None => None,
        })
    }
}

fn integer(size: u8, signed: bool) -> Option<DType> {
    match (size, signed) {
        (1, true) => Some(DType::I8),
        (2, true) => Some(DType::I16),
        (4, true) => Some(DType::I32),
        (8, true) => Some(DType::I64),
        (1, false) => Some(DType::U8),
        (2, false) => Some(DType::U16),
        (4, false) => Some(DType::U32),
        (8, false) => Some(DType::U64),
        _ => None,
    }
}

/// How h5py stores booleans: a byte that is either FALSE or TRUE.
fn boolean(base: &Datatype, members: &[hdf5_reader::EnumMember]) -> Option<DType> {
    let named = |name: &str| members.iter().any(|member| member.name == name);
    let byte = matches!(base, Datatype::FixedPoint { size: 1, .. });
    (byte && members.len() == 2 && named("FALSE") && named("TRUE")).then_some(DType::Bool)
}

/// Elements in chunks, compressed or not.
struct Chunks {
    hdf5: Hdf5File,
    path: String,
    len: u64,
}

impl LazyBytes for Chunks {
    fn load(&self) -> Result<Bytes, TensorError> {
        let failed = |error: hdf5_reader::error::Error| TensorError::Source(format!("{}: {error}", self.path).into());
        let bytes = self.hdf5.dataset(&self.path).and_then(|dataset| dataset.read_raw_bytes()).map_err(failed)?;
        if bytes.len() as u64 != self.len {
            let found = format!("{}: expected {} bytes, found {}", self.path, self.len, bytes.len());
            return Err(TensorError::Source(found.into()));
        }
        Ok(Bytes::from(bytes))
    }
}
