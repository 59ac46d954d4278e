//! Builds a crate that was written, and runs its golden test.

use std::process::Command;

use residua_emit::place::StagedFolder;

use crate::error::{Context, Error, Lines, Result};
use residua_ir::Text;

/// Lines of cargo's output that are shown where it fails.
const SHOWN: usize = 12;

/// Runs `cargo test --release` in the folder. What it builds is built elsewhere, or where `CARGO_TARGET_DIR` says.
///
/// # Errors
/// Where cargo cannot be run, or the crate does not build, or its test does not pass: what cargo says last.
pub(super) fn test(staged: &StagedFolder) -> Result<()> {
    let elsewhere = tempfile::tempdir().context("cannot make a folder to build in")?;
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--quiet"]).current_dir(staged.path());
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", elsewhere.path());
    }
    let output = command.output().context("cannot run cargo, which builds what was written")?;
    // A lock file that is there would be part of the output, and depends on when it was built.
    let lock = staged.path().join("Cargo.lock");
    if lock.exists() {
        std::fs::remove_file(&lock).context("cannot remove what cargo wrote")?;
    }
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(SHOWN)..].iter().map(|line| format!("  {line}"));
    let what = "what was written does not pass its own test; cargo says last:".to_owned();
    let lines = std::iter::once(what).chain(last).map(Text::from).collect();
    Err(Error::from(Lines(lines)))
}
