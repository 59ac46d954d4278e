//! `check`: several models on one line, and the formats that CI systems read.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::json_schema::violations;
use crate::{json, residua, transcript};

/// Two models with a finding, one without, one that is not there.
const MODELS: [&str; 4] = ["nan_kernel.h5", "negative_variance.h5", "sound.keras", "missing.h5"];

fn folder() -> std::path::PathBuf {
    residua_tests::folder().join("faults")
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/schemas/sarif-2.1.0.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What `check` prints in a format, and how it ends.
fn report(format: &str, models: &[&str]) -> (String, i32) {
    let done = residua(&folder(), &[&["check", "--format", format], models].concat());
    (String::from_utf8(done.stdout).unwrap(), done.status.code().unwrap())
}

/// The same without times.
fn untimed(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split(" time=\"").enumerate() {
        let rest = if index == 0 { part } else { part.split_once('"').unwrap().1 };
        out.push_str(if index == 0 { "" } else { " time=\"0\"" });
        out.push_str(rest);
    }
    out
}

#[test]
fn several_models_get_a_verdict_each_and_one_line_for_all() {
    assert_snapshot!("check_several", transcript(&folder(), &[&["check"], &MODELS[..]].concat()));
    assert_snapshot!("check_several_sound", transcript(&folder(), &["check", "sound.keras", "sound.h5", "sound.h5"]));
}

#[test]
fn the_document_has_all_findings_and_an_entry_a_model() {
    let (document, status) = json(&folder(), &[&["check"], &MODELS[..]].concat());
    assert_eq!((document["verdict"].as_str(), status), (Some("error"), 2));
    let verdicts: Vec<_> = document["models"].as_array().unwrap().iter().map(|model| &model["verdict"]).collect();
    assert_eq!(verdicts, ["fail", "fail", "pass", "error"]);
    assert!(document["models"][3]["error"].as_str().unwrap().contains("missing.h5"));
    let files: Vec<_> = document["findings"].as_array().unwrap().iter().map(|finding| &finding["file"]).collect();
    assert_eq!(files, ["nan_kernel.h5", "negative_variance.h5"]);
    let (alone, _) = json(&folder(), &["check", "nan_kernel.h5"]);
    assert_eq!(alone["file"], "nan_kernel.h5");
    assert_eq!(alone["findings"][0]["fingerprint"], document["findings"][0]["fingerprint"]);
}

#[test]
fn sarif_is_what_its_schema_asks_for() {
    let (text, status) = report("sarif", &MODELS);
    assert_eq!(status, 2);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(violations(&schema(), &document), Vec::<String>::new());
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["text"].as_str().unwrap().len() > 100);
        assert_eq!(result["level"], "error");
        assert!(result["locations"][0]["logicalLocations"][0]["name"].is_string(), "{result}");
        assert!(result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().ends_with(":1"));
    }
    let uri = |value: &Value| value["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap().to_owned();
    assert_eq!(uri(&results[0]["locations"][0]), "fixtures/faults/nan_kernel.h5");
    let invocation = &run["invocations"][0];
    assert_eq!((&invocation["executionSuccessful"], &invocation["exitCode"]), (&Value::Bool(false), &2.into()));
    assert!(uri(&invocation["toolExecutionNotifications"][0]["locations"][0]).ends_with("missing.h5"));
}

#[test]
fn a_sarif_document_without_findings_is_one_too() {
    let (text, status) = report("sarif", &["sound.keras"]);
    assert_eq!(status, 0);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(violations(&schema(), &document), Vec::<String>::new());
    assert_eq!(document["runs"][0]["results"], Value::Array(Vec::new()));
}

