//! `torch.save` before 1.6: five pickles one after the other, then the storages; and bare pickles.
//!
//! What is in the stream is read by [`stream`](super::stream).

use bytes::Bytes;

use super::storage::Storages;
use super::{TorchFile, TorchKind, stream, walk};
use crate::error::Result;
use crate::pickle;

/// The magic number, 0x1950a86a20f9469cfc6c, as protocols from 2 on write it.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// The same as protocols 0 and 1 write it.
const OLD_MAGIC: &[u8] = b"L119547037146038801333356L\n.";

/// Whether the bytes are a legacy stream.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    // From protocol 4 on, a frame stands between.
    let framed = [2, 11].iter().any(|&at| bytes.get(at..).is_some_and(|rest| rest.starts_with(MAGIC)));
    bytes.first() == Some(&0x80) && framed || bytes.starts_with(OLD_MAGIC)
}

/// Whether the bytes start as a pickle does; one of protocol 0 or 1, as a dictionary or an ordered one.
pub(crate) fn is_pickle(bytes: &[u8]) -> bool {
    const OLD: [&[u8]; 4] = [b"(dp", b"}q", b"ccollections\nOrderedDict\n", b"ccopy_reg\n_reconstructor\n"];
    matches!(bytes, [0x80, 2..=5, ..]) || OLD.iter().any(|start| bytes.starts_with(start))
}

/// Reads a legacy stream.
pub(crate) fn read_legacy(bytes: &Bytes) -> Result<TorchFile> {
    let (object, storages) = stream::read(bytes)?;
    walk::read(TorchKind::Legacy, &object, &storages, bytes.len(), "object")
}

/// Reads a bare pickle: a dictionary with arrays of numpy, as some model zoos have it.
pub(crate) fn read_pickle(bytes: &Bytes) -> Result<TorchFile> {
    let pickle = pickle::run("", bytes, 0)?;
    walk::read(TorchKind::Pickle, &pickle, &Storages::new(), bytes.len(), "pickle")
}
