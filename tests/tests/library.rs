//! The library's own promises: what is ended leaves nothing, and memory gets what files get.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use residua::{Convert, Error, Model, Onnx, Proof, Safetensors, Watch};

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/digits/digits.k3.h5");

/// Converts with a watch that ends it at its step of this number; the steps that were told.
fn ended_at(step: usize) -> (Result<(), Error>, Vec<String>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let watch = Watch::new(move |what| {
        let mut told = seen.lock().unwrap();
        told.push(what.to_owned());
        if told.len() > step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let convert = || -> Result<(), Error> {
        let model = Model::open(DIGITS)?;
        let conversion = model.convert(folder.path().join("out.onnx"), Convert { watch, ..Onnx::default().into() })?;
        conversion.prove(&Proof::default())?.commit()?;
        Ok(())
    };
    let result = convert();
    let left = fs::read_dir(folder.path()).unwrap().count();
    let told = told.lock().unwrap().clone();
    (result, told, left)
}

#[test]
fn a_conversion_that_is_ended_at_any_of_its_steps_leaves_nothing() {
    let (result, steps, left) = ended_at(usize::MAX);
    result.unwrap();
    assert_eq!((steps.as_slice(), left), (&["reading", "writing", "proving"].map(str::to_owned)[..], 1));
    for step in 0..steps.len() {
        let (result, told, left) = ended_at(step);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?} at step {step}");
        assert_eq!((told.len(), left), (step + 1, 0), "at step {step}");
    }
}

#[test]
fn what_is_written_into_memory_has_the_bytes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::open(DIGITS).unwrap();
    let formats: [(&str, Convert); 2] =
        [("out.onnx", Onnx::default().into()), ("out.safetensors", Safetensors::default().into())];
    for (name, convert) in formats {
        let path = folder.path().join(name);
        model.convert(&path, &convert).unwrap().prove(&Proof::default()).unwrap().commit().unwrap();
        let conversion = model.convert_in_memory(name, &convert).unwrap().prove(&Proof::default()).unwrap();
        let (output, converted) = conversion.into_memory().unwrap();
        assert_eq!(output.bytes, fs::read(&path).unwrap(), "{name}");
        assert!(!converted.emitted().mapping.is_empty() && output.beside.is_empty(), "{name}");
    }
}

#[test]
fn a_manifest_of_what_is_in_memory_is_refused() {
    let model = Model::open(DIGITS).unwrap();
    let convert = Convert { manifest: Some("m.json".into()), ..Onnx::default().into() };
    let error = model.convert_in_memory("out.onnx", convert).unwrap_err().to_string();
    assert_eq!(error, "a manifest is of files, and `out.onnx` is written into memory");
}
