//! Checkpoints that hold more than one network, or heads beside it, or none at all: what is found, what is left out, what is said.

use residua_tests::checkpoints as folder;
use serde_json::Value;

use super::residua;

/// Stdout, stderr and exit status.
fn run(args: &[&str]) -> (String, String, i32) {
    let done = residua(folder(), args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(done.stdout), text(done.stderr), done.status.code().unwrap())
}

/// That the part of a file that these options ask for computes what torch computed, also behind ONNX; its notes and unused tensors.
fn is_right(file: &str, golden: &str, options: &[&str]) -> (String, Vec<String>) {
    let golden = format!("{golden}.npz");
    let with = |args: &[&str]| run(&[args, options].concat());
    let checked = with(&["check", file, "--golden", &golden, "--tolerance", "1e-5"]);
    assert_eq!(checked.2, 0, "{file} {options:?}: {}{}", checked.0, checked.1);
    let target = tempfile::tempdir().unwrap();
    let onnx = target.path().join("out.onnx");
    let (text, errors, status) = with(&["convert", file, onnx.to_str().unwrap()]);
    assert_eq!(status, 0, "{file} {options:?}: {text}{errors}");
    let (text, errors, status) = run(&["check", onnx.to_str().unwrap(), "--golden", &golden, "--tolerance", "1e-5"]);
    assert_eq!(status, 0, "{file} {options:?} as ONNX: {text}{errors}");
    let (text, errors, status) = with(&["inspect", file, "--format", "json"]);
    assert_eq!(status, 0, "{errors}");
    let summary: Value = serde_json::from_str(&text).unwrap();
    let notes: Vec<&str> = summary["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let unused = summary["unused"].as_array().unwrap();
    let unused = unused.iter().map(|unused| unused["location"].as_str().unwrap().to_owned());
    (notes.join("\n"), unused.collect())
}

/// What refusing a file says.
fn refused(args: &[&str]) -> String {
    let (text, errors, status) = run(args);
    assert_eq!((status, text.as_str()), (2, ""), "{args:?}: {errors}");
    errors
}

#[test]
fn a_head_in_place_of_the_classifier_is_left_out_and_listed() {
    for (file, golden, options, heads) in [
        ("simclr.ckpt", "simclr", &[][..], 4),
        ("moco_v3.pth.tar", "moco_v3.base_encoder", &["--which", "module.base_encoder"], 9),
        ("moco_v3.pth.tar", "moco_v3.base_encoder", &["--which", "state_dict.module.base_encoder"], 9),
        ("simsiam.pth.tar", "simsiam", &["--which", "module.encoder"], 16),
        ("simsiam.pth.tar", "simsiam", &[], 16),
        ("moco_v1.pth.tar", "moco_v1.encoder_k", &["--which", "module.encoder_k", "--head-from", "fc"], 2),
    ] {
        let (notes, unused) = is_right(file, golden, options);
        assert!(notes.contains("left out as heads") && notes.contains(".fc` ("), "{file}: {notes}");
        assert!(notes.contains("the mean of the last map") && notes.contains("--pooling"), "{file}: {notes}");
        let heads_unused = unused.iter().filter(|name| name.contains(".fc.")).count();
        assert!(heads_unused >= heads, "{file}: {unused:?}");
    }
}

#[test]
fn heads_beside_the_network_are_left_out_without_being_asked() {
    for (file, golden, heads) in [
        ("swav.pth.tar", "swav", &["`module.projection_head` (7 tensors)", "`module.prototypes` (2 tensors)"][..]),
        ("swav_whole.pth", "swav", &["`projection_head` (7 tensors)", "`prototypes` (2 tensors)"]),
        ("barlow.pth", "barlow", &["`module.projector` (7 tensors)", "`module.bn` ("]),
        ("reid.pth", "reid", &["`heads` (7 tensors)"]),
        ("dino_whole.pth", "dino_whole", &["`head` (6 tensors)"]),
    ] {
        let (notes, unused) = is_right(file, golden, &[]);
        for head in heads {
            assert!(notes.contains(head), "{file}: {notes}");
        }
        assert!(unused.len() > 6, "{file}: {unused:?}");
    }
}

#[test]
fn a_path_may_name_the_dictionary_the_part_or_both() {
    for (file, golden, which) in [
        ("dino.pth", "dino.teacher", "teacher.backbone"),
        ("dino.pth", "dino.teacher", "teacher"),
        ("dino.pth", "dino.student", "student.module.backbone"),
        ("dino.pth", "dino.student", "student"),
        ("dino_ddp.pth", "dino.teacher", "teacher.module.backbone"),
        ("dino_ddp.pth", "dino.student", "student.module"),
        ("byol.pt", "byol.target", "target_encoder.net"),
        ("byol.pt", "byol.online", "model.online_encoder.net"),
        ("byol.pt", "byol.online", "model.online_encoder"),
        ("towers.pt", "towers", "visual.trunk"),
        ("reid.pth", "reid", "body"),
    ] {
        let (notes, unused) = is_right(file, golden, &["--which", which]);
        assert!(notes.contains("taken: "), "{file} {which}: {notes}");
        assert!(!unused.is_empty(), "{file} {which}");
    }
}

#[test]
fn several_networks_are_listed_with_paths_that_work() {
    for (args, paths) in [
        (
            &["inspect", "dino_ddp.pth", "--which", "module.backbone"][..],
            &["student.module.backbone", "teacher.module.backbone"][..],
        ),
        (&["inspect", "dino.pth"], &["student.module.backbone", "teacher.backbone"]),
        (&["inspect", "moco_v1.pth.tar"], &["module.encoder_q", "module.encoder_k"]),
        (&["inspect", "byol.pt"], &["online_encoder.net", "target_encoder.net"]),
    ] {
        let said = refused(args);
        let offered = said.split("--which ").skip(1).filter_map(|rest| rest.split_whitespace().next());
        let offered: Vec<&str> = offered.collect();
        for path in paths {
            assert!(offered.contains(path), "{args:?}: {said}");
        }
        for path in offered {
            let (_, errors, status) = run(&["inspect", args[1], "--which", path]);
            assert_eq!(status, 0, "{args:?} offers --which {path}: {errors}");
        }
    }
}

#[test]
fn what_is_no_head_is_not_left_out() {
    let said = refused(&["inspect", "towers.pt"]);
    assert!(said.contains("`visual.head.proj.weight`") && said.contains("--which visual.trunk takes"), "{said}");
    let said = refused(&["inspect", "left_over.pth"]);
    assert!(said.contains("`layer2.0.attention.weight` fits nowhere"), "{said}");
    let said = refused(&["inspect", "simclr.ckpt", "--head-from", "projector"]);
    assert!(said.contains("--head-from projector") && said.contains("nothing"), "{said}");
}

#[test]
fn a_map_or_its_mean_is_a_matter_of_an_option() {
    let shape = |args: &[&str]| {
        let (text, errors, status) =
            run(&[&["inspect", "--format", "json", "--input-shape", "1,3,64,64"], args].concat());
        assert_eq!(status, 0, "{args:?}: {errors}");
        let summary: Value = serde_json::from_str(&text).unwrap();
        summary["outputs"][0]["shape"].as_array().unwrap().len()
    };
    for file in [&["dino.pth", "--which", "teacher"][..], &["swav.pth.tar"], &["simsiam.pth.tar"], &["reid.pth"]] {
        assert_eq!(shape(&[file, &["--pooling", "none"]].concat()), 4, "{file:?}");
        assert_eq!(shape(&[file, &["--pooling", "avg"]].concat()), 2, "{file:?}");
    }
    let said = refused(&["inspect", "checkpoint_best_model.pth", "--pooling", "avg"]);
    assert!(said.contains("--pooling has no effect"), "{said}");
}

#[test]
fn golden_outputs_of_the_other_form_are_what_the_network_is_held_to() {
    // The same weights: the map by the names of one file, its mean by the class of the other.
    for (file, golden, form) in [
        (&["dino.pth", "--which", "teacher"][..], "dino_whole.npz", "the mean of the last map (as --pooling avg)"),
        (&["dino_whole.pth"], "dino.teacher.npz", "the map of the last block (as --pooling none)"),
    ] {
        let golden_args = ["--golden", golden, "--tolerance", "1e-5"];
        let (text, notes, status) = run(&[&["check"], file, &golden_args].concat());
        assert_eq!(status, 0, "{file:?}: {text}{notes}");
        assert!(notes.contains(form), "{file:?}: {notes}");
        let target = tempfile::tempdir().unwrap();
        let onnx = target.path().join("out.onnx");
        let onnx = onnx.to_str().unwrap();
        let (text, notes, status) = run(&[&["convert", file[0], onnx], &file[1..], &golden_args].concat());
        assert_eq!(status, 0, "{file:?}: {text}{notes}");
        let (text, _, status) = run(&[&["check", onnx], &golden_args[..]].concat());
        assert_eq!(status, 0, "{file:?} as ONNX: {text}");
    }
    // What is said on the command line holds, and the message says what else there is.
    let args = ["check", "dino.pth", "--which", "teacher", "--golden", "dino_whole.npz", "--pooling", "none"];
    let (text, _, status) = run(&args);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("--pooling avg gives the mean"), "{text}");
    // Another network's numbers fail in the other form as well.
    let (text, _, status) = run(&["check", "dino.pth", "--which", "student", "--golden", "dino_whole.npz"]);
    assert_eq!(status, 1, "{text}");
}

