//! Damaged files of every operator: an error or another model, never a panic, and no allocation that the file does not
//! pay for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

#[allow(dead_code, reason = "nothing is run here")]
mod cases;

use std::path::Path;

use cases::cases;
use residua_emit::onnx::{self, OnnxOptions};
use residua_emit::safetensors::{self, SafetensorsOptions, TensorLayout};
use residua_ir::validate;

/// Changes of one file that are tried.
const TRIES: u64 = 25;

/// Interesting bytes: signs, varint ends, digits and brackets of JSON.
const BYTES: [u8; 12] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12, b'-', b'9', b'"', b'}', b'e'];

/// Reads the file with one or two bytes changed, or its end cut off.
fn damage(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    for seed in 0..TRIES {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes.len() as u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut changed = bytes.clone();
        for _ in 0..=seed % 2 {
            let at = next(changed.len());
            changed[at] = if seed % 3 == 0 { changed[at] ^ (1 << next(8)) } else { BYTES[next(BYTES.len())] };
        }
        if seed % 10 == 0 {
            changed.truncate(next(bytes.len()));
        }
        std::fs::write(path, &changed).unwrap();
        if let Ok(graph) = residua_import::load(path) {
            // Either is fine; what is wrong must be said.
            if let Err(invalid) = validate(graph) {
                assert!(!invalid.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_damaged_file_is_an_error_or_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let (onnx, tensors) = (folder.path().join("m.onnx"), folder.path().join("m.safetensors"));
    for case in cases() {
        let options = OnnxOptions::default();
        let opset = options.opset.max(case.since);
        onnx::write(&case.model, &OnnxOptions { opset, ..options }, &onnx).unwrap();
        damage(&onnx);
        let options = SafetensorsOptions { layout: TensorLayout::Source, float: None };
        safetensors::write(&case.model, &options, &tensors).unwrap();
        damage(&tensors);
    }
}
