//! Names are data: one list of names that are made to act on a terminal, a log, a page or a spreadsheet goes through every
//! command, format and error, and nothing of it acts.
//!
//! What acts is said here once more, apart from the code that spells it out ([`media`]).

mod files;
mod media;
mod stored;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use media::Medium;

/// Names, each made to act somewhere. What follows a line end begins with [`FORGED`].
pub(crate) const HOSTILE: [&str; 30] = [
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;https://a.example\u{1b}\\link",
    "\u{9b}2J\u{90}x\u{9c}",
    "over\rwritten\u{8}\u{8}\u{b}\u{c}\t",
    "two\nFORGED error: lines",
    "two\r\nFORGED::error file=a.py,line=1::x",
    "\n::error file=a.py::FORGED",
    "::error file=a.py,line=1::x",
    "  ::add-mask::x",
    "::stop-commands::x",
    "a ##[error]x",
    "##vso[task.setvariable variable=PATH]x",
    "right\u{202e}to\u{2066}left\u{200f}\u{61c}",
    "un\u{200b}se\u{2060}en\u{feff}\u{ad}\u{e0041}\u{e007f}",
    "line\u{2028}and\u{2029}FORGED\u{85}FORGED",
    "\u{fffe}\u{fdd0}\u{10ffff}\u{7f}",
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' x='",
    "]]>--><!--<![CDATA[&amp;&#60;&lt;",
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3,\"x\";=1+1;@SUM(A1)",
    "@user #1 ![x](http://a.example/y) [z](javascript:alert(1)) **b**",
    "a|b`c`d``e|",
    "\\N\\G\"];evil [label=\"x\"]; {a|b}",
    "x\"]\n  click n0_0 call FORGED()\n%%{init: {}}%%",
    "#quot;]; end subgraph #60;b#62;",
    "größe 層 слой \u{5e9}\u{5db}\u{5d1}\u{5d4} \u{1f642}",
];

/// Where it begins a line of what is printed, a name has made that line.
pub(crate) const FORGED: &str = "FORGED";

/// The list, over and over, each name another.
pub(crate) fn name(index: usize) -> String {
    format!("{}{index}", HOSTILE[index % HOSTILE.len()])
}

fn run(folder: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_residua"));
    program.args(arguments).current_dir(folder).env_remove("NO_COLOR").output().unwrap()
}