#[test]
fn a_head_may_begin_at_a_stage() {
    let (text, errors, status) =
        run(&["inspect", "checkpoint_best_model.pth", "--head-from", "layer4", "--format", "json"]);
    assert_eq!(status, 0, "{errors}");
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["architecture"]["stages"].as_array().unwrap().len(), 3);
    assert!(summary["unused"].as_array().unwrap().iter().any(|unused| unused["location"] == "fc.weight"), "{text}");
}

#[test]
fn an_archive_whose_name_has_21_letters_is_read() {
    is_right("checkpoint_best_model.pth", "checkpoint_best_model", &[]);
}

#[test]
fn pruned_weights_are_the_product_with_their_masks() {
    for file in ["masked.pth", "masked_whole.pth"] {
        let (notes, _) = is_right(file, "masked", &[]);
        assert!(notes.contains("pruned by torch.nn.utils.prune: 4 tensors (`conv1.weight`"), "{notes}");
    }
}

#[test]
fn what_is_no_plain_checkpoint_is_called_by_its_name_with_what_can_be_done() {
    for (file, said) in [
        (
            "quantised_static.pth",
            &["quantised statically", "PyTorch", "`conv1.weight`", "before it was quantised", "QDQ"][..],
        ),
        ("quantised_dynamic.pth", &["quantised dynamically", "`fc._packed_params", "--head-from fc", "QDQ"]),
        ("quantised_qat.pth", &["quantisation-aware training", "weight_fake_quant", "before `prepare_qat`"]),
        ("weight_norm.pth", &["weight normalisation", "`layer3.0.conv1.weight_g`", "remove_weight_norm"]),
        ("weight_norm_parametrized.pth", &["weight normalisation", "original1`", "remove_parametrizations"]),
        ("spectral_norm.pth", &["spectral normalisation", "`conv1.weight_u`", "remove_spectral_norm"]),
        ("spectral_norm_parametrized.pth", &["spectral normalisation", "._u`", "remove_parametrizations"]),
        ("convolutions_1d.pth", &["one dimension (Conv1d,", "`conv1.weight` has shape [2, 3, 7]"]),
        ("convolutions_3d.pth", &["three dimensions (Conv3d,", "`conv1.weight` has shape [2, 3, 7, 7, 7]"]),
        ("lora.pth", &["adapters (LoRA", "lora_A", "merge_and_unload"]),
        ("lora_alone.pth", &["adapters (LoRA", "merge_and_unload"]),
        ("optimizer_only.pth", &["only the state of an optimizer (`optimizer`)"]),
        ("call.pth", &["would have been called", "Nothing was called"]),
        ("call.pkl", &["`posix.system` would have been called (pickle byte ", "Nothing was called"]),
        ("kernel_missing.pth", &["nearest is torchvision's ResNet", "`layer3.0.conv2.weight` is missing"]),
        (
            "stage_of_another_number.pth",
            &["`layer7.0.conv1.weight`", "fit nowhere", "is perhaps `layer4.0.conv1.weight`"],
        ),
        ("misspelt.pth", &["`layer2.0.bn2.runing_var` is perhaps `layer2.0.bn2.running_var`"]),
        ("misshapen.pth", &["`layer2.0.conv2.weight` would have shape [4, 4, 3, 3]"]),
    ] {
        let errors = refused(&["inspect", file]);
        for part in said {
            assert!(errors.contains(part), "{file} says not `{part}`: {errors}");
        }
    }
}

#[test]
fn the_convolutions_of_a_dynamically_quantised_network_are_read_as_offered() {
    let (text, errors, status) = run(&["inspect", "quantised_dynamic.pth", "--head-from", "fc"]);
    assert_eq!(status, 0, "{text}{errors}");
    assert!(text.contains("no classifier"), "{text}");
}

#[test]
fn a_module_in_training_mode_is_read_as_in_evaluation_and_that_is_said() {
    let (text, errors, status) = run(&["inspect", "training.pth"]);
    assert_eq!(status, 0, "{errors}");
    assert!(text.contains("training mode") && text.contains("model.eval()"), "{text}");
    assert!(!run(&["inspect", "masked_whole.pth"]).0.contains("training mode"));
}
