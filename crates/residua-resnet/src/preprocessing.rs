//! How pictures become a network's input: the modes that residual networks were trained with.

use residua_ir::{Checked, NodeId, Op};

use crate::anatomy::{Anatomy, Order};
use crate::form::Family;

/// A mapping from pixels, 0 to 255 in RGB, to what a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocessing {
    /// RGB to BGR, minus the mean of ImageNet (103.939, 116.779, 123.68 in BGR); not scaled.
    Caffe,
    /// `x / 127.5 - 1`.
    Tf,
    /// `x / 255`, minus the mean (0.485, 0.456, 0.406) and divided by the deviation (0.229, 0.224, 0.225) of ImageNet.
    Torch,
    /// `x / 255`.
    Unit,
    /// As they are.
    Raw,
}

/// Mean of ImageNet's pixels in BGR, as Caffe's ResNets subtract it.
const CAFFE_MEAN_BGR: [f64; 3] = [103.939, 116.779, 123.68];
/// Mean of ImageNet's pixels, scaled to 0..1, in RGB.
const TORCH_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
const TORCH_DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

impl Preprocessing {
    /// All modes.
    pub const ALL: [Self; 5] = [Self::Caffe, Self::Tf, Self::Torch, Self::Unit, Self::Raw];

    /// Its name on the command line and in metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Caffe => "caffe",
            Self::Tf => "tf",
            Self::Torch => "torch",
            Self::Unit => "unit",
            Self::Raw => "raw",
        }
    }

    /// The mode of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// What it computes, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Caffe => "RGB to BGR, minus (103.939, 116.779, 123.68)",
            Self::Tf => "x / 127.5 - 1",
            Self::Torch => "x / 255, minus (0.485, 0.456, 0.406), by (0.229, 0.224, 0.225)",
            Self::Unit => "x / 255",
            Self::Raw => "0 to 255 as they are",
        }
    }

    /// Pixels to a network's input. `pixels` is HWC in RGB order, or HW of a gray picture; the result has
    /// `channels` planes in CHW order. A gray picture for three channels is repeated, before the mode is applied; for one channel
    /// the statistics of all three are averaged.
    ///
    /// [`None`] unless `pixels` has `height * width` pixels of 1 or 3 channels, and the network takes 1 channel of a
    /// gray picture or 3 of any.
    #[must_use]
    pub fn apply(self, pixels: &[u8], height: usize, width: usize, channels: usize) -> Option<Vec<f32>> {
        let area = height.checked_mul(width).filter(|&area| area > 0)?;
        let given = pixels.len() / area;
        let fits = pixels.len() == area.checked_mul(given)? && matches!((given, channels), (1, 1) | (1 | 3, 3));
        if !fits {
            return None;
        }
        let mut out = Vec::with_capacity(area * channels);
        for channel in 0..channels {
            let source = match (given, self) {
                (1, _) => 0,
                (_, Self::Caffe) => 2 - channel,
                (_, Self::Tf | Self::Torch | Self::Unit | Self::Raw) => channel,
            };
            let (scale, offset) = self.affine((channels == 3).then_some(channel));
            #[expect(clippy::cast_possible_truncation, reason = "networks take f32")]
            out.extend((0..area).map(|at| (f64::from(pixels[at * given + source]) * scale + offset) as f32));
        }
        Some(out)
    }

    /// Factor and summand of one channel, in the order in which the network takes them; of their mean for [`None`].
    #[must_use]
    pub fn affine(self, channel: Option<usize>) -> (f64, f64) {
        let pick = |values: [f64; 3]| match channel {
            Some(channel) => values.get(channel).copied().unwrap_or_default(),
            None => values.iter().sum::<f64>() / 3.0,
        };
        match self {
            Self::Caffe => (1.0, -pick(CAFFE_MEAN_BGR)),
            Self::Tf => (1.0 / 127.5, -1.0),
            Self::Torch => (1.0 / (255.0 * pick(TORCH_DEVIATION)), -pick(TORCH_MEAN) / pick(TORCH_DEVIATION)),
            Self::Unit => (1.0 / 255.0, 0.0),
            Self::Raw => (1.0, 0.0),
        }
    }
}

/// A mode, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The mode; [`None`] where nothing tells.
    pub mode: Option<Preprocessing>,
    /// Why, for people.
    pub reason: String,
}

