//! The command line as types: every option, its help and the examples that go with it.
//!
//! Nothing is done here: parsing ends with values of the right type, and the commands do the rest.

mod check;
mod choice;
mod convert;
mod evaluate;
mod head;
mod image;
mod inspect;
mod model;
mod new;
mod predict;
mod source;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use residua::ir::budget::{self, Limit};
use residua::options::{InputShape, parse};

pub(crate) use check::{CheckArgs, CheckFormat};
pub(crate) use choice::choice;
pub(crate) use convert::{ConvertArgs, InputLayout, OutputFormat, VerifySource};
pub(crate) use evaluate::{EvaluateArgs, EvaluateFormat};
pub(crate) use head::{Classes, HeadArgs, PoolChoice};
pub(crate) use image::{ImageArgs, PreprocessChoice};
pub(crate) use inspect::{InspectArgs, InspectFormat};
pub(crate) use model::ModelArgs;
pub(crate) use new::NewArgs;
pub(crate) use predict::{PredictArgs, PredictFormat};
pub(crate) use source::SourceArgs;

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(Style::new().dimmed());

const AFTER: &str = "\
Exit status: 0 done and everything that was asked to hold holds; 1 the model does not hold; 2 it could not be done.

`residua COMMAND --help` shows examples.";

/// Takes residual networks (ResNet and kin) out of Keras, PyTorch, ONNX and safetensors files: shows what is in them,
/// checks them, runs them, and writes them in another format or under the names of another framework, with proof that
/// the numbers survived. Code that a file holds is never run.
#[derive(Debug, Parser)]
#[command(name = "residua", bin_name = "residua", version, styles = STYLES, after_help = AFTER, max_term_width = 110)]
#[command(disable_help_subcommand = true, arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "General options")]
pub(crate) struct GlobalArgs {
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Threads to compute with [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// When to colour the output; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = false)]
    pub(crate) color: ColorChoice,
    /// Another limit for files that are to be trusted, such as activation-bytes=8GiB; so does RESIDUA_BUDGET
    #[arg(long, global = true, value_name = "NAME=AMOUNT", value_parser = parse_budget)]
    pub(crate) budget: Vec<Limits>,
}

/// Limits to set, as one `--budget` has them.
pub(crate) type Limits = std::sync::Arc<[(Limit, u64)]>;

pub(crate) fn parse_budget(text: &str) -> Result<Limits, String> {
    budget::parse(text).map(Into::into)
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Check(CheckArgs),
    Convert(ConvertArgs),
    Compare(CompareArgs),
    Run(RunArgs),
    Predict(PredictArgs),
    Evaluate(EvaluateArgs),
    Head(HeadArgs),
    New(NewArgs),
    Diff(DiffArgs),
    Layouts(LayoutsArgs),
    Explain(ExplainArgs),
    Completions(CompletionsArgs),
}

/// How results are printed by commands that have no further formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// To be read
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Outputs that are known, and how near is near enough.
#[derive(Debug, Args)]
pub(crate) struct GoldenArgs {
    /// Inputs and outputs that the source framework computed, which the model must reproduce
    #[arg(long, value_name = "FILE.npz")]
    pub(crate) golden: Option<PathBuf>,
    /// Absolute tolerance, instead of the bound derived from the model's own rounding noise
    #[arg(long, value_name = "X", value_parser = parse::tolerance)]
    pub(crate) tolerance: Option<f64>,
}

/// Whether two models are the same function, and the first layer where they are not
///
/// Both are run on the same inputs in f64; where they differ, their blocks are aligned by structure, not by name, and
/// the first value that diverges is named.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua compare resnet50v2.h5 resnet50v2.onnx
  residua compare a.onnx b.onnx --input-shape 1,3,160,160 --tolerance 1e-4
  residua compare model.keras model.onnx --golden model.golden.npz --format json
  residua compare resnet50.h5 resnet50.pth --variant v1 --before-softmax
  residua compare trained.keras exported.onnx --layers --save differing

What names and shapes leave open is said for both models at once, and counts for whichever leaves it open.

Exit status: 0 the same; 1 different; 2 they could not be compared.")]
pub(crate) struct CompareArgs {
    /// One model: a file, or a folder holding one
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Sizes for free dimensions, in A's own axis order
    #[arg(long, value_name = "[NAME=]N,…", value_parser = parse::shape)]
    pub(crate) input_shape: Vec<InputShape>,
    /// Where only one of them ends in a softmax, compare what goes into it
    #[arg(long)]
    pub(crate) before_softmax: bool,
    /// Run both models also where they have one graph, bit for bit
    #[arg(long)]
    pub(crate) numeric: bool,
    /// Show every layer that both have, with the difference there
    #[arg(long)]
    pub(crate) layers: bool,
    /// Where they differ, write what goes into and comes out of the first layer that does as .npy files
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) golden: GoldenArgs,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// The engine that computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PrecisionChoice {
    /// The fast engine
    #[default]
    F32,
    /// The reference, which computes in double precision
    F64,
}

