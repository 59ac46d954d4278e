//! Which output of a model a class of the images is.
//!
//! Where the model's classes have names, those of the images are looked up among them. Where they have none, the n-th
//! class of the images is the n-th output, if there are as many: so does whoever trained on such a folder.

use std::collections::BTreeMap;

use residua_ir::Shown;

use crate::error::{Result, bail};
use crate::labels::Labels;
use crate::suggest;

static SYNSETS: &str = include_str!("../../data/imagenet1k-synsets.txt");

/// The order that classes without names are taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClassOrder {
    /// As text, as Keras and torchvision sort folders.
    #[default]
    Text,
    /// As numbers: the class that is called 7 is output 7.
    Number,
}

/// Which output each class is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// For each class of the images.
    pub(super) outputs: Vec<usize>,
    /// How that is known, for people.
    pub(super) by: String,
    /// What to tell the user about it.
    pub(super) notes: Vec<String>,
}

/// The outputs of these classes.
///
/// # Errors
/// Where a class has none, or it cannot be known which.
pub(super) fn map(classes: &[String], labels: &Labels, outputs: usize, order: ClassOrder) -> Result<Mapping> {
    if order == ClassOrder::Number {
        return by_number(classes, outputs);
    }
    if let Some(found) = by_name(classes, labels, outputs)? {
        return Ok(found);
    }
    if classes.len() == outputs {
        return Ok(by_place(classes));
    }
    let numbers = classes.iter().all(|class| class.parse::<usize>().is_ok_and(|number| number < outputs));
    if numbers && !classes.is_empty() {
        return by_number(classes, outputs);
    }
    let few = if classes.len() == 1 { "one class" } else { "classes" };
    bail!(
        "the images are of {} ({}), and the model has {outputs} without names: a file of labels, one a line, says which \
         is which",
        if classes.len() == 1 { few.to_owned() } else { format!("{} {few}", classes.len()) },
        some(classes)
    )
}

/// The first of some names.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|name| format!("`{}`", name.shown())).collect();
    if names.len() > shown.len() { format!("{}, …", shown.join(", ")) } else { shown.join(", ") }
}

/// Names as they are compared: case and the characters between words aside.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn by_name(classes: &[String], labels: &Labels, outputs: usize) -> Result<Option<Mapping>> {
    let names: Vec<&str> = (0..outputs).filter_map(|output| labels.get(output)).collect();
    if names.len() != outputs {
        return Ok(None);
    }
    let synsets: Vec<&str> = if outputs == 1000 { SYNSETS.lines().collect() } else { Vec::new() };
    let mut places: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for (output, name) in names.iter().enumerate() {
        // Two outputs of one name (some lists of ImageNet's have two cranes) are none by that name.
        places.entry(plain(name)).and_modify(|place| *place = None).or_insert(Some(output));
    }
    for (output, synset) in synsets.iter().enumerate() {
        places.entry((*synset).to_owned()).or_insert(Some(output));
    }
    let find = |class: &String| -> Option<usize> {
        let exact = names.iter().position(|name| name == class);
        let exact = exact.filter(|_| names.iter().filter(|name| *name == class).count() == 1);
        exact.or_else(|| places.get(&plain(class)).copied().flatten())
    };
    let found: Vec<Option<usize>> = classes.iter().map(find).collect();
    let missing: Vec<&String> =
        classes.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(c, _)| c).collect();
    if missing.is_empty() {
        let (all, synset) =
            (found.into_iter().flatten().collect(), classes.iter().all(|c| synsets.contains(&c.as_str())));
        let by = if synset { "by ImageNet's synsets".to_owned() } else { format!("by name, {}", labels.origin()) };
        return Ok(Some(Mapping { outputs: all, by, notes: Vec::new() }));
    }
    // ImageNet's names are a guess from the number of classes, and numbers are no names.
    let numbers = classes.iter().all(|class| class.parse::<usize>().is_ok());
    if missing.len() == classes.len() && (labels.is_assumed() || numbers) {
        return Ok(None);
    }
    let listed: Vec<String> = missing.iter().map(|name| (*name).clone()).collect();
    let hint = missing.first().map(|name| suggest::hint(name, names.iter().copied())).unwrap_or_default();
    bail!("the model has no class {}{hint} ({})", some(&listed), labels.origin())
}

