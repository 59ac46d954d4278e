//! How images are prepared: what a file states is followed to the scores that its own library gives, said with its
//! source, kept by what is written, and refused where it cannot be followed.

use std::fs::{self, File};
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{json as document, residua, transcript};

const IMAGES: [&str; 5] = ["landscape", "portrait", "tall", "small", "gray"];
/// Scores are f32 sums in another order than torch's.
const NEAR: f64 = 1e-4;

/// The fixtures: images, networks, settings and the scores that the libraries give.
fn fixtures() -> &'static Path {
    static UNPACKED: OnceLock<TempDir> = OnceLock::new();
    UNPACKED
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let archive = residua_tests::folder().join("pictures/pictures.zip");
            zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(folder.path()).unwrap();
            folder
        })
        .path()
}

fn goldens() -> Value {
    serde_json::from_slice(&fs::read(fixtures().join("goldens.json")).unwrap()).unwrap()
}

/// A folder with a network, and this file of settings as its library calls it.
fn model(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |from: &str, to: &str| {
        fs::copy(fixtures().join(from), folder.path().join(to)).unwrap();
    };
    match name.split_once('/').unwrap() {
        ("timm", settings) => {
            put("timm.safetensors", "model.safetensors");
            put(&format!("timm/{settings}.json"), "config.json");
        }
        ("huggingface", settings) => {
            put("huggingface.safetensors", "model.safetensors");
            put("huggingface.json", "config.json");
            put(&format!("huggingface/{settings}.json"), "preprocessor_config.json");
        }
        (_, file) => put(name, file),
    }
    folder
}

fn image(name: &str) -> String {
    fixtures().join(format!("{name}.png")).to_str().unwrap().to_owned()
}

/// The scores of images, by class.
fn scores(folder: &Path, model: &str, images: &[&str], more: &[&str]) -> Vec<Vec<f64>> {
    let paths: Vec<String> = images.iter().map(|name| image(name)).collect();
    let mut args = vec!["run", model, "--top", "5", "--quiet"];
    args.extend(more);
    args.extend(paths.iter().flat_map(|path| ["--input", path]));
    let (printed, status) = document(folder, &args);
    assert_eq!(status, 0, "{args:?}: {printed}");
    let mut rows = vec![vec![f64::NAN; 5]; images.len()];
    for (at, entry) in printed["top"].as_array().unwrap().iter().enumerate() {
        rows[at / 5][usize::try_from(entry["class"].as_u64().unwrap()).unwrap()] = entry["score"].as_f64().unwrap();
    }
    rows
}

/// Holds the scores of all images against those of a golden.
fn hold(what: &str, golden: &Value, folder: &Path, model: &str, together: bool) {
    let groups: Vec<&[&str]> = if together { vec![&IMAGES[..]] } else { IMAGES.chunks(1).collect() };
    for group in groups {
        for (name, found) in group.iter().zip(scores(folder, model, group, &[])) {
            for (class, score) in found.iter().enumerate() {
                let expected = golden[name][class].as_f64().unwrap();
                assert!((score - expected).abs() < NEAR, "{what}, {name}, class {class}: {score} against {expected}");
            }
        }
    }
}

/// Whether all images come out in one size.
fn of_one_size(name: &str) -> bool {
    let keeps = ["lightning.ckpt", "mmengine_rgb.pth", "mmengine_bgr.pth", "detectron2.pth"];
    name != "huggingface/between" && !keeps.iter().any(|file| name.ends_with(file))
}

#[test]
fn scores_are_those_of_the_library_whose_settings_they_are() {
    let goldens = goldens();
    let all = goldens.as_object().unwrap();
    assert_eq!(all.len(), 27);
    for (name, golden) in all {
        let folder = model(name);
        let file = if name.starts_with("checkpoints/") { name.split_once('/').unwrap().1 } else { "." };
        hold(name, golden, folder.path(), file, of_one_size(name));
    }
}

#[test]
fn what_is_written_keeps_the_settings() {
    let goldens = goldens();
    for name in ["timm/border", "timm/cover", "huggingface/bit", "huggingface/flipped", "checkpoints/torchvision.pth"] {
        let folder = model(name);
        let source = if name.starts_with("checkpoints/") { name.split_once('/').unwrap().1 } else { "." };
        let out = tempfile::tempdir().unwrap();
        let written = |file: &str| out.path().join(file).to_str().unwrap().to_owned();
        let targets = [
            vec![written("a.onnx")],
            vec![written("b.safetensors"), "--layout".to_owned(), "residua".to_owned()],
            vec![written("c.safetensors"), "--layout".to_owned(), "source".to_owned()],
        ];
        for target in &targets {
            let mut args = vec!["convert", source];
            args.extend(target.iter().map(String::as_str));
            let done = residua(folder.path(), &args);
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            hold(&format!("{name} as {}", target[0]), &goldens[name], out.path(), &target[0], true);
        }
        // And once more, from what was written.
        let again = written("d.onnx");
        assert!(residua(out.path(), &["convert", &targets[0][0], &again]).status.success());
        let known = |file: &str| document(out.path(), &["inspect", file]).0["preparation"].clone();
        assert_eq!(known(&again), known(&targets[0][0]));
        hold(name, &goldens[name], out.path(), &again, true);
    }
}

