//! What fuzzing has found and kept goes through the targets again, and so do models that are mutated here by chance.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests: a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use residua_fuzz::{TARGETS, Target, mutate, seeds};

/// The stack of a thread of the main program's library users, at least.
const STACK: usize = 2 << 20;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Runs a target on bytes as a thread of a small stack would.
fn run((name, target): Target, what: &str, data: Vec<u8>) {
    let done = thread::Builder::new().stack_size(STACK).spawn(move || target(&data)).unwrap().join();
    assert!(done.is_ok(), "{name}: {what}");
}

/// Files of a folder, in their order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_corpus_goes_through_its_targets() {
    for target in TARGETS {
        let files = files(&folder("corpus").join(target.0));
        assert!(files.len() >= 20, "{}: only {} files", target.0, files.len());
        for path in files {
            run(target, &format!("{path:?}"), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn files_that_once_failed_go_through_all_targets() {
    let files = files(&folder("regressions"));
    assert!(!files.is_empty());
    for path in files {
        for target in TARGETS {
            run(target, &format!("{path:?}"), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn mutated_models_go_through_their_targets() {
    let mut changed = 0;
    for target in TARGETS {
        for path in files(&folder("corpus").join(target.0)) {
            let seed = fs::read(&path).unwrap();
            if !seeds::targets_of(&seed).contains(&target.0) {
                continue;
            }
            for number in 0..4 {
                let mut random = fastrand::Rng::with_seed(number);
                if let Some(mutated) = mutate::model(&seed, &mut random) {
                    changed += usize::from(mutated != seed);
                    run(target, &format!("{path:?} with change {number}"), mutated);
                }
            }
        }
    }
    assert!(changed > 500, "only {changed} models were changed");
}
