//! Paths as other tools expect them: from the root of a repository, with `/`.

use std::path::{Component, Path, PathBuf};

use crate::error::{Context, Result};
use residua_ir::Shown;

/// What marks the root of a repository.
#[cfg(feature = "reports")]
const MARKS: [&str; 4] = [".git", ".hg", ".jj", ".svn"];

/// The folder that a file lies in.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A path without links and dots; the file itself need not be there.
fn canonical(path: &Path) -> Result<PathBuf> {
    let of_folder = || Some(folder(path).canonicalize().ok()?.join(path.file_name()?));
    let place = path.canonicalize().ok().or_else(of_folder);
    place.with_context(|| format!("cannot find {}", path.shown()))
}

/// The root of the repository that a path lies in.
#[cfg(feature = "reports")]
pub(crate) fn repository(path: &Path) -> Option<PathBuf> {
    let path = canonical(path).ok()?;
    path.ancestors().find(|folder| MARKS.iter().any(|mark| folder.join(mark).exists())).map(Path::to_path_buf)
}

/// A path as it is from the current folder, where it lies in that.
#[cfg(feature = "reports")]
pub(crate) fn from_here(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    match here.ok().and_then(|here| path.strip_prefix(here).map(Path::to_path_buf).ok()) {
        Some(near) => near,
        None => path,
    }
}

/// A path as it is from a folder, with `/`.
///
/// # Errors
/// Where the folder is not there, or that of the path.
pub(crate) fn relative(folder: &Path, path: &Path) -> Result<String> {
    let (folder, path) = (canonical(folder)?, canonical(path)?);
    let shared = folder.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| "..".to_owned());
    let down =
        path.components().skip(shared).map(|part: Component<'_>| part.as_os_str().to_string_lossy().into_owned());
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// A file as a report names it: from the root of its repository, else from the current folder where it lies in that,
/// else as it is.
#[cfg(feature = "reports")]
pub(crate) fn in_repository(file: &Path) -> String {
    let below = |folder: &Path| relative(folder, file).ok().filter(|path| !path.starts_with(".."));
    repository(file).and_then(|root| below(&root)).or_else(|| below(Path::new("."))).unwrap_or_else(|| {
        let absolute = canonical(file).unwrap_or_else(|_| file.to_owned());
        absolute.to_string_lossy().replace('\\', "/")
    })
}

#[cfg(all(test, feature = "reports"))]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        let model = folder.path().join("a/m.h5");
        std::fs::write(&model, "").unwrap();
        for (from, expected) in [("", "a/m.h5"), ("a", "m.h5"), ("a/b", "../m.h5")] {
            assert_eq!(relative(&folder.path().join(from), &model).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_of_a_repository_is_named_from_its_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("models/big")).unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        let model = folder.path().join("models/big/m.h5");
        std::fs::write(&model, "").unwrap();
        assert_eq!(in_repository(&model), "models/big/m.h5");
        assert_eq!(repository(&model).unwrap(), folder.path().canonicalize().unwrap());
        assert_eq!(in_repository(&folder.path().join("models/missing.h5")), "models/missing.h5");
    }
}
