//! The folder in which an output is made: `.residua-` and a token, beside the output's place, so that moving it is a rename.
//!
//! A file in it is locked for as long as the process lives, on every system and whatever ends it. So others can tell the folder
//! of a process at work from one that was left; none removes a folder without holding its lock.

use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::left::left_behind;
use super::leftovers;
use super::staged::{LOCK, PREFIX, Record, remove};
use crate::{EmitError, file_ops};

/// Attempts at a folder that no other process takes for one that was left, in the moment before it is locked.
const ATTEMPTS: usize = 16;

/// What is to be removed when the process ends early.
#[derive(Debug, Clone, PartialEq)]
enum Live {
    Staging(PathBuf),
    Made(PathBuf),
}

static LIVE: Mutex<Vec<Live>> = Mutex::new(Vec::new());

/// Held by whoever makes, moves or removes outputs.
static BUSY: Mutex<()> = Mutex::new(());

fn live() -> MutexGuard<'static, Vec<Live>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn busy() -> MutexGuard<'static, ()> {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forget(what: &Live) {
    live().retain(|other| other != what);
}

/// Removes everything that is not at its place yet, for a process that is about to end: waits until what is being moved is where it belongs, and from then
/// on no output is made, moved or dropped; a thread that tries waits for the end.
pub fn abandon_all() {
    std::mem::forget(busy());
    let all: Vec<Live> = live().iter().rev().cloned().collect();
    for one in all {
        match one {
            // Another thread may still be writing there; it cannot make a file in a folder that is gone.
            Live::Staging(path) => _ = (0..100).any(|_| fs::remove_dir_all(&path).is_ok() || !path.exists()),
            Live::Made(path) => _ = fs::remove_dir(path),
        }
    }
}

#[derive(Debug)]
pub(super) struct Staging {
    path: PathBuf,
    token: String,
    lock: Option<File>,
    /// Whether what others left is in use, and may not be any more when this output is at its place.
    pub(super) sweep_again: bool,
}

impl Staging {
    /// Makes and locks one in a folder, and removes there what others left.
    pub(super) fn make(parent: &Path) -> Result<Self, EmitError> {
        let failed = || EmitError::io("cannot write into", parent);
        let _busy = busy();
        for _ in 0..ATTEMPTS {
            let made = tempfile::Builder::new().prefix(PREFIX).rand_bytes(12).make_in(parent, |path| {
                // What is on its way is its owner's alone; the files in it are not, once they are moved.
                file_ops::make_private_folder(path)
            });
            let path = made.map_err(failed())?.into_temp_path().keep().map_err(|error| failed()(error.error))?;
            live().push(Live::Staging(path.clone()));
            let token = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let token = token.strip_prefix(PREFIX).unwrap_or_default().to_owned();
            let mut staging = Self { path, token, lock: None, sweep_again: false };
            match staging.lock() {
                Ok(true) => {
                    staging.sweep_again = leftovers::sweep(parent, staging.path());
                    return Ok(staging);
                }
                Ok(false) => {}
                Err(error) => {
                    staging.remove();
                    return Err(failed()(error));
                }
            }
            staging.remove();
        }
        Err(failed()(std::io::Error::new(ErrorKind::ResourceBusy, "other processes keep removing what is made there")))
    }

    /// Makes the file that is locked; not where another process has taken the folder for one that was left.
    fn lock(&mut self) -> std::io::Result<bool> {
        let path = self.path.join(LOCK);
        let file = match file_ops::create_new(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            // A file system without locks has no others that could take it.
            Ok(()) | Err(fs::TryLockError::Error(_)) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
        }
        self.lock = Some(file);
        Ok(path.exists())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Says for whoever finds this left what is about to be moved.
    pub(super) fn record(&mut self, record: &Record) -> std::io::Result<()> {
        let Some(lock) = &mut self.lock else { return Ok(()) };
        let path = self.path.join(LOCK);
        lock.seek(SeekFrom::Start(0))?;
        file_ops::set_len(lock, &path, 0)?;
        file_ops::write_all(lock, &path, &serde_json::to_vec(record)?)?;
        lock.sync_all()
    }

    /// Leaves the folder where it is, since it holds what could not be put back.
    pub(super) fn leave(&mut self) {
        forget(&Live::Staging(std::mem::take(&mut self.path)));
    }

    fn remove(&mut self) {
        let path = std::mem::take(&mut self.path);
        if path.as_os_str().is_empty() {
            return;
        }
        let lock = self.lock.take();
        remove(&path, lock);
        forget(&Live::Staging(path));
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _busy = busy();
            self.remove();
        }
    }
}

/// A folder that was made for outputs; goes again where nothing was written into it.
#[derive(Debug)]
pub struct MadeFolder(Vec<PathBuf>);

impl MadeFolder {
    /// Makes a folder and those above it, where they are not there.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub fn make(path: &Path) -> Result<Self, EmitError> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
        // Where this fails, what was made goes again once others may work.
        let mut made = Self(Vec::new());
        let _busy = busy();
        for folder in missing.into_iter().rev() {
            file_ops::make_folder(folder).map_err(EmitError::io("cannot make the folder", folder))?;
            live().push(Live::Made(folder.to_owned()));
            made.0.push(folder.to_owned());
        }
        Ok(made)
    }
}

impl Drop for MadeFolder {
    fn drop(&mut self) {
        let _busy = busy();
        for folder in self.0.drain(..).rev() {
            // Fails, as it should, where an output is in it.
            if let Err(error) = file_ops::remove_folder(&folder)
                && !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound)
            {
                left_behind(&folder);
            }
            forget(&Live::Made(folder));
        }
    }
}
