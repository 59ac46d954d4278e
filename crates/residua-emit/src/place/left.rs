//! What of ours could not be removed: no reason to fail an output that is at its place, and nothing to be silent about.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What could not be removed, until somebody asks.
static LEFT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Notes that something of ours could not be removed.
pub(super) fn left_behind(path: &Path) {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
}

/// What is noted so far, and stays so.
#[cfg(test)]
pub(super) fn noted() -> Vec<PathBuf> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What is of no use any more and could not be removed, since this was asked last: folders and files of outputs that are
/// at their places, or never got there. Nothing is wrong with the outputs. The next process that writes into that folder
/// tries again.
#[must_use]
pub fn take_left_behind() -> Vec<PathBuf> {
    let mut left = std::mem::take(&mut *LEFT.lock().unwrap_or_else(PoisonError::into_inner));
    left.retain(|path| fs::symlink_metadata(path).is_ok());
    left.sort();
    left.dedup();
    left
}
