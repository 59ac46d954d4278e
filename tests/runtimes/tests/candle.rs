//! candle's own ResNets load what is written for them, strictly by name, and compute what the source computes.
//!
//! Sources are made here with seeded numbers, at full width: torchvision's names, and Hugging Face's with their
//! `config.json`. Both are the same network, so each holds the other.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Func, VarBuilder};
use candle_transformers::models::resnet;
use residua_import::LoadOptions;
use residua_ir::validate;
use residua_resnet::analyse;
use residua_resnet::recognise::Given;
use residua_verify::{Subject, targets};
use safetensors::tensor::{Dtype, TensorView};

/// Height and width of the image.
const SIZE: usize = 64;
const CLASSES: usize = 10;

/// candle and residua round in f32, each in its own order.
const TOLERANCE: f64 = 1e-5;

/// Which network.
#[derive(Clone, Copy)]
struct Network {
    depth: usize,
    blocks: [usize; 4],
    bottleneck: bool,
    load: for<'a> fn(usize, VarBuilder<'a>) -> candle_core::Result<Func<'a>>,
}

const RESNET18: Network = Network { depth: 18, blocks: [2, 2, 2, 2], bottleneck: false, load: resnet::resnet18 };
const RESNET50: Network = Network { depth: 50, blocks: [3, 4, 6, 3], bottleneck: true, load: resnet::resnet50 };

/// The numbers of a linear congruential generator, between −1 and 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The upper 24 bits are exact in f32.
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn many(&mut self, count: usize, middle: f32, spread: f32) -> Vec<f32> {
        (0..count).map(|_| middle + spread * self.next()).collect()
    }
}

