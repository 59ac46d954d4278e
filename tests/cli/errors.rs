//! What goes wrong, and how it is told: one `error:` on stderr, nothing on stdout.

use std::io::Read;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::{place, residua, transcript};

#[test]
fn what_cannot_be_read_is_named() {
    let folder = residua_tests::folder().join("digits");
    assert_snapshot!("error_missing", transcript(&folder, &["inspect", "nothing.h5"]));
    assert_snapshot!("error_no_model", transcript(&folder, &["inspect", "make.py"]));
    assert_snapshot!("error_image", transcript(&folder, &["inspect", "seven.png"]));
}

#[test]
fn wrong_use_is_status_2() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("error_usage", transcript(folder, &["inspect", file, "--layer"]));
    for args in [&["convert", file][..], &["run", file], &["inspect", file, "--input-shape", "x"], &["nothing"], &[]] {
        assert_eq!(residua(folder, args).status.code(), Some(2), "{args:?}");
    }
    assert_snapshot!("error_shape", transcript(folder, &["inspect", file, "--input-shape", "1,3,224,224"]));
    assert_snapshot!("error_extension", transcript(folder, &["convert", file, "out.pb"]));
}

#[test]
fn an_error_goes_to_stderr_where_json_is_asked_for_too() {
    let done = residua(&residua_tests::folder(), &["inspect", "nothing.h5", "--format", "json"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(done.stdout.is_empty());
    assert!(String::from_utf8(done.stderr).unwrap().starts_with("error: "));
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_error() {
    let (folder, file) = place("digits/digits.k3.keras");
    let mut child = Command::new(env!("CARGO_BIN_EXE_residua"))
        .args(["inspect", file, "--format", "json"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}
