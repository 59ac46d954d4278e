//! Pictures as inputs: decoded, brought to the model's channels and size, scaled as it was trained.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::{DynamicImage, ImageReader, Limits};
use residua_exec::Array;
use residua_ir::{Dim, ValueId};
use residua_resnet::preprocessing::Preprocessing;

use super::resize::Picture;
use crate::args::{Filter, PictureArgs, PreprocessChoice};
use crate::model::Model;

/// Longest side of a picture that is decoded.
const MAX_SIDE: u32 = 1 << 15;

/// Decodes a picture to 8 bits, gray or RGB; transparency is dropped.
pub(crate) fn read(path: &Path) -> Result<Picture> {
    let what = || format!("{} is no usable picture", path.display());
    let mut reader = ImageReader::open(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .with_guessed_format()
        .with_context(what)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let decoded = reader.decode().with_context(what)?;
    let gray = matches!(
        decoded,
        DynamicImage::ImageLuma8(_)
            | DynamicImage::ImageLumaA8(_)
            | DynamicImage::ImageLuma16(_)
            | DynamicImage::ImageLumaA16(_)
    );
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (channels, samples) =
        if gray { (1, decoded.into_luma8().into_raw()) } else { (3, decoded.into_rgb8().into_raw()) };
    Ok(Picture { width, height, channels, samples })
}

/// What an input wants of a picture.
struct Wanted {
    channels: usize,
    height: Option<usize>,
    width: Option<usize>,
    /// Whether the graph itself takes channels last.
    channels_last: bool,
}

impl Wanted {
    fn of(model: &Model, input: ValueId) -> Result<Self> {
        let name = &model.checked.graph().value(input).name;
        let shape = model.checked.shape_of(input).context("an input without a shape")?;
        let count = |dim: &Dim| dim.fixed().filter(|&size| size == 1 || size == 3);
        let (channels_last, channels, height, width) = match shape.dims() {
            [_, c, h, w] if count(c).is_some() => (false, count(c), h, w),
            [_, h, w, c] if count(c).is_some() => (true, count(c), h, w),
            _ => bail!("input `{name}` has shape {shape} (channels first), expected a picture of 1 or 3 channels"),
        };
        Ok(Self { channels: channels.unwrap_or(3), height: height.fixed(), width: width.fixed(), channels_last })
    }
}

/// The mode to prepare pictures with, and a sentence about where it comes from where the user did not say.
pub(crate) fn preprocessing(model: &Model, choice: PreprocessChoice) -> (Preprocessing, Option<String>) {
    let said = |mode: Preprocessing| (mode, None);
    match choice {
        PreprocessChoice::Caffe => said(Preprocessing::Caffe),
        PreprocessChoice::Tf => said(Preprocessing::Tf),
        PreprocessChoice::Torch => said(Preprocessing::Torch),
        PreprocessChoice::Unit => said(Preprocessing::Unit),
        PreprocessChoice::Raw => said(Preprocessing::Raw),
        PreprocessChoice::Auto => {
            let known = model.preprocessing();
            let mode = known.mode.unwrap_or(Preprocessing::Raw);
            let sure = if known.mode.is_some() { "" } else { "; --preprocess says otherwise" };
            let note =
                format!("pictures are prepared as `{}` ({}): {}{sure}", mode.name(), mode.describe(), known.reason);
            (mode, Some(note))
        }
    }
}

/// A picture as an array of one row, channels first or as the graph has it, and what to tell the user about it.
pub(crate) fn prepare(
    model: &Model,
    input: ValueId,
    picture: Picture,
    args: &PictureArgs,
) -> Result<(Array, Vec<String>)> {
    let wanted = Wanted::of(model, input)?;
    let (mode, note) = preprocessing(model, args.preprocess);
    let picture = picture.with_channels(wanted.channels);
    let (width, height) = (wanted.width.unwrap_or(picture.width), wanted.height.unwrap_or(picture.height));
    let picture = bring_to(picture, width, height, args)?;
    Ok((to_array(&picture, mode, wanted.channels_last)?, note.into_iter().collect()))
}

/// The picture at this size.
fn bring_to(picture: Picture, width: usize, height: usize, args: &PictureArgs) -> Result<Picture> {
    if (picture.width, picture.height) == (width, height) {
        return Ok(picture);
    }
    ensure!(
        args.resize != Filter::None,
        "it is {}x{}, the model takes {width}x{height}, and --resize none was given",
        picture.width,
        picture.height
    );
    let Some(fraction) = args.crop else { return Ok(picture.resize(width, height, args.resize)) };
    let (middle_width, middle_height) = covering(&picture, width, height, fraction);
    let resized = picture.resize(middle_width, middle_height, args.resize);
    let (left, top) = (middle(resized.width, width), middle(resized.height, height));
    Ok(resized.cut(left, top, width, height))
}

/// Offset of a middle part, half to even as Python rounds.
fn middle(whole: usize, part: usize) -> usize {
    let rest = whole - part;
    if rest % 4 == 3 { rest / 2 + 1 } else { rest / 2 }
}

/// Size at which the middle part of `width` by `height` is `fraction` of the shorter side; the longer side is cut off to
/// a whole number, as torchvision does.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sizes of pictures"
)]
fn covering(picture: &Picture, width: usize, height: usize, fraction: f64) -> (usize, usize) {
    let (w, h) = (picture.width as f64, picture.height as f64);
    let (need_w, need_h) = ((width as f64 / fraction).floor(), (height as f64 / fraction).floor());
    let scale = (need_w / w).max(need_h / h);
    let side = |need: f64, own: f64, scale_own: f64, least: usize| {
        let size = if scale_own >= scale { need } else { (own * scale).floor() };
        (size as usize).max(least)
    };
    (side(need_w, w, need_w / w, width), side(need_h, h, need_h / h, height))
}

