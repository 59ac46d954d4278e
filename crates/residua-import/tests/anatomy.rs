//! Every model that a framework wrote is recognised as what the script that made it says it is, whatever container and
//! generation it came in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use residua_import::load;
use residua_ir::validate;
use residua_resnet::analyse;
use residua_tests::Fixture;

/// Fixtures whose facts say what they are, readable ones without layers that nobody knows.
fn residual() -> impl Iterator<Item = (&'static Fixture, serde_json::Value)> {
    residua_tests::all().iter().filter(|fixture| fixture.facts.is_some()).filter_map(|fixture| {
        let expected = fixture.facts()["expect"].clone();
        (!expected["depth"].is_null()).then_some((fixture, expected))
    })
}

#[test]
fn depth_family_blocks_and_stages_are_those_of_the_script() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (fixture, expected) in residual() {
        let graph = match load(&fixture.path) {
            Ok(graph) => graph,
            // A filter that is not read.
            Err(_) if fixture.encoding.contains("lzf") => continue,
            // No convolution of it has a bias, so it is not the example's network.
            Err(error) if fixture.name.starts_with("resnet8") => {
                assert!(
                    error.to_string().contains("has tensors [3, 3, 2, 2] [2], `s0_conv1` has [3, 3, 2, 2]"),
                    "{error}"
                );
                continue;
            }
            // Heads that weights alone do not tell.
            Err(error) if fixture.set == "transfer" && fixture.encoding.contains("weights") => {
                assert!(error.to_string().contains("the base is recognised"), "{}: {error}", fixture.label());
                continue;
            }
            Err(error) => {
                failures.push(format!("{}: {error}", fixture.label()));
                continue;
            }
        };
        let model = validate(graph).unwrap_or_else(|error| panic!("{}: {error}", fixture.label()));
        let anatomy = analyse(&model);
        let architecture = serde_json::to_value(&anatomy.architecture).unwrap();
        count += 1;
        // A deep stem counts once, as in the name resnet50d.
        let depth = expected["depth"].as_u64().unwrap() - if expected["kin"] == "resnet-d" { 2 } else { 0 };
        if architecture["depth"].as_u64() != Some(depth) {
            failures.push(format!("{}: depth: expected {depth}, found {}", fixture.label(), architecture["depth"]));
        }
        for key in ["family", "block", "stages"] {
            if architecture[key] != expected[key] && !expected[key].is_null() {
                failures.push(format!(
                    "{}: {key}: expected {}, found {}",
                    fixture.label(),
                    expected[key],
                    architecture[key]
                ));
            }
        }
        if expected["blocks"].as_u64() != Some(anatomy.blocks.len() as u64) {
            failures.push(format!("{}: {} blocks", fixture.label(), anatomy.blocks.len()));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 55, "only {count} residual fixtures");
}
