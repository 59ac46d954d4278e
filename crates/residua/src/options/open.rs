//! What is known of a model whose file holds weights alone, and which part of a file is meant.

use std::path::PathBuf;

use residua_ir::Activation;
#[cfg(feature = "readers")]
use residua_ir::Hint;
use residua_resnet::layouts::ModelLibrary;
use residua_resnet::recognise::GivenStem;
#[cfg(feature = "readers")]
use {
    residua_resnet::layouts::{Headless, MODEL_LIBRARIES},
    residua_resnet::recognise::{Given, GivenDilation, StemPool},
};

use super::parse::{StageDilations, Strides};
use super::{InputShape, choices};

/// How a model is read: sizes for what it leaves free, and what names and shapes of weights alone leave open. Files that
/// hold their graph leave nothing of the latter open; what means nothing to a file is found by [`crate::model::refuse_idle`].
///
/// ```
/// use residua::options::InputShape;
/// use residua::{Model, OpenOptions};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let shape = InputShape { name: None, shape: vec![4, 32, 32, 1] };
/// let model = Model::open_with(digits, &OpenOptions { input_shapes: vec![shape], ..OpenOptions::default() })?;
/// let output = model.graph().graph().outputs()[0];
/// assert_eq!(model.graph().shape_of(output).unwrap().to_string(), "[4, 10]");
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Sizes for free dimensions.
    pub input_shapes: Vec<InputShape>,
    /// Whether the batch is made free where the exporter froze it: its size is computed wherever it was written out.
    pub free_batch: bool,
    /// The network that is meant, where a checkpoint holds several: a state dict, a part of one, or both
    /// (`teacher.backbone`).
    pub which: Option<String>,
    /// The module at which the head begins: it and the classifier are left out.
    pub head_from: Option<String>,
    /// What a network without a classifier gives.
    pub pooling: Option<Pooling>,
    /// Where bottlenecks have their stride.
    pub variant: Option<Variant>,
    /// Stride of each stage.
    pub stride: Option<Strides>,
    /// Dilation of each stage.
    pub dilation: Option<StageDilations>,
    /// Stride of the whole network, strides beyond it replaced by dilations.
    pub output_stride: Option<usize>,
    /// Stride of the first convolution, the pool behind it, or both.
    pub stem: Option<GivenStem>,
    /// Activation of stem and blocks.
    pub activation: Option<Activation>,
    /// Epsilon of all norms.
    pub epsilon: Option<f64>,
    /// Groups of all group norms.
    pub norm_groups: Option<u32>,
    /// Hugging Face's `config.json` of the network, where it does not lie beside the file.
    pub hf_config: Option<PathBuf>,
    /// Layout of the names, where they fit several.
    pub source_layout: Option<&'static ModelLibrary>,
}

choices! {
    /// Where bottlenecks have their stride.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Variant {
        /// On the first 1x1, as Keras Applications and Caffe
        V1 = "v1",
        /// On the 3x3, as torchvision
        V15 = "v1.5",
    }
}

choices! {
    /// What a network without a classifier gives.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Pooling {
        /// The map of the last block
        None = "none",
        /// Its mean over all pixels
        Avg = "avg",
    }
}

/// The options, each with the way to give it another value.
#[cfg(feature = "readers")]
const OPTIONS: [(Hint, Change); 13] = [
    (Hint::Which, |options| options.which.as_mut().map(|path| path.push('\u{0}'))),
    (Hint::HeadFrom, |options| options.head_from.as_mut().map(|path| path.push('\u{0}'))),
    (Hint::Pooling, |options| {
        options.pooling.as_mut().map(|pooling| match pooling {
            Pooling::None => *pooling = Pooling::Avg,
            Pooling::Avg => *pooling = Pooling::None,
        })
    }),
    (Hint::StrideOn, |options| {
        options.variant.as_mut().map(|variant| match variant {
            Variant::V1 => *variant = Variant::V15,
            Variant::V15 => *variant = Variant::V1,
        })
    }),
    (Hint::Strides, |options| {
        options.stride.as_mut().and_then(|strides| strides.0.last_mut()).map(|stride| *stride += 1)
    }),
    (Hint::Dilations, |options| options.dilation.as_mut().and_then(|stages| stages.0.last_mut()).map(dilate_more)),
    (Hint::OutputStride, |options| options.output_stride.as_mut().map(|stride| *stride *= 2)),
    (Hint::Stem, |options| {
        options.stem.as_mut().map(|stem| {
            if let Some(stride) = &mut stem.stride {
                *stride += 1;
            }
            let another = |pool: StemPool| if pool == StemPool::None { StemPool::Usual } else { StemPool::None };
            stem.pool = stem.pool.map(another);
        })
    }),
    (Hint::Activation, |options| {
        options.activation.as_mut().map(|activation| {
            *activation = if *activation == Activation::RELU { Activation::Silu } else { Activation::RELU };
        })
    }),
    (Hint::Epsilon, |options| {
        options.epsilon.as_mut().map(|epsilon| *epsilon = if *epsilon == 0.0 { 0.5 } else { *epsilon * 0.5 })
    }),
    (Hint::NormGroups, |options| options.norm_groups.as_mut().map(|groups| *groups += 1)),
    (Hint::Config, |options| options.hf_config.as_mut().map(|path| path.push("\u{0}"))),
    (Hint::SourceLayout, |options| {
        options.source_layout.as_mut().map(|library| {
            let another = MODEL_LIBRARIES.into_iter().find(|other| other.name != library.name);
            *library = another.unwrap_or(library);
        })
    }),
];