/// The element type of what `run` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputDtype {
    /// That of the model's output: integers, truth values and half precision stay what they are
    #[default]
    Model,
    /// For reals the type that was computed in, see --precision
    Computed,
}

/// Run a model on an array or an image
///
/// Arrays are in the model's own axis order (Keras: NHWC; PyTorch: NCHW; ONNX: as declared), and so are those it writes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua run digits.keras --input seven.png --top 1
  residua run resnet50v2.h5 --input cat.jpg --crop 0.875 --top 5
  residua run resnet50.h5 --input batch.npy --output scores.npy
  residua run resnet50.pth --input cat.jpg --resize 256 --crop 224 --preprocess torch --top 5
  residua run model.onnx --input x.npy --tap conv1_conv --tap avg_pool --output features.npz
  residua run two_inputs.keras --input left=a.npy --input right=b.npy

Files are .npy, .npz (arrays named as the model's inputs), .pb (an ONNX TensorProto), .png or .jpg. Several files for \
a model of one input become one batch; for a model of several inputs they go by order, or by name with NAME=FILE. An \
array that lacks the batch axis gets one.

An image is decoded to 8 bits, its channels made as many as the model's, resized, its middle cut out, and its values \
scaled as the file says: config.json of timm, preprocessor_config.json of transformers, the metadata of what residua \
wrote. What nothing says is told: sizes are then the model's own (whatever the ratio of sides), values those that the \
architecture was trained with. --resize, --crop, --interpolation and --preprocess take the place of each. Resizing is \
Pillow's, sample for sample.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What to run it on; may be repeated
    #[arg(long, short, value_name = "[NAME=]FILE", required_unless_present = "random")]
    pub(crate) input: Vec<String>,
    /// Run it on numbers between −1 and 1 made from this seed instead
    #[arg(long, value_name = "SEED", conflicts_with = "input")]
    pub(crate) random: Option<u64>,
    /// Where to write: .npy of the first output, or .npz of all outputs and taps
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also give the output of this layer; may be repeated
    #[arg(long, value_name = "LAYER")]
    pub(crate) tap: Vec<String>,
    /// Print the K best classes
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: Option<u32>,
    /// Run it N times more, and print the time of loading and the median time of these runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) repeat: Option<u32>,
    /// Names of the classes, one a line, instead of ImageNet's where there are 1000
    #[arg(long, value_name = "FILE", requires = "top")]
    pub(crate) labels: Option<PathBuf>,
    /// What computes
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t)]
    pub(crate) precision: PrecisionChoice,
    /// Element type of outputs and taps
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    pub(crate) output_dtype: OutputDtype,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
}

/// How `diff` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum DiffFormat {
    /// To be read
    #[default]
    Text,
    /// One JSON document with everything
    Json,
    /// Tables, for a comment on a pull request
    Markdown,
}

/// What differs between two models in structure and tensors, without running anything
///
/// Layers correspond by their weights, their names or their place in the network, so that two files of one network under
/// other names, or of other frameworks, can be compared.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua diff before.keras after.keras
  residua diff model.h5 model.onnx --ignore-names --format json
  residua diff last.pth best.pth --which model_ema --format markdown

Exit status: 0 no difference; 1 there are some; 2 they could not be read.")]
pub(crate) struct DiffArgs {
    /// One model: a file, or a folder holding one
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Names are listed where they differ, and are no difference
    #[arg(long)]
    pub(crate) ignore_names: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: DiffFormat,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// The naming layouts of safetensors outputs, and which of them can hold a model
///
/// A layout is the names of tensors and the model code that reads them. For a model: whether that code can hold it,
/// what is computed on the way and how the code has to be set up, or every reason why not.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua layouts
  residua layouts resnet50v2.h5
  residua layouts resnet50.pth --variant v1
  residua layouts model.pth --format json | jq -r '.layouts[] | select(.holds) | .name'")]
pub(crate) struct LayoutsArgs {
    /// The model that is to be held
    #[arg(value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// What a finding means and how to fix it; without a code, all codes
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua explain
  residua explain R302
  residua explain negative-variance")]
pub(crate) struct ExplainArgs {
    /// A code or its name, such as R302 or negative-variance
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua completions bash > ~/.local/share/bash-completion/completions/residua
  residua completions zsh > ~/.zfunc/_residua")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
