//! What the tensors of one file come to when their elements are decoded: views may repeat what is stored, and tensors may share it.

use std::sync::atomic::{AtomicU64, Ordering};

use residua_ir::Tensor;
use residua_ir::budget::{self, Limit};

use crate::FormatError;
use crate::error::Result;

/// Counts the bytes of all tensors of a file, whoever reads them.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Bytes of the file, and of those that belong to it.
    stored: AtomicU64,
    used: AtomicU64,
}

impl Decoded {
    /// Nothing used yet, of a file of so many bytes.
    pub(crate) fn of(file: usize) -> Self {
        Self { stored: AtomicU64::new(file as u64), used: AtomicU64::new(0) }
    }

    /// Another file that tensors lie in.
    pub(crate) fn grow(&self, file: usize) {
        self.stored.fetch_add(file as u64, Ordering::Relaxed);
    }

    /// Takes the bytes of a tensor from what all tensors may come to.
    pub(crate) fn spend(&self, at: &str, bytes: u64) -> Result<()> {
        let before =
            self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_add(bytes)));
        let used = before.unwrap_or_default().saturating_add(bytes);
        let stored = usize::try_from(self.stored.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        FormatError::check_against(at, Limit::DecodedBytes, budget::decoded(stored), used)
    }

    /// The same tensor, once its bytes are taken.
    pub(crate) fn take(&self, at: &str, tensor: Tensor) -> Result<Tensor> {
        self.spend(at, tensor.byte_len() as u64)?;
        Ok(tensor)
    }
}
