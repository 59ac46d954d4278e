//! `evaluate`: figures against those of other libraries, parts that come together, and sets of pictures that are none.

use std::fs::{self, File};
use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{json as document, place, residua, transcript};

/// A folder with noisy digits, a folder a class, and a network that was trained on such.
fn digits() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let archive = residua_tests::folder().join("evaluation/digits.zip");
    zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(folder.path()).unwrap();
    let (models, model) = place("digits/digits.k3.keras");
    fs::copy(models.join(model), folder.path().join("model.keras")).unwrap();
    folder
}

/// What scikit-learn, SciPy and torchmetrics make of Keras's own scores.
fn expected() -> Value {
    serde_json::from_slice(&fs::read(residua_tests::folder().join("evaluation/metrics.json")).unwrap()).unwrap()
}

fn near(found: &Value, expected: &Value, by: f64, what: &str) {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{what}");
            found.iter().zip(expected).for_each(|(found, expected)| near(found, expected, by, what));
        }
        _ => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            assert!((found - expected).abs() <= by, "{what}: {found}, expected {expected}");
        }
    }
}

fn evaluated(folder: &Path, args: &[&str]) -> Value {
    let (document, status) = document(folder, &[&["evaluate", "model.keras", "digits", "--quiet"], args].concat());
    assert_eq!(status, 0, "{args:?}: {document}");
    document
}

#[test]
fn figures_are_those_of_other_libraries() {
    let folder = digits();
    let (found, expected) = (evaluated(folder.path(), &[]), expected());
    assert_eq!((&found["schema"], &found["count"]), (&json!("residua.evaluate/1"), &expected["count"]));
    assert_eq!(found["confusion"], expected["confusion"]);
    for share in ["top1", "top5"] {
        for key in ["value", "low", "high"] {
            near(&found[share][key], &expected[share][key], 1e-12, share);
        }
    }
    // Keras's scores and ours are sums in other orders; torchmetrics computes in f32.
    near(&found["loss"], &expected["loss"], 1e-5, "loss");
    near(&found["ece"], &expected["ece"], 1e-5, "ece");
    for key in ["precision", "recall", "f1", "support"] {
        let of_classes: Vec<Value> = found["classes"].as_array().unwrap().iter().map(|c| c[key].clone()).collect();
        near(&Value::Array(of_classes), &expected[key], 1e-12, key);
    }
}

#[test]
fn predictions_are_written_picture_by_picture() {
    let folder = digits();
    evaluated(folder.path(), &["--predictions", "each.csv"]);
    let text = fs::read_to_string(folder.path().join("each.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("file,class,predicted,correct,rank,confidence,loss,against,against_correct"));
    let expected = expected();
    let expected = expected["predicted"].as_object().unwrap();
    let mut count = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[2], expected[cells[0]].to_string(), "{line}");
        assert_eq!(cells[3], (cells[1] == cells[2]).to_string(), "{line}");
        count += 1;
    }
    assert_eq!(count, 200);
    let kept = transcript(folder.path(), &["evaluate", "model.keras", "digits", "--predictions", "model.keras"]);
    assert!(kept.contains("is read here") || kept.contains("exit 2"), "{kept}");
}

