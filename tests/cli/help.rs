//! The help of every command.

use insta::assert_snapshot;

use crate::transcript;

#[test]
fn help_shows_the_commands_and_each_command_its_options_and_examples() {
    let folder = residua_tests::folder();
    assert_snapshot!("help", transcript(&folder, &["--help"]));
    for command in [
        "inspect",
        "check",
        "convert",
        "compare",
        "run",
        "predict",
        "evaluate",
        "head",
        "new",
        "diff",
        "layouts",
        "explain",
        "completions",
    ] {
        assert_snapshot!(format!("help_{command}"), transcript(&folder, &[command, "--help"]));
    }
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = crate::residua(&residua_tests::folder(), &["completions", shell]);
        assert!(done.status.success());
        assert!(String::from_utf8(done.stdout).unwrap().contains("input-layout"), "{shell}");
    }
}
