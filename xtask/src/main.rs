//! The commands that people who work on residua type. `cargo xtask` lists them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod circles;
mod source;
mod texts;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const HELP: &str = "\
cargo xtask COMMAND

  ci                 everything that must hold before a change lands (.ci/run)
  texts              lines of Markdown, leftovers of snapshot tests
  circles            imports between the files of each crate; fails on circles that circles.txt does not accept
  circles CRATE      draws those of one crate, as a Mermaid graph
  package            packages every crate that is published, as `cargo publish` would
  bless [FILTER]     runs the tests, and takes what they give as what is expected (snapshots, filetests, generated pages)
  runtimes           the tests that load what is written with candle, tract and rten
  semver             compares the public interface with the last tag (needs cargo-semver-checks)
  public-api CRATE   lists the public interface of a crate (needs cargo-public-api)
";

type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["ci"] => run("bash", &[".ci/run"]),
        ["texts"] => texts(),
        ["circles"] => all_circles(),
        ["circles", name] => draw(name),
        ["package"] => package(),
        ["bless", filter @ ..] => bless(filter),
        ["runtimes"] => runtimes(),
        ["semver"] => run("cargo", &["semver-checks", "--workspace", "--exclude", "xtask"]),
        ["public-api", name] => run("cargo", &["public-api", "--package", name, "--simplified"]),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("no such command: {}\n\n{HELP}", words.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(program: &str, arguments: &[&str]) -> Result {
    run_with(Command::new(program).args(arguments))
}

fn run_with(command: &mut Command) -> Result {
    let shown = format!("{command:?}");
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

fn told(complaints: &[String]) -> Result {
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn texts() -> Result {
    told(&texts::complaints(&root()).map_err(|error| error.to_string())?)
}

/// Names of the crates of the project, with their folders.
fn crates() -> Result<Vec<(String, PathBuf)>> {
    let folder = root().join("crates");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.to_string_lossy()))?;
    let mut crates: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.path().join("src/lib.rs").is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    crates.sort();
    Ok(crates)
}

fn all_circles() -> Result {
    let list = root().join("xtask/circles.txt");
    let list = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.to_string_lossy()))?;
    let accepted = circles::accepted(&list)?;
    let mut complaints = Vec::new();
    for (name, folder) in crates()? {
        let read = circles::Crate::read(&folder.join("src")).map_err(|error| format!("{name}: {error}"))?;
        complaints.extend(circles::complaints(&name, &read.circles(), &accepted));
    }
    told(&complaints)
}

fn draw(name: &str) -> Result {
    let folder = root().join("crates").join(name).join("src");
    let read = circles::Crate::read(&folder).map_err(|error| format!("{}: {error}", folder.to_string_lossy()))?;
    print!("{}", read.drawing());
    Ok(())
}

/// What is not published.
const UNPUBLISHED: [&str; 3] = ["residua-tests", "residua-fuzz", "xtask"];

fn package() -> Result {
    let mut command = Command::new("cargo");
    command.args(["package", "--workspace", "--locked"]);
    for name in UNPUBLISHED {
        command.args(["--exclude", name]);
    }
    run_with(&mut command)
}

/// Built beside all else, so that what is the same for both is built once.
fn runtimes() -> Result {
    run("cargo", &["test", "--locked", "--manifest-path", "tests/runtimes/Cargo.toml", "--target-dir", "target"])
}

fn bless(filter: &[&str]) -> Result {
    let mut command = Command::new("cargo");
    command.args(["test", "--workspace", "--"]).args(filter);
    run_with(command.env("INSTA_UPDATE", "always").env("RESIDUA_BLESS", "1"))
}