/// Whatever the parts and however each is run, together they are one run.
#[test]
fn shards_come_together_to_the_numbers_of_one_run() {
    let folder = digits();
    fs::write(folder.path().join("digits/3/broken.png"), "no picture").unwrap();
    let args = ["evaluate", "model.keras", "digits", "--quiet", "--format", "json"];
    let whole = residua(folder.path(), &args).stdout;
    for of in [2, 3] {
        let mut files = Vec::new();
        for index in 1..=of {
            let (shard, batch) = (format!("{index}/{of}"), (2 * index + 1).to_string());
            let done = residua(folder.path(), &[&args[..], &["--shard", &shard, "--batch", &batch]].concat());
            files.push(format!("{index}of{of}.json"));
            fs::write(folder.path().join(&files[index - 1]), done.stdout).unwrap();
        }
        files.reverse();
        let merge: Vec<&str> = ["evaluate", "--quiet", "--format", "json", "--merge"]
            .into_iter()
            .chain(files.iter().map(String::as_str))
            .collect();
        let merged = residua(folder.path(), &merge);
        assert!(merged.stdout == whole, "{of} shards: {}", String::from_utf8_lossy(&merged.stderr));
        let missing = transcript(folder.path(), &merge[..merge.len() - 1]);
        assert!(missing.contains(&format!("shard 1/{of} is missing")), "{missing}");
        let twice = transcript(folder.path(), &[&merge[..], &[files[0].as_str()]].concat());
        assert!(twice.contains("is there twice"), "{twice}");
    }
    let mixed = ["evaluate", "--merge", "1of2.json", "2of3.json"];
    assert!(transcript(folder.path(), &mixed).contains("the number of shards differs"));
    let report: Value = serde_json::from_slice(&fs::read(folder.path().join("1of2.json")).unwrap()).unwrap();
    let mut forged = report.clone();
    forged["state"]["tally"]["count"] = json!(7);
    fs::write(folder.path().join("forged.json"), forged.to_string()).unwrap();
    let forged = transcript(folder.path(), &["evaluate", "--merge", "forged.json"]);
    assert!(forged.contains("its counts contradict each other"), "{forged}");
}