fn to_array(picture: &Picture, mode: Preprocessing, channels_last: bool) -> Result<Array> {
    let Picture { width, height, channels, ref samples } = *picture;
    let planes = mode.apply(samples, height, width, channels).context("a picture without pixels")?;
    let array = Array::new(vec![1, channels, height, width], planes)?;
    Ok(if channels_last { array.permute(&[0, 2, 3, 1])? } else { array })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(crop: Option<f64>, resize: Filter) -> PictureArgs {
        PictureArgs { preprocess: PreprocessChoice::Auto, resize, crop }
    }

    fn blank(width: usize, height: usize) -> Picture {
        Picture { width, height, channels: 3, samples: vec![7; width * height * 3] }
    }

    /// torchvision: `Resize(256)` of 500x375 gives 341x256, then `CenterCrop(224)`.
    #[test]
    fn the_crop_is_torchvisions() {
        assert_eq!(covering(&blank(500, 375), 224, 224, 0.875), (341, 256));
        assert_eq!(covering(&blank(375, 500), 224, 224, 0.875), (256, 341));
        // round(58.5) is 58 in Python, round(57.5) as well.
        assert_eq!((middle(341, 224), middle(339, 224), middle(256, 224)), (58, 58, 16));
        let cut = bring_to(blank(500, 375), 224, 224, &args(Some(0.875), Filter::Bilinear)).unwrap();
        assert_eq!((cut.width, cut.height), (224, 224));
    }

    #[test]
    fn another_size_is_an_error_where_resizing_is_forbidden() {
        let error = bring_to(blank(8, 4), 32, 32, &args(None, Filter::None)).unwrap_err().to_string();
        assert_eq!(error, "it is 8x4, the model takes 32x32, and --resize none was given");
    }

    #[test]
    fn pixels_become_planes_unless_the_graph_takes_them_last() {
        let picture = Picture { width: 2, height: 1, channels: 3, samples: vec![1, 2, 3, 4, 5, 6] };
        let planes = to_array(&picture, Preprocessing::Raw, false).unwrap();
        assert_eq!((planes.shape(), planes.to_f32()), (&[1, 3, 1, 2][..], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        let pixels = to_array(&picture, Preprocessing::Raw, true).unwrap();
        assert_eq!((pixels.shape(), pixels.to_f32()), (&[1, 1, 2, 3][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    /// Keras' `preprocess_input` in mode `caffe`: BGR minus the means.
    #[test]
    fn caffe_mode_reverses_the_channels() {
        let picture = Picture { width: 1, height: 1, channels: 3, samples: vec![10, 20, 30] };
        let array = to_array(&picture, Preprocessing::Caffe, true).unwrap().to_f32();
        let expected = [30.0 - 103.939, 20.0 - 116.779, 10.0 - 123.68];
        assert!(array.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5), "{array:?}");
    }
}
