//! Every operation on files fails once, and the process is killed before each: what is there then is read, and is wholly the old or wholly the new.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use residua_ir::{DType, Dim, GraphBuilder, InputType, Op, Shape, Tensor, validate};

use super::*;
use crate::file_ops::gates;
use crate::onnx::{ExternalData, OnnxOptions};
use crate::place::left::noted;
use crate::place::staged::PREFIX;

/// A model whose weights are all this number.
fn model(weight: f32) -> residua_ir::Checked {
    let mut g = GraphBuilder::new("sum");
    let x = g.input_with(
        "x",
        InputType { dtype: DType::F32, shape: Shape::new(vec![Dim::Fixed(32), Dim::Fixed(32)]) },
        residua_ir::SourceOrder::Same,
    );
    let w = g.weight("w", Tensor::from_f32(vec![32, 32], &[weight; 1024]).unwrap());
    let y = g.add("sum", Op::Elementwise(residua_ir::Elementwise::Add), &[x, w]);
    g.output(y);
    validate(g.finish().unwrap()).unwrap()
}

/// Puts a model of this weight at `m.onnx`, its weights beside it, and a text that goes with it.
fn convert(folder: &Path, weight: f32) -> Result<(), EmitError> {
    let options = OnnxOptions { external_data: ExternalData::Always, ..OnnxOptions::default() };
    let staged = crate::onnx::stage(&model(weight), &options, &folder.join("m.onnx"))?;
    let manifest = Pending::file::<EmitError>(&folder.join("m.json"), |file| {
        write!(file, "{weight}").map_err(EmitError::io("cannot write", Path::new("m.json")))
    })?;
    staged.commit_with(vec![manifest]).map(|_| ())
}

/// The weight of the model that anybody finds at `m.onnx`; none where there is none.
fn found(folder: &Path) -> Option<f32> {
    let path = folder.join("m.onnx");
    if !path.exists() {
        return None;
    }
    let main = fs::read(&path).unwrap();
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_named = |name: &String| main.windows(name.len()).any(|window| window == name.as_bytes());
    // One name begins with the other.
    let named = names.filter(|name| name.starts_with("m.onnx.data") && is_named(name)).max().unwrap();
    let links = std::os::unix::fs::MetadataExt::nlink(&fs::metadata(folder.join(&named)).unwrap());
    assert_eq!(links, 1, "the onnx package refuses data of several links: {named}");
    let graph = residua_import::load(&path).unwrap_or_else(|error| panic!("half a model: {error}"));
    let weights = graph.parameters()[0].tensor.to_f32().unwrap();
    assert!(weights.iter().all(|weight| *weight == weights[0]), "weights of two models");
    Some(weights[0])
}

/// The same for a main file beside which another is looked for.
fn convert_beside(folder: &Path, text: &str) -> Result<(), EmitError> {
    let stage = Stage::new(&folder.join("main"))?;
    stage.write("", &[Segment::Bytes(text.as_bytes().to_vec())])?;
    stage.write_beside("config.json", text.as_bytes())?;
    let emitted = Emitted {
        files: Vec::new(),
        bytes: 0,
        mapping: Vec::new(),
        dropped: Vec::new(),
        exactness: crate::Exactness::Identical,
        notes: Vec::new(),
    };
    stage.finish(With::Beside { new: vec!["config.json"], there: Vec::new() }, emitted)?.commit().map(|_| ())
}

/// Names and contents of what is in a folder, but for files on their way.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Whether nothing is in a folder but what is named.
fn holds_only(folder: &Path, names: &[&str]) {
    let mut found: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, names);
}

