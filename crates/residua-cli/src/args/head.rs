//! Options of `head`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use residua::head::{Part, parse_head};
use residua::options::Layout;

use super::convert::layouts;
use super::{Format, ModelArgs};

/// `--pool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PoolChoice {
    /// The mean over pixels
    Avg,
    /// The maximum over pixels
    Max,
}

/// `--classes`: how many, or a file that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Classes {
    /// So many.
    Count(usize),
    /// One a line.
    File(PathBuf),
}

/// `--head`.
pub(crate) type Parts = std::sync::Arc<[Part]>;

/// Cut the top off, put another on
///
/// What is kept is shown to be the source's, operator by operator and bit by bit, for all inputs. New weights begin as
/// Keras's dense layers do (Glorot, uniform; biases 0), from a seed: the same on every machine. Nothing is trained.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua head resnet50.h5 base.onnx --drop-top
  residua head resnet50.h5 cats.onnx --drop-top --pool avg --head \"dense 2048 relu, dense 2 softmax\"
  residua head resnet50.pth cats.onnx --drop-top --classes classes.txt
  residua head model.onnx features.onnx --cut conv4_block6_out --pool avg

--classes N is a head of one dense layer with a softmax; of a file it takes one class a line, and the names go into the \
output, for `predict` and `evaluate`. With --head, --classes only names its outputs.")]
pub(crate) struct HeadArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The file to write: .onnx or .safetensors
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// Drop the pool and all that follows it
    #[arg(long, conflicts_with = "cut")]
    pub(crate) drop_top: bool,
    /// Drop all that follows this layer
    #[arg(long, value_name = "LAYER")]
    pub(crate) cut: Option<String>,
    /// How maps become features
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) pool: Option<PoolChoice>,
    /// What is put on: `dense UNITS [relu|softmax|sigmoid|tanh]`, `dropout SHARE`, between commas
    #[arg(long, value_name = "LAYERS", value_parser = parts)]
    pub(crate) head: Option<Parts>,
    /// How many classes, or a file with their names, one a line
    #[arg(long, value_name = "N|FILE", value_parser = classes)]
    pub(crate) classes: Option<Classes>,
    /// Where new weights come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Names and axes of the tensors of a safetensors output
    #[arg(long, value_name = "NAME", value_parser = layouts())]
    pub(crate) layout: Option<Layout>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

fn parts(text: &str) -> Result<Parts, String> {
    parse_head(text).map(Into::into)
}

fn classes(text: &str) -> Result<Classes, String> {
    match text.parse::<usize>() {
        Ok(count) if count > 0 => Ok(Classes::Count(count)),
        Ok(_) => Err("expected at least one class".to_owned()),
        Err(_) => Ok(Classes::File(text.into())),
    }
}
