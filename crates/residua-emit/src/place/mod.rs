//! Outputs that appear whole or not at all, and never in the place of an input. Every file that residua writes goes through here.
//!
//! Files are written into a fresh folder beside their place (`staging`), under their final names, so that a file that refers to another
//! can be read before it is moved. A commit syncs all files and moves them (`commit`): at every moment, whatever fails and wherever the process dies,
//! there is either wholly what was there before or wholly what is new. What is dropped before that leaves nothing; what a killed process leaves is removed by the next one
//! that writes into that folder (`leftovers`).

mod commit;
mod folder;
mod left;
mod leftovers;
mod staged;
mod staging;
mod syncing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use residua_ir::Shown;
use residua_ir::files::inputs;

use crate::sink::{self, Segment};
use crate::{EmitError, Emitted, file_ops};
pub use commit::commit_together;
pub use folder::StagedFolder;
pub use left::take_left_behind;
use staging::Staging;
pub use staging::{MadeFolder, abandon_all};
use syncing::Syncing;

/// Refuses an output that is a file which was read.
///
/// # Errors
/// [`EmitError::Input`].
pub fn refuse_input(output: &Path) -> Result<(), EmitError> {
    match inputs::replaced_by(output) {
        Some(input) => Err(EmitError::Input { output: output.to_owned(), input }),
        None => Ok(()),
    }
}

/// Refuses outputs that have one place.
///
/// # Errors
/// [`EmitError::Twice`].
pub fn refuse_twice(outputs: &[&Path]) -> Result<(), EmitError> {
    let mut taken = BTreeSet::new();
    match outputs.iter().find(|path| !taken.insert(inputs::place(path))) {
        Some(path) => Err(EmitError::Twice { path: (*path).to_owned() }),
        None => Ok(()),
    }
}

/// What a file is written through.
pub trait Out: Write + Seek {}

impl<W: Write + Seek> Out for W {}

/// The folder that a file is in; the current one for a bare name.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Files on their way.
#[derive(Debug)]
pub(crate) struct Stage {
    staging: Staging,
    target: PathBuf,
}

impl Stage {
    /// Makes the folder for an output at `target`.
    pub(crate) fn new(target: &Path) -> Result<Self, EmitError> {
        let problem = match fs::metadata(target) {
            Ok(there) if there.is_dir() => Some("is a folder"),
            Ok(there) if !there.is_file() => Some("is no regular file"),
            Ok(_) | Err(_) => target.file_name().is_none().then_some("is no name of a file"),
        };
        if let Some(problem) = problem {
            return Err(EmitError::Option(format!("{} {problem}; the output must be a file", target.shown()).into()));
        }
        refuse_input(target)?;
        let staging = Staging::make(folder_of(target))?;
        Ok(Self { staging, target: target.to_owned() })
    }

    /// Where to write the file that will be at `target`, or beside it under this suffix to its name.
    fn path(&self, suffix: &str) -> PathBuf {
        self.staging.path().join(named(&self.target, suffix).file_name().unwrap_or_default())
    }

    /// Writes the file that will be at `target`, or beside it under this suffix to its name.
    pub(crate) fn write(&self, suffix: &str, segments: &[Segment]) -> Result<(), EmitError> {
        sink::write(&self.path(suffix), &named(&self.target, suffix), segments)
    }

    /// Writes the main file that names the data as [`Stage::transit`] does.
    pub(crate) fn write_switch(&self, segments: &[Segment]) -> Result<(), EmitError> {
        sink::write(&self.staging.path().join(staged::SWITCH), &self.target, segments)
    }

    /// Writes a small file that will be beside `target` under this name.
    pub(crate) fn write_beside(&self, name: &str, text: &[u8]) -> Result<(), EmitError> {
        let path = self.staging.path().join(name);
        let written = file_ops::create_new(&path).and_then(|mut file| file_ops::write_all(&mut file, &path, text));
        written.map_err(EmitError::io("cannot write", &self.target.with_file_name(name)))
    }

    /// What the file beside `target` under this suffix is called while the main file is exchanged.
    pub(crate) fn transit(&self, suffix: &str) -> Option<String> {
        let name = named(&self.target, suffix);
        Some(format!("{}{}{}", name.file_name()?.to_str()?, leftovers::MARK, self.staging.token()))
    }

    /// The finished output.
    pub(crate) fn finish(self, with: With, emitted: Emitted) -> Result<Staged, EmitError> {
        let mut emitted = emitted;
        let pending = Pending { syncing: Syncing::default(), staging: self.staging, target: self.target, with };
        for place in pending.places() {
            refuse_input(&place)?;
        }
        let (target, named_by_main) = (&pending.target, pending.data());
        emitted.files = std::iter::once(target.clone()).chain(named_by_main).collect();
        if let With::Beside { new, there } = &pending.with {
            emitted.files.extend(new.iter().chain(there).map(|name| target.with_file_name(name)));
        }
        for file in &emitted.files {
            let staged = pending.staged(file);
            emitted.bytes += fs::metadata(&staged).map_err(EmitError::io("cannot read", file))?.len();
        }
        Ok(Staged { pending, emitted })
    }
}

