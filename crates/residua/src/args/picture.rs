//! How a picture becomes an input.

use clap::{Args, ValueEnum};

/// Options for pictures.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// How values are scaled
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) preprocess: PreprocessChoice,
    /// How a picture is brought to the model's size
    #[arg(long, value_name = "FILTER", value_enum, default_value_t)]
    pub(crate) resize: Filter,
    /// Keep the aspect ratio: bring the shorter side to SIZE / FRACTION and cut out the middle (torchvision: 0.875)
    #[arg(long, value_name = "FRACTION", value_parser = parse_fraction)]
    pub(crate) crop: Option<f64>,
}

/// `--preprocess`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PreprocessChoice {
    /// What the file says, else what the architecture was trained with, else raw
    #[default]
    Auto,
    /// BGR minus the means 103.939, 116.779, 123.68
    Caffe,
    /// x / 127.5 − 1
    Tf,
    /// (x / 255 − mean) / deviation, with ImageNet's
    Torch,
    /// x / 255
    Unit,
    /// 0 to 255 as they are
    Raw,
}

/// `--resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Filter {
    /// Triangle filter over the source's pixels, so that making it smaller does not alias
    #[default]
    Bilinear,
    /// Cubic filter (a = −0.5), antialiased in the same way
    Bicubic,
    /// The nearest pixel
    Nearest,
    /// Not at all: a picture of another size is an error
    None,
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.1 && value <= 1.0 => Ok(value),
        Ok(_) | Err(_) => Err("expected a number above 0.1 and at most 1, such as 0.875".to_owned()),
    }
}
