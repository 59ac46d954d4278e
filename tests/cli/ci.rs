//! What other CI systems run: the GitHub Action's script and the pre-commit hook.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::residua;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// A workspace of an action with two models whose names hold a space.
fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("models/a b")).unwrap();
    for (from, to) in [("sound.h5", "models/sound one.h5"), ("nan_kernel.h5", "models/a b/nan.h5")] {
        fs::copy(residua_tests::folder().join("faults").join(from), folder.path().join(to)).unwrap();
    }
    folder
}

fn act(workspace: &Path, inputs: &[(&str, &str)]) -> Output {
    let mut command = Command::new("bash");
    command.arg(root().join("action/check.sh")).current_dir(workspace).env("RESIDUA", env!("CARGO_BIN_EXE_residua"));
    for name in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"] {
        command.env(name, workspace.join(name));
    }
    command.envs(inputs.iter().copied()).output().unwrap()
}

#[test]
fn the_action_checks_what_its_inputs_say_and_reports_where_github_looks() {
    let folder = workspace();
    let folder = folder.path();
    let inputs =
        [("INPUT_MODELS", "models/*.h5\nmodels/**/nan.h5"), ("INPUT_SARIF", "out.sarif"), ("INPUT_JUNIT", "out.xml")];
    let done = act(folder, &inputs);
    let stdout = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1), "{stdout}{}", String::from_utf8_lossy(&done.stderr));
    assert!(stdout.contains("::error file=models/a b/nan.h5,title=R301"), "{stdout}");
    let written = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(written("GITHUB_OUTPUT"), "status=1\n");
    assert!(written("GITHUB_STEP_SUMMARY").contains("### residua check"));
    assert!(written("out.sarif").contains("models/a%20b/nan.h5") && written("out.xml").contains("<testsuites"));
}

#[test]
fn the_action_hands_on_options_and_refuses_patterns_without_a_model() {
    let folder = workspace();
    let folder = folder.path();
    let models = ("INPUT_MODELS", "models/a b/nan.h5");
    assert_eq!(act(folder, &[models, ("INPUT_FAIL_ON", "never")]).status.code(), Some(0));
    assert_eq!(act(folder, &[models, ("INPUT_ARGUMENTS", "--level\nR301=off")]).status.code(), Some(0));
    let wrong = act(folder, &[("INPUT_MODELS", "models/sound one.h5"), ("INPUT_EXPECT", "resnet50")]);
    assert_eq!(wrong.status.code(), Some(1));
    let none = act(folder, &[("INPUT_MODELS", "models/*.onnx")]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8(none.stdout).unwrap().contains("no model matches models/*.onnx"));
}

#[test]
fn the_action_and_the_hook_name_options_that_exist() {
    let help = String::from_utf8(residua(&root(), &["check", "--help"]).stdout).unwrap();
    for file in ["action/check.sh", ".pre-commit-hooks.yaml"] {
        let text = read(file);
        let options = text.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options {
            assert!(help.contains(option), "{file}: {option}");
        }
    }
    // What it builds is the folder that holds the program.
    let built = read("action.yml");
    let folder = built.split("--path \"$GITHUB_ACTION_PATH/").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(read(&format!("{folder}/Cargo.toml")).contains("[[bin]]\nname = \"residua\""), "{folder}");
    // Every input that the script reads is handed to it, and from an input that is declared.
    let (action, script) = (read("action.yml"), read("action/check.sh"));
    let inputs = script.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter(|word| word.starts_with("INPUT_"));
    for input in inputs {
        let name = input.trim_start_matches("INPUT_").to_lowercase().replace('_', "-");
        assert!(action.contains(&format!("        {input}: ")), "{input}");
        assert!(action.contains(&format!("\n  {name}:\n")), "{name}");
    }
}
