//! The crate around an ONNX model: a program for a runtime that reads it, with preprocessing, labels and a golden test.

use crate::ident::literal;
use crate::package::{self, Golden, ImageInput};
use crate::rust::layout;

/// A runtime that reads ONNX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// tract-onnx.
    Tract,
    /// rten.
    Rten,
}

impl Runtime {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Rten => "rten",
        }
    }

    /// The versions that programs are written for, the newest first.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Tract => &["0.23"],
            Self::Rten => &["0.27"],
        }
    }

    fn dependencies(self, version: &str) -> String {
        match self {
            Self::Tract => format!("tract-onnx = \"{version}\"\n"),
            Self::Rten => format!(
                "rten = {{ version = \"{version}\", features = [\"onnx_format\"] }}\nrten-tensor = \"{version}\"\n"
            ),
        }
    }

    fn library(self) -> &'static str {
        match self {
            Self::Tract => include_str!("text/tract.rs.in"),
            Self::Rten => include_str!("text/rten.rs.in"),
        }
    }
}

/// What there is to say of a crate.
#[derive(Debug, Clone)]
pub struct About {
    /// Name of the package.
    pub package: String,
    /// What the network is called, in a few words of ours.
    pub title: String,
    /// The runtime.
    pub runtime: Runtime,
    /// Its version.
    pub version: &'static str,
    /// How images are prepared, and whether the network gives probabilities.
    pub images: (ImageInput, bool),
    /// Names of classes; none where they are not known.
    pub labels: Vec<String>,
    /// What the golden test holds.
    pub golden: Golden,
    /// Shapes of its inputs and its outputs; their numbers are in `tests/input0.f32`, `tests/output0.f32` and so on.
    pub shapes: [Vec<Vec<usize>>; 2],
    /// What the README says besides, a paragraph each, as Markdown.
    pub paragraphs: Vec<String>,
}

/// The text files of a crate whose network is in `model.onnx`: paths with `/` between their parts, and what is in them.
#[must_use]
pub fn files(about: &About) -> Vec<(&'static str, String)> {
    let krate = about.package.replace('-', "_");
    let (images, squashed) = &about.images;
    let scores = if *squashed { "" } else { include_str!("../text/softmax.rs.in") };
    let main = include_str!("../text/main.rs.in")
        .replace("@LOAD@", "")
        .replace("@RUN@", "        let outputs = network::run(&[(values, shape.to_vec())])?;\n")
        .replace("@CRATE@", &krate)
        .replace("@PACKAGE@", &about.package)
        .replace("@SCORES@", scores);
    let library = about
        .runtime
        .library()
        .replace("//! @TITLE@\n", &layout::comment(0, "//!", &about.title))
        .replace("@MODULES@\n", "\npub mod preprocess;\n\n");
    let [inputs, outputs] = &about.shapes;
    let run = "    let outputs = network::run(&inputs).unwrap();\n";
    let golden = package::golden(&about.golden, &krate, run, [inputs, outputs]);
    vec![
        ("Cargo.toml", manifest(about)),
        ("README.md", readme(about)),
        ("src/lib.rs", library + include_str!("../text/labels.rs.in")),
        ("src/main.rs", main),
        ("src/preprocess.rs", images.text()),
        ("labels.txt", package::labels(&about.labels)),
        ("tests/golden.rs", golden),
    ]
}

fn manifest(about: &About) -> String {
    format!(
        "[package]
name = {}
version = \"0.1.0\"
edition = \"2021\"
publish = false

[dependencies]
image = {{ version = \"0.25\", default-features = false, features = [\"jpeg\", \"png\"] }}
{}
# Convolutions without optimisation take minutes.
[profile.dev]
opt-level = 2
",
        literal(&about.package),
        about.runtime.dependencies(about.version)
    )
}

fn readme(about: &About) -> String {
    let mut text = format!("# {}\n\n{}\n\n", about.package, about.title);
    text += "```sh\ncargo run --release -- image.jpg\n```\n\n";
    text += &format!(
        "`model.onnx` is run by {} {}. `cargo test --release` holds it against what is expected of it.\n",
        about.runtime.name(),
        about.version
    );
    for paragraph in &about.paragraphs {
        text += "\n";
        text += paragraph;
        text += "\n";
    }
    text
}
