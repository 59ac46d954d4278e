//! Options of `convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Format, GoldenArgs, ModelArgs, PreprocessChoice};

/// Write a model in another format or naming layout, and prove that the numbers survived
///
/// What was written is read back and proved against the source before OUT appears: bit-identical in f64 where only
/// names, axes and containers changed, within a bound derived from the source's own rounding noise where arithmetic
/// was done. Where it fails, nothing is left and the first layer that diverges is named.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua convert resnet50v2.h5 resnet50v2.onnx
  residua convert model.keras model.onnx --input-layout source --opset 18
  residua convert resnet50.h5 resnet50.onnx --fold-bn --dtype f16
  residua convert resnet50.h5 resnet50.safetensors --layout keras
  residua convert weights.h5 model.onnx --golden model.golden.npz --format json

Exit status: 0 written and proved; 1 the model or its numbers do not hold, and nothing is written; 2 it could not be \
done.")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The file to write; its extension says the format
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// Format of the output, where the extension does not say it
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) to: Option<OutputFormat>,
    /// Float type of the written weights [default: f32 in ONNX, the source's in safetensors]
    #[arg(long, value_name = "DTYPE", value_enum)]
    pub(crate) dtype: Option<Dtype>,
    /// Fold batch norms into the convolutions before them
    #[arg(long)]
    pub(crate) fold_bn: bool,
    /// How pictures are prepared, recorded in the output
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) preprocess: PreprocessChoice,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
    #[command(flatten)]
    pub(crate) safetensors: SafetensorsArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
}

/// What the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Onnx,
    Safetensors,
}

/// Options of ONNX outputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "ONNX")]
pub(crate) struct OnnxArgs {
    /// Axis order of image inputs [default: nchw]
    #[arg(long, value_name = "LAYOUT", value_enum)]
    pub(crate) input_layout: Option<InputLayout>,
    /// Operator set to write [default: 17]
    #[arg(long, value_name = "N")]
    pub(crate) opset: Option<u32>,
    /// Write the weights beside the model, in OUT.data
    #[arg(long)]
    pub(crate) external_data: bool,
}

/// Options of safetensors outputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "safetensors")]
pub(crate) struct SafetensorsArgs {
    /// Names and axes of the tensors [default: residua]
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) layout: Option<LayoutName>,
}

/// What is proved.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proof")]
pub(crate) struct ProofArgs {
    /// Skip the numeric proof
    #[arg(long)]
    pub(crate) no_verify: bool,
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

/// Float type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    F16,
    Bf16,
}

/// Naming layout of a safetensors output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LayoutName {
    /// residua's own names by stage and block, kernels OIHW
    #[default]
    Residua,
    /// The source's own names and axes
    Keras,
}
