//! safetensors files, and the shards of one.

use std::collections::BTreeMap;

use crate::NamedTensor;

/// What a safetensors file holds.
#[derive(Debug)]
pub struct SafetensorsFile {
    /// Tensors in the order of their bytes.
    pub tensors: Vec<NamedTensor>,
    /// The file's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}
