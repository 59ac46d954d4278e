//! Files on their way that are synced while somebody reads them back.
//!
//! A disk takes about as long to store a model as it takes to write and to prove it, and needs no processor for it. A file
//! is synced once, after its last byte was written and before it is moved; where that is started early, the commit waits
//! for its end instead of starting it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crate::file_ops;

/// Files that are being synced, by where they are.
#[derive(Debug, Default)]
pub(super) struct Syncing(BTreeMap<PathBuf, JoinHandle<io::Result<()>>>);

impl Syncing {
    /// Starts with a file that will not be written to any more. Where no thread can be had, it is synced when it is moved.
    pub(super) fn start(&mut self, path: PathBuf) {
        let own = path.clone();
        if let Ok(thread) = std::thread::Builder::new().name("sync".to_owned()).spawn(move || file_ops::sync(&own)) {
            self.0.insert(path, thread);
        }
    }

    /// Syncs a file, or waits until it is.
    pub(super) fn end(&mut self, path: &Path) -> io::Result<()> {
        match self.0.remove(path) {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("syncing it came to no end"))),
            None => file_ops::sync(path),
        }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        // Some systems remove no file that is open.
        std::mem::take(&mut self.0).into_values().for_each(|thread| drop(thread.join()));
    }
}