#[test]
fn junit_has_a_suite_a_model_and_a_case_a_kind_of_finding() {
    let (text, status) = report("junit", &MODELS);
    assert_eq!(status, 2);
    let document = roxmltree::Document::parse(&text).unwrap();
    let root = document.root_element();
    let number = |node: roxmltree::Node, name: &str| node.attribute(name).unwrap().parse::<usize>().unwrap();
    let elements = |node: roxmltree::Node, name: &str| node.descendants().filter(|n| n.has_tag_name(name)).count();
    let suites: Vec<_> = root.children().filter(roxmltree::Node::is_element).collect();
    assert_eq!((root.tag_name().name(), suites.len()), ("testsuites", MODELS.len()));
    for node in suites.iter().copied().chain([root]) {
        assert_eq!(number(node, "tests"), elements(node, "testcase"), "{:?}", node.attribute("name"));
        assert_eq!(number(node, "failures"), elements(node, "failure"));
        assert_eq!(number(node, "errors"), elements(node, "error"));
    }
    let failures: Vec<usize> = suites.iter().map(|&suite| number(suite, "failures")).collect();
    assert_eq!((failures, number(suites[3], "errors")), (vec![1, 1, 0, 0], 1));
    let nan = suites[0].descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(nan.attribute("type"), Some("R301"));
    assert!(nan.attribute("message").unwrap().contains("NaN"));
    assert_eq!(nan.parent().unwrap().attribute("classname"), Some("residua.fixtures.faults.nan_kernel_h5"));
    assert!(untimed(&text).contains("<testsuites name=\"residua check\""));
}

#[test]
fn annotations_and_tables_name_the_model_and_the_layer() {
    assert_snapshot!("check_github", transcript(&folder(), &[&["check", "--format", "github"], &MODELS[..]].concat()));
    assert_snapshot!(
        "check_markdown",
        transcript(&folder(), &[&["check", "--format", "markdown"], &MODELS[..]].concat())
    );
}

#[test]
fn reports_go_to_files_beside_what_is_printed() {
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name);
    let (sarif, junit) =
        (format!("sarif={}", file("a.sarif").to_string_lossy()), format!("junit={}", file("a.xml").to_string_lossy()));
    let args = ["check", "nan_kernel.h5", "--report", &sarif, "--report", &junit, "--format", "github"];
    let done = residua(&folder(), &args);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        String::from_utf8(done.stdout).unwrap().starts_with("::error file=fixtures/faults/nan_kernel.h5,title=R301")
    );
    let printed = |format: &str| report(format, &["nan_kernel.h5"]).0;
    assert_eq!(fs::read_to_string(file("a.sarif")).unwrap(), printed("sarif"));
    assert_eq!(untimed(&fs::read_to_string(file("a.xml")).unwrap()), untimed(&printed("junit")));
}

#[test]
fn a_report_does_not_replace_a_model() {
    let out = tempfile::tempdir().unwrap();
    let model = out.path().join("model.h5");
    fs::copy(folder().join("sound.h5"), &model).unwrap();
    let done = residua(out.path(), &["check", "model.h5", "--report", "json=./model.h5"]);
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(fs::read(&model).unwrap(), fs::read(folder().join("sound.h5")).unwrap());
}

#[test]
fn what_fails_a_model_is_for_the_user_to_say() {
    let (folder, status) = (folder(), |args: &[&str]| residua(&folder(), args).status.code().unwrap());
    let nan = "nan_kernel.h5";
    assert_eq!(status(&["check", nan]), 1);
    assert_eq!(status(&["check", nan, "--fail-on", "never"]), 0);
    assert_eq!(status(&["check", nan, "--level", "R301=warning"]), 0);
    assert_eq!(status(&["check", nan, "--level", "R301=warning", "--fail-on", "warning"]), 1);
    assert_eq!(status(&["check", nan, "--level", "non-finite-weight=off", "--fail-on", "note"]), 0);
    let (document, _) = json(&folder, &["check", nan, "--level", "non-finite-weight=note"]);
    assert_eq!(document["findings"][0]["level"], "note");
    assert_snapshot!("check_level_unknown", transcript(&folder, &["check", nan, "--level", "R301=fatal"]));
}

#[test]
fn golden_outputs_that_are_not_reproduced_are_a_finding_in_every_format() {
    let (folder, file) = crate::place("digits/digits.k3.keras");
    let args = ["check", file, "--golden", "digits.golden.npz", "--tolerance", "0"];
    let (document, status) = json(folder, &args);
    assert_eq!((document["verdict"].as_str(), status), (Some("fail"), 1));
    let finding = &document["findings"][0];
    assert_eq!((finding["code"].as_str(), finding["level"].as_str()), (Some("R700"), Some("error")));
    for (format, found) in
        [("sarif", "\"ruleId\": \"R700\""), ("junit", "<failure type=\"R700\""), ("github", "title=R700")]
    {
        let done = residua(folder, &[&args[..], &["--format", format]].concat());
        assert!(String::from_utf8(done.stdout).unwrap().contains(found), "{format}");
    }
}
