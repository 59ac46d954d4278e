//! The crate around a network: its manifest, its programs, its test, and what there is to know of it.

use std::collections::BTreeSet;

use super::{Release, lacks, model};
use crate::form::{Module, Program};
use crate::ident::{literal, real};
use crate::package::{self, About, File, Lack};
use crate::rust::layout;

/// The text files of a crate. Its tensors go to `model.safetensors`, and what its test holds to
/// `tests/golden.safetensors`, as `input0`, `output0` and so on.
///
/// # Errors
/// What candle lacks.
pub fn files(program: &Program, about: &About, release: &Release) -> Result<Vec<File>, Vec<Lack>> {
    let lacks = lacks(program);
    let Some(root) = program.root().filter(|_| lacks.is_empty()) else { return Err(lacks) };
    let printed = model::print(program);
    let ops = ops(&printed.helpers);
    let krate = about.package.replace('-', "_");
    let file = |path, text| File { path, text };
    let mut files = vec![
        file("Cargo.toml", manifest(about, release)),
        file("README.md", package::readme(program, root, about, " With `--features cuda` it runs on a graphics card.")),
        file("src/lib.rs", library(root, about, ops.is_some())),
        file("src/model.rs", printed.text),
    ];
    files.extend(ops.map(|text| file("src/ops.rs", text)));
    let main = match &about.images {
        Some(images) => {
            files.push(file("src/preprocess.rs", images.text()));
            let scores = match package::squashes(root) {
                true => "",
                false => "        let output = candle_nn::ops::softmax(&output, 1)?;\n",
            };
            include_str!("text/main.rs.in").replace("@SCORES@", scores).replace("@PACKAGE@", &about.package)
        }
        None => include_str!("text/main_plain.rs.in").to_owned(),
    };
    files.push(file("src/main.rs", main.replace("@CRATE@", &krate)));
    if about.images.is_some() {
        files.push(file("labels.txt", package::labels(&about.labels)));
    }
    let golden = include_str!("text/golden.rs.in")
        .replace("//! @ABOUT@\n", &layout::comment(0, "//!", &about.golden.about))
        .replace("@CRATE@", &krate)
        .replace("@TOLERANCE@", &real(about.golden.tolerance))
        .replace("@OUTPUTS@", &root.results.len().to_string());
    files.push(file("tests/golden.rs", golden));
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
cuda = [\"candle-core/cuda\", \"candle-nn/cuda\"]

[dependencies]
candle-core = {{ version = \"{version}\", default-features = false }}
candle-nn = {{ version = \"{version}\", default-features = false }}
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
    modules += "\n";
    let inputs: Vec<String> = (0..root.inputs).map(|at| format!("input(\"input{at}\")?")).collect();
    let is_module = root.inputs == 1 && root.results.len() == 1;
    let run = match root.results.len() {
        1 => {
            let call = layout::call(8, "let output = model.forward", &inputs, "?;");
            // One argument is a chain, and short.
            format!("{}\n    Ok(vec![output])", call.replacen("        ", "    ", 1))
        }
        _ => format!("    model.forward({})", inputs.join(", ")),
    };
    let text = include_str!("text/lib.rs.in")
        .replace("//! @TITLE@\n", &layout::comment(0, "//!", &about.title))
        .replace("@MODULES@\n", &modules)
        .replace("@MODULE@", if is_module { "Module, " } else { "" })
        .replace("@MODEL@", &root.name)
        .replace("@RUN@", &run);
    let text = if about.images.is_some() { text + include_str!("../text/labels.rs.in") } else { text };
    text.replace("\n\n\n", "\n\n")
}

/// `src/ops.rs`: what the network needs of it.
fn ops(used: &BTreeSet<String>) -> Option<String> {
    let body = package::helpers(include_str!("text/ops.rs.in"), used)?;
    let mut text = "//! What the network needs and candle has no function for.\n\n".to_owned();
    if body.contains("Result<") {
        text += match body.contains("Tensor") {
            true => "use candle_core::{Result, Tensor};\n",
            false => "use candle_core::Result;\n",
        };
    }
    let types: Vec<&str> =
        ["Conv2d", "Conv2dConfig", "VarBuilder"].into_iter().filter(|name| package::has_word(&body, name)).collect();
    text += &match &types[..] {
        [] => String::new(),
        [only] => format!("use candle_nn::{only};\n"),
        many => format!("use candle_nn::{{{}}};\n", many.join(", ")),
    };
    Some(format!("{text}\n{body}\n"))
}