#[cfg(feature = "readers")]
fn dilate_more(stage: &mut GivenDilation) {
    match stage {
        GivenDilation::Stage(dilation) => *dilation += 1,
        GivenDilation::Blocks(blocks) => blocks.iter_mut().for_each(|dilation| *dilation += 1),
    }
}

/// Changes an option, where it was given.
#[cfg(feature = "readers")]
type Change = fn(&mut OpenOptions) -> Option<()>;

impl OpenOptions {
    /// These options where they were given, else those of `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            which: self.which.or_else(|| other.which.clone()),
            head_from: self.head_from.or_else(|| other.head_from.clone()),
            pooling: self.pooling.or(other.pooling),
            variant: self.variant.or(other.variant),
            stride: self.stride.or_else(|| other.stride.clone()),
            dilation: self.dilation.or_else(|| other.dilation.clone()),
            output_stride: self.output_stride.or(other.output_stride),
            stem: self.stem.or(other.stem),
            activation: self.activation.or(other.activation),
            epsilon: self.epsilon.or(other.epsilon),
            norm_groups: self.norm_groups.or(other.norm_groups),
            hf_config: self.hf_config.or_else(|| other.hf_config.clone()),
            source_layout: self.source_layout.or(other.source_layout),
            input_shapes: if self.input_shapes.is_empty() { other.input_shapes.clone() } else { self.input_shapes },
            free_batch: self.free_batch || other.free_batch,
        }
    }

    /// The same without sizes: what it says of weights alone.
    #[must_use]
    #[cfg(feature = "readers")]
    pub(crate) fn without_sizes(&self) -> Self {
        Self { input_shapes: Vec::new(), free_batch: false, ..self.clone() }
    }

    /// As the reader takes them.
    #[cfg(feature = "readers")]
    pub(crate) fn load_options(&self) -> residua_import::LoadOptions {
        let given = Given {
            library: self.source_layout,
            stride_on: self.variant.map(|variant| match variant {
                Variant::V1 => 1,
                Variant::V15 => 2,
            }),
            strides: self.stride.as_ref().map(|strides| strides.0.clone()),
            dilations: self.dilation.as_ref().map(|dilations| dilations.0.clone()),
            output_stride: self.output_stride,
            stem: self.stem.unwrap_or_default(),
            activation: self.activation,
            epsilon: self.epsilon,
            norm_groups: self.norm_groups.map(|groups| groups as usize),
            headless: self.pooling.map(|pooling| match pooling {
                Pooling::None => Headless::Map,
                Pooling::Avg => Headless::Features,
            }),
            ..Given::default()
        };
        residua_import::LoadOptions {
            which: self.which.clone(),
            head_from: self.head_from.clone(),
            given,
            config: self.hf_config.clone(),
        }
    }

    /// The options that were given, and for each of them all options with another value of this one.
    #[cfg(feature = "readers")]
    pub(crate) fn with_each_changed(&self) -> Vec<(Hint, Self)> {
        let changed = |&(name, change): &(Hint, Change)| {
            let mut others = self.clone();
            change(&mut others).map(|()| (name, others))
        };
        OPTIONS.iter().filter_map(changed).collect()
    }
}

#[cfg(all(test, feature = "readers"))]
mod tests {
    use super::*;

    #[test]
    fn each_option_that_was_given_can_be_changed() {
        let given = OpenOptions { epsilon: Some(1e-3), variant: Some(Variant::V1), ..OpenOptions::default() };
        let changed = given.with_each_changed();
        let names: Vec<Hint> = changed.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [Hint::StrideOn, Hint::Epsilon]);
        assert_eq!((changed[0].1.variant, changed[0].1.epsilon), (Some(Variant::V15), Some(1e-3)));
        let layout = OpenOptions { source_layout: ModelLibrary::named("torchvision"), ..OpenOptions::default() };
        assert_ne!(layout.with_each_changed()[0].1.source_layout.unwrap().name, "torchvision");
        assert!(OpenOptions::default().with_each_changed().is_empty());
        let zero = OpenOptions { epsilon: Some(0.0), ..OpenOptions::default() };
        assert_ne!(zero.with_each_changed()[0].1.epsilon, Some(0.0));
    }
}
