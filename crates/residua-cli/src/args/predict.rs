//! Options of `predict`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::image::OrientationChoice;
use super::{ImageArgs, ModelArgs};

/// How `predict` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PredictFormat {
    /// To be read
    #[default]
    Text,
    /// One JSON document
    Json,
    /// A row for each class of an image
    Csv,
}

/// The best classes of images and folders of images
///
/// Any number of files and folders; images of a folder are taken by name, those of folders within it too. Images are
/// PNG, JPEG, BMP, GIF (the first frame), WebP or TIFF, told by their bytes. One that cannot be read is listed with the
/// reason, and the rest goes on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua predict resnet50v2.h5 cat.jpg
  residua predict resnet50v2.h5 photos/ --top 1 --format csv > classes.csv
  residua predict classifier.keras photos/ more/*.png --labels classes.txt --format json

How images are prepared is printed, with where that is known from: see `residua run --help`. A photograph that was \
taken with the camera held sideways is turned upright as its EXIF data say; the libraries that networks were trained \
with do not do that: `--orientation stored` does as they do.

Scores are what the model gives; where these are no probabilities, they are shown beside it.

Exit status: 0 all images were predicted; 2 some could not be read, or nothing could be done.")]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Images, and folders of images
    #[arg(value_name = "IMAGE|FOLDER", required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// How many of the best classes to give
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: u32,
    /// Names of the classes, one a line, instead of the model's own, or ImageNet's where there are 1000
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Images to run at a time [default: 8 where the model's batch is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch: Option<u32>,
    /// Take the first N images only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: PredictFormat,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// Whether an image is turned upright
    #[arg(long, value_name = "WHICH", value_enum, default_value = "exif", help_heading = "Images")]
    pub(crate) orientation: OrientationChoice,
}
