//! Which files were read, so that none of them is replaced by an output.
//!
//! A file is told by its place (the folder without links, and the name in it), by the place that links lead to, and on Unix by device and
//! inode, so that neither another path nor a link of either kind hides it. A folder that is given as a model counts for the
//! files directly in it.
//!
//! The register belongs to the process, as the files of one command are read by many hands. It is empty and stays so until [`start`] is called, which
//! the command line does before each command: a library may well write where it read before, since what is mapped stays what it
//! was when another file takes its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of the files that were read.
#[derive(Debug, Default)]
struct Inputs {
    /// Places, and what each was called when it was read.
    places: BTreeMap<PathBuf, PathBuf>,
    /// Places by device and inode.
    identities: BTreeMap<(u64, u64), BTreeSet<PathBuf>>,
    folders: BTreeMap<PathBuf, PathBuf>,
}

static INPUTS: Mutex<Option<Inputs>> = Mutex::new(None);

fn inputs() -> MutexGuard<'static, Option<Inputs>> {
    INPUTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets all files, and remembers from now on what is read.
pub fn start() {
    *inputs() = Some(Inputs::default());
}

/// Where a path leads when only its folder is looked up: the name itself, which may be a link or nothing yet.
#[must_use]
pub fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        (Ok(_) | Err(_), _) => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    }
}

/// Device and inode of the file behind a path.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// std says nothing of a file's identity here; places tell all files but those with several hard links.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Remembers that the file at a path is read, or will be; it need not be there. For a folder, the files directly in it.
pub fn note(path: &Path) {
    let mut inputs = inputs();
    let Some(inputs) = &mut *inputs else { return };
    let target = path.canonicalize().ok();
    if let Some(folder) = target.as_ref().filter(|target| target.is_dir()) {
        inputs.folders.entry(folder.clone()).or_insert_with(|| path.to_owned());
        return;
    }
    inputs.places.entry(place(path)).or_insert_with(|| path.to_owned());
    let Some(target) = target else { return };
    if let Some(identity) = identity(&target) {
        inputs.identities.entry(identity).or_default().insert(target.clone());
    }
    inputs.places.entry(target).or_insert_with(|| path.to_owned());
}

/// The input that an output at this path would replace, as it was called when it was read.
#[must_use]
pub fn replaced_by(output: &Path) -> Option<PathBuf> {
    let inputs = inputs();
    let inputs = inputs.as_ref()?;
    let own = place(output);
    if let Some(input) = inputs.places.get(&own) {
        return Some(input.clone());
    }
    // What is not there yet replaces nothing.
    let target = output.canonicalize().ok()?;
    if let Some(input) = inputs.places.get(&target) {
        return Some(input.clone());
    }
    let folders = [&own, &target].into_iter().filter_map(|place| inputs.folders.get(place.parent()?));
    if let Some(folder) = folders.into_iter().next() {
        return Some(folder.join(own.file_name().unwrap_or_default()));
    }
    let found = identity(&target)?;
    // An inode that was given away since is another file.
    let read = inputs.identities.get(&found)?.iter().find(|&place| identity(place) == Some(found))?;
    Some(inputs.places.get(read).unwrap_or(read).clone())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// One test, since the register belongs to the process.
    #[test]
    fn what_was_read_is_told_under_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("sub/model")).unwrap();
        for name in ["a.h5", "other.h5", "sub/model/config.json", "sub/model/weights.bin", "gone"] {
            fs::write(at(name), name).unwrap();
        }
        fs::hard_link(at("a.h5"), at("hard.onnx")).unwrap();
        symlink("a.h5", at("soft.onnx")).unwrap();
        symlink("sub", at("way")).unwrap();
        symlink("sub/model/weights.bin", at("named")).unwrap();
        symlink("named", at("twice")).unwrap();

        assert_eq!(replaced_by(&at("a.h5")), None, "nothing is remembered unless that was asked for");
        note(&at("a.h5"));
        start();
        assert_eq!(replaced_by(&at("a.h5")), None, "what was read before counts no more");
        note(&at("a.h5"));
        note(&at("twice"));
        note(&at("missing.data"));
        for output in ["a.h5", "./sub/../a.h5", "hard.onnx", "soft.onnx"] {
            assert_eq!(replaced_by(&at(output)), Some(at("a.h5")), "{output}");
        }
        for output in ["sub/model/weights.bin", "way/model/weights.bin", "named", "twice"] {
            assert_eq!(replaced_by(&at(output)), Some(at("twice")), "{output}");
        }
        assert_eq!(replaced_by(&at("way/../missing.data")), Some(at("missing.data")));
        for output in ["other.h5", "new.onnx", "sub/model/config.json", "sub/missing.data"] {
            assert_eq!(replaced_by(&at(output)), None, "{output}");
        }
        note(&at("way/model"));
        assert_eq!(replaced_by(&at("sub/model/config.json")), Some(at("way/model/config.json")));
        assert_eq!(replaced_by(&at("sub/model/new.json")), None, "a new file in the folder of an input");

        note(&at("gone"));
        fs::rename(at("gone"), at("new name")).unwrap();
        assert_eq!(replaced_by(&at("new name")), None, "the name that was read leads there no more");
    }
}
