//! Images whose class is known: a folder with a subfolder a class, a list of names and classes, or a flat folder with
//! such a list beside it.
//!
//! Classes are sorted as Keras and torchvision sort them, as text by code point: `10` comes before `2`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use residua_ir::budget::Limit;
use residua_ir::{Shown, files};

use crate::error::{Context, Result, bail, ensure};
use crate::images::{Walk, entries, is_image};

/// An image whose class is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The file.
    pub file: PathBuf,
    /// Its class, by its place among [`Truth::classes`].
    pub class: usize,
}

/// Images with their classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Names of the classes, sorted as text.
    pub classes: Vec<String>,
    /// The images: of folders by class and path, of a list in its order.
    pub images: Vec<Labelled>,
    /// What to tell the user about it.
    pub notes: Vec<String>,
}

impl Truth {
    /// Of a folder with a subfolder a class, a list of names and classes, or a folder whose images `list` tells of.
    ///
    /// # Errors
    /// Where there are no images with classes.
    pub fn read(place: &Path, list: Option<&Path>) -> Result<Self> {
        let about = fs::metadata(place).with_context(|| format!("cannot read {}", place.shown()))?;
        match (about.is_dir(), list) {
            (true, Some(list)) => of_list(list, place),
            (true, None) => of_folders(place),
            (false, None) => of_list(place, place.parent().unwrap_or(Path::new("."))),
            (false, Some(_)) => bail!("{} is no folder, and the list of classes tells of one", place.shown()),
        }
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn of_folders(place: &Path) -> Result<Truth> {
    let mut truth = Truth::default();
    let (mut direct, mut deeper) = (0, Vec::new());
    for path in entries(place)? {
        if !path.is_dir() {
            direct += usize::from(is_image(&path));
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if hidden(&path) {
            truth.notes.push(format!("the folder {} is hidden and no class", path.shown()));
            continue;
        }
        let mut walk = Walk::below(place)?;
        walk.enter(&path)?;
        let class = truth.classes.len();
        if walk.images.is_empty() {
            truth.notes.push(format!("the folder of class `{}` holds no images", name.shown()));
        } else if walk.images.iter().all(|image| image.parent() != Some(&path)) {
            deeper.push(name.clone());
        }
        truth.notes.append(&mut walk.left);
        truth.images.extend(walk.images.into_iter().map(|file| Labelled { file, class }));
        truth.classes.push(name);
    }
    let advice = "expected a subfolder for each class, or a list of names and classes";
    ensure!(
        !truth.classes.is_empty(),
        "{} holds {}: {advice}",
        place.shown(),
        if direct > 0 {
            format!("{direct} images and no subfolders")
        } else {
            "neither images nor subfolders".to_owned()
        }
    );
    ensure!(!truth.images.is_empty(), "no subfolder of {} holds images: {advice}", place.shown());
    let filled = truth.images.iter().map(|image| image.class).collect::<BTreeSet<usize>>().len();
    if let Some(first) = deeper.first().filter(|_| deeper.len() == filled) {
        bail!(
            "the images below {} lie in folders within its subfolders: {advice}; is {} meant?",
            place.shown(),
            place.join(first).shown()
        );
    }
    if direct > 0 {
        truth.notes.push(format!("{direct} images lie beside the classes' folders and are left out"));
    }
    Ok(truth)
}

/// A line of a list: a name and a class, or a class alone.
fn line(text: &str) -> Option<(Option<&str>, &str)> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    match text.rsplit_once([',', '\t', ';']).or_else(|| text.rsplit_once(' ').filter(|(name, _)| !name.contains(','))) {
        Some((name, class)) => Some((Some(unquoted(name)), unquoted(class))),
        None => Some((None, unquoted(text))),
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The heads that lists begin with.
const HEADS: [&str; 8] = ["file", "filename", "name", "image", "path", "picture", "imageid", "file_name"];

fn of_list(list: &Path, folder: &Path) -> Result<Truth> {
    let cannot = || format!("cannot read the list of classes {}", list.shown());
    let text = String::from_utf8(files::read(list, Limit::SettingsBytes).with_context(cannot)?).with_context(cannot)?;
    let mut lines: Vec<(usize, Option<&str>, &str)> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .filter_map(|(at, text)| line(text).map(|(name, class)| (at + 1, name, class)))
        .collect();
    let head = |&(_, name, _): &(usize, Option<&str>, &str)| {
        name.is_some_and(|name| HEADS.contains(&name.to_lowercase().as_str()))
    };
    let kaggle = lines.first().is_some_and(|(_, name, class)| {
        name.is_some_and(|name| name.eq_ignore_ascii_case("imageid")) && class.eq_ignore_ascii_case("predictionstring")
    });
    if lines.first().is_some_and(head) {
        lines.remove(0);
    }
    ensure!(!lines.is_empty(), "the list of classes {} is empty", list.shown());
    let named = lines.iter().filter(|(_, name, _)| name.is_some()).count();
    let mut pairs: Vec<(PathBuf, String)> = Vec::new();
    if named == 0 {
        let mut walk = Walk::default();
        walk.enter(folder)?;
        let (images, classes) = (walk.images, lines.len());
        ensure!(
            images.len() == classes,
            "the list {} has {classes} classes without names, and {} holds {} images",
            list.shown(),
            folder.shown(),
            images.len()
        );
        refuse_ilsvrc(list, &lines)?;
        pairs.extend(images.into_iter().zip(lines.iter().map(|(_, _, class)| (*class).to_owned())));
    } else {
        let stems = stems(folder, &lines)?;
        for (at, name, class) in lines {
            let Some(name) = name else {
                bail!("{}, line {at}: expected a name and a class, found `{}`", list.shown(), class.shown())
            };
            // Boxes stand behind the class in the list of the competition.
            let class = if kaggle { class.split_whitespace().next().unwrap_or_default() } else { class };
            ensure!(!class.is_empty(), "{}, line {at}: `{}` has no class", list.shown(), name.shown());
            let file = stems.get(name).cloned().unwrap_or_else(|| folder.join(name));
            pairs.push((file, class.to_owned()));
        }
    }
    Ok(of_pairs(pairs))
}

/// Images of a folder by their names without ending, where a list names them so.
fn stems(folder: &Path, lines: &[(usize, Option<&str>, &str)]) -> Result<BTreeMap<String, PathBuf>> {
    let without = |name: &str| Path::new(name).extension().is_none();
    if !lines.iter().any(|(_, name, _)| name.is_some_and(without)) {
        return Ok(BTreeMap::new());
    }
    let mut walk = Walk::default();
    walk.enter(folder)?;
    let stem = |path: PathBuf| Some((path.file_stem()?.to_string_lossy().into_owned(), path));
    Ok(walk.images.into_iter().filter_map(stem).collect())
}

/// Refuses ImageNet's own numbers, which count classes in another order than networks do.
fn refuse_ilsvrc(list: &Path, lines: &[(usize, Option<&str>, &str)]) -> Result<()> {
    let numbers: Option<Vec<u32>> = lines.iter().map(|(_, _, class)| class.parse().ok()).collect();
    let from_one =
        |numbers: &Vec<u32>| numbers.iter().all(|number| (1..=1000).contains(number)) && numbers.contains(&1000);
    ensure!(
        !numbers.is_some_and(|numbers| from_one(&numbers)),
        "{} has numbers from 1 to 1000: those of ImageNet's ground truth count classes in another order than networks do; \
         take a list of synsets (n01440764), or of names and numbers from 0",
        list.shown()
    );
    Ok(())
}

fn of_pairs(pairs: Vec<(PathBuf, String)>) -> Truth {
    let numbers = pairs.iter().all(|(_, class)| class.parse::<usize>().is_ok());
    let mut names: Vec<String> =
        pairs.iter().map(|(_, class)| class.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    if numbers {
        // A list says which number a class has; there is nothing to sort as text.
        names.sort_by_key(|name| name.parse::<usize>().unwrap_or_default());
        names.dedup_by_key(|name| name.parse::<usize>().unwrap_or_default());
    }
    let place = |class: &str| {
        let number = class.parse::<usize>().ok().filter(|_| numbers);
        names
            .iter()
            .position(|name| name == class || number.is_some() && name.parse().ok() == number)
            .unwrap_or_default()
    };
    let places: BTreeMap<&str, usize> = pairs.iter().map(|(_, class)| (class.as_str(), place(class))).collect();
    let class = |name: &str| places.get(name).copied().unwrap_or_default();
    let images = pairs.iter().map(|(file, name)| Labelled { file: file.clone(), class: class(name) }).collect();
    let mut notes = Vec::new();
    if numbers {
        notes.push("the list has numbers of classes, from 0".to_owned());
    }
    Truth { classes: names, images, notes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::testing::folder;

    fn list(folder: &Path, text: &str) -> Result<Truth> {
        let list = folder.join("list.txt");
        fs::write(&list, text).unwrap();
        Truth::read(folder, Some(&list))
    }

    fn classes(truth: &Truth) -> Vec<(String, usize)> {
        let name = |image: &Labelled| image.file.file_name().unwrap().to_string_lossy().into_owned();
        truth.images.iter().map(|image| (name(image), image.class)).collect()
    }

    #[test]
    fn folders_are_classes_in_the_order_of_text() {
        let folder = folder(&["2/a.png", "10/b.png", "1/c.png", "1/deep/d.png", "é/e.png", ".git/x.png", "beside.png"]);
        let truth = Truth::read(folder.path(), None).unwrap();
        assert_eq!(truth.classes, ["1", "10", "2", "é"]);
        let expected = [("c.png", 0), ("d.png", 0), ("b.png", 1), ("a.png", 2), ("e.png", 3)];
        assert_eq!(classes(&truth), expected.map(|(name, class)| (name.to_owned(), class)));
        assert_eq!(truth.notes.len(), 2, "{:?}", truth.notes);
    }

    #[test]
    fn what_is_no_folder_of_classes_is_told_as_what_it_is() {
        let said = |files: &[&str]| {
            let folder = folder(files);
            let said = Truth::read(folder.path(), None).unwrap_err().to_string();
            said.replace(&folder.path().to_string_lossy().into_owned(), "F")
        };
        assert!(said(&["a.png", "b.png"]).starts_with("F holds 2 images and no subfolders"));
        assert!(said(&["notes.txt"]).starts_with("F holds neither images nor subfolders"));
        assert!(said(&["a/notes.txt"]).starts_with("no subfolder of F holds images"));
        let nested = said(&["val/cats/a.png", "val/dogs/b.png"]);
        assert!(nested.ends_with("is F/val meant?"), "{nested}");
    }

    /// A link from a class up to the set would give it the images of all other classes.
    #[cfg(unix)]
    #[test]
    fn no_class_gets_the_images_of_others_by_a_link_to_the_set() {
        let folder = folder(&["cats/a.png", "dogs/b.png"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("cats/up")).unwrap();
        let truth = Truth::read(folder.path(), None).unwrap();
        assert_eq!(classes(&truth), [("a.png".to_owned(), 0), ("b.png".to_owned(), 1)]);
        assert!(truth.notes.len() == 1 && truth.notes[0].contains("leads back into itself"), "{:?}", truth.notes);
    }

    #[test]
    fn lists_are_read_as_people_have_them() {
        let files = ["ILSVRC2012_val_00000002.JPEG", "ILSVRC2012_val_00000001.JPEG"];
        let folder = folder(&files);
        let expected = |first, second| vec![(files[1].to_owned(), first), (files[0].to_owned(), second)];
        let caffe = list(folder.path(), "ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000002.JPEG 970\n").unwrap();
        assert_eq!((classes(&caffe), caffe.classes), (expected(0, 1), vec!["65".to_owned(), "970".to_owned()]));
        let synsets = list(folder.path(), "n01751748\nn09193705\n").unwrap();
        assert_eq!(classes(&synsets), expected(0, 1));
        let kaggle = "ImageId,PredictionString\nILSVRC2012_val_00000001,n03995372 85 1 499 272 \n\
                      ILSVRC2012_val_00000002,n01751748 1 2 3 4\n";
        let kaggle = list(folder.path(), kaggle).unwrap();
        assert_eq!((classes(&kaggle), kaggle.classes[0].as_str()), (expected(1, 0), "n01751748"));
        let csv = list(
            folder.path(),
            "file,class\n\"ILSVRC2012_val_00000001.JPEG\",a cat\nILSVRC2012_val_00000002.JPEG,dog\n",
        );
        assert_eq!(csv.unwrap().classes, ["a cat", "dog"]);
        let said = list(folder.path(), "1000\n1\n").unwrap_err().to_string();
        assert!(said.contains("another order"), "{said}");
        assert!(list(folder.path(), "a\n").is_err() && list(folder.path(), "\n").is_err());
    }

    #[test]
    fn numbers_of_a_list_are_sorted_as_numbers() {
        let folder = folder(&["a.png", "b.png", "c.png"]);
        let truth = list(folder.path(), "a.png,10\nb.png,2\nc.png,010\n").unwrap();
        assert_eq!(truth.classes, ["2", "010"]);
        assert_eq!(classes(&truth), [("a.png".to_owned(), 1), ("b.png".to_owned(), 0), ("c.png".to_owned(), 1)]);
    }
}
