//! How a picture becomes an input.

use clap::{Args, ValueEnum};
use residua_ir::preparation::{Crop, Filter, MAX_SIDE, Middle, Preprocessing, Resize};

/// Options for pictures.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// How values are scaled
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) preprocess: PreprocessChoice,
    /// How a picture is brought to size: N (its shorter side), HxW (both), `none` (not at all: another size is an error)
    /// [default: what the file says, else the model's own size]
    #[arg(long, value_name = "SIZE", value_parser = parse_resize)]
    pub(crate) resize: Option<ResizeChoice>,
    /// The middle that is cut out then: N or HxW pixels, `none`, or a fraction such as 0.875 of the shorter side, which
    /// becomes the model's size over it
    #[arg(long, value_name = "SIZE", value_parser = parse_crop)]
    pub(crate) crop: Option<CropChoice>,
    /// The filter of resizing, sample for sample Pillow's [default: what the file says, else bilinear]
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) interpolation: Option<FilterChoice>,
}

impl PictureArgs {
    /// The filter that was asked for; a name of one after `--resize` is the older way.
    ///
    /// # Errors
    /// Where both ways are used.
    pub(crate) fn filter(&self) -> anyhow::Result<Option<Filter>> {
        match (self.interpolation, self.resize) {
            (Some(_), Some(ResizeChoice::Filter(filter))) => {
                anyhow::bail!("--resize {} names a filter, and so does --interpolation; leave one out", filter.name())
            }
            (Some(choice), _) => Ok(Some(choice.filter())),
            (None, Some(ResizeChoice::Filter(filter))) => Ok(Some(filter)),
            (None, Some(ResizeChoice::Rule(_)) | None) => Ok(None),
        }
    }
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

impl PreprocessChoice {
    /// The mode that was asked for.
    pub(crate) fn mode(self) -> Option<Preprocessing> {
        match self {
            Self::Auto => None,
            Self::Caffe => Some(Preprocessing::Caffe),
            Self::Tf => Some(Preprocessing::Tf),
            Self::Torch => Some(Preprocessing::Torch),
            Self::Unit => Some(Preprocessing::Unit),
            Self::Raw => Some(Preprocessing::Raw),
        }
    }
}

/// `--resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResizeChoice {
    /// A rule for the size.
    Rule(Resize),
    /// A filter, as this option named it before there was `--interpolation`.
    Filter(Filter),
}

/// `--crop`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CropChoice {
    /// A part of so many pixels.
    Rule(Crop),
    /// The share of the shorter side that the model's size is.
    Share(f64),
}

/// `--interpolation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilterChoice {
    /// The nearest pixel
    Nearest,
    /// The mean of what a pixel covers
    Box,
    /// Triangle filter over the source's pixels, so that making it smaller does not alias
    Bilinear,
    /// As sharp as bilinear, less blurred
    Hamming,
    /// Cubic filter (a = −0.5), antialiased in the same way
    Bicubic,
    /// Windowed sinc over three pixels to each side, antialiased in the same way
    Lanczos,
}

impl FilterChoice {
    fn filter(self) -> Filter {
        match self {
            Self::Nearest => Filter::Nearest,
            Self::Box => Filter::Box,
            Self::Bilinear => Filter::Bilinear,
            Self::Hamming => Filter::Hamming,
            Self::Bicubic => Filter::Bicubic,
            Self::Lanczos => Filter::Lanczos,
        }
    }
}

fn side(text: &str) -> Option<usize> {
    text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side))
}

/// Rows and columns of `HxW`.
fn sides(text: &str) -> Option<(usize, usize)> {
    let (height, width) = text.split_once(['x', ','])?;
    Some((side(height)?, side(width)?))
}

fn parse_resize(text: &str) -> Result<ResizeChoice, String> {
    if let Some(filter) = Filter::named(text) {
        return Ok(ResizeChoice::Filter(filter));
    }
    let rule = match (text, side(text), sides(text)) {
        ("none", ..) => Some(Resize::Keep),
        (_, Some(edge), _) => Some(Resize::Shortest { edge }),
        (.., Some((height, width))) => Some(Resize::Exact { height, width }),
        (.., None) => None,
    };
    rule.map(ResizeChoice::Rule)
        .ok_or_else(|| format!("expected a size from 1 to {MAX_SIDE} such as 256, two such as 256x320, or `none`"))
}

fn parse_crop(text: &str) -> Result<CropChoice, String> {
    let middle = |height, width| Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] };
    if text == "none" {
        return Ok(CropChoice::Rule(Crop::All));
    }
    // One pixel is no crop that anybody wants, and 1 has always been the whole of the shorter side.
    if let Some(side) = side(text).filter(|&side| side > 1) {
        return Ok(CropChoice::Rule(middle(side, side)));
    }
    if let Some((height, width)) = sides(text) {
        return Ok(CropChoice::Rule(middle(height, width)));
    }
    match text.parse::<f64>() {
        Ok(share) if share > 0.1 && share <= 1.0 => Ok(CropChoice::Share(share)),
        Ok(_) | Err(_) => Err(format!(
            "expected a number of pixels from 2 to {MAX_SIDE}, two such as 224x288, `none`, or a fraction above 0.1 and at \
             most 1, such as 0.875"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_pairs_or_nothing() {
        let rule = |text: &str| match parse_resize(text) {
            Ok(ResizeChoice::Rule(rule)) => Some(rule),
            Ok(ResizeChoice::Filter(_)) | Err(_) => None,
        };
        assert_eq!(rule("256"), Some(Resize::Shortest { edge: 256 }));
        assert_eq!(rule("256x320"), Some(Resize::Exact { height: 256, width: 320 }));
        assert_eq!(rule("none"), Some(Resize::Keep));
        assert_eq!(parse_resize("bicubic"), Ok(ResizeChoice::Filter(Filter::Bicubic)));
        for bad in ["0", "-3", "256x", "x", "cubic", "999999", "3x4x5"] {
            assert!(parse_resize(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_crop_is_pixels_or_a_fraction() {
        let middle = |height, width| {
            Ok(CropChoice::Rule(Crop::Center { height, width, rounding: Middle::HalfToEven, fill: [0; 3] }))
        };
        assert_eq!(parse_crop("224"), middle(224, 224));
        assert_eq!(parse_crop("224x288"), middle(224, 288));
        assert_eq!(parse_crop("0.875"), Ok(CropChoice::Share(0.875)));
        assert_eq!(parse_crop("1"), Ok(CropChoice::Share(1.0)));
        assert_eq!(parse_crop("none"), Ok(CropChoice::Rule(Crop::All)));
        for bad in ["0", "0.05", "1.5", "nan", "x"] {
            assert!(parse_crop(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filter_is_named_once() {
        let args = PictureArgs {
            resize: Some(ResizeChoice::Filter(Filter::Box)),
            interpolation: Some(FilterChoice::Lanczos),
            ..PictureArgs::default()
        };
        assert!(args.filter().is_err());
        assert_eq!(PictureArgs { interpolation: None, ..args }.filter().unwrap(), Some(Filter::Box));
    }
}
