//! What is said of networks with parts that are not known, and of networks of forms of their own.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::{json, residua};

/// The files of `fixtures/checks/unseen.zip`.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| residua_tests::unpacked("checks/unseen.zip")).path()
}

/// Codes and levels of what `check` finds, but for layers that are not known; and how it ends.
fn found(name: &str, options: &[&str]) -> (Vec<(String, String, String)>, i32) {
    let file = format!("{name}.keras");
    let (document, status) = json(folder(), &[&["check", file.as_str()], options].concat());
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let of = |finding: &Value| (text(finding, "level"), text(finding, "code"), text(finding, "node"));
    let findings: Vec<_> = document["findings"].as_array().unwrap().iter().map(of).collect();
    (findings.into_iter().filter(|(_, code, _)| code != "R105").collect(), status)
}

#[test]
fn a_layer_that_is_not_known_may_be_what_the_other_blocks_have_there() {
    for name in [
        "lambda_inner",
        "lambda_after",
        "lambda_sum",
        "lambda_shortcut",
        "lambda_front",
        "lambda_preact",
        "lambda_norm",
        "units",
        "units_and_blocks",
    ] {
        assert_eq!(found(name, &[]), (vec![], 0), "{name}");
    }
}

#[test]
fn a_fault_beside_what_is_not_known_is_found() {
    let error = |code: &str, node: &str| ("error".to_owned(), code.to_owned(), node.to_owned());
    assert_eq!(found("fault_elsewhere", &[]), (vec![error("R209", "b5_1_bn")], 1));
    assert_eq!(found("fault_within", &[]), (vec![error("R201", "b2_1_conv")], 1));
}

#[test]
fn what_is_not_known_is_counted_by_class_and_is_no_plain_network() {
    let told = |name: &str| {
        let done = residua(folder(), &["inspect", &format!("{name}.keras")]);
        String::from_utf8(done.stdout).unwrap()
    };
    for (name, sentence) in [
        ("units", "nothing is known of 3 parts of the network: Unit (3)"),
        ("units_and_blocks", "nothing is known of 3 parts of the network: Unit (3)"),
        ("lambda_sum", "nothing is known of 1 part of the network: Lambda (1)"),
    ] {
        let text = told(name);
        assert!(text.contains(sentence) && !text.contains("plain") && !text.contains("without shortcuts"), "{text}");
    }
    assert!(told("units").contains("none that is known"), "{}", told("units"));
    let (document, _) = json(folder(), &["inspect", "units.keras"]);
    assert_eq!(document["architecture"], Value::Null);
    assert_eq!(document["unknown"], serde_json::json!([{ "class": "Unit", "count": 3 }]));
    let (document, _) = json(folder(), &["inspect", "lambda_shortcut.keras"]);
    assert_eq!(document["blocks"][4]["shortcut"], "unknown");
}

/// What prepares the image hides nothing of the network behind it.
#[test]
fn a_lambda_before_the_network_leaves_it_its_name() {
    let (document, _) = json(folder(), &["inspect", "lambda_front.keras"]);
    assert_eq!(document["architecture"]["name"], "resnet16_cifar-custom");
}

#[test]
fn an_expectation_is_held_against_what_is_seen() {
    let levels = |name: &str, expected: &str| {
        let (findings, status) = found(name, &["--expect", expected]);
        (findings.into_iter().map(|(level, code, _)| (level, code)).collect::<Vec<_>>(), status)
    };
    let (findings, status) = levels("units", "resnet20_cifar");
    assert_eq!((findings, status), (vec![("warning".to_owned(), "R200".to_owned())], 0));
    let (findings, status) = levels("units_and_blocks", "resnet50");
    assert!(status == 1 && findings.iter().all(|(_, code)| code == "R200"), "{findings:?}");
}

#[test]
fn networks_that_repeat_no_single_block_have_no_findings() {
    for name in ["xception", "fused"] {
        assert_eq!(found(name, &[]), (vec![], 0), "{name}");
    }
}
