//! What is known of a model whose file holds weights alone, and which part of a file is meant.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use residua_import::LoadOptions;
use residua_ir::Activation;
use residua_resnet::layouts::{Headless, MODEL_LIBRARIES, ModelLibrary};
use residua_resnet::recognise::{Given, GivenDilation, GivenStem, StemPool};

use super::open::{
    StageDilations, Strides, parse_activation, parse_dilations, parse_epsilon, parse_output_stride, parse_stem,
    parse_strides,
};

/// Where the help lists these options. (A heading for the whole group would go on behind it.)
const HEADING: &str = "Weights alone";

/// What names and shapes leave open. Files that hold their graph leave nothing open, and there these are refused.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceArgs {
    /// The network that is meant, where a checkpoint holds several: a state dict, a part of one, or both (`teacher.backbone`)
    #[arg(long, help_heading = HEADING, value_name = "PATH")]
    pub(crate) which: Option<String>,
    /// The module at which the head begins: it and the classifier are left out
    #[arg(long, help_heading = HEADING, value_name = "NAME")]
    pub(crate) head_from: Option<String>,
    /// What a network without a classifier gives [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "KIND", value_enum)]
    pub(crate) pooling: Option<Pooling>,
    /// Where bottlenecks have their stride [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "VARIANT", value_enum)]
    pub(crate) variant: Option<Variant>,
    /// Stride of each stage, such as 1,2,2,1 [default: 2 in all but the first]
    #[arg(long, help_heading = HEADING, value_name = "N,…", value_parser = parse_strides)]
    pub(crate) stride: Option<Strides>,
    /// Dilation of each stage, such as 1,1,2,4 [default: none]
    ///
    /// The first block of a stage has that of the stage before, as torchvision and timm build it; dilations between colons are those
    /// of its blocks, the last for all behind: 1,1,2:2,4:8:16. A stage that dilates more than the one before has stride 1
    /// unless --stride says otherwise.
    #[arg(long, help_heading = HEADING, value_name = "N,…", value_parser = parse_dilations)]
    pub(crate) dilation: Option<StageDilations>,
    /// Stride of the whole network, 8 or 16, strides beyond it replaced by dilations [default: none is]
    ///
    /// As torchvision's replace_stride_with_dilation and timm's output_stride: a stage whose stride is replaced has it as a
    /// dilation, and so have those behind it; its first block has that of the stage before.
    #[arg(long, help_heading = HEADING, value_name = "N", value_parser = parse_output_stride)]
    pub(crate) output_stride: Option<usize>,
    /// Stride of the first convolution, the pool behind it, or both: 2,pool or 1,nopool [default: by its kernel]
    ///
    /// A 7x7 is taken to have stride 2 and a pool, a single 3x3 stride 1 and none. `pool` is 3x3 with stride 2 and padding 1, `pool-ceil`
    /// 3x3 with stride 2, no padding and the last window sticking out, `pool2x2` 2x2 with stride 2.
    #[arg(long, help_heading = HEADING, value_name = "STRIDE,POOL", value_parser = parse_stem)]
    pub(crate) stem: Option<GivenStem>,
    /// Activation of stem and blocks: relu, leaky_relu=0.1, silu, … [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "NAME", value_parser = parse_activation)]
    pub(crate) activation: Option<Activation>,
    /// Epsilon of all norms; 0 is one [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "X", value_parser = parse_epsilon)]
    pub(crate) epsilon: Option<f64>,
    /// Groups of all group norms [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) norm_groups: Option<u32>,
    /// Hugging Face's config.json of the network, where it does not lie beside the file
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub(crate) hf_config: Option<PathBuf>,
    /// Layout of the names, where they fit several [default: the first of `residua layouts` that fits]
    #[arg(long, help_heading = HEADING, value_name = "NAME", value_parser = libraries(), hide_possible_values = true)]
    pub(crate) source_layout: Option<&'static ModelLibrary>,
}

/// Where bottlenecks have their stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Variant {
    /// On the first 1x1, as Keras Applications and Caffe
    V1,
    /// On the 3x3, as torchvision
    #[value(name = "v1.5")]
    V15,
}

/// What a network without a classifier gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pooling {
    /// The map of the last block
    None,
    /// Its mean over all pixels
    Avg,
}

fn libraries() -> impl TypedValueParser<Value = &'static ModelLibrary> {
    PossibleValuesParser::new(MODEL_LIBRARIES.map(|library| library.name))
        .try_map(|name| ModelLibrary::named(&name).ok_or("no such layout"))
}

