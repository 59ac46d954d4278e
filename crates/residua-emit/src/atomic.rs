//! Outputs that appear whole or not at all.
//!
//! Files are written into a fresh folder beside their place, under their final names, so that a file that refers to
//! another (ONNX external data) can be read before it is moved. A commit syncs and renames. What is dropped before, or
//! fails, leaves nothing; a process that is killed leaves a folder named `.residua-…`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use residua_ir::Shown;
use tempfile::TempDir;

use crate::{EmitError, Emitted};

/// An output that is complete and not yet at its place.
#[derive(Debug)]
pub struct Staged {
    folder: TempDir,
    target: PathBuf,
    emitted: Emitted,
}

/// Files on their way.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: TempDir,
    target: PathBuf,
}

impl Stage {
    /// Makes the folder for an output at `target`.
    pub(crate) fn new(target: &Path) -> Result<Self, EmitError> {
        let name = target.file_name().filter(|_| !target.is_dir());
        if name.is_none() {
            return Err(EmitError::Option(format!("{} is a folder; the output must be a file", target.shown())));
        }
        let parent = folder_of(target);
        let folder = tempfile::Builder::new()
            .prefix(".residua-")
            .tempdir_in(parent)
            .map_err(EmitError::io("cannot write into", parent))?;
        Ok(Self { folder, target: target.to_owned() })
    }

    /// Where to write the file that will be at `target`, or beside it under this suffix to its name.
    pub(crate) fn path(&self, suffix: &str) -> PathBuf {
        let mut name = self.target.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        self.folder.path().join(name)
    }

    /// Where to write the file that will be beside `target` under this name.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The finished output. `emitted.files` are the staged files, the main one first.
    pub(crate) fn finish(self, mut emitted: Emitted) -> Result<Staged, EmitError> {
        for file in &mut emitted.files {
            emitted.bytes += fs::metadata(&*file).map_err(EmitError::io("cannot read", file))?.len();
            *file = self.target.with_file_name(file.file_name().unwrap_or_default());
        }
        Ok(Staged { folder: self.folder, target: self.target, emitted })
    }
}

/// The folder that a file is in; the current one for a bare name.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Staged {
    /// The main file, to be read back.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.staged(&self.target)
    }

    /// What was written; its paths are those after the commit.
    #[must_use]
    pub fn emitted(&self) -> &Emitted {
        &self.emitted
    }

    fn staged(&self, file: &Path) -> PathBuf {
        self.folder.path().join(file.file_name().unwrap_or_default())
    }

    /// Syncs all files and moves them to their places, the main one last, so that it never refers to what is not there.
    ///
    /// # Errors
    /// [`EmitError::Io`]; files that were not there before are then not there either.
    pub fn commit(self) -> Result<Emitted, EmitError> {
        for file in &self.emitted.files {
            let staged = self.staged(file);
            File::open(&staged).and_then(|f| f.sync_all()).map_err(EmitError::io("cannot write", file))?;
        }
        let mut moved: Vec<&Path> = Vec::new();
        for file in self.emitted.files.iter().rev() {
            let new = !file.exists();
            if let Err(source) = fs::rename(self.staged(file), file) {
                for file in moved {
                    // The first error is the one to report.
                    let _ = fs::remove_file(file);
                }
                return Err(EmitError::Io { action: "cannot write", path: file.clone(), source });
            }
            if new {
                moved.push(file);
            }
        }
        // The names are part of the output. Some systems cannot sync a folder; the files themselves are safe by now.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        Ok(self.emitted)
    }
}
