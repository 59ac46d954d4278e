//! A numpy archive whose arrays have the names of a state dict: what tch loads from `.npz`, and what
//! `numpy.savez(path, **state_dict)` makes.

use bytes::Bytes;

use super::{StateDict, TorchFile, TorchKind};
use crate::error::Result;
use crate::{NamedTensor, npy};

/// Reads the arrays as one state dict.
pub(crate) fn read_npz(bytes: &Bytes) -> Result<TorchFile> {
    let tensors = npy::arrays(bytes)?.into_iter().map(|(name, tensor)| {
        let location = name.clone();
        NamedTensor { name, location, tensor }
    });
    let all = StateDict { tensors: tensors.collect(), ..StateDict::default() };
    Ok(TorchFile { state_dicts: vec![all], ..TorchFile::empty(TorchKind::Npz) })
}
