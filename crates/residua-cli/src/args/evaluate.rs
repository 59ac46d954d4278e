//! Options of `evaluate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use residua::evaluate::{ClassOrder, Shard, parse_shard};

use super::image::OrientationChoice;
use super::{ImageArgs, SourceArgs};

/// How `evaluate` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum EvaluateFormat {
    /// To be read
    #[default]
    Text,
    /// One JSON document, from which shards are merged
    Json,
    /// One row, in the columns of timm's validate.py
    Csv,
    /// One page with matrix, curve and the worst mistakes
    Html,
}

/// `--class-order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ClassOrderChoice {
    /// As Keras and torchvision sort folders: 10 before 2
    #[default]
    Text,
    /// A class is the output of its number
    Number,
}

impl ClassOrderChoice {
    /// As the library takes it.
    pub(crate) fn order(self) -> ClassOrder {
        match self {
            Self::Text => ClassOrder::Text,
            Self::Number => ClassOrder::Number,
        }
    }
}

/// Accuracy over labelled images
///
/// FOLDER has a subfolder for each class; or it is a list of names and classes; or --truth names such a list of its
/// images. The protocol (resizing, crop, filter, values) is that of the weights unless options say otherwise, and is
/// printed whole.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua evaluate classifier.keras validation/
  residua evaluate resnet50.pth imagenet/val --crop 0.875 --interpolation bilinear --format csv
  residua evaluate resnet50.pth imagenet/val --truth val.txt --predictions each.csv
  residua evaluate trained.keras validation/ --against converted.onnx
  residua evaluate resnet50v2.h5 imagenet/val --find-protocol --published 76.0
  residua evaluate resnet50.pth imagenet/val --shard 3/8 --format json > 3.json
  residua evaluate --merge 1.json 2.json 3.json 4.json 5.json 6.json 7.json 8.json

Folders are classes in the order of text, as Keras and torchvision sort them. Where the model's classes have names (its \
own, --labels, ImageNet's for 1000 classes, synsets too), classes are found by name, and one that the model has not is \
an error. A list has a name and a class a line (`val.txt` of Caffe, CSV, Kaggle's `LOC_val_solution.csv`), or a class a \
line for the images in the order of their names. Nothing is augmented.

Top-1 and top-5 have Wilson's intervals of 95 %. Of equal scores the class that comes first is the better one. Loss is \
the mean of -ln of the probability of the right class; ECE has 15 bins. An image that cannot be read is listed, and the \
rest goes on.

Exit status: 0 done; 2 some images could not be read, or nothing could be done.")]
pub(crate) struct EvaluateArgs {
    /// A model file, or a folder holding one; the format is found from its bytes
    #[arg(value_name = "MODEL", required_unless_present = "merge")]
    pub(crate) model: Option<PathBuf>,
    /// Images with classes: a folder with a subfolder for each, or a list of names and classes
    #[arg(value_name = "FOLDER", required_unless_present = "merge")]
    pub(crate) folder: Option<PathBuf>,
    /// A list of the classes of FOLDER's images, which then lie in no subfolders
    #[arg(long, value_name = "FILE", requires = "folder")]
    pub(crate) truth: Option<PathBuf>,
    /// Names of the model's classes, one a line, instead of its own, or ImageNet's where there are 1000
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// How classes become outputs where the model names none
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    pub(crate) class_order: ClassOrderChoice,
    /// Evaluate another model on the same images in the same pass: agreement, flips by name, McNemar's exact test
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: Option<PathBuf>,
    /// Look for the protocol that leads to the published accuracy (of known weights, or --published), or to the best: try
    /// sensible sizes, crops, filters, values and orders of channels and classes on a sample
    ///
    /// The sample has 200 images unless --limit says otherwise, each decoded once. What options of images say stays as it is.
    #[arg(long, conflicts_with_all = ["against", "shard", "merge", "predictions"])]
    pub(crate) find_protocol: bool,
    /// The top-1 accuracy that was published, in percent
    #[arg(long, value_name = "PERCENT", requires = "find_protocol", value_parser = percent)]
    pub(crate) published: Option<f64>,
    /// Write a row for each image
    #[arg(long, value_name = "FILE.csv", conflicts_with = "merge")]
    pub(crate) predictions: Option<PathBuf>,
    /// How many of the worst mistakes to print
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=50))]
    pub(crate) top: u32,
    /// Images to run at a time [default: 8 where the model's batch is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch: Option<u32>,
    /// Take N images, spread evenly over all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Take the I-th of N parts of the images
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<Shard>,
    /// Put the JSON reports of all shards together: the very numbers of one run
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["model", "folder", "shard", "limit", "against"])]
    pub(crate) merge: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: EvaluateFormat,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Whether an image is turned upright
    #[arg(long, value_name = "WHICH", value_enum, default_value = "stored", help_heading = "Images")]
    pub(crate) orientation: OrientationChoice,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

fn percent(text: &str) -> Result<f64, String> {
    let share = text.trim_end_matches('%').trim().parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
    share.ok_or_else(|| "expected a share in percent, such as 76.13".to_owned())
}
