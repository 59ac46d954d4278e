//! Which images there are in folders.
//!
//! Links are followed. A folder that is reached from within itself is not entered again, so that no circle of links goes
//! on for ever; a file that several names lead to is taken once for each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use residua_ir::Shown;

use crate::error::{Context, Result, bail, ensure};
use crate::input::EXTENSIONS;

/// Folders within each other that are entered.
const MOST_LEVELS: usize = 64;

/// What was found in files and folders.
#[derive(Debug, Default)]
pub struct Found {
    /// Images, in the order in which they were given, those of a folder by their paths.
    pub images: Vec<PathBuf>,
    /// How many files of folders have another ending than images have.
    pub others: usize,
    /// Folders that were not entered, with the reason.
    pub left: Vec<String>,
}

/// The images among files and folders; a file that is named itself is taken whatever its ending.
///
/// # Errors
/// Where there is none at all, or a path leads nowhere.
pub fn find(paths: &[PathBuf]) -> Result<Found> {
    let mut found = Found::default();
    for path in paths {
        let about = fs::metadata(path).with_context(|| format!("cannot read {}", path.shown()))?;
        if !about.is_dir() {
            found.images.push(path.clone());
            continue;
        }
        let before = found.images.len();
        let mut walk = Walk::default();
        walk.enter(path)?;
        found.images.append(&mut walk.images);
        found.others += walk.others;
        found.left.append(&mut walk.left);
        ensure!(found.images.len() > before, "{}", none_in(path, walk.others));
    }
    Ok(found)
}

/// Says that a folder holds no images.
fn none_in(folder: &Path, others: usize) -> String {
    let others = match others {
        0 => "it holds no files".to_owned(),
        1 => "it holds one file of another ending".to_owned(),
        others => format!("it holds {others} files of other endings"),
    };
    format!("{} holds no images ({}): {others}", folder.shown(), EXTENSIONS.join(", "))
}

/// Whether a name ends as that of an image does; names that begin with a dot are hidden and do not.
pub(crate) fn is_image(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    !hidden && ending.is_some_and(|ending| EXTENSIONS.contains(&ending.as_str()))
}

/// A way through folders.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// What was found.
    pub images: Vec<PathBuf>,
    /// How many other files there are.
    pub others: usize,
    /// Folders that were not entered, with the reason.
    pub left: Vec<String>,
    /// Where it is: folders without links.
    within: BTreeSet<PathBuf>,
}

impl Walk {
    /// A way through parts of a folder: no link leads back into the whole, where a part would get the images of others.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub(crate) fn below(folder: &Path) -> Result<Self> {
        let place = folder.canonicalize().with_context(|| format!("cannot read the folder {}", folder.shown()))?;
        Ok(Self { within: BTreeSet::from([place]), ..Self::default() })
    }

    /// Takes all images of a folder and those within it, by name.
    ///
    /// # Errors
    /// Where a folder cannot be read.
    pub(crate) fn enter(&mut self, folder: &Path) -> Result<()> {
        let cannot = || format!("cannot read the folder {}", folder.shown());
        if self.within.len() >= MOST_LEVELS {
            bail!("{}: it lies {MOST_LEVELS} folders deep", cannot());
        }
        let place = folder.canonicalize().with_context(cannot)?;
        if !self.within.insert(place.clone()) {
            self.left.push(format!("{} leads back into itself and was not entered again", folder.shown()));
            return Ok(());
        }
        for path in entries(folder)? {
            if path.is_dir() {
                self.enter(&path)?;
            } else if is_image(&path) {
                self.images.push(path);
            } else {
                self.others += 1;
            }
        }
        self.within.remove(&place);
        Ok(())
    }
}

/// What lies in a folder, by name.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the folder {}", folder.shown());
    let entries = fs::read_dir(folder).with_context(cannot)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<PathBuf>, _>>().with_context(cannot)?;
    // UTF-8 sorts by code point, as Python's strings do.
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::testing::folder;

    fn names(folder: &Path) -> Vec<String> {
        let found = find(&[folder.to_owned()]).unwrap();
        found.images.iter().map(|path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn images_of_a_folder_are_found_by_name_in_every_script() {
        let files =
            ["b.png", "a.PNG", "10.jpg", "9.jpg", "猫/é.webp", "猫/ё.tiff", "notes.txt", ".hidden.png", "Z.gif"];
        let folder = folder(&files);
        assert_eq!(names(folder.path()), ["10.jpg", "9.jpg", "Z.gif", "a.PNG", "b.png", "猫/é.webp", "猫/ё.tiff"]);
        assert_eq!(find(&[folder.path().to_owned()]).unwrap().others, 2);
    }

    #[test]
    fn a_folder_without_images_and_a_path_that_leads_nowhere_are_told() {
        let folder = folder(&["a.txt", "b/c.csv"]);
        let said = find(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(said.ends_with("it holds 2 files of other endings"), "{said}");
        let said = find(&[folder.path().join("none")]).unwrap_err().to_string();
        assert!(said.starts_with("cannot read ") && said.ends_with("none"), "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_in_no_circle() {
        let folder = folder(&["a/one.png"]);
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(folder.path(), at("a/up")).unwrap();
        std::os::unix::fs::symlink(at("a/one.png"), at("two.png")).unwrap();
        assert_eq!(names(folder.path()), ["a/one.png", "two.png"]);
        let left = find(&[folder.path().to_owned()]).unwrap().left;
        assert!(left.len() == 1 && left[0].contains("leads back into itself"), "{left:?}");
    }
}
