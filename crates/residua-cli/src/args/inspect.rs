//! `inspect`.

use clap::{Args, ValueEnum};
use residua::options::{Choice, Column, Count};

use super::{ModelArgs, choice};

/// What is in a file: format, architecture, interface, blocks, layers, parameters, MACs
///
/// Reads metadata, and of the weights a few kilobytes of fixed filters, so a file of any size takes milliseconds. Only --format html reads all weights.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua inspect resnet50v2.h5
  residua inspect resnet50v2.h5 --layers
  residua inspect resnet50v2.h5 --columns name,kernel,stride,macs,receptive_field
  residua inspect model.onnx --input-shape 1,3,224,224
  residua inspect checkpoint.pth --which model_ema
  residua inspect resnet50.pth --count fvcore
  residua inspect resnet50-0676ba61.pth --identify
  residua inspect model.keras --format json | jq .architecture.name
  residua inspect model.keras --format svg > model.svg
  residua inspect model.keras --format html > model.html")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Also show a row a layer: output shape, kernel, parameters, MACs, receptive field, what it is connected to
    #[arg(long)]
    pub(crate) layers: bool,
    /// The columns of the layer table, in this order [default: those that say something]
    #[arg(long, value_name = "NAME,…", value_parser = choice::<Column>(), value_delimiter = ',', hide_possible_values = true)]
    #[arg(long_help = columns_help())]
    pub(crate) columns: Vec<Column>,
    /// Whose way of counting parameters and MACs is followed
    #[arg(long, value_name = "TOOL", value_parser = choice::<Count>(), default_value = "residua")]
    pub(crate) count: Count,
    /// Find out which published weights it is, by its hash: which ones, how images are prepared for them, their accuracy
    ///
    /// Those of Keras Applications by MD5, those of torchvision by the first digits of SHA-256. The whole file is read.
    #[arg(long)]
    pub(crate) identify: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: InspectFormat,
}

/// How `inspect` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum InspectFormat {
    /// To be read
    #[default]
    Text,
    /// One JSON document with everything, layers included
    Json,
    /// Tables for a model card or a pull request
    Markdown,
    /// The layer table, for a spreadsheet
    Csv,
    /// Stages, blocks and shortcuts as a graph, for Graphviz
    Dot,
    /// The same as a Mermaid flowchart, for a README
    Mermaid,
    /// A drawing of the stages and blocks
    Svg,
    /// A page with all of it, findings and histograms of the weights; reads every weight
    Html,
}

fn columns_help() -> String {
    let mut help = "The columns of the layer table, in this order [default: those that say something]; implies \
                    --layers\n\nColumns:"
        .to_owned();
    for column in Column::ALL {
        help.push_str(&format!("\n- {}: {}", column.name(), column.about()));
    }
    help
}