/// Counts operations, and makes those fail that `fails` says.
fn failing(
    folder: &Path,
    error: io::ErrorKind,
    fails: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> gates::Closed {
    let count = AtomicUsize::new(0);
    gates::close(folder, move |_, _| match fails(count.fetch_add(1, Ordering::SeqCst)) {
        true => Err(error.into()),
        false => Ok(()),
    })
}

/// How many operations something takes.
fn operations(folder: &Path, work: impl FnOnce()) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let closed = gates::close(folder, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    work();
    drop(closed);
    count.load(Ordering::SeqCst)
}

#[test]
fn a_model_and_its_data_are_exchanged_whole_whatever_fails() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    convert(folder, 1.0).unwrap();
    let first = files(folder);
    assert_eq!(first.keys().map(String::as_str).collect::<Vec<_>>(), ["m.json", "m.onnx", "m.onnx.data"]);
    let steps = operations(folder, || convert(folder, 1.0).unwrap());
    assert_eq!(files(folder), first, "writing again gives the same bytes and nothing else");
    assert!(steps > 30, "{steps}");
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
        let mut failed = 0;
        for step in 0..steps {
            let closed = failing(folder, kind, move |count| count == step);
            let done = convert(folder, 2.0);
            drop(closed);
            if let Err(error) = done {
                failed += 1;
                assert_eq!(files(folder), first, "step {step}: {error}");
                let said = error.to_string();
                assert!(said.contains("/m.") || said.contains("cannot write into"), "step {step}: {said}");
            } else {
                assert_eq!(found(folder), Some(2.0), "step {step}");
                for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                    let is_output = first.contains_key(entry.file_name().to_str().unwrap());
                    assert!(is_output || noted().contains(&entry.path()), "step {step}: {entry:?} is not told");
                }
                convert(folder, 1.0).unwrap();
                assert_eq!(files(folder), first, "step {step}");
            }
        }
        assert!(failed > steps / 2, "{failed} of {steps}");
    }
    convert(folder, 1.0).unwrap();
    holds_only(folder, &["m.json", "m.onnx", "m.onnx.data"]);
}

#[test]
fn a_model_stays_whole_where_nothing_can_be_done_any_more() {
    for old in [None, Some(1.0)] {
        let steps = {
            let folder = tempfile::tempdir().unwrap();
            old.into_iter().for_each(|old| convert(folder.path(), old).unwrap());
            operations(folder.path(), || convert(folder.path(), 2.0).unwrap())
        };
        for step in 0..steps {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            old.into_iter().for_each(|old| convert(folder, old).unwrap());
            let closed = failing(folder, io::ErrorKind::StorageFull, move |count| count >= step);
            let done = convert(folder, 2.0);
            drop(closed);
            let weight = found(folder);
            assert!(weight == old || weight == Some(2.0), "step {step}: {weight:?}");
            assert!(done.is_err() || weight == Some(2.0), "step {step}");
            convert(folder, 3.0).unwrap();
            assert_eq!(found(folder), Some(3.0));
        }
    }
}

#[test]
fn a_configuration_appears_with_its_weights_or_not_at_all() {
    let old = || {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main"), "old").unwrap();
        folder
    };
    let steps = {
        let folder = old();
        operations(folder.path(), || convert_beside(folder.path(), "new").unwrap())
    };
    for step in 0..steps {
        let folder = old();
        let closed = failing(folder.path(), io::ErrorKind::StorageFull, move |count| count == step);
        let done = convert_beside(folder.path(), "new");
        drop(closed);
        let found = files(folder.path());
        let found: Vec<(&str, &[u8])> = found.iter().map(|(name, text)| (&**name, &**text)).collect();
        match done {
            Ok(()) => assert_eq!(found, [("config.json", &b"new"[..]), ("main", b"new")], "step {step}"),
            Err(_) => assert_eq!(found, [("main", &b"old"[..])], "step {step}"),
        }
        fs::write(folder.path().join("other"), "").unwrap();
        Pending::file::<EmitError>(&folder.path().join("other"), |_| Ok(())).unwrap().commit().unwrap();
        assert!(
            fs::read_dir(folder.path())
                .unwrap()
                .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with(PREFIX) })
        );
    }
}

const STEP: &str = "RESIDUA_TEST_KILLED_BEFORE";
const FOLDER: &str = "RESIDUA_TEST_FOLDER";

