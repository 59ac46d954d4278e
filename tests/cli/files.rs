//! What becomes of files: no input is replaced under any name, outputs appear together or not at all, and signals leave nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::{json, residua};

/// A folder with the digits model as `digits.keras`, and as `old.onnx` with its weights in `new.onnx.data`.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fixtures = residua_tests::folder().join("digits");
    fs::copy(fixtures.join("digits.k3.keras"), at("digits.keras")).unwrap();
    fs::copy(fixtures.join("digits.golden.npz"), at("golden.npz")).unwrap();
    fs::copy(fixtures.join("seven.png"), at("seven.png")).unwrap();
    let done = residua(folder.path(), &["convert", "digits.keras", "new.onnx", "--external-data", "--no-verify"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    fs::rename(at("new.onnx"), at("old.onnx")).unwrap();
    folder
}

/// All files of a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap_or_default()))
        .collect()
}

/// Runs a command that must be refused with status 2 and a message that has these words, and must change no file.
fn refused(folder: &Path, words: &[&str], args: &[&str]) {
    let before = contents(folder);
    let done = residua(folder, args);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{args:?}: {said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{args:?}: {word} is not in {said}"));
    assert!(contents(folder) == before, "{args:?} changed a file");
}

#[test]
fn what_a_model_refers_to_is_never_an_output() {
    let folder = workplace();
    let folder = folder.path();
    fs::hard_link(folder.join("new.onnx.data"), folder.join("hard.onnx.data")).unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    let data = ["would replace the input", "new.onnx.data"];
    let options = ["--external-data", "--no-verify"];
    for out in ["new.onnx", "./sub/../new.onnx", "hard.onnx"] {
        refused(folder, &data, &[&["convert", "old.onnx", out], &options[..]].concat());
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(".", folder.join("way")).unwrap();
        std::os::unix::fs::symlink("new.onnx.data", folder.join("soft.onnx.data")).unwrap();
        refused(folder, &data, &[&["convert", "old.onnx", "way/new.onnx"], &options[..]].concat());
        refused(folder, &data, &[&["convert", "old.onnx", "soft.onnx"], &options[..]].concat());
    }
    refused(folder, &data, &["convert", "old.onnx", "x.onnx", "--manifest", "new.onnx.data", "--no-verify"]);
    refused(folder, &data, &["check", "old.onnx", "--report", "json=new.onnx.data"]);
    // Without data of its own, the output has no name that is taken.
    assert_eq!(residua(folder, &["convert", "old.onnx", "new.onnx", "--no-verify"]).status.code(), Some(0));
}

#[test]
fn shards_and_their_index_are_never_outputs() {
    let folder = workplace();
    let folder = folder.path();
    let shard = "model-00001-of-00001.safetensors";
    let args = ["convert", "digits.keras", shard, "--layout", "source", "--no-verify"];
    let (document, status) = json(folder, &args);
    assert_eq!(status, 0);
    let names = document["tensors"].as_array().unwrap().iter().map(|tensor| tensor["to"].as_str().unwrap());
    let map: BTreeMap<&str, &str> = names.map(|name| (name, shard)).collect();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    fs::write(folder.join("m.safetensors.index.json"), index.to_string()).unwrap();
    let args = ["check", "m.safetensors.index.json", "--report"];
    refused(folder, &["would replace the input", shard], &[&args[..], &[&format!("json={shard}")]].concat());
    refused(
        folder,
        &["would replace the input", "index.json"],
        &[&args[..], &["json=m.safetensors.index.json"]].concat(),
    );
}

#[test]
fn whatever_else_is_read_is_never_an_output() {
    let folder = workplace();
    let folder = folder.path();
    fs::write(folder.join("residua.toml"), "").unwrap();
    fs::write(folder.join("labels.npy"), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n").unwrap();
    let run = ["run", "digits.keras", "--input", "seven.png", "--top", "1", "--labels", "labels.npy", "--output"];
    refused(folder, &["would replace the input labels.npy"], &[&run[..], &["./labels.npy"]].concat());
    assert_eq!(residua(folder, &[&run[..], &["x.npy"]].concat()).status.code(), Some(0));
    let again = ["run", "digits.keras", "--input", "x.npz", "--output", "x.npz"];
    fs::copy(folder.join("golden.npz"), folder.join("x.npz")).unwrap();
    refused(folder, &["would replace the input x.npz"], &again);
    let golden = ["convert", "digits.keras", "x.onnx", "--golden", "golden.npz", "--manifest", "golden.npz"];
    refused(folder, &["would replace the input golden.npz"], &golden);
    refused(
        folder,
        &["would replace the input residua.toml"],
        &["check", "digits.keras", "--report", "json=residua.toml"],
    );
    let baseline = ["check", "digits.keras", "--baseline", "known.json"];
    assert_eq!(residua(folder, &[&baseline[..], &["--update-baseline"]].concat()).status.code(), Some(0));
    assert_eq!(residua(folder, &[&baseline[..], &["--update-baseline"]].concat()).status.code(), Some(0));
    refused(
        folder,
        &["would replace the input known.json"],
        &[&baseline[..], &["--report", "json=known.json"]].concat(),
    );
    let both = ["--update-baseline", "--report", "json=known.json"];
    refused(folder, &["two outputs would be at"], &[&baseline[..], &both[..]].concat());
    let twice = ["check", "digits.keras", "--report", "json=r", "--report", "junit=./r"];
    refused(folder, &["two outputs would be at ./r"], &twice);
    let manifest = ["convert", "digits.keras", "x.onnx", "--external-data", "--manifest", "x.onnx.data", "--no-verify"];
    refused(folder, &["two outputs would be at x.onnx.data"], &manifest);
}

#[test]
fn a_model_is_exchanged_with_its_data_and_nothing_else_stays() {
    let folder = workplace();
    let folder = folder.path();
    let convert = |out: &str, more: &[&str]| {
        let done = residua(folder, &[&["convert", "digits.keras", out, "--external-data"], more].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    };
    fs::remove_file(folder.join("old.onnx")).unwrap();
    fs::remove_file(folder.join("new.onnx.data")).unwrap();
    convert("m.onnx", &[]);
    let first = contents(folder);
    convert("m.onnx", &["--manifest", "m.json", "--dtype", "f16"]);
    assert!(contents(folder)["m.onnx.data"].len() < first["m.onnx.data"].len());
    assert_eq!(residua(folder, &["check", "--manifest", "m.json"]).status.code(), Some(0));
    convert("m.onnx", &[]);
    fs::remove_file(folder.join("m.json")).unwrap();
    assert!(contents(folder) == first, "the same conversion gives the same bytes whatever was there before");
}

#[cfg(unix)]
mod unix {
    //! Signals, limits and files that change.

    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Output, Stdio};
    use std::time::Duration;

    use super::*;

    fn start(folder: &Path, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residua"));
        command.args(args).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        command.spawn().unwrap()
    }

    fn signal(child: &Child, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
        assert!(done.success(), "{name}");
    }

    fn on_its_way(folder: &Path) -> bool {
        fs::read_dir(folder).unwrap().any(|entry| {
            let name = entry.unwrap().file_name();
            name.to_string_lossy().starts_with(".residua-")
        })
    }

    /// A conversion to `out/m.onnx` that is stopped while its output is written or proved.
    fn held_up(folder: &Path, args: &[&str]) -> Child {
        let out = folder.join("out");
        for _ in 0..100 {
            fs::create_dir_all(&out).unwrap();
            let mut child = start(&out, args);
            while !on_its_way(&out) && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            if child.try_wait().unwrap().is_none() {
                signal(&child, "STOP");
                if on_its_way(&out) && !out.join("m.onnx").exists() {
                    return child;
                }
                signal(&child, "CONT");
            }
            child.wait().unwrap();
            let _ = ["m.onnx", "m.onnx.data", "m.json"].map(|name| fs::remove_file(out.join(name)));
        }
        panic!("no conversion was met at work");
    }

    #[test]
    fn signals_that_end_the_program_leave_nothing() {
        for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
            let folder = workplace();
            let folder = folder.path();
            fs::create_dir(folder.join("out")).unwrap();
            let before = contents(folder);
            let args = ["convert", "../digits.keras", "m.onnx", "--external-data", "--manifest", "m.json"];
            let child = held_up(folder, &args);
            signal(&child, name);
            signal(&child, "CONT");
            let done = child.wait_with_output().unwrap();
            assert_eq!(done.status.signal(), Some(number), "{done:?}");
            assert_eq!(done.stderr, b"", "{}", String::from_utf8_lossy(&done.stderr));
            assert!(contents(folder) == before);
            // It may just have been finished; there is never a part of it.
            let left: Vec<String> = contents(&folder.join("out")).into_keys().collect();
            assert!(left.is_empty() || left == ["m.json", "m.onnx", "m.onnx.data"], "{left:?}");
        }
    }

    #[test]
    fn what_was_killed_is_cleared_by_the_next_run_and_what_works_is_not() {
        let folder = workplace();
        let folder = folder.path();
        let args = ["convert", "../digits.keras", "m.onnx", "--external-data"];
        let mut first = held_up(folder, &args);
        let out = folder.join("out");
        signal(&first, "KILL");
        first.wait().unwrap();
        assert!(on_its_way(&out));
        let other = ["run", "../digits.keras", "--input", "../seven.png", "--output", "y.npy"];
        assert_eq!(residua(&out, &other).status.code(), Some(0));
        assert_eq!(contents(&out).into_keys().collect::<Vec<_>>(), ["y.npy"]);

        let second = held_up(folder, &args);
        assert_eq!(residua(&out, &other).status.code(), Some(0));
        assert!(on_its_way(&out), "that of the process at work stays");
        signal(&second, "CONT");
        assert_eq!(second.wait_with_output().unwrap().status.code(), Some(0));
        assert_eq!(contents(&out).into_keys().collect::<Vec<_>>(), ["m.onnx", "m.onnx.data", "y.npy"]);
    }

    #[test]
    fn a_signal_that_was_ignored_stays_ignored() {
        let folder = workplace();
        let folder = folder.path();
        let script = "trap '' HUP; kill -HUP $$; exec \"$0\" convert digits.keras m.onnx";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_residua")]).current_dir(folder);
        let mut child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !on_its_way(folder) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "HUP");
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }

    #[test]
    fn a_file_that_may_not_grow_is_an_error_that_names_the_output() {
        let folder = workplace();
        let folder = folder.path();
        fs::write(folder.join("m.onnx"), "old").unwrap();
        let before = contents(folder);
        for (args, file) in [
            (&["convert", "digits.keras", "m.onnx", "--no-verify"][..], "m.onnx"),
            (&["convert", "digits.keras", "m.onnx", "--no-verify", "--external-data"], "m.onnx.data"),
        ] {
            let script = "ulimit -f 512; exec \"$0\" \"$@\"";
            let done = Command::new("sh")
                .args(["-c", script, env!("CARGO_BIN_EXE_residua")])
                .args(args)
                .current_dir(folder)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(2), "{done:?}");
            assert!(said.contains(&format!("cannot write {file}: File too large")), "{said}");
            assert!(contents(folder) == before);
        }
    }

    /// A command that waits at a pipe for an input while its model is mapped; the model is then cut.
    fn cut_while_mapped(folder: &Path, model: &str, args: &[&str], len: u64) -> Output {
        let pipe = folder.join("pipe.npz");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let child = start(folder, args);
        // Opening waits for the program to open the other end, and it does that when the model is mapped.
        let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
        fs::File::options().write(true).open(folder.join(model)).unwrap().set_len(len).unwrap();
        std::io::Write::write_all(&mut writer, &fs::read(folder.join("golden.npz")).unwrap()).unwrap();
        drop(writer);
        let done = child.wait_with_output().unwrap();
        fs::remove_file(pipe).unwrap();
        done
    }

    #[test]
    fn a_mapped_file_that_becomes_shorter_is_an_error_that_names_it() {
        let model = residua_tests::folder().join("digits/digits.k3.h5");
        for args in [
            &["run", "m.h5", "--input", "pipe.npz"][..],
            &["convert", "m.h5", "m.onnx", "--golden", "pipe.npz"],
            &["check", "m.h5", "--golden", "pipe.npz"],
            &["compare", "m.h5", "digits.keras", "--golden", "pipe.npz"],
        ] {
            let folder = workplace();
            let folder = folder.path();
            fs::copy(&model, folder.join("m.h5")).unwrap();
            let before: Vec<String> = contents(folder).into_keys().collect();
            let done = cut_while_mapped(folder, "m.h5", args, 4096);
            assert_eq!(done.status.code(), Some(2), "{args:?}: {done:?}");
            let said = String::from_utf8(done.stderr).unwrap();
            assert!(said.ends_with(
                "error: cannot read m.h5\n  because: it became shorter while it was read, or its disk or server failed; what was not finished is not written\n"
            ), "{args:?}: {said}");
            assert_eq!(said.matches("cannot read").count(), 1, "{args:?}: {said}");
            assert_eq!(contents(folder).into_keys().collect::<Vec<_>>(), before, "{args:?}");
        }
    }

    #[test]
    fn a_small_file_is_read_and_may_change_afterwards() {
        let folder = workplace();
        let folder = folder.path();
        let done = residua(
            folder,
            &["convert", "digits.keras", "small.onnx", "--dtype", "f16", "--no-verify", "--input-layout", "source"],
        );
        assert_eq!(done.status.code(), Some(0));
        assert!(fs::metadata(folder.join("small.onnx")).unwrap().len() < 1 << 20);
        let done = cut_while_mapped(folder, "small.onnx", &["run", "small.onnx", "--input", "pipe.npz"], 5);
        assert_eq!(done.status.code(), Some(0), "{done:?}");
    }

    #[test]
    fn another_bus_error_ends_the_program_as_ever() {
        let folder = workplace();
        let pipe = folder.path().join("pipe.npz");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut child = start(folder.path(), &["run", "digits.keras", "--input", "pipe.npz"]);
        let writer = fs::File::options().write(true).open(&pipe).unwrap();
        // The handler of the standard library, to which it is handed on, gives itself up at the first.
        while child.try_wait().unwrap().is_none() {
            signal(&child, "BUS");
            std::thread::sleep(Duration::from_millis(20));
        }
        let done = child.wait_with_output().unwrap();
        drop(writer);
        assert_eq!(done.status.signal(), Some(if cfg!(target_os = "linux") { 7 } else { 10 }), "{done:?}");
    }
}
