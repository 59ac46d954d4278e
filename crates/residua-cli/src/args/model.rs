//! MODEL and the sizes of its inputs.

use std::path::PathBuf;

use clap::Args;
use residua::options::parse::shape;
use residua::options::{InputShape, OpenOptions};

use super::SourceArgs;

/// A model to read.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// A model file, or a folder holding one; the format is found from its bytes
    #[arg(value_name = "MODEL")]
    pub(crate) path: PathBuf,
    /// Sizes for free dimensions, in the model's own axis order
    #[arg(long, value_name = "[NAME=]N,…", value_parser = shape)]
    pub(crate) input_shape: Vec<InputShape>,
    /// Make the batch free where the exporter froze it: its size is computed wherever it was written out
    #[arg(long)]
    pub(crate) free_batch: bool,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

impl ModelArgs {
    /// As the library takes them.
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions { input_shapes: self.input_shape.clone(), free_batch: self.free_batch, ..self.source.options() }
    }
}
