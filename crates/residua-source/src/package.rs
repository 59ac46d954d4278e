//! What is the same in every crate with the source of a network: labels, the README, what there is to say of it.

use std::collections::BTreeSet;

use residua_ir::{Activation, Name, Op};

use crate::form::{Layer, Module, Program, What};
use crate::ident::real;
pub use crate::image_input::ImageInput;
use crate::rust::layout;

/// A text file of a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its place, with `/` between the parts.
    pub path: &'static str,
    /// What is in it.
    pub text: String,
}

/// What there is to say of a network besides its program.
#[derive(Debug, Clone)]
pub struct About {
    /// Name of the package.
    pub package: String,
    /// What the network is called, in a few words of ours.
    pub title: String,
    /// How images are prepared; none where the network does not take images, or does not give scores.
    pub images: Option<ImageInput>,
    /// Names of classes; none where they are not known.
    pub labels: Vec<String>,
    /// What the golden test holds.
    pub golden: Golden,
    /// What the README says besides, a paragraph each, as Markdown.
    pub paragraphs: Vec<String>,
}

/// What a golden test expects.
#[derive(Debug, Clone)]
pub struct Golden {
    /// Where its inputs and outputs are from, a sentence.
    pub about: String,
    /// How far an output may be off, relative to its largest value.
    pub tolerance: f64,
}

/// What a runtime does not compute of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The operator, as tables call it.
    pub op: Name,
    /// The reason, in words that follow its name.
    pub reason: &'static str,
    /// How many of them there are in the modules.
    pub count: usize,
}

/// The operator that a layer is, as tables call it.
pub(crate) fn layer_name(layer: &Layer) -> &'static str {
    match layer {
        Layer::Conv { .. } => "Conv",
        Layer::BatchNorm { .. } => "BatchNorm",
        Layer::GroupNorm { .. } => "GroupNorm",
        Layer::Linear { .. } => "Linear",
    }
}

/// An operator as tables call it; one that is not known by its own name.
pub(crate) fn op_name(op: &Op) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others know their names")]
    match op {
        Op::Opaque(opaque) => opaque.op_type.clone(),
        known => known.name().to_owned(),
    }
}

/// A label a line: what would end one is spelled out.
pub(crate) fn labels(labels: &[String]) -> String {
    labels.iter().map(|label| format!("{}\n", Name::from(label.as_str()))).collect()
}

/// Whether the network gives probabilities.
pub(crate) fn squashes(root: &Module) -> bool {
    let last = root.results.first().and_then(|result| result.checked_sub(root.inputs));
    let what = last.and_then(|at| root.statements.get(at)).map(|statement| &statement.what);
    match what {
        Some(What::Op { op, .. }) => {
            matches!(**op, Op::Softmax { .. } | Op::Activation(Activation::Sigmoid))
        }
        Some(What::Field(_)) | None => false,
    }
}

/// The helpers that are used, and those that they use, of a text in which each stands behind `//= name needs…`.
pub(crate) fn helpers(text: &str, used: &BTreeSet<String>) -> Option<String> {
    let parts: Vec<(&str, Vec<&str>, &str)> = text
        .split("//= ")
        .filter_map(|part| {
            let (head, body) = part.split_once('\n')?;
            let mut words = head.split_whitespace();
            Some((words.next()?, words.collect(), body))
        })
        .collect();
    let mut wanted: BTreeSet<&str> = used.iter().map(String::as_str).collect();
    for (name, needs, _) in parts.iter().rev() {
        if wanted.contains(name) {
            wanted.extend(needs.iter().copied());
        }
    }
    let bodies: Vec<&str> =
        parts.iter().filter(|(name, ..)| wanted.contains(name)).map(|(_, _, body)| body.trim_end()).collect();
    (!bodies.is_empty()).then(|| bodies.join("\n\n"))
}

/// Whether a text has a word.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|found| found == word)
}

/// `README.md`. `hardware` says how it runs elsewhere than on a CPU.
pub(crate) fn readme(program: &Program, root: &Module, about: &About, hardware: &str) -> String {
    let mut text = format!("# {}\n\n{}\n\n", about.package, about.title);
    text += &match &about.images {
        Some(_) => "```sh\ncargo run --release -- image.jpg\n```\n\n".to_owned(),
        None => "```sh\ncargo run --release\n```\n\n".to_owned(),
    };
    text += "`cargo test --release` holds the network against what is expected of it.";
    text += hardware;
    text += "\n\n";
    for paragraph in &about.paragraphs {
        text += paragraph;
        text += "\n\n";
    }
    text += "| part | what it is |\n| --- | --- |\n";
    for module in &program.modules {
        text += &format!("| `{}` | {} |\n", module.name, module.about);
    }
    let shape = |input: &crate::form::Input| format!("`{}`", crate::form::shown(&input.shape));
    let inputs: Vec<String> = program.inputs.iter().map(shape).collect();
    text += &format!(
        "\n`{}` takes {} (images, channels, rows, columns) and gives {}. Its {} tensors are in `model.safetensors`, under \
         the names of the fields that they are.\n",
        root.name,
        inputs.join(" and "),
        if root.results.len() == 1 { "one tensor".to_owned() } else { format!("{} tensors", root.results.len()) },
        program.tensors.len()
    );
    text
}

/// `tests/golden.rs`: arrays in files of their own, whose shapes these are, held against what `run` gives.
pub(crate) fn golden(golden: &Golden, krate: &str, run: &str, [inputs, outputs]: [&[Vec<usize>]; 2]) -> String {
    include_str!("text/golden.rs.in")
        .replace("//! @ABOUT@\n", &layout::comment(0, "//!", &golden.about))
        .replace("@CRATE@", krate)
        .replace("@TOLERANCE@", &real(golden.tolerance))
        .replace("@RUN@", run)
        .replace("@INPUTS@", &inputs.len().to_string())
        .replace("@OUTPUTS@", &outputs.len().to_string())
        .replace("@INPUT_LIST@", &arrays("input", inputs))
        .replace("@OUTPUT_LIST@", &arrays("output", outputs))
}

fn arrays(kind: &str, shapes: &[Vec<usize>]) -> String {
    let item = |indent: usize, at: usize, shape: &[usize], after: &str| {
        let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
        let fields = [format!("shape: &[{}]", sizes.join(", ")), format!("bytes: include_bytes!(\"{kind}{at}.f32\")")];
        layout::structure(indent, "", "Golden", &fields, after)
    };
    match shapes {
        [only] => format!("[{}]", item(0, 0, only, "")),
        many => {
            let items = many.iter().enumerate().map(|(at, shape)| item(4, at, shape, ",") + "\n");
            format!("[\n{}]", items.collect::<String>())
        }
    }
}