fn named(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    target.with_file_name(name)
}

/// What goes with the main file of an output.
#[derive(Debug)]
pub(crate) enum With {
    /// Nothing.
    Nothing,
    /// A file that the main file names, under this suffix to its name.
    Data(&'static str),
    /// Files that readers look for beside the main file.
    Beside {
        /// Those that are not there yet.
        new: Vec<&'static str>,
        /// Those that are there and say the same: they stay.
        there: Vec<&'static str>,
    },
}

/// An output that is complete and not yet at its place.
#[derive(Debug)]
pub struct Pending {
    /// Before the folder, which is removed when it is dropped.
    syncing: Syncing,
    staging: Staging,
    target: PathBuf,
    with: With,
}

impl Pending {
    /// Writes a single file beside its place.
    ///
    /// # Errors
    /// [`EmitError`], where it would replace an input, or cannot be written; or what `write` says.
    pub fn file<E: From<EmitError>>(
        target: &Path,
        write: impl FnOnce(&mut dyn Out) -> Result<(), E>,
    ) -> Result<Self, E> {
        let stage = Stage::new(target)?;
        let path = stage.path("");
        let failed = || EmitError::io("cannot write", target);
        let mut file = std::io::BufWriter::new(Gated { file: file_ops::create_new(&path).map_err(failed())?, path });
        write(&mut file)?;
        file.flush().map_err(failed())?;
        let syncing = Syncing::default();
        Ok(Self { syncing, staging: stage.staging, target: target.to_owned(), with: With::Nothing })
    }

    /// Where files will be.
    pub fn places(&self) -> Vec<PathBuf> {
        let beside = match &self.with {
            With::Beside { new, .. } => &new[..],
            With::Nothing | With::Data(_) => &[],
        };
        let beside = beside.iter().map(|name| self.target.with_file_name(name));
        std::iter::once(self.target.clone()).chain(self.data()).chain(beside).collect()
    }

    /// Syncs all files and moves them to their places.
    ///
    /// # Errors
    /// [`EmitError::Io`]; what was there before is there then.
    pub fn commit(self) -> Result<(), EmitError> {
        commit_together(vec![self])
    }

    fn data(&self) -> Option<PathBuf> {
        match self.with {
            With::Data(suffix) => Some(named(&self.target, suffix)),
            With::Nothing | With::Beside { .. } => None,
        }
    }

    fn staged(&self, file: &Path) -> PathBuf {
        self.staging.path().join(file.file_name().unwrap_or_default())
    }
}

/// A file whose writes can be made to fail in tests.
struct Gated {
    file: File,
    path: PathBuf,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        file_ops::write_all(&mut self.file, &self.path, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Gated {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// A model that is complete and not yet at its place.
#[derive(Debug)]
pub struct Staged {
    pending: Pending,
    emitted: Emitted,
}

impl Staged {
    /// The main file, to be read back.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.pending.staged(&self.pending.target)
    }

    /// What was written; its paths are those after the commit.
    #[must_use]
    pub fn emitted(&self) -> &Emitted {
        &self.emitted
    }

    /// Starts syncing all files, to be read back meanwhile. What goes wrong with that is told by [`Staged::commit`], which
    /// waits for the end.
    pub fn start_sync(&mut self) {
        for place in self.pending.places() {
            self.pending.syncing.start(self.pending.staged(&place));
        }
    }

    /// Where the bytes of one of the files of [`Staged::emitted`] are now: beside its place, or there, where it stays as it is.
    #[must_use]
    pub fn now_at(&self, file: &Path) -> PathBuf {
        let stays = match &self.pending.with {
            With::Beside { there, .. } => there.iter().any(|name| file.file_name() == Some(OsStr::new(name))),
            With::Nothing | With::Data(_) => false,
        };
        if stays { file.to_owned() } else { self.pending.staged(file) }
    }

    /// Syncs all files and moves them to their places, together.
    ///
    /// # Errors
    /// [`EmitError::Io`]; what was there before is there then.
    pub fn commit(self) -> Result<Emitted, EmitError> {
        self.commit_with(Vec::new())
    }

    /// As [`Staged::commit`], with other outputs that appear where the model does, or not at all.
    ///
    /// # Errors
    /// As [`Staged::commit`]; [`EmitError::Twice`] where two outputs have one place.
    pub fn commit_with(self, others: Vec<Pending>) -> Result<Emitted, EmitError> {
        let all = std::iter::once(self.pending).chain(others).collect();
        commit_together(all)?;
        Ok(self.emitted)
    }
}

/// Whether a name is one that files and folders on their way have.
fn is_token(text: &str) -> bool {
    (6..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// As text, where it is that.
fn text_of(name: &OsStr) -> Option<&str> {
    name.to_str()
}
