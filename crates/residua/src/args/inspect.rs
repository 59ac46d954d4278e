//! `inspect`.

use clap::{Args, ValueEnum};

use super::ModelArgs;

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
    #[arg(long, value_name = "NAME,…", value_enum, value_delimiter = ',', hide_possible_values = true)]
    #[arg(long_help = columns_help())]
    pub(crate) columns: Vec<LayerColumn>,
    /// Whose way of counting parameters and MACs is followed
    #[arg(long, value_name = "TOOL", value_enum, default_value_t)]
    pub(crate) count: Count,
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

/// Whose way of counting is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Count {
    /// Every number that the function uses; the products of convolutions and matrix products
    #[default]
    Residua,
    /// Keras's `count_params`, which counts the same; Keras counts no MACs, these are residua's
    Keras,
    /// Learned numbers; in MACs also biases, and the scale and offset of norms once
    Torchinfo,
    /// Learned numbers; in MACs also norms and global mean pools, for each of their elements
    Fvcore,
}

/// A column of the layer table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum LayerColumn {
    /// Name in the source
    Name,
    /// What the framework calls it
    Op,
    /// Where it is: stem, block, head
    Part,
    /// Shape of its result, in the source's axis order
    OutputShape,
    /// Rows and columns of its window
    Kernel,
    /// Step of its window
    Stride,
    /// Step between the taps of its window
    Dilation,
    /// Groups of its channels
    Groups,
    /// Numbers that it holds
    Parameters,
    /// Those that are trained
    Trainable,
    /// Multiply-adds
    Macs,
    /// Bytes of its result, for a batch of 1
    Memory,
    /// Rows and columns of the picture that a pixel of its result depends on
    ReceptiveField,
    /// Pixels of the picture between neighbouring pixels of its result
    Step,
    /// Share of all parameters up to and with this layer
    CumulativeParameters,
    /// Share of all multiply-adds up to and with this layer
    CumulativeMacs,
    /// Codes of the findings about it
    Findings,
    /// Layers and inputs that it reads
    ConnectedTo,
}

fn columns_help() -> String {
    let mut help = "The columns of the layer table, in this order [default: those that say something]; implies \
                    --layers\n\nColumns:"
        .to_owned();
    for column in LayerColumn::value_variants() {
        if let Some(value) = column.to_possible_value() {
            let about = value.get_help().map(ToString::to_string).unwrap_or_default();
            help.push_str(&format!("\n- {}: {about}", value.get_name()));
        }
    }
    help
}