/// How pictures are prepared for a network: what the file says, else what its architecture was trained with.
#[must_use]
pub fn preprocessing_for(model: &Checked, anatomy: &Anatomy) -> Known {
    let known = |mode: Preprocessing, reason: &str| Known { mode: Some(mode), reason: reason.to_owned() };
    let source = model.graph().source();
    if let Some(mode) = source.preprocessing.as_deref().and_then(Preprocessing::named) {
        return known(mode, "the file says so");
    }
    // A batch norm on the input, as MXNet's nets begin with, comes behind a preparation of its own.
    let scales =
        |&node: &NodeId| source.framework == "keras" || !matches!(model.graph().node(node).op, Op::BatchNorm(_));
    if anatomy.stem.scaling.iter().any(scales) {
        return known(Preprocessing::Raw, "the network scales its input itself");
    }
    let unknown = |reason: &str| Known { mode: None, reason: reason.to_owned() };
    let Some(architecture) = &anatomy.architecture else {
        return unknown("the network is none whose training is known");
    };
    // A thin network of the form is trained as the form is.
    let base = architecture.name.strip_suffix("-custom").unwrap_or(&architecture.name);
    if base.ends_with("_cifar") {
        return known(
            Preprocessing::Unit,
            "CIFAR networks take 0 to 1; the Keras example also subtracts a mean that no file holds",
        );
    }
    let strided_last = anatomy.blocks.iter().any(|b| b.stride > 1 && b.activation == Order::Pre && b.index > 0);
    match (architecture.family, source.framework.as_str()) {
        (Family::V1, _) if base.ends_with("v1") => {
            known(Preprocessing::Caffe, "as Keras Applications and Caffe train it")
        }
        (Family::V2, _) if strided_last => known(Preprocessing::Tf, "as Keras Applications trains it"),
        (Family::V1 | Family::V15, _) => known(Preprocessing::Torch, "as torchvision and timm train it"),
        (Family::V2 | Family::Residual | Family::Dense | Family::Plain, _) => {
            unknown("networks of this kind are trained in several ways")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::analyse;
    use crate::testing::Net;
    use residua_ir::Elementwise;

    #[test]
    fn pixels_become_planes_in_the_order_of_the_network() {
        // One row of two pixels, red and blue.
        let pixels = [255, 0, 0, 0, 0, 255];
        let close = |mode: Preprocessing, expected: [f32; 6]| {
            let found = mode.apply(&pixels, 1, 2, 3).unwrap();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{mode:?} {found:?}");
        };
        close(Preprocessing::Raw, [255.0, 0.0, 0.0, 0.0, 0.0, 255.0]);
        close(Preprocessing::Unit, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        close(Preprocessing::Tf, [1.0, -1.0, -1.0, -1.0, -1.0, 1.0]);
        close(Preprocessing::Caffe, [-103.939, 151.061, -116.779, -116.779, 131.32, -123.68]);
        close(Preprocessing::Torch, [2.248_908, -2.117_904, -2.035_714, -2.035_714, -1.804_444, 2.64]);
    }

    #[test]
    fn gray_pictures_fill_one_channel_or_three_and_colour_needs_three() {
        assert_eq!(Preprocessing::Unit.apply(&[0, 255], 2, 1, 1), Some(vec![0.0, 1.0]));
        assert_eq!(Preprocessing::Raw.apply(&[7, 9], 1, 2, 3), Some(vec![7.0, 9.0, 7.0, 9.0, 7.0, 9.0]));
        assert_eq!(Preprocessing::Raw.apply(&[1, 2, 3], 1, 1, 1), None);
        assert_eq!(Preprocessing::Raw.apply(&[1, 2, 3], 2, 1, 3), None);
        assert_eq!(Preprocessing::Raw.apply(&[], 0, 0, 3), None);
    }

    #[test]
    fn a_network_that_scales_its_input_takes_raw_pixels() {
        let (mut net, x) = Net::new(3);
        let factor = net.tensor(&[]);
        let x = net.op(Op::Elementwise(Elementwise::Mul), &[x, factor]);
        let x = net.conv_bn_relu(x, 16, 3, 1);
        let x = net.basic(x, 16, 1);
        let model = net.classifier(x, 10);
        assert_eq!(preprocessing_for(&model, &analyse(&model)).mode, Some(Preprocessing::Raw));
    }
}
