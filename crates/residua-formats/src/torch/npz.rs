//! A numpy archive whose arrays have the names of a state dict: what tch loads from `.npz`, and what
//! `numpy.savez(path, **state_dict)` makes.

use bytes::Bytes;

use super::{StateDict, TorchFile, TorchKind};
use crate::error::{FormatError, Result};
use crate::{NamedTensor, npy};

/// Reads the arrays as one state dict.
pub(crate) fn read_npz(bytes: &Bytes) -> Result<TorchFile> {
    let arrays = npy::arrays(bytes)?;
    let is_exchanged = |name: &str| ["input/", "output/", "tap/"].iter().any(|start| name.starts_with(start));
    if arrays.iter().any(|(name, _)| is_exchanged(name)) {
        let what = "a numpy archive of inputs and outputs";
        return Err(FormatError::unsupported("", what, "it is what a model takes or gives, not a model"));
    }
    let tensors = arrays.into_iter().map(|(name, tensor)| {
        let location = name.clone();
        NamedTensor { name, location, tensor }
    });
    let all = StateDict { tensors: tensors.collect(), ..StateDict::default() };
    Ok(TorchFile { state_dicts: vec![all], ..TorchFile::empty(TorchKind::Npz) })
}
