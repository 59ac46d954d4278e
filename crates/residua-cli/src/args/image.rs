//! How an image becomes an input.

use clap::{Args, ValueEnum};
use residua::ir::preparation::{Channels, Filter, Preprocessing, Resize};
use residua::options::{Aspect, ImageCrop, ImageOptions, parse};

/// Options for images.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct ImageArgs {
    /// How values are scaled
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) preprocess: PreprocessChoice,
    /// How an image is brought to size: N (its shorter side), HxW (both), `none` (not at all: another size is an error)
    /// [default: what the file says, else the model's own size]
    #[arg(long, value_name = "SIZE", value_parser = parse_resize)]
    pub(crate) resize: Option<ResizeChoice>,
    /// The middle that is cut out then: N or HxW pixels, `none`, or a fraction such as 0.875 of the shorter side, which
    /// becomes the model's size over it
    #[arg(long, value_name = "SIZE", value_parser = parse::crop)]
    pub(crate) crop: Option<ImageCrop>,
    /// The filter of resizing, sample for sample Pillow's [default: what the file says, else bilinear]
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) interpolation: Option<FilterChoice>,
    /// Whether that filter is stretched where an image gets smaller, so that nothing aliases: Pillow, torchvision and timm
    /// do it, Keras's image_dataset_from_directory does not [default: on]
    #[arg(long, value_name = "WHETHER", value_enum)]
    pub(crate) antialias: Option<Switch>,
    /// What becomes of the ratio of an image's sides [default: as --resize and what the file says have it]
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) aspect: Option<AspectChoice>,
    /// The order in which the model takes the channels; each colour keeps its mean [default: that of the values]
    #[arg(long, value_name = "ORDER", value_enum)]
    pub(crate) channels: Option<ChannelsChoice>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// It is done
    On,
    /// It is not
    Off,
}

/// `--aspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AspectChoice {
    /// It is kept, and what sticks out is cut off
    Keep,
    /// Sides become what is asked for, whatever they were
    Squash,
    /// It is kept, and black fills up
    Pad,
}

/// `--channels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChannelsChoice {
    /// Red, green, blue
    Rgb,
    /// Blue, green, red
    Bgr,
}

/// Whether images are turned as a camera says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrientationChoice {
    /// Turned upright as EXIF says
    Exif,
    /// As they are stored, which is what Keras, torchvision and timm take
    Stored,
}

impl OrientationChoice {
    /// Whether they are turned.
    pub(crate) fn upright(self) -> bool {
        match self {
            Self::Exif => true,
            Self::Stored => false,
        }
    }
}

impl ImageArgs {
    /// As the library takes them.
    ///
    /// # Errors
    /// Where two of them say the same.
    pub(crate) fn options(&self) -> anyhow::Result<ImageOptions> {
        let resize = match self.resize {
            Some(ResizeChoice::Rule(rule)) => Some(rule),
            Some(ResizeChoice::Filter(_)) | None => None,
        };
        Ok(ImageOptions {
            preprocess: self.preprocess.mode(),
            resize,
            crop: self.crop,
            filter: self.filter()?,
            antialias: self.antialias.map(|switch| switch == Switch::On),
            aspect: self.aspect.map(|aspect| match aspect {
                AspectChoice::Keep => Aspect::Keep,
                AspectChoice::Squash => Aspect::Squash,
                AspectChoice::Pad => Aspect::Pad,
            }),
            channels: self.channels.map(|channels| match channels {
                ChannelsChoice::Rgb => Channels::Rgb,
                ChannelsChoice::Bgr => Channels::Bgr,
            }),
            upright: None,
        })
    }

    /// The filter that was asked for; a name of one after `--resize` is the older way.
    ///
    /// # Errors
    /// Where both ways are used.
    fn filter(&self) -> anyhow::Result<Option<Filter>> {
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

fn parse_resize(text: &str) -> Result<ResizeChoice, String> {
    match Filter::named(text) {
        Some(filter) => Ok(ResizeChoice::Filter(filter)),
        None => parse::resize(text).map(ResizeChoice::Rule),
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
    fn a_filter_is_named_once() {
        let args = ImageArgs {
            resize: Some(ResizeChoice::Filter(Filter::Box)),
            interpolation: Some(FilterChoice::Lanczos),
            ..ImageArgs::default()
        };
        assert!(args.filter().is_err());
        assert_eq!(ImageArgs { interpolation: None, ..args }.filter().unwrap(), Some(Filter::Box));
    }
}