#[test]
fn what_checkpoints_hold_of_it_is_said_with_its_place() {
    for (file, by) in [
        ("timm_module.pt", "all from `pretrained_cfg` of the module"),
        ("mmengine_rgb.pth", "`data_preprocessor` in `meta.cfg`"),
        ("detectron2.pth", "`pixel_mean` in the checkpoint"),
    ] {
        let done = residua(&fixtures().join("checkpoints"), &["inspect", file]);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(text.contains(by), "{file}: {text}");
        // Which channel comes first is in no tensor.
        assert_eq!(text.contains("taken as BGR"), file == "detectron2.pth", "{file}: {text}");
    }
}

#[test]
fn a_back_end_that_resizes_otherwise_is_named() {
    let folder = model("huggingface/vit");
    let at = folder.path().join("preprocessor_config.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&at).unwrap()).unwrap();
    let mut says = |class: &str, resample: u64| {
        settings["image_processor_type"] = json!(class);
        settings["resample"] = json!(resample);
        fs::write(&at, settings.to_string()).unwrap();
        String::from_utf8(residua(folder.path(), &["inspect", "."]).stdout).unwrap()
    };
    let said = says("ViTImageProcessorFast", 2);
    assert!(said.contains("which resizes by torchvision") && said.contains("1 or 2 of 255"), "{said}");
    assert!(says("ViTImageProcessorFast", 1).contains("it takes a bicubic filter"));
    // Without an ending it is either of them, by the version that reads it.
    assert!(says("ViTImageProcessor", 1).contains("by torchvision in transformers 5"));
    assert!(!says("ViTImageProcessor", 2).contains("torchvision;"));
    assert!(!says("ViTImageProcessorPil", 2).contains("torchvision;"));
}

#[test]
fn the_converter_of_a_kerashub_preset_is_read() {
    // As keras_hub 0.32 writes it.
    let converter = json!({
        "module": "keras_hub.src.models.resnet.resnet_image_converter",
        "class_name": "ResNetImageConverter",
        "config": {
            "name": "res_net_image_converter",
            "trainable": true,
            "image_size": [12, 12],
            "scale": [0.0196078431372549, 0.01568627450980392, 0.013071895424836602],
            "offset": [-2.5, -1.6, -1.0],
            "interpolation": "bicubic",
            "antialias": true,
            "crop_to_aspect_ratio": true,
            "pad_to_aspect_ratio": false,
            "bounding_box_format": "yxyx"
        },
        "registered_name": "keras_hub>ResNetImageConverter"
    });
    let preprocessor = json!({
        "module": "keras_hub.src.models.resnet.resnet_image_classifier_preprocessor",
        "class_name": "ResNetImageClassifierPreprocessor",
        "config": { "image_converter": converter, "config_file": "preprocessor.json" },
        "registered_name": "keras_hub>ResNetImageClassifierPreprocessor"
    });
    for (file, value) in [("image_converter.json", &converter), ("preprocessor.json", &preprocessor)] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(residua_tests::folder().join("faults/sound.keras"), folder.path().join("model.keras")).unwrap();
        fs::write(folder.path().join(file), value.to_string()).unwrap();
        let (known, _) = document(folder.path(), &["inspect", "model.keras"]);
        assert_eq!(known["preparation"]["values"]["by"], file, "{known}");
        assert_eq!(known["preparation"]["resize"]["value"], json!({"rule": "cover", "height": 12, "width": 12}));
        assert!(known["notes"].to_string().contains("it cuts before it resizes"), "{}", known["notes"]);
        let text = transcript(folder.path(), &["inspect", "model.keras"]);
        assert!(text.contains("x / 255, minus (0.5, 0.4, 0.3), by (0.2, 0.25, 0.3)"), "{text}");
    }
}

