//! The files that know every operator by name: those that the guide names, and no others.
//!
//! Whatever else depends on an operator matches on its description. A second list of all operators would be one more place
//! for whoever adds one, so a file that names half of them counts as such a list.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Below `crates/residua-`, as `docs/architecture.md` has them behind the short name of the crate.
const PLACES: [&str; 6] = [
    "emit/src/onnx/lower/mod.rs",
    "exec/src/steps/plain.rs",
    "ir/src/op/description.rs",
    "ir/src/shape/infer/mod.rs",
    "source/src/burn/lower.rs",
    "source/src/candle/lower.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_test = ["tests", "tests.rs", "testing.rs", "benches", "examples"].contains(&name.as_str());
        if path.is_dir() && !is_test && name != "target" {
            sources(&path, found);
        } else if name.ends_with(".rs") && !is_test && !name.ends_with("_tests.rs") {
            found.push(path);
        }
    }
}

/// The operators that a file names outside of its tests.
fn named(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let names =
        code.split("Op::").skip(1).map(|rest| rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>());
    names.filter(|name| name.starts_with(char::is_uppercase)).collect()
}

#[test]
fn all_operators_are_listed_where_the_guide_says_and_nowhere_else() {
    let crates = root().join("crates");
    let all = named(&crates.join("residua-ir/src/op/description.rs"));
    assert!(all.len() > 40, "{all:?}");
    let mut files = Vec::new();
    sources(&crates, &mut files);
    let mut lists: Vec<String> = Vec::new();
    for file in files {
        let names = named(&file);
        if names.intersection(&all).count() * 2 >= all.len() {
            let place = file.strip_prefix(&crates).unwrap().to_str().unwrap().replace('\\', "/");
            let missing: Vec<&String> = all.difference(&names).collect();
            assert!(missing.is_empty(), "{place} lists operators, and not {missing:?}");
            lists.push(place.strip_prefix("residua-").unwrap_or(&place).to_owned());
        }
    }
    lists.sort();
    assert_eq!(lists, PLACES, "a question about every operator is answered by `Op::describe`");
}

#[test]
fn the_guide_names_these_files() {
    let guide = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for place in PLACES {
        let place = place.replace("/src/", "/");
        assert!(guide.contains(&format!("`{place}`")), "docs/architecture.md does not name `{place}`");
    }
}
