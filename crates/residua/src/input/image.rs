//! Images as inputs: decoded, brought to the model's channels and size, scaled as it was trained.

use std::io::BufReader;
use std::path::Path;

use crate::error::{Context, Result, bail, ensure};
use residua_exec::Array;
use residua_ir::preparation::{Crop, Resize, Values};
use residua_ir::{Dim, Hint, Shown, ValueId, files};
use residua_resnet::preprocessing::Known;

use super::decode::decode;
use super::resize::Image;
use super::{geometry, preparing};
use crate::model::Model;
use crate::options::ImageOptions;

/// Decodes an image to 8 bits, gray or RGB; transparency is dropped.
pub(crate) fn read(path: &Path) -> Result<Image> {
    let what = || format!("{} is no usable image", path.shown());
    let cannot = || format!("cannot read {}", path.shown());
    if !std::fs::metadata(path).with_context(cannot)?.is_file() {
        bail!("{}: not a regular file", cannot());
    }
    let file = BufReader::new(files::open(path).with_context(cannot)?);
    decode(file).with_context(what)
}

/// What an input wants of an image.
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
            _ => bail!("input `{name}` has shape {shape} (channels first), expected an image of 1 or 3 channels"),
        };
        Ok(Self { channels: channels.unwrap_or(3), height: height.fixed(), width: width.fixed(), channels_last })
    }
}

/// How images are prepared for this model, and what to tell the user about it.
///
/// # Errors
/// Where options contradict each other, or need a size that is not known.
pub(crate) fn known(model: &Model, input: ValueId, args: &ImageOptions) -> Result<(Known, Vec<String>)> {
    let wanted = Wanted::of(model, input)?;
    ensure!(
        wanted.channels == 3 || args.channels.is_none(),
        "{} is about images in colour, and the model takes gray ones",
        Hint::Channels
    );
    let (known, fitted) = preparing::settle(model.preprocessing(), args, (wanted.height, wanted.width))?;
    let notes = preparing::notes(&known).into_iter().chain(fitted).collect();
    Ok((known, notes))
}

/// An image as an array of one row, channels first or as the graph has it.
///
/// # Errors
/// Where it cannot be brought to the size of the model.
pub(crate) fn prepare(model: &Model, input: ValueId, image: Image, known: &Known) -> Result<Array> {
    array(image, known, &Wanted::of(model, input)?)
}

/// The image at the size that this preparation gives, its values scaled.
fn array(image: Image, known: &Known, wanted: &Wanted) -> Result<Array> {
    let image = image.with_channels(wanted.channels);
    let rule = known.resize.as_ref().map_or(Resize::Keep, |told| told.value);
    let (height, width) = geometry::resized(rule, (image.height, image.width))?;
    let filter = preparing::filter(known);
    if (height, width) == (image.height, image.width) {
        finished(image, known, wanted)
    } else if preparing::antialias(known) {
        finished(image.resize(width, height, filter), known, wanted)
    } else {
        finished(image.interpolate(width, height, filter), known, wanted)
    }
}

/// What is left to do of an image that was resized.
fn finished<T: Copy + From<u8> + Into<f32>>(image: Image<T>, known: &Known, wanted: &Wanted) -> Result<Array> {
    let image = geometry::cropped(image, known.crop.as_ref().map_or(Crop::All, |told| told.value));
    preparing::hold((image.height, image.width), known, (wanted.height, wanted.width))?;
    to_array(&image, preparing::values(known), wanted.channels_last)
}

fn to_array<T: Copy + Into<f32>>(image: &Image<T>, values: Values, channels_last: bool) -> Result<Array> {
    let Image { width, height, channels, ref samples } = *image;
    let planes = values.apply(samples, height, width, channels).context("an image without pixels")?;
    let array = Array::new(vec![1, channels, height, width], planes)?;
    Ok(if channels_last { array.permute(&[0, 2, 3, 1])? } else { array })
}

/// How images are prepared for one input of a model, settled once for any number of them.
#[cfg(feature = "more-images")]
pub(crate) struct Preparing {
    wanted: Wanted,
    /// How, and from where each part of it is.
    pub known: Known,
    /// What to tell the user about it.
    pub notes: Vec<String>,
}

#[cfg(feature = "more-images")]
impl Preparing {
    /// For the only input of a model.
    ///
    /// # Errors
    /// Where it has several, takes no images, or options contradict each other.
    pub(crate) fn new(model: &Model, args: &ImageOptions) -> Result<Self> {
        let inputs = model.checked.graph().inputs();
        let [input] = inputs else {
            bail!("the model has {} inputs, expected one, an image", inputs.len());
        };
        let wanted = Wanted::of(model, *input)?;
        let (known, notes) = known(model, *input, args)?;
        Ok(Self { wanted, known, notes })
    }

    /// An image as an array of one row.
    ///
    /// # Errors
    /// Where it cannot be brought to the size of the model.
    pub(crate) fn array(&self, image: &Image) -> Result<Array> {
        array(image.clone(), &self.known, &self.wanted)
    }