/// The options, each with the way to give it another value.
const OPTIONS: [(&str, Change); 13] = [
    ("--which", |args| args.which.as_mut().map(|path| path.push('\u{0}'))),
    ("--head-from", |args| args.head_from.as_mut().map(|path| path.push('\u{0}'))),
    ("--pooling", |args| {
        args.pooling.as_mut().map(|pooling| match pooling {
            Pooling::None => *pooling = Pooling::Avg,
            Pooling::Avg => *pooling = Pooling::None,
        })
    }),
    ("--variant", |args| {
        args.variant.as_mut().map(|variant| match variant {
            Variant::V1 => *variant = Variant::V15,
            Variant::V15 => *variant = Variant::V1,
        })
    }),
    ("--stride", |args| args.stride.as_mut().and_then(|strides| strides.0.last_mut()).map(|stride| *stride += 1)),
    ("--dilation", |args| args.dilation.as_mut().and_then(|stages| stages.0.last_mut()).map(dilate_more)),
    ("--output-stride", |args| args.output_stride.as_mut().map(|stride| *stride *= 2)),
    ("--stem", |args| {
        args.stem.as_mut().map(|stem| {
            if let Some(stride) = &mut stem.stride {
                *stride += 1;
            }
            let another = |pool: StemPool| if pool == StemPool::None { StemPool::Usual } else { StemPool::None };
            stem.pool = stem.pool.map(another);
        })
    }),
    ("--activation", |args| {
        args.activation.as_mut().map(|activation| {
            *activation = if *activation == Activation::RELU { Activation::Silu } else { Activation::RELU };
        })
    }),
    ("--epsilon", |args| {
        args.epsilon.as_mut().map(|epsilon| *epsilon = if *epsilon == 0.0 { 0.5 } else { *epsilon * 0.5 })
    }),
    ("--norm-groups", |args| args.norm_groups.as_mut().map(|groups| *groups += 1)),
    ("--hf-config", |args| args.hf_config.as_mut().map(|path| path.push("\u{0}"))),
    ("--source-layout", |args| {
        args.source_layout.as_mut().map(|library| {
            let another = MODEL_LIBRARIES.into_iter().find(|other| other.name != library.name);
            *library = another.unwrap_or(library);
        })
    }),
];

fn dilate_more(stage: &mut GivenDilation) {
    match stage {
        GivenDilation::Stage(dilation) => *dilation += 1,
        GivenDilation::Blocks(blocks) => blocks.iter_mut().for_each(|dilation| *dilation += 1),
    }
}

/// Changes an option, where it was given.
type Change = fn(&mut SourceArgs) -> Option<()>;

impl SourceArgs {
    /// These options where they were given, else those of `other`.
    pub(crate) fn or(self, other: &Self) -> Self {
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
        }
    }

    /// As the reader takes them.
    pub(crate) fn load_options(&self) -> LoadOptions {
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
        LoadOptions {
            which: self.which.clone(),
            head_from: self.head_from.clone(),
            given,
            config: self.hf_config.clone(),
        }
    }

    /// The options that were given, and for each of them all options with another value of this one.
    pub(crate) fn with_each_changed(&self) -> Vec<(&'static str, Self)> {
        let changed = |&(name, change): &(&'static str, Change)| {
            let mut others = self.clone();
            change(&mut others).map(|()| (name, others))
        };
        OPTIONS.iter().filter_map(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_that_was_given_can_be_changed() {
        let given = SourceArgs { epsilon: Some(1e-3), variant: Some(Variant::V1), ..SourceArgs::default() };
        let changed = given.with_each_changed();
        let names: Vec<&str> = changed.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["--variant", "--epsilon"]);
        assert_eq!((changed[0].1.variant, changed[0].1.epsilon), (Some(Variant::V15), Some(1e-3)));
        let layout = SourceArgs { source_layout: ModelLibrary::named("torchvision"), ..SourceArgs::default() };
        assert_ne!(layout.with_each_changed()[0].1.source_layout.unwrap().name, "torchvision");
        assert!(SourceArgs::default().with_each_changed().is_empty());
        let zero = SourceArgs { epsilon: Some(0.0), ..SourceArgs::default() };
        assert_ne!(zero.with_each_changed()[0].1.epsilon, Some(0.0));
    }
}
