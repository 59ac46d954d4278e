//! SARIF 2.1.0 (OASIS Standard, 2020; errata 01, 2023).
//!
//! A model is an artifact, a layer a logical location in it. Regions are of no meaning in a model file; one is given all
//! the same, since GitHub drops results without. Paths are relative to the root of the repository, as GitHub wants them.

use std::collections::BTreeMap;
use std::io::Write;

use crate::error::Result;
use residua_ir::{Code, Finding, Level, Name};
use serde_json::{Map, Value, json};

use super::super::{finding, json as print};
use crate::check::{Report, Verdict, fingerprint, verdict};
use crate::error::messages;
use crate::paths;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What paths are relative to.
const ROOT: &str = "%SRCROOT%";

/// Writes a run with all findings.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut dyn Write, reports: &[Report]) -> Result<()> {
    let rules = Rules::of(reports);
    let results: Vec<Value> = reports.iter().flat_map(|report| results(report, &rules)).collect();
    let notifications: Vec<Value> = reports.iter().filter_map(notification).collect();
    let worst = verdict(reports);
    let status = match worst {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::Error => 2,
    };
    let artifact = |report: &Report| json!({ "location": location(&report.file), "roles": ["analysisTarget"] });
    let run = json!({
        "tool": {
            "driver": {
                "name": "residua",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            },
        },
        "originalUriBaseIds": { ROOT: { "description": { "text": "The root of the repository." } } },
        "invocations": [{
            "executionSuccessful": worst != Verdict::Error,
            "exitCode": status,
            "toolExecutionNotifications": notifications,
        }],
        "artifacts": reports.iter().map(artifact).collect::<Vec<_>>(),
        "results": results,
        "properties": { "known": reports.iter().map(|report| report.known.len()).sum::<usize>() },
    });
    print(out, &json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] }))
}

/// The codes of all findings, ascending, and their places.
struct Rules {
    codes: Vec<&'static Code>,
    places: BTreeMap<&'static str, usize>,
}

impl Rules {
    fn of(reports: &[Report]) -> Self {
        let found =
            |code: &Code| reports.iter().flat_map(|report| &report.findings).any(|finding| finding.code == code);
        let codes: Vec<&Code> = residua_verify::codes().into_iter().filter(|code| found(code)).collect();
        let places = codes.iter().enumerate().map(|(place, code)| (code.id, place)).collect();
        Self { codes, places }
    }
}

fn rule(code: &Code) -> Value {
    let explanation = code.explanation();
    json!({
        "id": code.id,
        "name": code.name,
        "shortDescription": { "text": code.name.replace('-', " ") },
        "fullDescription": { "text": code.summary() },
        "help": { "text": explanation, "markdown": explanation },
        "defaultConfiguration": { "level": level(code.level) },
        "properties": { "tags": [code.group.name()], "problem.severity": severity(code.level) },
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// GitHub's word for a level of a rule.
fn severity(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "recommendation",
    }
}

fn results(report: &Report, rules: &Rules) -> Vec<Value> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let result = |found: &Finding| {
        let print = fingerprint(found);
        let nth = seen.entry(print.clone()).or_default();
        *nth += 1;
        json!({
            "ruleId": found.code.id,
            "ruleIndex": rules.places.get(found.code.id),
            "level": level(found.level),
            "message": { "text": finding::in_full(found) },
            "locations": [place(report, found)],
            "partialFingerprints": {
                "residuaFinding/v1": format!("{print}:{nth}"),
                // GitHub would make its own, of a line that a model file does not have.
                "primaryLocationLineHash": format!("{print}:{nth}"),
            },
        })
    };
    let mut results: Vec<Value> = report.findings.iter().map(result).collect();
    if report.baseline.is_some() {
        // What is known is left out, so that no viewer shows it.
        results.iter_mut().for_each(|result| result["baselineState"] = "new".into());
    }
    results
}

fn place(report: &Report, finding: &Finding) -> Value {
    let mut place = Map::new();
    let physical = json!({ "artifactLocation": location(&report.file), "region": { "startLine": 1 } });
    place.insert("physicalLocation".to_owned(), physical);
    let named = |name: &Name, kind: &str| json!({ "name": name, "fullyQualifiedName": name, "kind": kind });
    let node = finding.node.iter().map(|node| named(node, "object"));
    let logical: Vec<Value> = node.chain(finding.tensor.iter().map(|tensor| named(tensor, "value"))).collect();
    if !logical.is_empty() {
        place.insert("logicalLocations".to_owned(), logical.into());
    }
    Value::Object(place)
}

/// A model that could not be checked.
fn notification(report: &Report) -> Option<Value> {
    let problem = report.problem.as_ref()?;
    Some(json!({
        "level": "error",
        "message": { "text": messages(problem).join("\n") },
        "locations": [{ "physicalLocation": { "artifactLocation": location(&report.file) } }],
    }))
}

fn location(file: &std::path::Path) -> Value {
    let path = paths::in_repository(file);
    match path.strip_prefix('/') {
        Some(rest) => json!({ "uri": format!("file:///{}", encoded(rest)) }),
        None => json!({ "uri": encoded(&path), "uriBaseId": ROOT }),
    }
}

/// A path as part of a URI (RFC 3986).
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b'+' | b'=' | b',' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(encoded("models/a b#1.onnx"), "models/a%20b%231.onnx");
        assert_eq!(encoded("modèle:1"), "mod%C3%A8le%3A1");
    }
}