fn by_place(classes: &[String]) -> Mapping {
    let mut notes = Vec::new();
    let numbers: Option<Vec<usize>> = classes.iter().map(|class| class.parse().ok()).collect();
    if numbers.is_some_and(|numbers| numbers.windows(2).any(|pair| pair[0] > pair[1])) {
        notes.push(
            "classes are called by numbers, and were sorted as text, `10` before `2`, as Keras and torchvision sort folders; \
             --class-order number takes the number for the output"
                .to_owned(),
        );
    }
    let by = "by place: the n-th class, sorted as text, is the n-th output".to_owned();
    Mapping { outputs: (0..classes.len()).collect(), by, notes }
}

fn by_number(classes: &[String], outputs: usize) -> Result<Mapping> {
    let number = |class: &String| class.parse::<usize>().ok().filter(|&number| number < outputs);
    let found: Option<Vec<usize>> = classes.iter().map(number).collect();
    let Some(found) = found else {
        let wrong: Vec<String> = classes.iter().filter(|class| number(class).is_none()).cloned().collect();
        bail!("classes are taken for numbers of outputs, 0 to {}: {} is none", outputs.saturating_sub(1), some(&wrong));
    };
    Ok(Mapping { outputs: found, by: "by number: a class is the output of its number".to_owned(), notes: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn mapped(classes: &[&str], labels: &Labels, outputs: usize) -> Result<Vec<usize>> {
        map(&names(classes), labels, outputs, ClassOrder::Text).map(|mapping| mapping.outputs)
    }

    #[test]
    fn names_count_where_the_model_has_some() {
        let labels = Labels::stored(names(&["dog", "Egyptian cat", "cat"]));
        assert_eq!(mapped(&["cat", "dog", "egyptian_cat"], &labels, 3).unwrap(), [2, 0, 1]);
        assert_eq!(mapped(&["cat"], &labels, 3).unwrap(), [2]);
        let said = mapped(&["cat", "doog"], &labels, 3).unwrap_err().to_string();
        assert!(said.contains("no class `doog`; did you mean `dog`?"), "{said}");
        assert!(mapped(&["a", "b", "c"], &labels, 3).is_err(), "names that are stored are no guess");
    }

    #[test]
    fn imagenet_is_known_by_names_and_by_synsets() {
        let labels = Labels::standard(1000);
        assert_eq!(mapped(&["n01440764", "n02124075"], &labels, 1000).unwrap(), [0, 285]);
        assert_eq!(mapped(&["tench", "Egyptian_cat"], &labels, 1000).unwrap(), [0, 285]);
        assert_eq!(mapped(&["7", "65"], &labels, 1000).unwrap(), [7, 65]);
        assert!(mapped(&["tench", "my cat"], &labels, 1000).is_err());
        let twice = Labels::stored(names(&["crane", "dog", "crane"]));
        assert!(mapped(&["crane"], &twice, 3).is_err(), "there are two of them");
    }

    #[test]
    fn without_names_the_place_counts_and_text_order_is_told_of() {
        let none = Labels::standard(3);
        assert_eq!(mapped(&["a", "b", "c"], &none, 3).unwrap(), [0, 1, 2]);
        let numbers = map(&names(&["1", "10", "2"]), &none, 3, ClassOrder::Text).unwrap();
        assert_eq!((numbers.outputs, numbers.notes.len()), (vec![0, 1, 2], 1));
        assert!(map(&names(&["1", "10", "2"]), &none, 3, ClassOrder::Number).is_err());
        assert_eq!(map(&names(&["1", "0", "2"]), &none, 3, ClassOrder::Number).unwrap().outputs, [1, 0, 2]);
        let one = mapped(&["cats"], &none, 3).unwrap_err().to_string();
        assert!(one.starts_with("the images are of one class (`cats`)"), "{one}");
        assert!(mapped(&["a", "b", "c", "d"], &none, 3).is_err());
    }
}
