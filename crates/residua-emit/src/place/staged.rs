//! What lies in the folder in which an output is made: the names, and what its lock says for whoever finds it left.

use std::fs::{self, File};
use std::path::Path;

use super::left::left_behind;
use crate::file_ops;

/// What the names of such folders begin with.
pub(super) const PREFIX: &str = ".residua-";
/// The file that is locked; what it says is in [`Record`].
pub(super) const LOCK: &str = ".lock";
/// The main file while what it names has another name.
pub(super) const SWITCH: &str = ".switch";
/// The folder that an output is, where it is one.
pub(super) const FOLDER: &str = "folder";
/// What the names of files that were there before begin with.
pub(super) const FORMER: &str = ".former.";

/// What a lock says of the output, for whoever finds it left.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Record {
    /// Name of the main file.
    pub(super) main: String,
    /// Names of files that are put beside it before it is there; until it is, they are in the folder as well.
    pub(super) beside: Vec<String>,
    /// The file that it names, which is moved beside it before it is there, and by what that is known again.
    pub(super) data: Option<(String, Identity)>,
}

/// What tells a file from every other one, and from what it is once it was written to.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Identity {
    /// Of a file; none where the system says too little.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let about = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        let modified = (about.mtime(), about.mtime_nsec());
        Some(Self { device: about.dev(), inode: about.ino(), len: about.len(), modified })
    }

    /// Of a file; none where the system says too little.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Path) -> Option<Self> {
        None
    }
}

/// Removes a folder and its files, the lock last: where something cannot be removed, the next process can tell by it that the folder was left.
pub(super) fn remove(path: &Path, lock: Option<File>) {
    let mut empty = true;
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_name() == FOLDER && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            empty &= fs::remove_dir_all(entry.path()).is_ok();
        } else if entry.file_name() != LOCK {
            empty &= file_ops::remove(&entry.path()).is_ok();
        }
    }
    // Windows removes no file that is open.
    drop(lock);
    if empty {
        let _ = file_ops::remove(&path.join(LOCK));
        let _ = file_ops::remove_folder(path);
    }
    if path.exists() {
        left_behind(path);
    }
}