#[test]
fn two_models_are_held_against_each_other_in_one_pass() {
    let folder = digits();
    let same = evaluated(folder.path(), &["--against", "model.keras"]);
    let against = &same["against"];
    assert_eq!((&against["agreement"]["value"], &against["flips"]), (&json!(1.0), &json!([])));
    near(&against["mcnemar_p"], &json!(1.0), 0.0, "p");
    // Another preparation makes another model of the same weights: noise that is blurred away.
    let done = residua(folder.path(), &["convert", "model.keras", "low.onnx", "--dtype", "bf16"]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let found = evaluated(folder.path(), &["--against", "low.onnx", "--predictions", "both.csv"]);
    let text = fs::read_to_string(folder.path().join("both.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let flips = rows.iter().filter(|row| row[2] != row[7]).count();
    let only = |first: &str, second: &str| rows.iter().filter(|row| row[3] == first && row[8] == second).count();
    let against = &found["against"];
    assert_eq!(against["flip_count"], json!(flips));
    assert_eq!(against["flips"].as_array().unwrap().len(), flips);
    assert_eq!(
        (&against["only_first"], &against["only_second"]),
        (&json!(only("true", "false")), &json!(only("false", "true")))
    );
}

#[test]
fn pictures_of_lists_are_those_of_folders() {
    let folder = digits();
    let whole = evaluated(folder.path(), &[]);
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("flat")).unwrap();
    let (mut csv, mut bare) = (String::from("file,class\n"), Vec::new());
    for class in 0..10 {
        for entry in fs::read_dir(at(&format!("digits/{class}"))).unwrap() {
            let name = format!("{class}-{}", entry.as_ref().unwrap().file_name().to_string_lossy());
            fs::copy(entry.unwrap().path(), at("flat").join(&name)).unwrap();
            csv.push_str(&format!("flat/{name},{class}\n"));
            bare.push((name, class));
        }
    }
    bare.sort();
    fs::write(at("list.csv"), csv).unwrap();
    fs::write(at("bare.txt"), bare.iter().map(|(_, class)| format!("{class}\n")).collect::<String>()).unwrap();
    for args in [&["list.csv"][..], &["flat", "--truth", "bare.txt"]] {
        let args = [&["evaluate", "model.keras"], args].concat();
        let (found, status) = document(folder.path(), &args);
        assert_eq!((&found["confusion"], status), (&whole["confusion"], 0), "{args:?}");
        assert_eq!(found["loss"], whole["loss"]);
    }
}

#[test]
fn a_part_is_spread_evenly_and_the_report_has_every_form() {
    let folder = digits();
    let limited = evaluated(folder.path(), &["--limit", "20"]);
    let support: Vec<u64> =
        limited["classes"].as_array().unwrap().iter().map(|c| c["support"].as_u64().unwrap()).collect();
    assert_eq!(support, [2; 10]);
    let args = ["evaluate", "model.keras", "digits", "--top", "3"];
    assert_snapshot!("evaluate", transcript(folder.path(), &args));
    assert_snapshot!(
        "evaluate_csv",
        transcript(folder.path(), &[&args[..3], &["--format", "csv", "--quiet"]].concat())
    );
    let page = residua(folder.path(), &[&args[..3], &["--format", "html", "--quiet"]].concat()).stdout;
    let page = String::from_utf8(page).unwrap();
    assert_eq!(page.matches("data:image/png;base64,").count(), 20, "a thumbnail for each mistake");
    assert!(!page.contains("<script") && page.contains("default-src 'none'"));
}

#[test]
fn sets_of_pictures_that_are_none_are_told_as_what_they_are() {
    let folder = digits();
    let at = |name: &str| folder.path().join(name);
    for name in ["empty", "names/a", "names/b", "one/cats", "more"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    let picture = fs::read_dir(at("digits/0")).unwrap().next().unwrap().unwrap().path();
    for name in ["names/a/x.png", "names/b/x.png", "one/cats/x.png"] {
        fs::copy(&picture, at(name)).unwrap();
    }
    for class in 0..11 {
        fs::create_dir_all(at(&format!("more/猫{class}"))).unwrap();
        fs::copy(&picture, at(&format!("more/猫{class}/é.png"))).unwrap();
    }
    fs::create_dir_all(at("bad/0")).unwrap();
    fs::write(at("bad/0/x.png"), "no picture").unwrap();
    fs::write(at("labels.txt"), (0..10).map(|i| format!("digit {i}\n")).collect::<String>()).unwrap();
    let said = |name: &str, args: &[&str]| {
        assert_snapshot!(name, transcript(folder.path(), &[&["evaluate", "model.keras"], args].concat()));
    };
    said("evaluate_empty", &["empty"]);
    said("evaluate_flat", &["digits/0"]);
    said("evaluate_names", &["names"]);
    said("evaluate_one", &["one"]);
    said("evaluate_more", &["more"]);
    said("evaluate_unread", &["bad"]);
    said("evaluate_label", &["names", "--labels", "labels.txt"]);
    said("evaluate_nested", &["."]);
    said("evaluate_shard", &["digits", "--shard", "3/2"]);
}

/// A set that a script drew, and what Keras gave for it with the network that it trained.
#[test]
fn shapes_are_evaluated_as_keras_does_it() {
    let folder = residua_tests::folder().join("shapes");
    let facts: Value = serde_json::from_slice(&fs::read(folder.join("facts.json")).unwrap()).unwrap();
    let (found, status) = document(&folder, &["evaluate", "shapes.keras", "validation", "--quiet"]);
    assert_eq!(status, 0, "{found}");
    near(&found["top1"]["value"], &facts["top1"], 1e-12, "top1");
    near(&found["loss"], &facts["loss"], 1e-5, "loss");
    let (found, _) =
        document(&folder, &["predict", "shapes.keras", "validation", "--labels", "classes.txt", "--quiet"]);
    for image in found["pictures"].as_array().unwrap() {
        let file = image["file"].as_str().unwrap().strip_prefix("validation/").unwrap();
        for best in image["top"].as_array().unwrap() {
            let class = usize::try_from(best["class"].as_u64().unwrap()).unwrap();
            near(&best["score"], &facts["scores"][file][class], 1e-5, file);
            assert_eq!(best["label"], facts["classes"][class]);
        }
    }
}

/// The network scales its input itself: of all ways to prepare images, pixels as they are lead to its accuracy.
#[test]
fn the_protocol_is_found_that_leads_to_an_accuracy() {
    let folder = residua_tests::folder().join("shapes");
    let find = ["evaluate", "shapes.keras", "validation", "--quiet", "--find-protocol"];
    let (found, status) = document(&folder, &find);
    let (plain, _) = document(&folder, &find[..4]);
    assert_eq!((status, &found["top1"]), (0, &plain["top1"]), "{found}");
    assert_eq!(found["protocol"]["preprocess"], "raw");
    let tried = found["find_protocol"]["tried"].as_array().unwrap();
    assert!(tried.len() > 30, "{}", tried.len());
    let unit = tried.iter().find(|tried| tried["protocol"]["preprocess"] == "unit").unwrap();
    assert_eq!((&unit["dropped"], &found["find_protocol"]["target"]), (&json!(true), &Value::Null));
    // Of an accuracy at chance, the way that leads there.
    let (chance, _) = document(&folder, &[&find[..], &["--published", "50"]].concat());
    assert_ne!(chance["protocol"]["preprocess"], "raw", "{}", chance["protocol"]);
    near(&chance["find_protocol"]["target"]["top1"], &json!(0.5), 1e-12, "target");
    let settled = [&find[..], &["--preprocess", "unit", "--channels", "rgb"]].concat();
    let (settled, _) = document(&folder, &settled);
    let tried = settled["find_protocol"]["tried"].as_array().unwrap();
    assert!(tried.iter().all(|tried| tried["protocol"]["preprocess"] == "unit"));
    let both = transcript(&folder, &[&find[..], &["--against", "shapes.keras"]].concat());
    assert!(both.contains("cannot be used with") && both.ends_with("exit 2\n"), "{both}");
}

#[test]
fn every_part_of_the_protocol_can_be_set_and_is_reported() {
    let folder = residua_tests::folder().join("shapes");
    let of = |args: &[&str]| {
        let (found, status) =
            document(&folder, &[&["evaluate", "shapes.keras", "validation", "--quiet"], args].concat());
        assert_eq!(status, 0, "{args:?}: {found}");
        found["protocol"].clone()
    };
    let plain = of(&[]);
    let of_plain = [&plain["antialias"], &plain["aspect_kept"], &plain["channels"], &plain["orientation"]];
    assert_eq!(of_plain, [&json!(true), &json!(false), &json!("rgb"), &json!("stored")]);
    let set = of(&["--antialias", "off", "--aspect", "keep", "--channels", "bgr", "--orientation", "exif"]);
    let of_set = [&set["antialias"], &set["aspect_kept"], &set["channels"], &set["orientation"]];
    assert_eq!(of_set, [&json!(false), &json!(true), &json!("bgr"), &json!("exif")]);
    assert!(set["by"].to_string().contains("--aspect"), "{set}");
    let none = transcript(&folder, &["evaluate", "shapes.keras", "validation", "--resize", "none", "--aspect", "keep"]);
    assert!(none.contains("--aspect is about images that are brought to a size"), "{none}");
    let (digits, model) = place("digits/digits.k3.keras");
    let gray = transcript(digits, &["predict", model, "seven.png", "--channels", "bgr"]);
    assert!(gray.contains("--channels is about images in colour"), "{gray}");
}

/// A file that is called as a download and is not those bytes; the downloads themselves are not to be had here.
#[test]
fn a_file_that_is_called_as_published_weights_is_held_against_their_hash() {
    let folder = tempfile::tempdir().unwrap();
    let (models, model) = place("thin/thin50v2.k3.h5");
    let name = "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5";
    fs::copy(models.join(model), folder.path().join(name)).unwrap();
    let (about, status) = document(folder.path(), &["inspect", name, "--identify"]);
    assert_eq!(status, 0, "{about}");
    let not = &about["identity"]["not_those"][0];
    assert_eq!(not["expected"]["digits"], "3ef43a0b657b3be2300d5770ece849e0", "{about}");
    assert_eq!(about["identity"]["weights"], Value::Null);
    let said = transcript(folder.path(), &["inspect", name, "--identify"]);
    assert!(said.contains("is not that file: it has MD5"), "{said}");
    let (checked, _) = document(folder.path(), &["check", name, "--quiet"]);
    let codes: Vec<&str> = checked["findings"].as_array().unwrap().iter().filter_map(|f| f["code"].as_str()).collect();
    assert!(codes.contains(&"R312"), "{codes:?}");
    let (plain, _) = document(folder.path(), &["inspect", name]);
    assert_eq!(plain.get("identity"), None);
    assert!(residua(folder.path(), &["new", "resnet20_cifar", "a.onnx", "--quiet"]).status.success());
    let onnx = transcript(folder.path(), &["inspect", "a.onnx", "--identify"]);
    assert!(onnx.contains("files of Keras and PyTorch"), "{onnx}");
}