/// What the tests below start as a process of its own, to be killed; without their variables, nothing.
#[test]
fn the_process_that_is_killed() {
    let (Ok(step), Some(folder)) = (std::env::var(STEP), std::env::var_os(FOLDER)) else { return };
    let (kind, step) = step.split_once(' ').unwrap();
    let (step, folder) = (step.parse::<usize>().unwrap(), PathBuf::from(folder));
    let count = AtomicUsize::new(0);
    let _closed = gates::close(&folder, move |_, _| {
        if count.fetch_add(1, Ordering::SeqCst) == step {
            let own = std::process::id().to_string();
            Command::new("kill").args(["-9", &own]).status().unwrap();
            loop {
                std::thread::park();
            }
        }
        Ok(())
    });
    match kind {
        "data" => convert(&folder, 2.0).unwrap(),
        _ => convert_beside(&folder, "new").unwrap(),
    }
}

/// Runs [`the_process_that_is_killed`], and says whether it was.
fn killed(kind: &str, step: usize, folder: &Path) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let name = "place::tests::the_process_that_is_killed";
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--quiet"])
        .env(STEP, format!("{kind} {step}"))
        .env(FOLDER, folder)
        .output()
        .unwrap();
    assert!(done.status.success() || done.status.signal() == Some(9), "{done:?}");
    !done.status.success()
}

#[test]
fn a_process_that_is_killed_leaves_the_old_model_or_the_new_one() {
    for old in [None, Some(1.0)] {
        let mut seen = BTreeMap::new();
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            old.into_iter().for_each(|old| convert(folder, old).unwrap());
            let killed = killed("data", step, folder);
            let weight = found(folder);
            assert!(weight == old || weight == Some(2.0), "step {step}: {weight:?}");
            *seen.entry(weight.map(f32::to_bits)).or_insert(0) += 1;
            // The next process leaves nothing of it but what the model names.
            Pending::file::<EmitError>(&folder.join("other"), |_| Ok(())).unwrap().commit().unwrap();
            assert_eq!(found(folder), weight, "step {step}");
            if weight.is_none() {
                holds_only(folder, &["other"]);
            }
            let left = |name: &String| name.contains(".residua-");
            let named = |name: &String| {
                fs::read(folder.join("m.onnx"))
                    .is_ok_and(|main| main.windows(name.len()).any(|window| window == name.as_bytes()))
            };
            let names: Vec<String> =
                fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            assert!(names.iter().filter(|name| left(name)).all(named), "step {step}: {names:?}");
            convert(folder, 3.0).unwrap();
            holds_only(folder, &["m.json", "m.onnx", "m.onnx.data", "other"]);
            if !killed {
                break;
            }
        }
        assert_eq!(seen.len(), 2, "both were met: {seen:?}");
    }
}

#[test]
fn what_a_killed_process_put_beside_weights_that_never_came_is_taken_back() {
    let mut seen = BTreeMap::new();
    for step in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("main"), "old").unwrap();
        let killed = killed("beside", step, folder);
        let now = files(folder);
        let texts: Vec<_> = now.values().map(|text| String::from_utf8(text.clone()).unwrap()).collect();
        // The old weights are never beside a configuration that is not theirs.
        assert!(
            now.get("main").is_none_or(|main| main == "new".as_bytes() || now.len() == 1),
            "step {step}: {texts:?}"
        );
        Pending::file::<EmitError>(&folder.join("other"), |_| Ok(())).unwrap().commit().unwrap();
        let then = files(folder);
        let main = String::from_utf8(then["main"].clone()).unwrap();
        assert_eq!(then.len(), if main == "new" { 3 } else { 2 }, "step {step}: {then:?}");
        *seen.entry(main).or_insert(0) += 1;
        assert!(fs::read_dir(folder).unwrap().count() == then.len(), "step {step}");
        if !killed {
            break;
        }
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["new", "old"]);
}

