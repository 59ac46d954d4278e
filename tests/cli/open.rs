//! What no tensor shows: strides, dilations, stems, activations, epsilons, widths. Of weights alone it is said and can be set;
//! of a whole module it is read.

use std::path::Path;

use residua_tests::Fixture;

use super::{json, residua};

/// The files, each with the options that say what its tensors do not; at least so many, that none is lost in silence.
fn files() -> Vec<(&'static Fixture, Vec<String>)> {
    let all = residua_tests::torch_open();
    assert!(all.len() > 25, "only {} files were found", all.len());
    let options = |fixture: &Fixture| {
        let facts = fixture.facts();
        let options = facts["options"].as_array().unwrap().iter();
        options.map(|option| option.as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    all.iter().map(|fixture| (fixture, options(fixture))).collect()
}

fn file(label: &str) -> (&'static Fixture, Vec<String>) {
    files().into_iter().find(|(fixture, _)| fixture.label() == label).unwrap_or_else(|| panic!("there is no {label}"))
}

/// Only the part of the file that is meant, of all options.
fn which(options: &[String]) -> Vec<String> {
    match options.iter().position(|option| option == "--which") {
        Some(at) => options[at..at + 2].to_vec(),
        None => Vec::new(),
    }
}

fn at(fixture: &Fixture) -> (&Path, &str) {
    (fixture.path.parent().unwrap(), fixture.path.file_name().unwrap().to_str().unwrap())
}

/// What `check --golden` says of a file: the document and the exit status.
fn held(fixture: &Fixture, options: &[String]) -> (serde_json::Value, i32) {
    let (folder, name) = at(fixture);
    let golden = fixture.golden.as_ref().unwrap().to_str().unwrap();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // As near as torch's own f32 can be: a hundred-thousandth of the largest number.
    let (_, _, values) = fixture.arrays("output/").pop().unwrap();
    let largest = values.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
    let tolerance = (largest * 1e-5).to_string();
    json(folder, &[&["check", name, "--golden", golden, "--tolerance", &tolerance], &options[..]].concat())
}

fn text(fixture: &Fixture, command: &[&str], options: &[&str]) -> (String, Option<i32>) {
    let (folder, name) = at(fixture);
    let done = residua(folder, &[&command[..1], &[name], &command[1..], options].concat());
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (text, done.status.code())
}

/// The note about what was taken.
fn taken(document: &serde_json::Value) -> String {
    let notes = document["source_notes"].as_array().unwrap().iter().filter_map(|note| note.as_str());
    let taken: Vec<&str> = notes.filter(|note| note.starts_with("not in the file, taken")).collect();
    assert!(taken.len() < 2, "{taken:?}");
    taken.concat()
}

#[test]
fn with_what_it_leaves_open_said_every_file_computes_what_torch_computes() {
    let mut wrong = Vec::new();
    for (fixture, options) in files() {
        let options = if fixture.encoding == "pt" { which(&options) } else { options };
        let (document, code) = held(fixture, &options);
        if code != 0 {
            wrong.push(format!("{} {}: {}", fixture.label(), options.join(" "), document["findings"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_it_the_file_is_another_function_and_a_note_names_the_option() {
    for (fixture, options) in files() {
        let part = which(&options);
        let needed: Vec<&String> =
            options.iter().filter(|option| option.starts_with("--") && *option != "--which").collect();
        if fixture.encoding == "pt" || needed.is_empty() {
            continue;
        }
        let (folder, name) = at(fixture);
        let needed: Vec<&str> =
            needed.into_iter().map(String::as_str).filter(|&option| option != "--source-layout").collect();
        let asked: Vec<&str> = part.iter().map(String::as_str).collect();
        let unread = fixture.name == "stem_five";
        let said = if unread {
            text(fixture, &["inspect"], &asked).0
        } else {
            let (document, code) = held(fixture, &part);
            assert_eq!(code, 1, "{}", fixture.label());
            taken(&document)
        };
        for option in &needed {
            assert!(said.contains(option), "{}: {option} in {said}", fixture.label());
        }
        // Whoever looks at the text is told the same.
        if !unread {
            let done =
                residua(folder, &[&["run", name, "--random", "1", "--input-shape", "1,3,33,33"], &asked[..]].concat());
            assert!(String::from_utf8_lossy(&done.stderr).contains(&said), "{}", fixture.label());
        }
    }
}

#[test]
fn a_whole_module_leaves_nothing_of_it_open() {
    for (label, option, value) in [
        ("open/dilated.pt", "--stride", "1,2,1,1"),
        ("open/dilated.pt", "--dilation", "1,1,2,4"),
        ("open/last_stride.pt", "--output-stride", "16"),
        ("open/stem_unpooled.pt", "--stem", "nopool"),
        ("open/mixed.pt", "--activation", "relu"),
        ("open/frozen.pt", "--epsilon", "0"),
    ] {
        let (fixture, _) = file(label);
        let (said, code) = text(fixture, &["inspect"], &[option, value]);
        assert_eq!(code, Some(2), "{label} {option}: {said}");
        assert!(said.contains(&format!("{option} has no effect")), "{label}: {said}");
        let (document, _) = held(fixture, &[]);
        assert!(!taken(&document).contains("--"), "{label}: {}", taken(&document));
    }
}

#[test]
fn strides_and_dilations_that_cannot_be_are_refused_with_what_may_be() {
    let cases = [
        ("open/dilated.pth", ["--stride", "1,2,1"], "--stride: expected 4 numbers, one for each stage"),
        ("open/dilated.pth", ["--stride", "8"], "--output-stride"),
        ("open/dilated.pth", ["--dilation", "1,1,2,4,8"], "--dilation: expected 4 numbers"),
        ("open/dilated.pth", ["--output-stride", "12"], "4, 8, 16, 32, found 12"),
        ("open/dilated.pth", ["--output-stride", "2"], "4, 8, 16, 32, found 2"),
        (
            "open/last_stride.pth",
            ["--stride", "2,2,2,1"],
            "stride 1 in stage 1, whose shortcut has no projection, found 2",
        ),
    ];
    for (label, options, says) in cases {
        let (said, code) = text(file(label).0, &["inspect"], &options);
        assert_eq!(code, Some(2), "{label} {options:?}: {said}");
        assert!(said.contains(says), "{label} {options:?}: {said}");
    }
    let both = ["--output-stride", "8", "--dilation", "1,1,2,4"];
    let (said, code) = text(file("open/dilated.pth").0, &["inspect"], &both);
    assert!(code == Some(2) && said.contains("it alone, or --stride and --dilation"), "{said}");
}

#[test]
fn the_same_dilations_can_be_said_in_several_ways() {
    let (fixture, _) = file("open/dilated.pth");
    for options in [
        &["--output-stride", "8"][..],
        &["--dilation", "1,1,2,4"],
        &["--stride", "1,2,1,1", "--dilation", "1,1,2,4"],
        &["--stride", "1,2,1,1", "--dilation", "1,1,1:2,2:4"],
    ] {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let (document, code) = held(fixture, &options);
        assert_eq!(code, 0, "{options:?}: {}", document["findings"]);
    }
}

#[test]
fn what_is_written_of_such_a_network_is_it() {
    for (label, options) in [("open/pruned_bottleneck.pth", vec![]), ("open/dilated.pth", vec!["--output-stride", "8"])]
    {
        let (fixture, _) = file(label);
        let target = tempfile::tempdir().unwrap();
        let golden = fixture.golden.as_ref().unwrap().to_str().unwrap();
        for (name, layout) in
            [("out.onnx", None), ("out.safetensors", Some("residua")), ("own.safetensors", Some("source"))]
        {
            let out = target.path().join(name);
            let layout: Vec<&str> = layout.into_iter().flat_map(|layout| ["--layout", layout]).collect();
            let command = ["convert", out.to_str().unwrap()];
            let (said, code) = text(fixture, &command, &[&layout[..], &options[..]].concat());
            assert_eq!(code, Some(0), "{label} {name}: {said}");
            let check = ["check", name, "--golden", golden, "--tolerance", "1e-5"];
            let (document, code) = json(target.path(), &check);
            assert_eq!(code, 0, "{label} {name}: {}", document["findings"]);
        }
    }
}

#[test]
fn dilations_that_a_librarys_code_can_be_given_are_kept_in_its_layout() {
    for (label, layout, given) in [
        ("open/dilated.pth", "torchvision", "replace_stride_with_dilation=[False, True, True]"),
        ("open/dilated.pth", "timm", "output_stride=8"),
        ("open/dilated_basic_d.pth", "timm", "output_stride=8"),
    ] {
        let (fixture, options) = file(label);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let target = tempfile::tempdir().unwrap();
        let out = target.path().join("out.safetensors");
        let (said, code) = text(fixture, &["convert", out.to_str().unwrap(), "--layout", layout], &options);
        assert_eq!(code, Some(0), "{label} {layout}: {said}");
        assert!(said.contains(given), "{label} {layout}: {said}");
        let golden = fixture.golden.as_ref().unwrap().to_str().unwrap();
        let (document, code) =
            json(target.path(), &["check", "out.safetensors", "--golden", golden, "--tolerance", "1e-5"]);
        assert_eq!(code, 0, "{label} {layout}: {}", document["findings"]);
    }
    // Neither can be told to dilate the first block of a stage too, nor can basic blocks of torchvision dilate.
    for (label, layout) in [("open/dilated_everywhere.pth", "torchvision"), ("open/dilated_basic_d.pth", "torchvision")]
    {
        let (fixture, options) = file(label);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let target = tempfile::tempdir().unwrap();
        let out = target.path().join("out.safetensors");
        let (said, code) = text(fixture, &["convert", out.to_str().unwrap(), "--layout", layout], &options);
        assert_eq!(code, Some(2), "{label} {layout}: {said}");
        assert!(!out.exists());
    }
}

#[test]
fn a_layout_whose_code_cannot_build_it_is_refused_with_the_reason() {
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("out.safetensors");
    let out = out.to_str().unwrap();
    for (label, layout, says) in [
        ("open/pruned.pth", "timm", "inner widths"),
        ("open/pruned_groups.pth", "torchvision", "groups"),
        ("open/tall.pt", "torchvision", "stride"),
        ("open/leaky.pth", "torchvision", "activation"),
    ] {
        let (fixture, options) = file(label);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let (said, code) = text(fixture, &["convert", out, "--layout", layout], &options);
        assert_eq!(code, Some(2), "{label}: {said}");
        assert!(said.to_lowercase().contains(says), "{label}: {said}");
        assert!(!Path::new(out).exists());
    }
}
