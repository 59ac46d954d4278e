//! The crate around a network: its manifest, its programs and its test.

use std::collections::BTreeSet;

use super::{Release, lacks, model};
use crate::form::{Module, Program};
use crate::ident::literal;
use crate::package::{self, About, File, Lack};
use crate::rust::layout;

/// The text files of a crate. Its tensors go to `model.safetensors`; inputs and outputs of these shapes, which its test
/// holds, to `tests/input0.f32`, `tests/output0.f32` and so on.
///
/// # Errors
/// What burn lacks.
pub fn files(
    program: &Program,
    about: &About,
    release: &Release,
    shapes: &[Vec<Vec<usize>>; 2],
) -> Result<Vec<File>, Vec<Lack>> {
    let lacks = lacks(program);
    let Some(root) = program.root().filter(|_| lacks.is_empty()) else { return Err(lacks) };
    let printed = model::print(program);
    let ops = ops(&printed.helpers);
    let krate = about.package.replace('-', "_");
    let file = |path, text| File { path, text };
    let hardware = " It computes on the CPU; with `--no-default-features --features wgpu` or `cuda` on a graphics card. \
                    `Device::autodiff` gives gradients: every module is one that burn trains.";
    let mut files = vec![
        file("Cargo.toml", manifest(about, release)),
        file("README.md", package::readme(program, root, about, hardware)),
        file("src/lib.rs", library(root, about, ops.is_some())),
        file("src/model.rs", printed.text),
    ];
    files.extend(ops.map(|text| file("src/ops.rs", text)));
    let load = "    let device = Device::default();
    let model = network::load(Path::new(network::WEIGHTS), &device)?;
";
    match &about.images {
        Some(images) => {
            let scores = if package::squashes(root) { "" } else { include_str!("../text/softmax.rs.in") };
            let run = "        let outputs = network::run(&model, &[(values, shape.to_vec())], &device)?;\n";
            let main = include_str!("../text/main.rs.in")
                .replace("use @CRATE@ as network;", "use burn::prelude::Device;\nuse @CRATE@ as network;")
                .replace("@LOAD@", load)
                .replace("@RUN@", run)
                .replace("@CRATE@", &krate)
                .replace("@PACKAGE@", &about.package)
                .replace("@SCORES@", scores);
            files.push(file("src/preprocess.rs", images.text()));
            files.push(file("src/main.rs", main));
            files.push(file("labels.txt", package::labels(&about.labels)));
        }
        None => files.push(file("src/main.rs", include_str!("text/main_plain.rs.in").replace("@CRATE@", &krate))),
    }
    let run = "    let device = burn::prelude::Device::default();
    let weights = std::path::Path::new(network::WEIGHTS);
    let model = network::load(weights, &device).unwrap();
    let outputs = network::run(&model, &inputs, &device).unwrap();
";
    let [inputs, outputs] = shapes;
    files.push(file("tests/golden.rs", package::golden(&about.golden, &krate, run, [inputs, outputs])));
    Ok(files)
}

fn manifest(about: &About, release: &Release) -> String {
    let Release { version, image, rust } = release;
    let image = match about.images {
        Some(_) => {
            format!("image = {{ version = \"{image}\", default-features = false, features = [\"jpeg\", \"png\"] }}\n")
        }
        None => String::new(),
    };
    format!(
        "[package]
name = {}
version = \"0.1.0\"
edition = \"2021\"
rust-version = \"{rust}\"
publish = false

[features]
default = [\"flex\"]
flex = [\"burn/flex\"]
ndarray = [\"burn/ndarray\"]
wgpu = [\"burn/wgpu\"]
cuda = [\"burn/cuda\"]

[dependencies]
burn = {{ version = \"{version}\", default-features = false, features = [\"std\"] }}
burn-store = {{ version = \"{version}\", default-features = false, features = [\"std\", \"safetensors\"] }}
{image}
# Convolutions without optimisation take minutes.
[profile.dev]
opt-level = 2
",
        literal(&about.package)
    )
}

fn library(root: &Module, about: &About, has_ops: bool) -> String {
    let mut modules = String::new();
    if has_ops {
        modules += "pub mod ops;\n";
    }
    if about.images.is_some() {
        modules += "pub mod preprocess;\n";
    }
    let [given, gives] = &root.ranks;
    let inputs: Vec<String> =
        given.iter().enumerate().map(|(at, rank)| format!("tensor::<{rank}>(inputs, {at}, device)?")).collect();
    let names: Vec<String> = (0..gives.len()).map(|at| format!("output{at}")).collect();
    let (left, arrays) = match &names[..] {
        [_] => ("output".to_owned(), "vec![array(output)]".to_owned()),
        many => {
            let arrays: Vec<String> = many.iter().map(|name| format!("array({name})")).collect();
            (format!("({})", many.join(", ")), format!("vec![{}]", arrays.join(", ")))
        }
    };
    let run = layout::call(4, &format!("let {left} = model.forward"), &inputs, ";");
    let text = include_str!("text/lib.rs.in")
        .replace("//! @TITLE@\n", &layout::comment(0, "//!", &about.title))
        .replace("@MODULES@\n", &format!("{modules}\n"))
        .replace("@MODEL@", &root.name)
        .replace("@RUN@", &format!("{run}\n    Ok({arrays})"));
    let text = if about.images.is_some() { text + include_str!("../text/labels.rs.in") } else { text };
    text.replace("\n\n\n", "\n\n")
}

/// `src/ops.rs`: what the network needs of it.
fn ops(used: &BTreeSet<String>) -> Option<String> {
    let body = package::helpers(include_str!("text/ops.rs.in"), used)?;
    let mut text = "//! What the network needs and burn has no function for.\n\n".to_owned();
    text += "use burn::prelude::*;\n";
    let modules: Vec<&str> =
        ["avg_pool2d", "max_pool2d"].into_iter().filter(|name| body.contains(&format!("module::{name}("))).collect();
    if !modules.is_empty() {
        text += "use burn::tensor::module;\n";
    }
    let options = ["AvgPoolOptions", "MaxPoolOptions", "PadMode"];
    let names: Vec<&str> = options.into_iter().filter(|name| package::has_word(&body, name)).collect();
    text += &layout::import("burn::tensor::ops", &names);
    if package::has_word(&body, "Slice") {
        text += "use burn::tensor::Slice;\n";
    }
    Some(format!("{text}\n{body}\n"))
}
