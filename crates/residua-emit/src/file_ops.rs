//! The operations on files that outputs are made of.
//!
//! In tests each passes a gate that can make it fail, or end the process before it; elsewhere the gate is nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "that of tests fails")]
fn gate(_: &'static str, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
fn gate(what: &'static str, path: &Path) -> io::Result<()> {
    gates::pass(what, path)
}

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    gate("create", path)?;
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    gate("open", path)?;
    OpenOptions::new().write(true).open(path)
}

pub(crate) fn set_len(file: &File, path: &Path, len: u64) -> io::Result<()> {
    gate("set length", path)?;
    file.set_len(len)
}

pub(crate) fn write_all(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    gate("write", path)?;
    file.write_all(bytes)
}

pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    gate("make folder", path)?;
    fs::create_dir(path)
}

/// A folder that nobody else may look into.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    gate("make folder", path)?;
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

pub(crate) fn sync(path: &Path) -> io::Result<()> {
    gate("sync", path)?;
    File::open(path)?.sync_all()
}

/// Syncs the names in a folder. Some systems cannot; the files themselves are safe by then.
pub(crate) fn sync_folder(path: &Path) {
    if gate("sync folder", path).is_ok()
        && let Ok(folder) = File::open(path)
    {
        let _ = folder.sync_all();
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    gate("rename", to)?;
    fs::rename(from, to)
}

/// A second name for a file; where the file system has none of that kind, a copy.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    gate("link", to)?;
    match fs::hard_link(from, to) {
        Err(error) if has_no_links(&error) => copy(from, to),
        done => done,
    }
}

/// A second file of the same bytes, synced.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    gate("copy", to)?;
    let mut copy = OpenOptions::new().write(true).create_new(true).open(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()
}

/// Whether links are what is wrong: no such thing there, or not allowed for files of others.
fn has_no_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::TooManyLinks
    )
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    gate("remove", path)?;
    fs::remove_file(path)
}

pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    gate("remove folder", path)?;
    fs::remove_dir(path)
}

#[cfg(test)]
pub(crate) mod gates {
    //! Gates of tests, each for the files of one folder, since tests run beside each other.

    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};

    type Gate = Arc<dyn Fn(&'static str, &Path) -> io::Result<()> + Send + Sync>;

    static GATES: Mutex<Vec<(PathBuf, Gate)>> = Mutex::new(Vec::new());

    /// A gate for as long as it lives.
    pub(crate) struct Closed(PathBuf);

    /// Puts a gate before all operations on files of a folder.
    pub(crate) fn close(
        folder: &Path,
        gate: impl Fn(&'static str, &Path) -> io::Result<()> + Send + Sync + 'static,
    ) -> Closed {
        GATES.lock().unwrap_or_else(PoisonError::into_inner).push((folder.to_owned(), Arc::new(gate)));
        Closed(folder.to_owned())
    }

    impl Drop for Closed {
        fn drop(&mut self) {
            GATES.lock().unwrap_or_else(PoisonError::into_inner).retain(|(folder, _)| *folder != self.0);
        }
    }

    pub(crate) fn pass(what: &'static str, path: &Path) -> io::Result<()> {
        let gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, gate)| Arc::clone(gate));
        drop(gates);
        gate.map_or(Ok(()), |gate| gate(what, path))
    }
}