#[test]
fn settings_and_their_source_are_said() {
    let folder = model("huggingface/convnext");
    let text = transcript(folder.path(), &["inspect", "."]);
    for line in [
        "custom: x / 255, minus (0.5, 0.4, 0.3), by (0.2, 0.25, 0.3)",
        "shorter side to 50 by bilinear, then the middle 40x40; all from preprocessor_config.json",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let (known, _) = document(folder.path(), &["inspect", "."]);
    assert_eq!(known["preprocessing"], "custom");
    assert_eq!(known["preprocessing_known_by"], "from preprocessor_config.json");
    assert_eq!(known["preparation"]["resize"]["value"], json!({"rule": "shortest", "edge": 50}));
    assert_eq!(known["preparation"]["crop"]["by"], "preprocessor_config.json");
    let (printed, _) = document(folder.path(), &["run", ".", "--input", &image("landscape")]);
    assert_eq!(printed["preparation"], known["preparation"]);
    let notes = printed["notes"].to_string();
    assert!(notes.contains("from preprocessor_config.json") && notes.contains("the middle 40x40"), "{notes}");
    let out = folder.path().join("out.onnx");
    let text = transcript(folder.path(), &["convert", ".", out.to_str().unwrap()]);
    assert!(text.contains("images recorded as `custom`") && text.contains("from preprocessor_config.json"), "{text}");
    let text = transcript(folder.path(), &["inspect", "out.onnx"]);
    assert!(text.contains("all from preprocessor_config.json (recorded in the file)"), "{text}");
}

#[test]
fn what_nothing_says_is_said_to_be_assumed() {
    let folder = model("timm/center");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    let (printed, _) = document(folder.path(), &["run", ".", "--input", &image("landscape")]);
    let notes = printed["notes"].to_string();
    assert!(notes.contains("nothing in the file says how images are prepared; taken: `torch`"), "{notes}");
    assert!(notes.contains("--preprocess") && notes.contains("they keep their own"), "{notes}");
    assert_eq!(printed["preparation"]["assumed"], true);
    // It stays an assumption in what is written.
    assert!(residua(folder.path(), &["convert", ".", "out.onnx"]).status.success());
    let (known, _) = document(folder.path(), &["inspect", "out.onnx"]);
    assert_eq!((&known["preparation"]["assumed"], &known["preprocessing"]), (&json!(true), &json!("torch")));
}

#[test]
fn options_take_the_place_of_each_part() {
    let folder = model("timm/center");
    let goldens = goldens();
    // The settings of another golden, by hand.
    let by_hand = ["--resize", "52", "--crop", "44", "--interpolation", "bicubic", "--preprocess", "torch"];
    let found = scores(folder.path(), ".", &IMAGES, &by_hand);
    for (name, found) in IMAGES.iter().zip(found) {
        for (class, score) in found.iter().enumerate() {
            let expected = goldens["checkpoints/torchvision.pth"][name][class].as_f64().unwrap();
            assert!((score - expected).abs() < NEAR, "{name}: {score} against {expected}");
        }
    }
    let own = scores(folder.path(), ".", &["landscape"], &[]);
    for other in [["--interpolation", "nearest"], ["--preprocess", "raw"], ["--crop", "0.6"], ["--resize", "48x48"]] {
        assert_ne!(scores(folder.path(), ".", &["landscape"], &other), own, "{other:?}");
    }
    let path = image("landscape");
    let refused = |more: &[&str]| {
        let done = residua(folder.path(), &[&["run", ".", "--input", &path], more].concat());
        assert_eq!(done.status.code(), Some(2), "{more:?}");
        String::from_utf8(done.stderr).unwrap()
    };
    let text = refused(&["--resize", "bicubic", "--interpolation", "lanczos"]);
    assert!(text.contains("--resize bicubic names a filter, and so does --interpolation"), "{text}");
    let text = refused(&["--crop", "40", "--input-shape", "1,3,48,48"]);
    assert!(text.contains("--crop gives images of 40x40, the model takes 48x48"), "{text}");
}

#[test]
fn a_size_that_the_model_does_not_take_is_said() {
    let folder = model("timm/center");
    let args = ["run", ".", "--input", &image("landscape"), "--input-shape", "1,3,64,64"];
    let (printed, status) = document(folder.path(), &args);
    let notes = printed["notes"].to_string();
    assert_eq!(status, 0);
    assert!(notes.contains("config.json prepares images of 48x48, the model takes 64x64"), "{notes}");
}

#[test]
fn two_places_that_contradict_each_other_are_both_named() {
    let folder = model("huggingface/vit");
    let mut config: Value = serde_json::from_slice(&fs::read(fixtures().join("huggingface.json")).unwrap()).unwrap();
    config["pretrained_cfg"] = json!({"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "input_size": [3, 36, 52]});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let text = transcript(folder.path(), &["inspect", "."]);
    let conflict = "preprocessor_config.json and config.json say differently how images are prepared (values): taken is \
                    what preprocessor_config.json says";
    assert!(text.contains(conflict), "{text}");
    let (printed, _) = document(folder.path(), &["run", ".", "--input", &image("landscape")]);
    assert!(printed["notes"].to_string().contains(conflict), "{printed}");
    assert_eq!(printed["preparation"]["values"]["by"], "preprocessor_config.json");
}

#[test]
fn settings_beside_several_models_are_not_taken_for_one_of_them() {
    let folder = model("timm/center");
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("model.safetensors"), at("a.safetensors")).unwrap();
    let (alone, _) = document(folder.path(), &["inspect", "a.safetensors"]);
    assert_eq!(alone["preprocessing_known_by"], "from config.json");
    fs::copy(at("a.safetensors"), at("b.safetensors")).unwrap();
    let (beside, _) = document(folder.path(), &["inspect", "a.safetensors"]);
    assert_eq!(beside["preparation"]["assumed"], true);
    assert!(beside["notes"].to_string().contains("several models lie there"), "{}", beside["notes"]);
    let (named, _) = document(folder.path(), &["inspect", "a.safetensors", "--hf-config", "config.json"]);
    assert_eq!(named["preprocessing_known_by"], "from config.json");
}

#[test]
fn settings_of_an_exported_model_are_read_beside_it() {
    let folder = model("huggingface/bit");
    let bare = model("huggingface/bit");
    fs::remove_file(bare.path().join("preprocessor_config.json")).unwrap();
    let out = folder.path().join("model.onnx");
    let done = residua(bare.path(), &["convert", ".", out.to_str().unwrap(), "--preprocess", "auto"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    hold("an ONNX file", &goldens()["huggingface/bit"], folder.path(), "model.onnx", true);
}

#[test]
fn settings_that_cannot_be_followed_are_refused_by_name() {
    let cases: [(&str, Value, &str); 14] = [
        ("preprocessor_config.json", json!({"image_std": [0.2, 0.0, 0.2]}), "values.deviation"),
        ("preprocessor_config.json", json!({"image_std": [0.2, "x", 0.2]}), "`image_std`"),
        ("preprocessor_config.json", json!({"image_mean": [1, 2, 3, 4]}), "`image_mean`"),
        ("preprocessor_config.json", json!({"size": {"shortest_edge": 0}}), "`size`"),
        ("preprocessor_config.json", json!({"size": {"shortest_edge": 1e9}}), "`size`"),
        ("preprocessor_config.json", json!({"size": {"longest_edge": 40}}), "`size`"),
        ("preprocessor_config.json", json!({"resample": 17}), "`resample`"),
        ("preprocessor_config.json", json!({"rescale_factor": 0}), "values.factor"),
        ("preprocessor_config.json", json!({"do_resize": "yes"}), "`do_resize`"),
        ("preprocessor_config.json", json!({"do_pad": true}), "`do_pad`"),
        ("config.json", json!({"crop_pct": 0}), "`crop_pct`"),
        ("config.json", json!({"crop_mode": "corner"}), "`crop_mode`"),
        ("config.json", json!({"interpolation": "spline"}), "`interpolation`"),
        ("config.json", json!({"input_size": [3, 224]}), "`input_size`"),
    ];
    for (file, change, place) in cases {
        let folder = model(if file == "config.json" { "timm/center" } else { "huggingface/bit" });
        let path = folder.path().join(file);
        let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let inner = if file == "config.json" { &mut settings["pretrained_cfg"] } else { &mut settings };
        for (key, value) in change.as_object().unwrap() {
            inner[key] = value.clone();
        }
        fs::write(&path, settings.to_string()).unwrap();
        let done = residua(folder.path(), &["run", ".", "--input", &image("landscape")]);
        let text = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && text.contains(file) && text.contains(place), "{change}: {text}");
    }
    let folder = model("huggingface/bit");
    fs::write(folder.path().join("preprocessor_config.json"), "{").unwrap();
    let done = residua(folder.path(), &["inspect", "."]);
    let text = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(2) && text.contains("preprocessor_config.json"), "{text}");
}

#[test]
fn a_class_of_processors_that_is_not_known_is_named() {
    let folder = model("huggingface/bit");
    let path = folder.path().join("preprocessor_config.json");
    fs::write(path, r#"{"image_processor_type": "EfficientNetImageProcessor", "rescale_offset": true}"#).unwrap();
    let (known, status) = document(folder.path(), &["inspect", "."]);
    let notes = known["notes"].to_string();
    assert!(status == 0 && notes.contains("EfficientNetImageProcessor, which is not known here"), "{notes}");
    assert_eq!(known["preparation"]["assumed"], true);
}
