//! `explain` and `layouts`.

use insta::assert_snapshot;

use crate::{json, transcript};

#[test]
fn codes_are_listed_and_explained_by_code_or_name() {
    let folder = residua_tests::folder();
    assert_snapshot!("explain", transcript(&folder, &["explain"]));
    assert_snapshot!("explain_code", transcript(&folder, &["explain", "r302"]));
    assert_snapshot!("explain_unknown", transcript(&folder, &["explain", "negative-varience"]));
    let (document, status) = json(&folder, &["explain", "negative-variance"]);
    assert_eq!((document["schema"].as_str(), status), (Some("residua.explain/1"), 0));
    assert_eq!(document["codes"][0]["code"], "R302");
}

#[test]
fn layouts_are_listed_and_held_against_a_model() {
    let (folder, file) = crate::place("digits/digits.k3.keras");
    assert_snapshot!("layouts", transcript(folder, &["layouts"]));
    assert_snapshot!("layouts_model", transcript(folder, &["layouts", file]));
}