    /// Whether images in colour are made of what is read.
    pub(crate) fn is_colour(&self) -> bool {
        self.wanted.channels == 3
    }

    /// Whether both make the same of every image.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let sized = |known: &Known| {
            let resize = known.resize.as_ref().map_or(Resize::Keep, |told| told.value);
            let crop = known.crop.as_ref().map_or(Crop::All, |told| told.value);
            (resize, crop, preparing::filter(known), preparing::antialias(known))
        };
        sized(&self.known) == sized(&other.known)
            && preparing::values(&self.known).same(preparing::values(&other.known))
    }

    /// A sentence about an image that loses the ratio of its sides where nothing says that it should.
    pub(crate) fn squeezed(&self, image: &Image) -> Option<String> {
        preparing::squeezed(&self.known, (image.height, image.width))
    }
}

#[cfg(test)]
mod tests {
    use residua_ir::preparation::Preprocessing;
    use residua_resnet::preprocessing::Told;

    use super::*;
    use crate::options::ImageCrop;

    fn blank(width: usize, height: usize) -> Image {
        Image { width, height, channels: 3, samples: vec![7; width * height * 3] }
    }

    fn nothing() -> Known {
        Known {
            resize: None,
            crop: None,
            filter: None,
            antialias: None,
            values: None,
            assumed: false,
            conflicts: Vec::new(),
            reason: String::new(),
        }
    }

    fn settled(known: Known, args: &ImageOptions, size: usize) -> Known {
        preparing::settle(known, args, (Some(size), Some(size))).unwrap().0
    }

    /// torchvision: `Resize(256)` of 500x375 gives 341x256, then `CenterCrop(224)`.
    #[test]
    fn a_share_of_the_models_size_is_cut_out_as_torchvision_does() {
        let args = ImageOptions { crop: Some(ImageCrop::Share(0.875)), ..ImageOptions::default() };
        let known = settled(nothing(), &args, 224);
        assert_eq!(known.resize.as_ref().map(|told| told.value), Some(Resize::Shortest { edge: 256 }));
        let wanted = Wanted { channels: 3, height: None, width: None, channels_last: false };
        let cut = array(blank(500, 375), &known, &wanted).unwrap();
        assert_eq!(cut.shape(), [1, 3, 224, 224]);
    }

    #[test]
    fn another_size_is_an_error_where_resizing_is_forbidden() {
        let args = ImageOptions { resize: Some(Resize::Keep), ..ImageOptions::default() };
        let known = settled(nothing(), &args, 32);
        let error = preparing::hold((4, 8), &known, (Some(32), Some(32))).unwrap_err().to_string();
        assert_eq!(error, "it is 8x4, the model takes 32x32, and resize none was given");
    }

    #[test]
    fn a_model_of_another_size_gets_the_same_share() {
        let crop = |side| Crop::Center { height: side, width: side, rounding: Default::default(), fill: [0; 3] };
        let stated = Known {
            resize: Some(Told::new(Resize::Shortest { edge: 256 }, "config.json")),
            crop: Some(Told::new(crop(224), "config.json")),
            ..nothing()
        };
        let (known, notes) =
            preparing::settle(stated.clone(), &ImageOptions::default(), (Some(112), Some(112))).unwrap();
        assert_eq!(known.resize.map(|told| told.value), Some(Resize::Shortest { edge: 128 }));
        assert_eq!((known.crop.map(|told| told.value), notes.len()), (Some(crop(112)), 1));
        let args = ImageOptions { crop: Some(ImageCrop::Rule(crop(200))), ..ImageOptions::default() };
        let error = preparing::settle(stated, &args, (Some(112), Some(112))).unwrap_err().to_string();
        assert_eq!(error, "crop gives images of 200x200, the model takes 112x112");
    }

    #[test]
    fn pixels_become_planes_unless_the_graph_takes_them_last() {
        let image = Image { width: 2, height: 1, channels: 3, samples: vec![1_u8, 2, 3, 4, 5, 6] };
        let raw = Preprocessing::Raw.values();
        let planes = to_array(&image, raw, false).unwrap();
        assert_eq!((planes.shape(), planes.to_f32()), (&[1, 3, 1, 2][..], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        let pixels = to_array(&image, raw, true).unwrap();
        assert_eq!((pixels.shape(), pixels.to_f32()), (&[1, 1, 2, 3][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    /// Keras' `preprocess_input` in mode `caffe`: BGR minus the means.
    #[test]
    fn caffe_mode_reverses_the_channels() {
        let image = Image { width: 1, height: 1, channels: 3, samples: vec![10_u8, 20, 30] };
        let array = to_array(&image, Preprocessing::Caffe.values(), true).unwrap().to_f32();
        let expected = [30.0 - 103.939, 20.0 - 116.779, 10.0 - 123.68];
        assert!(array.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5), "{array:?}");
    }
}