/// What is wrong with what a command printed, in a medium.
fn complaints(folder: &Path, arguments: &[&str], medium: Medium) -> (Vec<String>, String, i32) {
    let done = run(folder, arguments);
    let status = done.status.code().unwrap_or(-1);
    let (stdout, stderr) = (text(done.stdout), text(done.stderr));
    let mut wrong = media::wrong(medium, &stdout);
    wrong.extend(media::wrong(Medium::Log, &stderr).into_iter().map(|what| format!("stderr: {what}")));
    if !(0..=2).contains(&status) || stderr.contains("panicked") {
        wrong.push(format!("status {status}: {stderr}"));
    }
    if stdout.is_empty() && stderr.is_empty() {
        wrong.push("nothing is printed".to_owned());
    }
    (wrong.into_iter().map(|what| format!("{arguments:?}: {what}")).collect(), stdout, status)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Every command, in every format, of a model or two; a third one differs from them in names alone.
fn commands(model: &str, out: &str) -> Vec<(Vec<String>, Medium)> {
    let mut all: Vec<(Vec<String>, Medium)> = Vec::new();
    let mut add =
        |medium: Medium, words: &[&str]| all.push((words.iter().map(|&word| word.to_owned()).collect(), medium));
    let inspect = [
        ("text", Medium::Log),
        ("json", Medium::Json),
        ("markdown", Medium::Markdown),
        ("csv", Medium::Csv),
        ("dot", Medium::Dot),
        ("mermaid", Medium::Mermaid),
        ("svg", Medium::Svg),
        ("html", Medium::Html),
    ];
    for (format, medium) in inspect {
        add(medium, &["inspect", model, "--format", format]);
        add(medium, &["inspect", model, "--layers", "--format", format]);
    }
    let check = [
        ("text", Medium::Log),
        ("json", Medium::Json),
        ("sarif", Medium::Json),
        ("junit", Medium::Xml),
        ("github", Medium::Annotations),
        ("markdown", Medium::Markdown),
    ];
    for (format, medium) in check {
        add(medium, &["check", model, "--format", format, "--expect", "resnet50"]);
        add(
            medium,
            &[
                "check",
                model,
                "plain.onnx",
                "missing.onnx",
                "--format",
                format,
                "--target",
                "tract",
                "--target",
                "candle",
            ],
        );
        add(medium, &["check", model, "--against", "plain.onnx", "--format", format]);
    }
    for (format, medium) in [("text", Medium::Log), ("json", Medium::Json), ("markdown", Medium::Markdown)] {
        add(medium, &["diff", model, "plain.onnx", "--format", format]);
        add(medium, &["diff", "plain.onnx", model, "--ignore-names", "--format", format]);
    }
    for (format, medium) in [("text", Medium::Log), ("json", Medium::Json)] {
        add(medium, &["layouts", model, "--format", format]);
        add(medium, &["compare", model, "plain.onnx", "--layers", "--format", format]);
        add(medium, &["compare", "other.onnx", model, "--layers", "--format", format]);
        add(medium, &["run", model, "--random", "1", "--top", "2", "--labels", "labels.txt", "--format", format]);
        add(medium, &["run", model, "--random", "1", "--format", format]);
        add(medium, &["run", model, "--random", "1", "--tap", "nobody", "--format", format]);
        for (ending, options) in [
            ("onnx", &["--no-verify"][..]),
            ("safetensors", &[]),
            ("onnx", &["--dtype", "f16"]),
            ("onnx", &["--fold-bn"]),
        ] {
            let target = format!("{out}.{format}.{}.{ending}", options.len());
            add(medium, &[&["convert", model, &target, "--format", format], options].concat());
        }
    }
    all
}

#[test]
fn no_name_acts_in_any_command_or_format() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let mut wrong = Vec::new();
    for model in ["hostile.onnx", "faulty.onnx", "unknown.onnx"] {
        for (arguments, medium) in commands(model, &format!("{model}.out")) {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            wrong.extend(complaints(place, &arguments, medium).0);
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_name_within_an_hdf5_file_acts_in_any_command_or_format() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let mut wrong = Vec::new();
    let (mut shown, mut refused) = (0, String::new());
    // A model has 21 layers.
    for from in [0, 12] {
        let model = format!("from{from}.h5");
        std::fs::write(place.join(&model), stored::whole(from)).unwrap();
        for (arguments, medium) in commands(&model, &format!("{model}.out")) {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (complaints, _, status) = complaints(place, &arguments, medium);
            wrong.extend(complaints);
            shown += usize::from(status != 2);
            if status == 2 {
                refused = text(run(place, &arguments).stderr);
            }
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    assert!(shown > 40, "only {shown} commands went through: {refused}");
}

#[test]
fn no_name_acts_in_a_drawing() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for hostile in HOSTILE {
        let file = format!("./{}.onnx", hostile.replace('/', "_"));
        std::fs::write(folder.path().join(&file), files::chain(hostile)).unwrap();
        for (format, medium) in [("dot", Medium::Dot), ("mermaid", Medium::Mermaid), ("svg", Medium::Svg)] {
            let (complaints, _, status) = complaints(folder.path(), &["inspect", &file, "--format", format], medium);
            wrong.extend(complaints);
            assert_eq!(status, 0, "{format} of {file:?}");
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn documents_hold_the_very_names() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let (wrong, text, _) = complaints(place, &["inspect", "hostile.onnx", "--format", "json"], Medium::Json);
    assert_eq!(wrong, Vec::<String>::new());
    let document: Value = serde_json::from_str(&text).unwrap();
    let found: Vec<&str> =
        document["layers"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    let expected = files::layers();
    let missing: Vec<&String> = expected.iter().filter(|name| !found.contains(&name.as_str())).collect();
    assert!(missing.is_empty() && expected.len() >= HOSTILE.len(), "{missing:?} of {expected:?} not in {found:?}");
    // And so does what is written, which is why it can be read again.
    let (wrong, _, status) =
        complaints(place, &["convert", "hostile.onnx", "again.onnx", "--format", "json"], Medium::Json);
    assert_eq!((wrong, status), (Vec::new(), 0));
    let (_, text, _) = complaints(place, &["inspect", "again.onnx", "--format", "json"], Medium::Json);
    let again: Value = serde_json::from_str(&text).unwrap();
    for key in ["inputs", "outputs"] {
        assert_eq!(again[key][0]["name"], document[key][0]["name"], "{key}");
    }
    let (_, text, _) = complaints(place, &["diff", "hostile.onnx", "again.onnx", "--format", "json"], Medium::Json);
    let document: Value = serde_json::from_str(&text).unwrap();
    for part in ["only_a", "only_b", "renamed", "changed"] {
        assert_eq!(document["tensors"][part], serde_json::json!([]), "{text}");
    }
    // The pool is called as ONNX calls it.
    let renamed = document["layers"]["renamed"].as_array().unwrap();
    assert!(renamed.iter().all(|change| change["what"] == "GlobalAvgPool") && renamed.len() <= 1, "{text}");
}

#[test]
fn no_name_acts_in_colours_either() {
    let folder = tempfile::tempdir().unwrap();
    files::models(folder.path());
    for command in
        [&["inspect", "hostile.onnx", "--layers"][..], &["check", "faulty.onnx"], &["convert", "faulty.onnx", "x.onnx"]]
    {
        let done = run(folder.path(), &[command, &["--color", "always"]].concat());
        let printed = format!("{}{}", text(done.stdout), text(done.stderr));
        assert!(printed.contains("\u{1b}[1"), "{command:?} prints no colours");
        let plain = ["1", "2", "1;31", "1;32", "1;33", "0"]
            .iter()
            .fold(printed, |printed, color| printed.replace(&format!("\u{1b}[{color}m"), ""));
        assert_eq!(media::wrong(Medium::Log, &plain), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn no_name_acts_in_an_error_about_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (what, bytes) in files::refused() {
        let file = place.join("model");
        std::fs::write(&file, &bytes).unwrap();
        for arguments in
            [&["inspect", "model"][..], &["check", "model", "--format", "github"], &["convert", "model", "out.onnx"]]
        {
            let medium = if arguments[0] == "check" { Medium::Annotations } else { Medium::Log };
            let (complaints, stdout, status) = complaints(place, arguments, medium);
            wrong.extend(complaints.into_iter().map(|complaint| format!("{what}: {complaint}")));
            refused += usize::from(status == 2 || stdout.contains("::error"));
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 100 * HOSTILE.len(), "only {refused} refusals");
}

#[test]
fn no_text_beside_a_model_acts() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let mut wrong = Vec::new();
    for hostile in HOSTILE {
        for (what, arguments) in [files::beside(place, hostile), stored::arrays(place, hostile)].concat() {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let medium = if arguments.contains(&"json") { Medium::Json } else { Medium::Log };
            let (complaints, ..) = complaints(place, &arguments, medium);
            wrong.extend(complaints.into_iter().map(|complaint| format!("{what} {hostile:?}: {complaint}")));
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_path_or_argument_acts() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let mut wrong = Vec::new();
    for hostile in HOSTILE {
        let file = format!("{}.onnx", hostile.replace('/', "_"));
        std::fs::copy(place.join("faulty.onnx"), place.join(format!("./{file}"))).unwrap();
        let file = &format!("./{file}");
        let missing = &format!("./missing{}", file.replace("./", ""));
        let words: [&[&str]; 22] = [
            &["inspect", file],
            &["inspect", file, "--format", "json"],
            &["inspect", file, "--format", "markdown"],
            &["inspect", file, "--format", "dot"],
            &["inspect", missing],
            &["check", file, missing],
            &["check", file, missing, "--format", "github"],
            &["check", file, missing, "--format", "junit"],
            &["check", file, missing, "--format", "sarif"],
            &["check", file, missing, "--format", "markdown"],
            &["diff", file, "plain.onnx"],
            &["diff", file, "plain.onnx", "--format", "markdown"],
            &["compare", file, missing],
            &["convert", "plain.onnx", file],
            &["convert", file, file],
            &["run", "plain.onnx", "--input", missing],
            &["run", "plain.onnx", "--random", "1", "--tap", hostile],
            &["run", "plain.onnx", "--random", "1", "--top", "1", "--labels", missing],
            &["explain", hostile],
            &["check", "plain.onnx", "--expect", hostile],
            &["inspect", "plain.onnx", "--format", hostile],
            &[hostile, "plain.onnx"],
        ];
        for arguments in words {
            let medium = match arguments.last() {
                Some(&"json" | &"sarif") => Medium::Json,
                Some(&"markdown") => Medium::Markdown,
                Some(&"dot") => Medium::Dot,
                Some(&"github") => Medium::Annotations,
                Some(&"junit") => Medium::Xml,
                _ => Medium::Log,
            };
            wrong.extend(complaints(place, arguments, medium).0);
        }
        let mut budget = Command::new(env!("CARGO_BIN_EXE_residua"));
        let done = budget.args(["explain", "R301"]).env("RESIDUA_BUDGET", OsString::from(hostile)).output().unwrap();
        wrong.extend(media::wrong(Medium::Log, &text(done.stderr)));
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_name_of_megabytes_does_not_fill_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    files::models(place);
    let long = "long\u{1b}".repeat(200_000);
    std::fs::write(place.join("model"), files::safetensors(&long)).unwrap();
    std::fs::write(place.join("long.onnx"), files::with_long_name(&long)).unwrap();
    for (arguments, medium) in [
        (&["inspect", "model"][..], Medium::Log),
        (&["check", "model"], Medium::Log),
        (&["inspect", "long.onnx", "--layers"], Medium::Log),
        (&["check", "long.onnx"], Medium::Log),
        (&["diff", "long.onnx", "plain.onnx"], Medium::Log),
    ] {
        let done = run(place, arguments);
        let (stdout, stderr) = (text(done.stdout), text(done.stderr));
        assert_eq!(media::wrong(medium, &stdout), Vec::<String>::new(), "{arguments:?}");
        assert!(stdout.len() + stderr.len() < 200_000, "{arguments:?} prints {} bytes", stdout.len() + stderr.len());
        assert!(format!("{stdout}{stderr}").contains("characters left out"), "{arguments:?}: {stdout}{stderr}");
    }
}
