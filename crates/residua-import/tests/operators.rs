//! The list of operators in the documentation is that of the code. What is counted there, `tests/peers/run` holds.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

#[test]
fn the_documentation_lists_the_operators_that_are_read_with_their_operator_sets() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows =
        text.lines().skip_while(|line| !line.starts_with("| ---")).skip(1).take_while(|line| line.starts_with('|'));
    let listed: Vec<(String, String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2].to_owned(), cells[6].to_owned())
        })
        .collect();
    let claimed: Vec<(String, String, String)> = residua_import::onnx::claims()
        .map(|claim| (claim.name.to_owned(), format!("{}–{}", claim.since, claim.until), claim.note.to_owned()))
        .collect();
    assert_eq!(listed, claimed, "run tests/peers/onnx_backend.py --update");
}
