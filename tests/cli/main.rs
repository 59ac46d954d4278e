//! Every command as a user meets it: stdout, stderr and exit status, on real files.
//!
//! Transcripts are snapshots under `snapshots/`; they are made where stdout is no terminal.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod architecture;
mod budget;
mod check;
mod checkpoints;
mod ci;
mod compare;
mod convert;
mod diff;
mod drawing;
mod element_types;
mod errors;
mod evaluate;
mod explain;
mod files;
mod free_sizes;
mod heads;
mod help;
mod hostile;
mod images;
mod inspect;
mod json_schema;
mod keras_weights;
mod layouts;
mod manifest;
mod names;
mod onnx_text;
mod open;
mod predict;
mod proof;
mod reports;
mod run;
mod settings;
mod surgery;
mod targets;
mod unseen;

use std::path::Path;
use std::process::{Command, Output};

/// The program, run in a folder.
fn residua(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_residua")).args(args).current_dir(folder).env_remove("NO_COLOR").output().unwrap()
}

/// What it says and how it ends.
fn transcript(folder: &Path, args: &[&str]) -> String {
    let done = residua(folder, args);
    let mut text = format!("$ residua {}\n{}", args.join(" "), String::from_utf8(done.stdout).unwrap());
    let stderr = String::from_utf8(done.stderr).unwrap();
    if !stderr.is_empty() {
        text.push_str(&format!("--- stderr\n{stderr}"));
    }
    let times = |text: String| {
        // Times differ from run to run.
        let words = text.split_inclusive([' ', '\n', ',']);
        let mut out = String::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let is_time = word.trim_end().parse::<f64>().is_ok()
                && word.contains('.')
                && words.peek().is_some_and(|next| *next == "s\n" || *next == "s,");
            out.push_str(if is_time { "0.00 " } else { word });
        }
        out
    };
    format!("{}--- exit {}\n", times(text), done.status.code().unwrap())
}

/// The folder of a fixture and its file name in it.
fn place(label: &str) -> (&'static Path, &'static str) {
    let path = &residua_tests::fixture(label).path;
    (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap())
}

/// The JSON that a command prints, and how it ends.
fn json(folder: &Path, args: &[&str]) -> (serde_json::Value, i32) {
    let done = residua(folder, &[args, &["--format", "json"]].concat());
    let document = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&done.stderr)));
    (document, done.status.code().unwrap())
}
