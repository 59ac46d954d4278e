//! `run`: images, arrays, taps.

use std::fs;

use insta::assert_snapshot;

use crate::{json, place, residua, transcript};

#[test]
fn digits_are_read_from_images() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("run_image", transcript(folder, &["run", file, "--input", "seven.png", "--top", "2"]));
    let images = ["zero.png", "two.png", "four.png", "seven.png", "nine.png"];
    let mut args = vec!["run", file, "--top", "1"];
    args.extend(images.iter().flat_map(|image| ["--input", image]));
    let (document, status) = json(folder, &args);
    let classes: Vec<u64> =
        document["top"].as_array().unwrap().iter().map(|entry| entry["class"].as_u64().unwrap()).collect();
    assert_eq!((classes, status), (vec![0, 2, 4, 7, 9], 0));
    assert_eq!(document["top"][3]["input"], "seven.png");
}

#[test]
fn repeated_runs_are_timed_apart_from_loading() {
    let (folder, file) = place("digits/digits.k3.keras");
    let args = ["run", file, "--input", "seven.png", "--repeat", "3"];
    let text = transcript(folder, &args);
    let milliseconds = |before: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(before)?.strip_suffix(" ms"));
        line.unwrap_or_else(|| panic!("{before}: {text}")).trim().parse().unwrap()
    };
    assert!(milliseconds("loaded in") > 0.0 && milliseconds("median of 3 further runs:") > 0.0, "{text}");
    let (document, _) = json(folder, &args);
    for key in ["load_seconds", "seconds", "median_seconds"] {
        assert!(document[key].as_f64().unwrap() > 0.0, "{key}: {document}");
    }
    let (document, _) = json(folder, &args[..4]);
    assert!(document["load_seconds"].as_f64().unwrap() > 0.0 && document.get("median_seconds").is_none(), "{document}");
}

#[test]
fn arrays_come_and_go_in_the_order_of_the_source() {
    let (folder, file) = place("digits/digits.k3.keras");
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("all.npz");
    let taps = ["--tap", "conv2d", "--tap", "flatten"];
    let args =
        [&["run", file, "--input", "digits.golden.npz", "--output", target.to_str().unwrap()], &taps[..]].concat();
    let (document, status) = json(folder, &args);
    assert_eq!(status, 0);
    let shapes: Vec<String> = document["outputs"].as_array().unwrap().iter().map(|o| o["shape"].to_string()).collect();
    assert_eq!(shapes[1..], ["[5,32,32,16]", "[5,64]"]);
    assert!(fs::metadata(&target).unwrap().len() > 5 * 32 * 32 * 16 * 4);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn the_reference_engine_is_exact_and_the_same_for_any_number_of_threads() {
    let (folder, file) = place("digits/digits.k3.keras");
    let out = tempfile::tempdir().unwrap();
    let bytes = |threads: &str| {
        let target = out.path().join(format!("{threads}.npy"));
        let args = ["run", file, "--input", "seven.png", "--precision", "f64", "--threads", threads, "--output"];
        let done = residua(folder, &[&args[..], &[target.to_str().unwrap()]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        fs::read(target).unwrap()
    };
    assert_eq!(bytes("1"), bytes("3"));
}

#[test]
fn what_does_not_fit_is_told() {
    let (folder, file) = place("digits/digits.k3.keras");
    assert_snapshot!("run_tap", transcript(folder, &["run", file, "--input", "seven.png", "--tap", "conv2d_99"]));
    assert_snapshot!("run_input", transcript(folder, &["run", file, "--input", "make.py"]));
    assert_snapshot!("run_output", transcript(folder, &["run", file, "--input", "seven.png", "--output", "x.txt"]));
    let none = ["run", file, "--input", "pictures=seven.png"];
    assert_snapshot!("run_name", transcript(folder, &none));
}
