//! What is known of a model whose file holds weights alone, and which part of a file is meant.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use residua::ir::Activation;
use residua::options::parse::{self, StageDilations, Strides};
use residua::options::{OpenOptions, Pooling, Variant};
use residua::resnet::layouts::{MODEL_LIBRARIES, ModelLibrary};
use residua::resnet::recognise::GivenStem;

use super::choice;

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
    #[arg(long, help_heading = HEADING, value_name = "KIND", value_parser = choice::<Pooling>())]
    pub(crate) pooling: Option<Pooling>,
    /// Where bottlenecks have their stride [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "VARIANT", value_parser = choice::<Variant>())]
    pub(crate) variant: Option<Variant>,
    /// Stride of each stage, such as 1,2,2,1 [default: 2 in all but the first]
    #[arg(long, help_heading = HEADING, value_name = "N,…", value_parser = parse::strides)]
    pub(crate) stride: Option<Strides>,
    /// Dilation of each stage, such as 1,1,2,4 [default: none]
    ///
    /// The first block of a stage has that of the stage before, as torchvision and timm build it; dilations between colons are those
    /// of its blocks, the last for all behind: 1,1,2:2,4:8:16. A stage that dilates more than the one before has stride 1
    /// unless --stride says otherwise.
    #[arg(long, help_heading = HEADING, value_name = "N,…", value_parser = parse::dilations)]
    pub(crate) dilation: Option<StageDilations>,
    /// Stride of the whole network, 8 or 16, strides beyond it replaced by dilations [default: none is]
    ///
    /// As torchvision's replace_stride_with_dilation and timm's output_stride: a stage whose stride is replaced has it as a
    /// dilation, and so have those behind it; its first block has that of the stage before.
    #[arg(long, help_heading = HEADING, value_name = "N", value_parser = parse::output_stride)]
    pub(crate) output_stride: Option<usize>,
    /// Stride of the first convolution, the pool behind it, or both: 2,pool or 1,nopool [default: by its kernel]
    ///
    /// A 7x7 is taken to have stride 2 and a pool, a single 3x3 stride 1 and none. `pool` is 3x3 with stride 2 and padding 1, `pool-ceil`
    /// 3x3 with stride 2, no padding and the last window sticking out, `pool2x2` 2x2 with stride 2.
    #[arg(long, help_heading = HEADING, value_name = "STRIDE,POOL", value_parser = parse::stem)]
    pub(crate) stem: Option<GivenStem>,
    /// Activation of stem and blocks: relu, leaky_relu=0.1, silu, … [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "NAME", value_parser = parse::activation)]
    pub(crate) activation: Option<Activation>,
    /// Epsilon of all norms; 0 is one [default: as the layout's own code]
    #[arg(long, help_heading = HEADING, value_name = "X", value_parser = parse::epsilon)]
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

fn libraries() -> impl TypedValueParser<Value = &'static ModelLibrary> {
    PossibleValuesParser::new(MODEL_LIBRARIES.map(|library| library.name))
        .try_map(|name| ModelLibrary::named(&name).ok_or("no such layout"))
}

impl SourceArgs {
    /// As the library takes them.
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions {
            which: self.which.clone(),
            head_from: self.head_from.clone(),
            pooling: self.pooling,
            variant: self.variant,
            stride: self.stride.clone(),
            dilation: self.dilation.clone(),
            output_stride: self.output_stride,
            stem: self.stem,
            activation: self.activation,
            epsilon: self.epsilon,
            norm_groups: self.norm_groups,
            hf_config: self.hf_config.clone(),
            source_layout: self.source_layout,
            ..OpenOptions::default()
        }
    }
}
