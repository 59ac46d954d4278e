//! What a caller can set where a file leaves something open or a default does not fit, as messages name it.
//!
//! Messages of these crates name no option of any program. They hold a [`Hint`], which shows as what the program around them calls
//! it: a command line says so once ([`call`]) and its users read `--stride`; in a library's messages it is the field's name.

use std::fmt;
use std::sync::OnceLock;

/// Something that a caller can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hint {
    /// Which of several networks of a file is meant.
    Which,
    /// The module at which the head begins, which is left out.
    HeadFrom,
    /// The `config.json` of Hugging Face that belongs to a file.
    Config,
    /// Strides of the stages.
    Strides,
    /// Dilations of the stages.
    Dilations,
    /// The stride of the whole network.
    OutputStride,
    /// Whether bottlenecks have their stride on the first 1x1 or on the 3x3.
    StrideOn,
    /// Stride and pool of the stem.
    Stem,
    /// The activation of all blocks.
    Activation,
    /// The epsilon of all norms.
    Epsilon,
    /// Groups of all norms.
    NormGroups,
    /// What a network without a classifier gives.
    Pooling,
    /// The filter that images are resized with.
    Interpolation,
    /// The float type that a run computes in.
    Precision,
    /// The float type that weights are written in.
    Dtype,
    /// Sizes for free dimensions of inputs.
    InputShapes,
    /// Whether a frozen batch is made free.
    FreeBatch,
    /// Layout of the names of a file of weights.
    SourceLayout,
    /// Files that a model is run on.
    Inputs,
    /// Layers whose results are given.
    Taps,
    /// How many of the best classes are given.
    Top,
    /// How values of images are scaled.
    Preprocess,
    /// How an image is brought to size.
    Resize,
    /// What is cut out of an image.
    Crop,
    /// Whether a filter is stretched where an image gets smaller.
    Antialias,
    /// What becomes of the ratio of an image's sides.
    Aspect,
    /// The order in which a model takes the channels of an image.
    Channels,
    /// Whether what goes into a softmax is compared.
    BeforeSoftmax,
    /// Whether what was written is held against the source.
    AgainstSource,
    /// Whether inputs and outputs keep their float types.
    KeepIoTypes,
    /// Where what differs is written.
    Save,
    /// Findings that are accepted.
    Baseline,
    /// A limit of [`crate::budget`].
    Budget,
}

impl Hint {
    /// All of them.
    pub const ALL: [Self; 33] = [
        Self::Which,
        Self::HeadFrom,
        Self::Config,
        Self::Strides,
        Self::Dilations,
        Self::OutputStride,
        Self::StrideOn,
        Self::Stem,
        Self::Activation,
        Self::Epsilon,
        Self::NormGroups,
        Self::Pooling,
        Self::Interpolation,
        Self::Precision,
        Self::Dtype,
        Self::InputShapes,
        Self::FreeBatch,
        Self::SourceLayout,
        Self::Inputs,
        Self::Taps,
        Self::Top,
        Self::Preprocess,
        Self::Resize,
        Self::Crop,
        Self::Antialias,
        Self::Aspect,
        Self::Channels,
        Self::BeforeSoftmax,
        Self::AgainstSource,
        Self::KeepIoTypes,
        Self::Save,
        Self::Baseline,
        Self::Budget,
    ];

    /// What it is called where no program has a word of its own for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Which => "which",
            Self::HeadFrom => "head_from",
            Self::Config => "config",
            Self::Strides => "strides",
            Self::Dilations => "dilations",
            Self::OutputStride => "output_stride",
            Self::StrideOn => "stride_on",
            Self::Stem => "stem",
            Self::Activation => "activation",
            Self::Epsilon => "epsilon",
            Self::NormGroups => "norm_groups",
            Self::Pooling => "pooling",
            Self::Interpolation => "interpolation",
            Self::Precision => "precision",
            Self::Dtype => "dtype",
            Self::InputShapes => "input_shapes",
            Self::FreeBatch => "free_batch",
            Self::SourceLayout => "source_layout",
            Self::Inputs => "inputs",
            Self::Taps => "taps",
            Self::Top => "top",
            Self::Preprocess => "preprocess",
            Self::Resize => "resize",
            Self::Crop => "crop",
            Self::Antialias => "antialias",
            Self::Aspect => "aspect",
            Self::Channels => "channels",
            Self::BeforeSoftmax => "before_softmax",
            Self::AgainstSource => "against_source",
            Self::KeepIoTypes => "keep_io_types",
            Self::Save => "save",
            Self::Baseline => "baseline",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.get().map_or_else(|| self.name(), |names| names(*self)))
    }
}

static NAMES: OnceLock<fn(Hint) -> &'static str> = OnceLock::new();

/// Says what this program calls what can be set; the first call counts, for the whole process.
pub fn call(names: fn(Hint) -> &'static str) {
    // A second program in the process would have no words of its own.
    let _ = NAMES.set(names);
}

/// Several, between commas.
#[must_use]
pub fn listed(hints: &[Hint]) -> String {
    hints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_the_name_of_a_field_unless_a_program_calls_it_otherwise() {
        assert_eq!(listed(&[Hint::Strides, Hint::OutputStride]), "strides, output_stride");
        let mut names: Vec<&str> = Hint::ALL.iter().map(|hint| hint.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Hint::ALL.len());
    }
}
