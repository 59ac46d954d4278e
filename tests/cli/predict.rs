//! `predict`: any number of pictures and folders, damaged ones among them.

use std::fs::{self, File};
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::{json, place, residua, transcript};

/// A folder with the five digits, and what the archive of formats holds in another.
fn pictures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (digits, model) = place("digits/digits.k3.keras");
    fs::create_dir(folder.path().join("digits")).unwrap();
    for name in ["zero", "two", "four", "seven", "nine"] {
        fs::copy(digits.join(format!("{name}.png")), folder.path().join(format!("digits/{name}.png"))).unwrap();
    }
    fs::copy(digits.join(model), folder.path().join("model.keras")).unwrap();
    let archive = residua_tests::folder().join("formats/formats.zip");
    zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(folder.path().join("formats")).unwrap();
    folder
}

fn classes(document: &Value) -> Vec<Option<u64>> {
    document["pictures"].as_array().unwrap().iter().map(|picture| picture["top"][0]["class"].as_u64()).collect()
}

fn csv(folder: &Path, args: &[&str]) -> String {
    let done = residua(folder, &[args, &["--format", "csv", "--quiet"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn pictures_of_files_and_folders_are_predicted_in_order() {
    let folder = pictures();
    let (document, status) = json(folder.path(), &["predict", "model.keras", "digits", "digits/two.png", "--top", "3"]);
    assert_eq!((classes(&document), status), ([4, 9, 7, 2, 0, 2].map(Some).to_vec(), 0));
    assert_eq!(document["schema"], "residua.predict/1");
    assert_eq!(document["pictures"][1]["file"], "digits/nine.png");
    assert_eq!(document["pictures"][5]["top"].as_array().unwrap().len(), 3);
    assert_eq!((&document["count"], &document["failed"]), (&6.into(), &0.into()));
    assert_snapshot!("predict", transcript(folder.path(), &["predict", "model.keras", "digits", "--top", "2"]));
    assert_snapshot!("predict_csv", csv(folder.path(), &["predict", "model.keras", "digits/seven.png", "--top", "1"]));
}

/// A picture's scores depend neither on the batch nor on the number of threads.
#[test]
fn scores_are_those_of_a_run_in_any_batch() {
    let folder = pictures();
    let args = ["run", "model.keras", "--input", "digits/seven.png", "--top", "10"];
    let (alone, _) = json(folder.path(), &args);
    let scores = |document: &Value, at: usize| -> Vec<(u64, u64)> {
        let top = document["pictures"][at]["top"].as_array().or(document["top"].as_array()).unwrap();
        top.iter().map(|best| (best["class"].as_u64().unwrap(), best["score"].as_f64().unwrap().to_bits())).collect()
    };
    for batch in ["1", "2", "3", "5", "64"] {
        for threads in ["1", "3"] {
            let args = ["predict", "model.keras", "digits", "--top", "10", "--batch", batch, "--threads", threads];
            let (document, _) = json(folder.path(), &args);
            assert_eq!(scores(&document, 2), scores(&alone, 0), "batch {batch}, {threads} threads");
        }
    }
}

#[test]
fn every_format_is_read_and_damage_is_listed_while_the_rest_goes_on() {
    let folder = pictures();
    let (document, status) = json(folder.path(), &["predict", "model.keras", "formats"]);
    let all = document["pictures"].as_array().unwrap();
    let failed: Vec<&str> =
        all.iter().filter(|picture| !picture["error"].is_null()).map(|p| p["file"].as_str().unwrap()).collect();
    assert_eq!((all.len(), failed.len(), status), (47, 13, 2));
    // TIFFs with a palette are refused.
    let refused = |file: &&str| file.starts_with("formats/damaged/") || file.starts_with("formats/palette");
    assert!(failed.iter().all(refused), "{failed:?}");
    assert_eq!((&document["count"], &document["failed"]), (&47.into(), &13.into()));
    let damaged = transcript(
        folder.path(),
        &["predict", "model.keras", "formats/damaged/text.png", "digits/two.png", "--top", "1"],
    );
    assert_snapshot!("predict_damaged", damaged);
}

#[test]
fn a_camera_that_was_held_sideways_is_followed_unless_told_otherwise() {
    let folder = pictures();
    let files: Vec<String> = (1..=8).map(|value| format!("formats/seven{value}.jpg")).collect();
    let args: Vec<&str> = ["predict", "model.keras"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (document, _) = json(folder.path(), &args);
    assert_eq!((classes(&document), &document["turned"]), (vec![Some(7); 8], &7.into()));
    let (document, _) = json(folder.path(), &[&args[..], &["--orientation", "stored"]].concat());
    assert!(classes(&document).iter().any(|class| *class != Some(7)), "{document}");
}

#[test]
fn what_cannot_be_predicted_is_told() {
    let folder = pictures();
    fs::create_dir_all(folder.path().join("empty/within")).unwrap();
    fs::write(folder.path().join("empty/notes.txt"), "").unwrap();
    let said = |name: &str, args: &[&str]| {
        assert_snapshot!(name, transcript(folder.path(), &[&["predict", "model.keras"], args].concat()));
    };
    said("predict_empty", &["empty"]);
    said("predict_nowhere", &["nowhere.png"]);
    said("predict_labels", &["digits", "--labels", "empty/notes.txt"]);
}
