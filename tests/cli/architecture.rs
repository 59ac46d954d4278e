//! A Keras model in two files: what `to_json` and `save_weights` wrote.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{json, residua};

fn digits(name: &str) -> PathBuf {
    residua_tests::folder().join("digits").join(name)
}

/// An architecture and its weights as two files, each under this name.
fn pair(folder: &Path, architecture: &str, weights: &str) {
    let mut archive = zip::ZipArchive::new(File::open(digits("digits.k3.keras")).unwrap()).unwrap();
    for (entry, name) in [("config.json", architecture), ("model.weights.h5", weights)] {
        let mut file = File::create(folder.join(name)).unwrap();
        std::io::copy(&mut archive.by_name(entry).unwrap(), &mut file).unwrap();
    }
    fs::copy(digits("digits.golden.npz"), folder.join("golden.npz")).unwrap();
}

#[test]
fn an_architecture_and_the_weights_beside_it_are_one_model_whichever_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    pair(folder, "model.json", "w.weights.h5");
    fs::write(folder.join("classes.json"), r#"{"class_name": "of no model"}"#).unwrap();
    for model in [".", "model.json", "w.weights.h5"] {
        let (document, status) = json(folder, &["check", model, "--golden", "golden.npz"]);
        assert_eq!((status, document["verdict"].as_str()), (0, Some("pass")), "{model}: {document}");
        assert!(document["source_notes"].to_string().contains("`model.json`"), "{model}: {}", document["source_notes"]);
    }
    // The architecture is an input as well.
    let done = residua(folder, &["check", "w.weights.h5", "--report", "json=model.json"]);
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
    fs::copy(folder.join("w.weights.h5"), folder.join("v.weights.h5")).unwrap();
    let done = residua(folder, &["inspect", "model.json"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(2) && said.contains("v.weights.h5"), "{said}");
}
