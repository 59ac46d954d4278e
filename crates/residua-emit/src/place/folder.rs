//! An output that is a folder of files: it appears whole, or not at all.
//!
//! It is made inside the folder of an output on its way (`staging`), and moved to its place in one step. Its place is free,
//! or an empty folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use residua_ir::{Shown, Tensor};
use serde_json::Map;

use super::staged::FOLDER;
use super::staging::{Staging, busy};
use super::{folder_of, refuse_input};
use crate::{EmitError, file_ops, safetensors, sink};

/// A folder that is not at its place yet; what is dropped leaves nothing.
#[derive(Debug)]
pub struct StagedFolder {
    staging: Staging,
    target: PathBuf,
    files: Vec<PathBuf>,
    bytes: u64,
}

impl StagedFolder {
    /// Makes the folder that will be at `target`.
    ///
    /// # Errors
    /// Where something is there already that is no empty folder, or nothing can be made beside it.
    pub fn new(target: &Path) -> Result<Self, EmitError> {
        // `out/` is `out`.
        let target: PathBuf = target.components().collect();
        refuse(&target)?;
        let staging = Staging::make(folder_of(&target))?;
        let root = staging.path().join(FOLDER);
        file_ops::make_folder(&root).map_err(EmitError::io("cannot make the folder", &target))?;
        Ok(Self { staging, target, files: Vec::new(), bytes: 0 })
    }

    /// Where the folder is now.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.staging.path().join(FOLDER)
    }

    /// Where it will be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Files of it, as they will be called, in the order in which they were written.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The place of a file, whose folder is made; `path` has `/` between its parts.
    fn place(&mut self, path: &str) -> Result<(PathBuf, PathBuf), EmitError> {
        let (now, then) = (self.path().join(path), self.target.join(path));
        let folder = folder_of(&now);
        if !folder.is_dir() {
            file_ops::make_folder(folder).map_err(EmitError::io("cannot make the folder", folder_of(&then)))?;
        }
        self.files.push(then.clone());
        Ok((now, then))
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`EmitError::Io`].
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), EmitError> {
        let (now, then) = self.place(path)?;
        let written = file_ops::create_new(&now).and_then(|mut file| file_ops::write_all(&mut file, &now, bytes));
        written.map_err(EmitError::io("cannot write", &then))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes tensors under these names as a safetensors file.
    ///
    /// # Errors
    /// [`EmitError`], where an element cannot be had, or the disk says so.
    pub fn write_tensors(&mut self, path: &str, tensors: Vec<(String, Tensor)>) -> Result<(), EmitError> {
        let segments = safetensors::segments(Map::new(), tensors)?;
        let (now, then) = self.place(path)?;
        sink::write(&now, &then, &segments)?;
        self.bytes += fs::metadata(&now).map_err(EmitError::io("cannot read", &then))?.len();
        Ok(())
    }

    /// Syncs all files and moves the folder to its place; gives its files.
    ///
    /// # Errors
    /// Where something came to be there meanwhile, or the disk says so. Nothing is there then that was not there before.
    pub fn commit(self) -> Result<Vec<PathBuf>, EmitError> {
        refuse(&self.target)?;
        for file in &self.files {
            let now = file.strip_prefix(&self.target).map(|inner| self.path().join(inner));
            let now = now.unwrap_or_else(|_| file.clone());
            file_ops::sync(&now).map_err(EmitError::io("cannot write", file))?;
        }
        let moving = busy();
        match file_ops::remove_folder(&self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(EmitError::io("cannot write into", &self.target)(error)),
        }
        file_ops::rename(&self.path(), &self.target).map_err(EmitError::io("cannot write", &self.target))?;
        file_ops::sync_folder(folder_of(&self.target));
        drop(moving);
        Ok(self.files)
    }
}

/// Refuses a place where something is.
fn refuse(target: &Path) -> Result<(), EmitError> {
    let problem = match fs::read_dir(target) {
        Ok(mut entries) => entries.next().map(|_| "is a folder that is not empty; choose another name, or empty it"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            target.file_name().is_none().then_some("is no name of a folder")
        }
        Err(_) => Some("is no folder; the output must be one"),
    };
    match problem {
        Some(problem) => Err(EmitError::Option(format!("{} {problem}", target.shown()).into())),
        None => refuse_input(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.collect()
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out/");
        let mut folder = StagedFolder::new(&target).unwrap();
        folder.write("src/lib.rs", b"//! Nothing.\n").unwrap();
        folder.write("Cargo.toml", b"").unwrap();
        assert!(!target.exists());
        drop(folder);
        assert_eq!(entries(parent.path()), Vec::<String>::new());
        let mut folder = StagedFolder::new(&target).unwrap();
        folder.write("src/lib.rs", b"//! Nothing.\n").unwrap();
        folder
            .write_tensors("m.safetensors", vec![("x".to_owned(), Tensor::from_f32(vec![1], &[1.0]).unwrap())])
            .unwrap();
        folder.commit().unwrap();
        assert_eq!(entries(parent.path()), ["out"]);
        assert_eq!(fs::read(target.join("src/lib.rs")).unwrap(), b"//! Nothing.\n");
    }

    #[test]
    fn what_is_there_stays() {
        let parent = tempfile::tempdir().unwrap();
        let (file, full, empty) = (parent.path().join("file"), parent.path().join("full"), parent.path().join("empty"));
        fs::write(&file, "mine").unwrap();
        fs::create_dir(&full).unwrap();
        fs::write(full.join("mine"), "mine").unwrap();
        fs::create_dir(&empty).unwrap();
        let refused = |target: &Path| StagedFolder::new(target).unwrap_err().to_string();
        assert!(refused(&file).contains("is no folder"), "{}", refused(&file));
        assert!(refused(&full).contains("is not empty"), "{}", refused(&full));
        let mut folder = StagedFolder::new(&empty).unwrap();
        folder.write("a", b"a").unwrap();
        // Somebody puts a file there meanwhile.
        fs::write(empty.join("mine"), "mine").unwrap();
        assert!(folder.commit().is_err());
        assert_eq!(entries(&empty), ["mine"]);
    }
}