/// Tensors by name.
type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// How a zoo names convolution and norm number `n` of a block, a shortcut, the stem and the head.
struct Names {
    stem: [&'static str; 2],
    head: &'static str,
    block: fn(usize, usize) -> String,
    inner: fn(usize) -> [String; 2],
    shortcut: [&'static str; 2],
}

const TORCHVISION: Names = Names {
    stem: ["conv1", "bn1"],
    head: "fc",
    block: |stage, block| format!("layer{}.{block}.", stage + 1),
    inner: |n| [format!("conv{}", n + 1), format!("bn{}", n + 1)],
    shortcut: ["downsample.0", "downsample.1"],
};

const HUGGING_FACE: Names = Names {
    stem: ["resnet.embedder.embedder.convolution", "resnet.embedder.embedder.normalization"],
    head: "classifier.1",
    block: |stage, block| format!("resnet.encoder.stages.{stage}.layers.{block}."),
    inner: |n| [format!("layer.{n}.convolution"), format!("layer.{n}.normalization")],
    shortcut: ["shortcut.convolution", "shortcut.normalization"],
};

/// A convolution and the norm behind it, with statistics as training leaves them: no two alike.
fn unit(weights: &mut Weights, random: &mut Random, [conv, norm]: [String; 2], shape: [usize; 4]) {
    let fan_in = (shape[1] * shape[2] * shape[3]) as f32;
    let values = random.many(shape.iter().product(), 0.0, (6.0 / fan_in).sqrt());
    weights.insert(format!("{conv}.weight"), (shape.to_vec(), values));
    for (name, middle, spread) in
        [("weight", 0.7, 0.3), ("bias", 0.0, 0.2), ("running_mean", 0.0, 0.3), ("running_var", 1.2, 0.6)]
    {
        weights.insert(format!("{norm}.{name}"), (vec![shape[0]], random.many(shape[0], middle, spread)));
    }
}

/// The whole network; names do not change the numbers.
fn weights(network: Network, names: &Names) -> Weights {
    let (mut weights, mut random) = (Weights::new(), Random(u64::try_from(network.depth).unwrap()));
    unit(&mut weights, &mut random, names.stem.map(str::to_owned), [64, 3, 7, 7]);
    let expansion = if network.bottleneck { 4 } else { 1 };
    let mut channels = 64;
    for (stage, &blocks) in network.blocks.iter().enumerate() {
        let width = 64 << stage;
        for block in 0..blocks {
            let prefix = (names.block)(stage, block);
            let named = |[conv, norm]: [String; 2]| [format!("{prefix}{conv}"), format!("{prefix}{norm}")];
            let out = width * expansion;
            let shapes = if network.bottleneck {
                vec![[width, channels, 1, 1], [width, width, 3, 3], [out, width, 1, 1]]
            } else {
                vec![[width, channels, 3, 3], [width, width, 3, 3]]
            };
            for (n, shape) in shapes.into_iter().enumerate() {
                unit(&mut weights, &mut random, named((names.inner)(n)), shape);
            }
            // The first stage of basic blocks keeps its width, and has none.
            if block == 0 && (stage > 0 || channels != out) {
                unit(&mut weights, &mut random, named(names.shortcut.map(str::to_owned)), [out, channels, 1, 1]);
            }
            channels = out;
        }
    }
    let spread = (3.0 / channels as f32).sqrt();
    let head = random.many(CLASSES * channels, 0.0, spread);
    weights.insert(format!("{}.weight", names.head), (vec![CLASSES, channels], head));
    weights.insert(format!("{}.bias", names.head), (vec![CLASSES], random.many(CLASSES, 0.0, 0.1)));
    weights
}

fn save(weights: &Weights, path: &Path) {
    let bytes: BTreeMap<&String, Vec<u8>> = weights
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = weights
        .iter()
        .map(|(name, (shape, _))| (name, TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

fn save_hugging_face(network: Network, folder: &Path, downsample_in_bottleneck: bool) {
    fs::create_dir(folder).unwrap();
    save(&weights(network, &HUGGING_FACE), &folder.join("model.safetensors"));
    let expansion = if network.bottleneck { 4 } else { 1 };
    let config = serde_json::json!({
        "model_type": "resnet", "architectures": ["ResNetForImageClassification"], "num_channels": 3,
        "embedding_size": 64, "hidden_sizes": ([1, 2, 4, 8].map(|factor| 64 * factor * expansion)),
        "depths": network.blocks, "layer_type": if network.bottleneck { "bottleneck" } else { "basic" },
        "hidden_act": "relu", "downsample_in_first_stage": false,
        "downsample_in_bottleneck": downsample_in_bottleneck, "num_labels": CLASSES,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// The program.
fn residua(arguments: &[&std::ffi::OsStr]) -> ExitCode {
    let program = OsString::from("residua");
    residua_cli::run([program].into_iter().chain(arguments.iter().map(|argument| argument.to_os_string())))
}

/// What the program computes of an image.
fn run(model: &Path, image: &Path, precision: &str) -> Vec<f64> {
    let output = image.with_extension(format!("{precision}.npy"));
    let arguments = ["run".as_ref(), model.as_os_str(), "--input".as_ref(), image.as_os_str()];
    let rest =
        ["--output".as_ref(), output.as_os_str(), "--precision".as_ref(), precision.as_ref(), "--quiet".as_ref()];
    assert_eq!(residua(&[&arguments[..], &rest[..]].concat()), ExitCode::SUCCESS);
    let bytes = fs::read(output).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    match array.dtype().descr().trim_matches('\'') {
        "<f4" => array.into_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
        _ => array.into_vec().unwrap(),
    }
}

/// What candle computes of the same image.
fn candle(network: Network, file: &Path, values: &[f32]) -> Vec<f64> {
    let device = Device::Cpu;
    let weights = VarBuilder::from_buffered_safetensors(fs::read(file).unwrap(), DType::F32, &device).unwrap();
    let model = (network.load)(CLASSES, weights).unwrap();
    let image = Tensor::from_slice(values, (2, 3, SIZE, SIZE), &device).unwrap();
    let scores = model.forward(&image).unwrap().flatten_all().unwrap();
    scores.to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn save_image(values: &[f32], path: &Path) {
    use npyz::WriterBuilder;
    let mut file = Vec::new();
    let size = u64::try_from(SIZE).unwrap();
    let shape = [2, 3, size, size];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut file).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    fs::write(path, file).unwrap();
}

fn held_by_candle(network: Network) {
    let folder = tempfile::tempdir().unwrap();
    let torchvision = folder.path().join("torchvision.safetensors");
    let hugging_face = folder.path().join("huggingface");
    save(&weights(network, &TORCHVISION), &torchvision);
    save_hugging_face(network, &hugging_face, false);
    let image = folder.path().join("image.npy");
    let values = Random(7).many(2 * 3 * SIZE * SIZE, 0.0, 2.0);
    save_image(&values, &image);

    for source in [&torchvision, &hugging_face] {
        let written = folder.path().join("candle.safetensors");
        let convert = ["convert".as_ref(), source.as_os_str(), written.as_os_str(), "--layout".as_ref()];
        let done = residua(&[&convert[..], &["candle".as_ref(), "--quiet".as_ref()]].concat());
        assert_eq!(done, ExitCode::SUCCESS, "{}", source.to_string_lossy());
        let found = candle(network, &written, &values);
        for precision in ["f32", "f64"] {
            let expected = run(source, &image, precision);
            assert_eq!(found.len(), expected.len());
            let scale = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
            let gap = found.iter().zip(&expected).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
            assert!(gap <= TOLERANCE * scale, "{} in {precision}: {gap:e} of {scale:e}", source.to_string_lossy());
            // Two images, or two numbers, that come to the same would prove nothing.
            assert!(expected.iter().zip(&expected[CLASSES..]).any(|(a, b)| (a - b).abs() > 1e-3 * scale));
        }
    }
}

#[test]
fn candle_computes_what_a_resnet18_computes() {
    held_by_candle(RESNET18);
}

#[test]
fn candle_computes_what_a_resnet50_computes() {
    held_by_candle(RESNET50);
}

#[test]
fn a_stride_on_the_first_convolution_of_a_bottleneck_is_refused() {
    // Every name and every shape fits candle's code, which would compute something else.
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("v1");
    save_hugging_face(RESNET50, &source, true);
    let written = folder.path().join("candle.safetensors");
    let arguments =
        ["convert".as_ref(), source.as_os_str(), written.as_os_str(), "--layout".as_ref(), "candle".as_ref()];
    assert_eq!(residua(&arguments), ExitCode::from(2));
    assert!(!written.exists());
}

/// Codes of what `check` finds in weights for candle, with this epsilon in all norms.
fn codes_with(model: &Path, epsilon: Option<f64>) -> Vec<&'static str> {
    let options = LoadOptions { given: Given { epsilon, ..Given::default() }, ..LoadOptions::default() };
    let model = validate(residua_import::load_with(model, &options).unwrap()).unwrap();
    let anatomy = analyse(&model);
    let candle = [targets::named("candle").unwrap()];
    let subject = Subject::new(&model, &anatomy, None).for_targets(&candle);
    let found = residua_verify::check(&subject).into_iter().map(|finding| finding.code.id);
    found.filter(|code| code.starts_with("R4")).collect()
}

fn codes(model: &Path) -> Vec<&'static str> {
    codes_with(model, None)
}

/// How far candle is off on the weights in `file`, of what residua computes of `model`.
fn gap(network: Network, file: &Path, model: &Path, folder: &Path) -> f64 {
    let image = folder.join("image.npy");
    let values = Random(7).many(2 * 3 * SIZE * SIZE, 0.0, 2.0);
    save_image(&values, &image);
    let (found, expected) = (candle(network, file, &values), run(model, &image, "f32"));
    let scale = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    found.iter().zip(&expected).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / scale
}

#[test]
fn what_check_says_of_weights_for_candle_is_what_candle_computes() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    // As they are, and under other names.
    save(&weights(RESNET18, &TORCHVISION), &place("fits.safetensors"));
    assert_eq!(codes(&place("fits.safetensors")), [""; 0]);
    assert!(gap(RESNET18, &place("fits.safetensors"), &place("fits.safetensors"), folder.path()) <= TOLERANCE);
    // candle adds 1e-5 to variances, whatever the network was trained with.
    assert_eq!(codes_with(&place("fits.safetensors"), Some(1e-3)), ["R408"]);
    save_hugging_face(RESNET18, &place("renamed"), false);
    assert_eq!(codes(&place("renamed")), ["R409"]);
    // The stride on the first 1x1: every name and shape is there once the tensors are renamed, and candle says nothing.
    save_hugging_face(RESNET50, &place("v1"), true);
    save(&weights(RESNET50, &TORCHVISION), &place("v1.safetensors"));
    assert_eq!(codes(&place("v1")), ["R408"]);
    let off = gap(RESNET50, &place("v1.safetensors"), &place("v1"), folder.path());
    assert!(off > 0.01, "candle computes the same within {off:e}");
    // Blocks that candle does not have.
    assert_eq!(codes(&residua_tests::checkpoint("timm/resnetv2_50.pth").path), ["R407"]);
}
