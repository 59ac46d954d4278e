//! The mapped file as the library's storage, with a meter on what is read while the file is listed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hdf5_reader::error::{Error, Result};
use hdf5_reader::{Storage, StorageBuffer};
use residua_ir::budget::Limit;

use crate::FormatError;

/// Lends ranges of a file without copying them, and counts their bytes.
pub(super) struct Metered {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    len: usize,
    read: AtomicU64,
    limit: AtomicU64,
}

impl Metered {
    pub(super) fn new(bytes: Bytes) -> Self {
        let len = bytes.len();
        let limit = AtomicU64::new(Limit::HdfMetadataBytes.most().saturating_add(len as u64 / 4));
        Self { owner: Arc::new(bytes), len, read: AtomicU64::new(0), limit }
    }

    /// Ends the metering: what is read from here on are elements, which are counted by their datasets.
    pub(super) fn stop(&self) {
        self.limit.store(u64::MAX, Ordering::Relaxed);
    }

    /// # Errors
    /// Where more was asked for than is given to any file.
    pub(super) fn check(&self, at: &str) -> std::result::Result<(), FormatError> {
        let (limit, read) = (self.limit.load(Ordering::Relaxed), self.read.load(Ordering::Relaxed));
        FormatError::check_against(at, Limit::HdfMetadataBytes, limit, read)
    }
}

impl Storage for Metered {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer> {
        let start = usize::try_from(offset).map_err(|_| Error::OffsetOutOfBounds(offset))?;
        let range = StorageBuffer::from_shared_owner(Arc::clone(&self.owner), start, len)?;
        let before = self.read.fetch_add(len as u64, Ordering::Relaxed);
        if before.saturating_add(len as u64) > self.limit.load(Ordering::Relaxed) {
            return Err(Error::ResourceLimit("metadata".to_owned()));
        }
        Ok(range)
    }
}
