//! Options of `convert`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use residua::convert::Runtime;
use residua::options::{Dtype, Layout};

use super::{Format, GoldenArgs, ModelArgs, PreprocessChoice, choice};

/// Write a model in another format or naming layout, and prove that the numbers survived
///
/// What was written is read back and proved against the source before OUT appears: bit-identical in f64 where only
/// names, axes and containers changed, within a bound derived from the source's own rounding noise where arithmetic
/// was done. Where it fails, nothing is left and the first layer that diverges is named.
///
/// A layout of another framework is written as that framework's own code loads it: its names, its axes, no trace of
/// ours. `residua layouts MODEL` says which can hold a model.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua convert resnet50v2.h5 resnet50v2.onnx
  residua convert model.keras model.onnx --input-layout source --opset 18
  residua convert resnet50.h5 resnet50.onnx --fold-bn --dtype f16 --keep-io-types
  residua convert resnet50.pth resnet50.onnx
  residua convert resnet50.h5 resnet50/ --layout huggingface
  residua convert checkpoint.pth resnet50.safetensors --layout timm --which state_dict_ema
  residua convert weights.h5 model.onnx --golden model.golden.npz --format json
  residua convert resnet50v2.h5 resnet50v2/ --to candle

Exit status: 0 written and proved; 1 the model or its numbers do not hold, and nothing is written; 2 it could not be \
done.")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The file to write; its extension says the format. For a folder: model.safetensors or model.onnx in it, with --to
    /// or --layout
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// Format of the output, where the extension does not say it
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) to: Option<OutputFormat>,
    /// Float type of the written weights, in ONNX of everything [default: the source's types in safetensors and from ONNX,
    /// f32 in ONNX from others]
    #[arg(long, value_name = "DTYPE", value_parser = choice::<Dtype>())]
    pub(crate) dtype: Option<Dtype>,
    /// Fold batch norms into the convolutions before them
    #[arg(long)]
    pub(crate) fold_bn: bool,
    /// How images are prepared, recorded in the output
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) preprocess: PreprocessChoice,
    /// Also write which tensor became which, with a SHA-256 of each on both sides; `check --manifest` repeats it
    #[arg(long, value_name = "FILE.json")]
    pub(crate) manifest: Option<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
    #[command(flatten)]
    pub(crate) safetensors: SafetensorsArgs,
    #[command(flatten)]
    pub(crate) source: CrateArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
}

/// What the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Onnx,
    Safetensors,
    /// OUT is a folder: a crate with the network's source for candle, its weights, a program, a golden test
    Candle,
    /// The same for burn, whose modules can be trained
    Burn,
    /// OUT is a folder: a crate that runs the network, as ONNX, with tract
    Tract,
    /// OUT is a folder: a crate that runs the network, as ONNX, with rten
    Rten,
}

impl OutputFormat {
    /// The runtime, where the output is a crate for one.
    pub(crate) fn runtime(self) -> Option<Runtime> {
        match self {
            Self::Onnx | Self::Safetensors => None,
            Self::Candle => Some(Runtime::Candle),
            Self::Burn => Some(Runtime::Burn),
            Self::Tract => Some(Runtime::Tract),
            Self::Rten => Some(Runtime::Rten),
        }
    }
}

/// Options of ONNX outputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "ONNX")]
pub(crate) struct OnnxArgs {
    /// Axis order of image inputs [default: nchw]
    #[arg(long, value_name = "LAYOUT", value_enum)]
    pub(crate) input_layout: Option<InputLayout>,
    /// Operator set to write [default: that of an ONNX source, or 17]
    #[arg(long, value_name = "N")]
    pub(crate) opset: Option<u32>,
    /// With --dtype f16 or bf16: inputs and outputs stay f32 behind casts, so that programs need not change
    #[arg(long, requires = "dtype")]
    pub(crate) keep_io_types: bool,
    /// Write the weights beside the model, in OUT.data
    #[arg(long)]
    pub(crate) external_data: bool,
}

/// Options of safetensors outputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "safetensors")]
pub(crate) struct SafetensorsArgs {
    /// Names and axes of the tensors, and the model code that is to read them [default: residua; for PyTorch's files and
    /// plain safetensors, source]
    #[arg(long, value_name = "NAME", value_parser = layouts())]
    pub(crate) layout: Option<Layout>,
}

/// Options of crates with source.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct CrateArgs {
    /// Version of the runtime that source is written for [default: the newest that is known]
    #[arg(long, value_name = "VERSION")]
    pub(crate) runtime_version: Option<String>,
    /// Names of the classes, one a line [default: ImageNet's, where there are 1000]
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// How the crate is checked before it appears [default: structure]
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) verify: Option<VerifySource>,
}

/// How a crate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifySource {
    /// Its modules are held against the graph; nothing is compiled
    Structure,
    /// It is also built, and its golden test run; needs cargo
    Build,
}

/// What is proved.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proof")]
pub(crate) struct ProofArgs {
    /// Skip the proof
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Run both models also where the written file has the graph of the source, bit for bit
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) numeric: bool,
    #[command(flatten)]
    pub(crate) golden: GoldenArgs,
}

/// Axis order of image inputs in an ONNX output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum InputLayout {
    #[default]
    Nchw,
    Nhwc,
    /// As in the source
    Source,
}

pub(super) fn layouts() -> impl TypedValueParser<Value = Layout> {
    let values = Layout::all().map(|(_, name, about)| PossibleValue::new(name).help(about));
    PossibleValuesParser::new(values.collect::<Vec<_>>()).try_map(|name| Layout::named(&name).ok_or("no such layout"))
}
