//! Options of `new`.

use std::path::PathBuf;

use clap::Args;
use residua::options::Layout;

use super::Format;
use super::convert::layouts;

/// A network of that name with seeded weights
///
/// Kernels are uniform as He et al. 2015 have it, the classifier's as Glorot and Bengio 2010, biases 0. The same name,
/// options and seed give the same bytes on every machine. Nothing is trained.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  residua new resnet50 resnet50.onnx
  residua new resnet20_cifar small.onnx --classes 2 --input-shape 1,32,32
  residua new resnet18 resnet18.safetensors --layout torchvision --seed 7
  residua new resnet50v2 thin.onnx --width 0.25
  residua new resnet110_cifar deep.onnx --survival 0.5

What was written is read back and proved against the network that was made, as `residua convert` does it.")]
pub(crate) struct NewArgs {
    /// The architecture: resnet18 to resnet152, resnet50v1, resnet50v2, resnext50_32x4d, wide_resnet50_2, seresnet50,
    /// resnet50d, resnetv2_50, resnet20_cifar to resnet1202_cifar, resnet29v2_cifar, plain34, plain56_cifar, densenet121
    /// and their kin
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file to write: .onnx or .safetensors
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// Classes [default: 1000, for CIFAR's networks 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) classes: Option<u32>,
    /// Channels, rows and columns of the image [default: 3,224,224, for CIFAR's networks 3,32,32]
    #[arg(long, value_name = "C,H,W", value_parser = image)]
    pub(crate) input_shape: Option<[usize; 3]>,
    /// Multiply the channels of all layers: below 1 a thin network, above 1 a fat one
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) width: f64,
    /// Stochastic depth: the probability with which the last block survived in training; main paths are multiplied by
    /// theirs, which falls linearly to it
    #[arg(long, value_name = "P")]
    pub(crate) survival: Option<f64>,
    /// Where the weights come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Names and axes of the tensors of a safetensors output
    #[arg(long, value_name = "NAME", value_parser = layouts())]
    pub(crate) layout: Option<Layout>,
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

fn image(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.trim().parse().ok()).collect();
    let sizes = sizes.and_then(|sizes| <[usize; 3]>::try_from(sizes).ok());
    sizes.ok_or_else(|| format!("expected channels, rows and columns, such as 3,224,224, found `{text}`"))
}
