//! `docs/findings.md` is what the rules say of themselves.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::Write;
use std::path::Path;

use residua_ir::{Code, Group};

/// What stands over the codes of a group.
fn title(group: Group) -> &'static str {
    match group {
        Group::Graph => "Graph and shapes",
        Group::Topology => "Residual topology",
        Group::Values => "Values of the weights",
        Group::Target => "Target runtimes (`--target`)",
        Group::Manifest => "Manifests (`--manifest`)",
        Group::OnnxText => "ONNX files",
        Group::Numbers => "Numbers of a run (`--golden`, `--against`)",
    }
}

fn entry(text: &mut String, code: &Code) {
    write!(text, "\n### {} {}\n\nLevel: {}.\n\n", code.id, code.name, code.level).unwrap();
    for line in code.explanation().lines() {
        match line.strip_prefix("## ") {
            Some(heading) => writeln!(text, "**{heading}**"),
            None => writeln!(text, "{line}"),
        }
        .unwrap();
    }
}

fn page() -> String {
    let codes = residua_verify::codes();
    let mut text = "# Findings\n\n\
        What `residua check` can find, as `residua explain CODE` prints it. A level is the one that a finding has unless \
        there\nis evidence for another; `--level CODE=LEVEL` gives it another. This page is generated from the rules by\n\
        `UPDATE_DOCS=1 cargo test --test docs`.\n\n\
        | code | name | level | what |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for code in &codes {
        let anchor = format!("{}-{}", code.id, code.name).to_lowercase();
        writeln!(text, "| [{}](#{anchor}) | {} | {} | {} |", code.id, code.name, code.level, code.summary()).unwrap();
    }
    for group in Group::ALL {
        write!(text, "\n## {}\n", title(group)).unwrap();
        codes.iter().filter(|code| code.group == group).for_each(|code| entry(&mut text, code));
    }
    text
}

#[test]
fn the_page_of_findings_is_what_the_rules_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/findings.md is not what the rules say; UPDATE_DOCS=1 writes it");
}
