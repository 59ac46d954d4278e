//! `check`: verdicts and findings.

use insta::assert_snapshot;

use crate::{json, place, transcript};

#[test]
fn a_sound_model_passes() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("check", transcript(folder, &["check", file, "--expect", "resnet20_cifar"]));
}

#[test]
fn another_architecture_than_expected_fails_with_what_differs() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("check_expect", transcript(folder, &["check", file, "--expect", "resnet50v2"]));
    let (document, status) = json(folder, &["check", file, "--expect", "resnet50v2"]);
    assert_eq!((document["verdict"].as_str(), status), (Some("fail"), 1));
    assert_eq!(document["findings"][0]["code"], "R200");
}

#[test]
fn an_architecture_that_nobody_knows_is_a_mistake_of_the_user() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("check_expect_unknown", transcript(folder, &["check", file, "--expect", "resnet51"]));
}

#[test]
fn golden_outputs_are_reproduced_or_the_check_fails() {
    let (folder, file) = place("digits/digits.k3.keras");
    let (document, status) = json(folder, &["check", file, "--golden", "digits.golden.npz"]);
    assert_eq!((document["verdict"].as_str(), status), (Some("pass"), 0), "{document}");
    let other = ["check", file, "--golden", "digits.golden.npz", "--tolerance", "0"];
    let (document, status) = json(folder, &other);
    assert_eq!((document["verdict"].as_str(), status), (Some("fail"), 1));
    assert_eq!(document["golden"][0]["verdict"], "different");
}

#[test]
fn values_that_cannot_be_right_are_findings() {
    let folder = residua_tests::folder().join("faults");
    assert_snapshot!("check_negative_variance", transcript(&folder, &["check", "negative_variance.h5"]));
    assert_snapshot!("check_nan", transcript(&folder, &["check", "nan_kernel.h5"]));
}
