//! Circles of imports between the files of a crate: which files cannot be understood without each other.
//!
//! A file depends on another where it names something that is defined there. A name is followed through imports and
//! re-exports to the file that defines it, so going through a parent (`super::Thing`, `crate::Thing`) makes no
//! dependency on the parent. Neither `mod` nor `pub use` counts: they arrange names. Tests count as little.
//!
//! A file that states what the files below it share, and calls them, is a family, and no flaw: what a file names of its own
//! parents is not counted. The text is read as tokens, without expanding macros: a name that only a macro makes is not
//! seen.
//!
//! Circles that are accepted stand in `circles.txt`, a line each; what is more is an error, and so is a line that is no
//! longer needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use crate::source::{File, Import, read};

/// The files of one crate, by their module paths, and what each depends on.
pub(crate) struct Crate {
    files: BTreeMap<Vec<String>, File>,
}

/// What a path leads to.
enum Found {
    /// A module, that is, a file.
    Module(Vec<String>),
    /// What is defined in this file.
    Item(Vec<String>),
}

/// A module path, as it is written.
fn shown(module: &[String]) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}

impl Crate {
    /// Reads all files below a folder `src`.
    pub(crate) fn read(src: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        collect(src, &mut Vec::new(), &mut files)?;
        // Modules of tests, and what is below them.
        let tests: Vec<Vec<String>> = files
            .iter()
            .flat_map(|(module, file): (&Vec<String>, &File)| {
                file.test_modules.iter().map(|name| module.iter().chain([name]).cloned().collect())
            })
            .collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Ok(Self { files })
    }

    /// What a path names, seen from a module; nothing where it leads out of the crate.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<Found> {
        let mut module = from.to_vec();
        for (at, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => {
                    module.pop()?;
                }
                name => {
                    module.push(name.to_owned());
                    if !self.files.contains_key(&module) {
                        module.pop();
                        return self.item(&module, name, &path[at + 1..], module == from, depth);
                    }
                }
            }
        }
        Some(Found::Module(module))
    }

    /// What a name of a module is, with what comes behind it. From within, imports of all of another module count.
    fn item(&self, module: &[String], name: &str, rest: &[String], within: bool, depth: usize) -> Option<Found> {
        let file = self.files.get(module)?;
        if file.defined.contains(name) {
            return Some(Found::Item(module.to_vec()));
        }
        let depth = depth.checked_sub(1)?;
        if let Some(import) = file.imports.iter().find(|import| import.name == name) {
            // An import of another crate.
            if import.path.first().is_some_and(|first| first == name) {
                return None;
            }
            let path: Vec<String> = import.path.iter().chain(rest).cloned().collect();
            return self.resolve(module, &path, depth);
        }
        let globs = file.imports.iter().filter(|import| import.name == "*" && (import.public || within));
        globs.filter_map(|import| self.resolve(module, &import.path, depth)).find_map(|found| match found {
            Found::Module(target) if target != module => self.item(&target, name, rest, false, depth),
            Found::Module(_) | Found::Item(_) => None,
        })
    }

    /// For each file, the files that define what it names.
    pub(crate) fn dependencies(&self) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
        let of = |(module, file): (&Vec<String>, &File)| {
            let imported = file.imports.iter().filter(|import| !import.public).map(|import: &Import| &import.path);
            let found = imported
                .chain(&file.paths)
                .filter_map(|path| match self.resolve(module, path, 16)? {
                    Found::Item(target) => Some(target),
                    // What is named in it counts, where that is done.
                    Found::Module(_) => None,
                })
                // Within a family, see above.
                .filter(|target| !module.starts_with(target))
                .collect();
            (module.clone(), found)
        };
        self.files.iter().map(of).collect()
    }

    /// Sets of files of which each depends on each other.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<String>> {
        let direct = self.dependencies();
        let reach: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = direct
            .keys()
            .map(|start| {
                let mut seen = BTreeSet::new();
                let mut open = vec![start];
                while let Some(next) = open.pop() {
                    open.extend(direct.get(next).into_iter().flatten().filter(|&target| seen.insert(target)));
                }
                (start, seen)
            })
            .collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            let circle: BTreeSet<String> =
                reached.iter().filter(|other| reach[**other].contains(*module)).map(|other| shown(other)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The dependencies as a Mermaid graph; folders of files are boxes.
    pub(crate) fn drawing(&self) -> String {
        let mut text = "graph LR\n".to_owned();
        for (from, targets) in self.dependencies() {
            for to in targets {
                let _ = writeln!(text, "  {} --> {}", shown(&from).replace("::", "/"), shown(&to).replace("::", "/"));
            }
        }
        text
    }
}

