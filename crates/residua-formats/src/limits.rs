//! The most that any file is given, so that a claim in it cannot exhaust the machine.
//!
//! They are far above what real networks need, and constants on purpose: a file that is beyond them is refused with
//! the figure and the limit.

/// Bytes that the tensors of one file may come to after decoding, however small the file: 256 MiB.
///
/// A small file of a constant network compresses a thousandfold, so no ratio can be asked of small files.
pub const DECODED_ALWAYS: u64 = 256 << 20;

/// Beyond [`DECODED_ALWAYS`], how many times its own size the tensors of a file may come to after decoding.
///
/// Trained weights compress to a half at best; deflate can reach 1 : 1032.
pub const DECODED_RATIO: u64 = 64;

/// Bytes that the tensors of a file of this size may come to.
#[must_use]
pub fn decoded(file: usize) -> u64 {
    (file as u64).saturating_mul(DECODED_RATIO).max(DECODED_ALWAYS)
}

/// Bytes of one piece of JSON: a model's configuration, an index of shards. ResNet152 takes less than 1 MiB.
pub const JSON_BYTES: u64 = 16 << 20;

/// Values in one piece of JSON, counted by their commas and brackets.
pub const JSON_VALUES: u64 = 2_000_000;

/// Bytes of all strings of one HDF5 attribute together.
pub const ATTRIBUTE_BYTES: u64 = 32 << 20;

/// Bytes of one HDF5 object header. Real ones take a few KiB, and 64 KiB more for each long list of names.
pub const HDF5_HEADER_BYTES: usize = 1 << 20;

/// Bytes of metadata that listing an HDF5 file of this size may read; a 100 MB file takes less than 1 MiB.
#[must_use]
pub fn metadata(file: usize) -> u64 {
    (32 << 20) + file as u64 / 4
}

/// Bytes of the name of one HDF5 link.
pub const HDF5_NAME_BYTES: u64 = 1024;

/// Chunks of one HDF5 dataset.
pub const HDF5_CHUNKS: u64 = 1 << 20;

/// Groups and datasets of one HDF5 file. ResNet152 with optimizer state has about 5,000.
pub const HDF5_OBJECTS: u64 = 200_000;

/// How deep groups of an HDF5 file may nest.
pub const HDF5_DEPTH: u64 = 64;

/// Bytes of one decoded chunk of an HDF5 dataset.
pub const HDF5_CHUNK_BYTES: usize = 256 << 20;

/// Entries of a ZIP archive. A checkpoint has one for each tensor, its optimizer's too.
pub const ZIP_ENTRIES: u64 = 100_000;

/// Values of one pickle, and those on its stack. A checkpoint of ResNet-1202 with its optimizer has about 200,000.
pub const PICKLE_VALUES: u64 = 2_000_000;

/// Bytes of the name of a global in a pickle, and of the key of a storage.
pub const PICKLE_NAME: usize = 1024;

/// Bytes of the pickle of a checkpoint, tensors not counted.
pub const PICKLE_BYTES: u64 = 256 << 20;

/// How deep dictionaries, lists and modules of a checkpoint may nest.
pub const TORCH_DEPTH: u64 = 64;

/// Axes of a tensor; PyTorch and numpy allow 64.
pub const TORCH_RANK: usize = 64;

/// Tensors of one checkpoint, its optimizer's too.
pub const TORCH_TENSORS: u64 = 200_000;

/// Bytes of all names and attributes that reading a checkpoint makes. ResNet-1202 as a module takes about 5 MiB.
pub const TORCH_TEXT: u64 = 128 << 20;

/// Small values beside the tensors of a checkpoint that are kept.
pub const TORCH_SCALARS: usize = 256;

/// Bytes of an ONNX file that are no elements of tensors.
pub const ONNX_STRUCTURE_BYTES: u64 = 32 << 20;

/// Messages, strings and lists in an ONNX file.
pub const ONNX_ITEMS: u64 = 2_000_000;

/// How deep messages of an ONNX file may nest.
pub const ONNX_DEPTH: u64 = 64;

/// Bytes of the header of a safetensors file.
pub const SAFETENSORS_HEADER_BYTES: u64 = 16 << 20;

/// Files that the tensors of one model may be spread over.
pub const SHARDS: u64 = 1_000;

/// Files in a folder that is given as a model.
pub const FOLDER_FILES: u64 = 10_000;