#[test]
fn files_of_a_living_process_and_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at_work = Pending::file::<EmitError>(&folder.path().join("a"), |_| Ok(())).unwrap();
    for name in [".residua-note.txt", "m.onnx.data.residua-x", "residua-abcdefgh"] {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("elsewhere/file"), "mine").unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join(".residua-abcdefgh")).unwrap();
    Pending::file::<EmitError>(&folder.path().join("b"), |_| Ok(())).unwrap().commit().unwrap();
    at_work.commit().unwrap();
    let link = ".residua-abcdefgh";
    holds_only(
        folder.path(),
        &[link, ".residua-note.txt", "a", "b", "elsewhere", "m.onnx.data.residua-x", "residua-abcdefgh"],
    );
    assert!(folder.path().join("elsewhere/file").exists());
}

#[test]
fn nothing_is_made_of_a_folder_that_names_files_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("work")).unwrap();
    fs::write(at("precious"), "precious").unwrap();
    fs::create_dir(at("work/.residua-abcdefgh")).unwrap();
    fs::hard_link(at("precious"), at("work/.residua-abcdefgh/precious")).unwrap();
    fs::write(at("work/.residua-abcdefgh/main"), "").unwrap();
    for main in ["main", "../main"] {
        let record = format!(r#"{{"main":"{main}","beside":["../precious"]}}"#);
        fs::create_dir_all(at("work/.residua-abcdefgh")).unwrap();
        fs::write(at("work/.residua-abcdefgh/.lock"), record).unwrap();
        Pending::file::<EmitError>(&at("work/b"), |_| Ok(())).unwrap().commit().unwrap();
        holds_only(&at("work"), &["b"]);
        assert_eq!(fs::read(at("precious")).unwrap(), b"precious");
    }
}

#[test]
fn of_two_that_write_the_same_model_at_once_one_is_last() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    convert(folder, 3.0).unwrap();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            let _ = [1.0, 2.0].map(|weight| scope.spawn(move || convert(folder, weight).unwrap()));
        });
        let last = found(folder).unwrap();
        assert!(last == 1.0 || last == 2.0);
        assert_eq!(fs::read_to_string(folder.join("m.json")).unwrap(), last.to_string());
    }
    holds_only(folder, &["m.json", "m.onnx", "m.onnx.data"]);
}

#[test]
fn what_is_synced_early_is_synced_once_and_a_failure_of_that_is_told_when_it_is_moved() {
    let options = OnnxOptions { external_data: ExternalData::Always, ..OnnxOptions::default() };
    for fails in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut staged = crate::onnx::stage(&model(1.0), &options, &folder.path().join("m.onnx")).unwrap();
        let syncs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&syncs);
        let gate = gates::close(folder.path(), move |what, _| {
            let syncs = counted.fetch_add(usize::from(what == "sync"), Ordering::SeqCst);
            if fails && what == "sync" && syncs == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        staged.start_sync();
        let committed = staged.commit();
        assert_eq!(syncs.load(Ordering::SeqCst), 2, "the model and its data");
        drop(gate);
        match fails {
            true => {
                assert!(matches!(&committed, Err(EmitError::Io { action: "cannot write", .. })), "{committed:?}");
                holds_only(folder.path(), &[]);
            }
            false => holds_only(folder.path(), &["m.onnx", "m.onnx.data"]),
        }
    }
}

#[test]
fn what_is_dropped_while_it_is_synced_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut staged = crate::onnx::stage(&model(1.0), &OnnxOptions::default(), &folder.path().join("m.onnx")).unwrap();
    staged.start_sync();
    drop(staged);
    holds_only(folder.path(), &[]);
}

#[test]
fn two_outputs_of_one_place_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = OnnxOptions { external_data: ExternalData::Always, ..OnnxOptions::default() };
    let staged = crate::onnx::stage(&model(1.0), &options, &folder.path().join("m.onnx")).unwrap();
    let taken = folder.path().join(".").join("m.onnx.data");
    let other = Pending::file::<EmitError>(&taken, |_| Ok(())).unwrap();
    let refused = staged.commit_with(vec![other]);
    assert!(matches!(refused, Err(EmitError::Twice { path }) if path == taken));
    holds_only(folder.path(), &[]);
}