fn collect(folder: &Path, module: &mut Vec<String>, files: &mut BTreeMap<Vec<String>, File>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            module.push(stem);
            collect(&path, module, files)?;
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "main" {
            let mut name = module.clone();
            if stem != "mod" && stem != "lib" {
                name.push(stem);
            }
            files.insert(name, read(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// A circle that is accepted: its crate and its files.
type Accepted = (String, BTreeSet<String>);

/// Reads the list of what is accepted: `crate: file file …  # reason`.
pub(crate) fn accepted(text: &str) -> Result<Vec<Accepted>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (circle, reason) = line.split_once('#').unwrap_or((line, ""));
            if reason.trim().is_empty() {
                return Err(format!("circles.txt: `{line}` has no reason; expected `crate: file file  # reason`"));
            }
            let (name, files) = circle.split_once(':').ok_or(format!("circles.txt: `{line}` names no crate"))?;
            Ok((name.trim().to_owned(), files.split_whitespace().map(str::to_owned).collect()))
        })
        .collect()
}

/// What is wrong with the circles of a crate, given those that are accepted.
pub(crate) fn complaints(name: &str, circles: &[BTreeSet<String>], accepted: &[Accepted]) -> Vec<String> {
    let ours: Vec<&BTreeSet<String>> = accepted.iter().filter(|(of, _)| of == name).map(|(_, files)| files).collect();
    let list = |files: &BTreeSet<String>| files.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let new = circles
        .iter()
        .filter(|circle| !ours.iter().any(|files| circle.is_subset(files)))
        .map(|circle| format!("{name}: these files import each other in a circle: {}", list(circle)));
    let stale = ours
        .iter()
        .filter(|files| !circles.iter().any(|circle| circle.is_subset(files)))
        .map(|files| format!("{name}: circles.txt accepts a circle that is not there any more: {}", list(files)));
    new.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Crate {
        let module = |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Crate { files: texts.iter().map(|(name, text)| (module(name), read(text))).collect() }
    }

    fn circles(texts: &[(&str, &str)]) -> Vec<Vec<String>> {
        files(texts).circles().into_iter().map(|circle| circle.into_iter().collect()).collect()
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let a = "use crate::b::B; pub struct A(B);";
        assert_eq!(circles(&[("", "mod a; mod b;"), ("a", a), ("b", "pub struct B;")]), Vec::<Vec<String>>::new());
        for b in [
            "use super::a::A; pub struct B; fn f(_: A) {}",
            "pub struct B; fn f(_: crate::a::A) {}",
            "use crate::a; pub struct B; fn f(_: a::A) {}",
            "use crate::{a::{A as Other}, x}; pub struct B;",
        ] {
            assert_eq!(circles(&[("", "mod a; mod b;"), ("a", a), ("b", b)]), [["a", "b"]], "{b}");
        }
    }

    #[test]
    fn a_name_is_followed_through_re_exports() {
        let lib = "mod a; mod b; mod c; pub use a::A; pub use b::*;";
        let a = "use crate::B; pub struct A(B);";
        assert_eq!(circles(&[("", lib), ("a", a), ("b", "pub struct B;"), ("c", "use crate::A;")]).len(), 0);
        let b = "use crate::c::C; pub struct B;";
        assert_eq!(circles(&[("", lib), ("a", a), ("b", b), ("c", "use crate::A; struct C;")]), [["a", "b", "c"]]);
    }

    #[test]
    fn a_parent_that_calls_its_children_is_no_circle_but_two_families_that_name_each_other_are() {
        let parent = "mod child; pub struct Shared; fn f() { child::help(Shared) }";
        let child = "use super::Shared; pub fn help(_: Shared) {}";
        assert_eq!(circles(&[("", ""), ("p", parent), ("p::child", child)]).len(), 0);
        let child = "use super::Shared; use crate::q; pub fn help(_: Shared) { q::other() }";
        let other = "use crate::p::Shared; pub fn other() -> Shared {}";
        assert_eq!(circles(&[("", ""), ("p", parent), ("p::child", child), ("q", other)]), [["p", "p::child", "q"]]);
    }

    #[test]
    fn tests_comments_and_texts_name_nothing() {
        let a = "use crate::b::B; pub struct A;";
        let b = "/* crate::a::A */ // crate::a::A\n pub struct B; const T: &str = \"crate::a::A\"; #[cfg(test)] mod tests { use crate::a::A; }";
        assert_eq!(circles(&[("", ""), ("a", a), ("b", b)]).len(), 0);
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told() {
        let set = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect::<BTreeSet<_>>();
        let list = accepted("# head\nx: a b  # one thing\ny: c d # another\n").unwrap();
        assert_eq!(complaints("x", &[set(&["a", "b"])], &list), Vec::<String>::new());
        assert_eq!(complaints("x", &[set(&["a", "b"]), set(&["e", "f"])], &list).len(), 1);
        assert_eq!(complaints("y", &[], &list).len(), 1);
        assert!(accepted("x: a b").is_err());
    }
}
