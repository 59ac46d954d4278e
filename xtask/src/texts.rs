//! What holds for texts of the repository: lines of Markdown have at most 120 characters, files that they link to or name
//! are there, and no leftovers of snapshot tests lie about.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// The most characters of a line of Markdown.
const WIDTH: usize = 120;

/// All files that git tracks, or would.
pub(crate) fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()?;
    if !listed.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&listed.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// What is wrong with the texts below a folder.
pub(crate) fn complaints(root: &Path) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for file in files(root)? {
        let name = file.to_string_lossy().into_owned();
        if leftover(&name) {
            all.push(format!("{name}: a leftover of a snapshot test; `cargo insta review`, or remove it"));
        }
        // A file that was removed is still tracked until that is committed.
        if name.ends_with(".md") && root.join(&file).is_file() {
            let text = fs::read_to_string(root.join(&file))?;
            all.extend(
                long_lines(&text)
                    .map(|(line, length)| format!("{name}:{line}: {length} characters, at most {WIDTH} are allowed")),
            );
            let folder = root.join(&file).parent().map(Path::to_path_buf).unwrap_or_default();
            let missing = links(&text).filter(|(_, path)| !folder.join(path).exists());
            all.extend(missing.map(|(line, path)| format!("{name}:{line}: links to `{path}`, which is not there")));
            let missing = named_files(&text).filter(|(_, path)| !root.join(path).exists());
            all.extend(missing.map(|(line, path)| format!("{name}:{line}: names `{path}`, which is not there")));
        }
    }
    Ok(all)
}

/// Files of the repository that a text links to, each with its line, counted from 1.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let files = targets.map(|target| target.split('#').next().unwrap_or_default());
        files.filter(|file| !file.is_empty() && !file.contains(':')).map(move |file| (index + 1, file))
    })
}

/// Files that a text names in code, from the root of the repository, each with its line.
fn named_files(text: &str) -> impl Iterator<Item = (usize, &str)> {
    const FOLDERS: [&str; 5] = ["crates/", "tests/", "fuzz/", "docs/", ".ci/"];
    text.lines().enumerate().flat_map(|(index, line)| {
        let spans = line.split('`').skip(1).step_by(2);
        let files = spans.filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder)));
        // Not commands, patterns or placeholders.
        let plain = |span: &&str| span.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
        files.filter(plain).map(move |file| (index + 1, file))
    })
}

fn leftover(name: &str) -> bool {
    name.ends_with(".pending-snap") || name.ends_with(".snap.new")
}

/// Lines that are too long, counted from 1. What cannot be broken is let be: code, rows of tables, images, long links.
fn long_lines(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        let length = line.chars().count();
        let fixed = code
            || line.starts_with('|')
            || line.starts_with("![")
            || line.strip_prefix('`').is_some_and(|rest| rest.find('`') == Some(rest.len() - 1))
            || line.split_whitespace().any(|word| word.chars().count() > WIDTH / 2);
        (length > WIDTH && !fixed).then_some((index + 1, length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_told_unless_they_cannot_be_broken() {
        let long = "word ".repeat(30);
        let link = format!("[a](https://{}.org) {long}", "b".repeat(60));
        let text = format!("short\n{long}\n```\n{long}\n```\n| {long} |\n{link}\n![{long}](a)\n`{long}`\n`a` {long}\n");
        assert_eq!(long_lines(&text).collect::<Vec<_>>(), [(2, 150), (10, 154)]);
        assert_eq!(long_lines(&"ä".repeat(120)).count(), 0);
    }

    #[test]
    fn links_and_names_of_files_are_found() {
        let text =
            "See [a](b.md#c), [d](https://e.org), [f](#g)\nand `crates/x/src` or `crates/<x>/y`, `tests/a b`, `cargo`.";
        assert_eq!(links(text).collect::<Vec<_>>(), [(1, "b.md")]);
        assert_eq!(named_files(text).collect::<Vec<_>>(), [(2, "crates/x/src")]);
    }

    #[test]
    fn leftovers_are_known_by_their_names() {
        assert!(leftover("tests/cli/.diff.rs.pending-snap") && leftover("a/b.snap.new"));
        assert!(!leftover("a/b.snap"));
    }
}
