//! Models as frameworks write them have no error, and no warning but those that say what is so.

#![allow(clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;

use residua_ir::{Finding, Level, validate};
use residua_resnet::analyse;
use residua_tests::Fixture;
use residua_verify::Subject;

fn findings(fixture: &Fixture) -> Option<Vec<Finding>> {
    // What cannot be read is not judged; that all that can be read is read is the claim of other tests.
    let graph = residua_import::load(&fixture.path).ok()?;
    let model = validate(graph).unwrap_or_else(|invalid| panic!("{}: {invalid}", fixture.label()));
    let anatomy = analyse(&model);
    Some(residua_verify::check(&Subject::new(&model, &anatomy, None).called(&fixture.name)))
}

/// Warnings that hold: layers that nobody knows, a pickle that would call something, networks that were made with
/// fewer blocks than their names say, norms that were given two epsilons.
const EXPECTED: [(&str, &str); 12] = [
    ("R105", "custom.k3.h5"),
    ("R105", "custom.k3.keras"),
    ("R105", "lambda.k2.h5"),
    ("R105", "lambda.k3.h5"),
    ("R105", "lambda.k3.keras"),
    ("R107", "net.malice.pth"),
    ("R203", "layers/group_norm"),
    ("R213", "resnet26"),
    ("R213", "resnext26"),
    ("R213", "torch/resnet50"),
    ("R213", "torch/resnetv2_50"),
    ("R213", "torch/seresnet50"),
];

#[test]
fn sound_models_have_no_errors_and_only_warnings_that_hold() {
    let (mut read, mut networks, mut unexpected) = (0, BTreeSet::new(), Vec::new());
    for fixture in residua_tests::all().iter().chain(residua_tests::torch()).chain(residua_tests::onnx()) {
        let Some(findings) = findings(fixture) else { continue };
        read += 1;
        networks.insert((&fixture.set, &fixture.name));
        let expected = |finding: &Finding| {
            let mut known = EXPECTED.iter();
            known.any(|(code, label)| *code == finding.code.id && fixture.label().contains(label))
        };
        let bad = findings.iter().filter(|finding| match finding.level {
            Level::Error => true,
            Level::Warning => !expected(finding),
            Level::Note => false,
        });
        unexpected.extend(bad.map(|finding| format!("{}: {finding}", fixture.label())));
    }
    assert!(read > 250 && networks.len() > 100, "only {read} models of {} networks were read", networks.len());
    assert!(unexpected.is_empty(), "{} findings:\n{}", unexpected.len(), unexpected.join("\n"));
}
