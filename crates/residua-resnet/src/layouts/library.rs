//! Model libraries: collections of model code that read weights under names of their own.
//!
//! A [`ModelLibrary`] is what `--layout` names. Each [`ModelClass`] in it says which names it reads, what its code settles
//! (padding, epsilons, where the stride is), and what of a form it can build at all. Weights say none of that, which is
//! why a file can fit a class by its shapes and be another function there.

use crate::anatomy::{ActivationOrder, BlockKind};
use crate::conventions::{Conventions, Norms};
use crate::form::{Form, StageForm, StemForm, StrideIn};

use super::NamingLayout;

/// Model code that reads weights under names of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct ModelLibrary {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Its model classes, the commonest first.
    pub model_classes: &'static [&'static ModelClass],
}

/// Networks that one model class builds.
#[derive(Debug)]
#[non_exhaustive]
pub struct ModelClass {
    /// What it is, for messages: `torchvision's ResNet`.
    pub describe: &'static str,
    /// What its code settles, the names of its layers among it.
    pub conventions: Conventions,
    /// What it can build.
    pub can: Can,
    /// What a network without a classifier gives.
    pub headless: Headless,
    /// Whether the classifier is stored as a 1x1 convolution.
    pub classifier_as_conv: bool,
    /// Whether a softmax is part of the model.
    pub softmax: bool,
    /// Whether its files hold the counters of batch norms (`num_batches_tracked`).
    pub counters: bool,
    /// Whether whoever builds it says how many groups its group norms have.
    pub sets_groups: bool,
}

/// What a network without a classifier gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headless {
    /// The map of the last block.
    Map,
    /// Its mean over all pixels.
    Features,
}

/// A choice that the class leaves to whoever builds the model; the text says how it is made, none for the default.
pub type Setting<T> = (T, Option<&'static str>);

/// How many channels a bottleneck has within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// Whatever its builder says.
    Any,
    /// A quarter of what it gives.
    Quarter,
    /// The same, rounded to a multiple of 8 and never to much less.
    QuarterInEights,
}

impl Inner {
    fn allows(self, stage: &StageForm) -> bool {
        stage.width == self.usual(stage)
    }

    /// As many as its code makes in a stage.
    fn usual(self, stage: &StageForm) -> usize {
        match self {
            Self::Any => stage.width,
            Self::Quarter => stage.outputs / 4,
            Self::QuarterInEights => {
                let rounded = (stage.outputs.saturating_add(16) / 32).max(1) * 8;
                let too_few = rounded.saturating_mul(40) < stage.outputs.saturating_mul(9);
                if too_few { rounded + 8 } else { rounded }
            }
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Any => "as many as are asked for",
            Self::Quarter => "a quarter of what they give",
            Self::QuarterInEights => "a quarter of what they give, in multiples of 8",
        }
    }
}

/// What of a form a model class can build.
#[derive(Debug)]
pub struct Can {
    /// Kinds of blocks.
    pub blocks: &'static [BlockKind],
    /// Where normalisation and activation are.
    pub order: ActivationOrder,
    /// Stems.
    pub stems: &'static [Setting<StemForm>],
    /// Convolution of a bottleneck that carries the stride.
    pub stride_on: &'static [Setting<usize>],
    /// Block of a stage that carries the stride.
    pub stride_in: StrideIn,
    /// Strides of the first stage.
    pub first_stride: &'static [Setting<usize>],
    /// Channels within bottlenecks.
    pub inner: Inner,
    /// Whether wide convolutions may have groups.
    pub groups: bool,
    /// Squeeze-and-excite gates.
    pub gates: bool,
    /// Whether its blocks always have them.
    pub always_gated: bool,
    /// Whether projections with a stride pool.
    pub pooled: bool,
    /// Norms, where they may be others than the conventions say.
    pub norms: &'static [Norms],
    /// Only networks of these depths in their standard sizes; empty for any sizes.
    pub only: &'static [usize],
    /// How images of `{n}` channels are had where that is not 3, empty where nothing has to be said; none where the code
    /// takes 3.
    pub channels: Option<&'static str>,
    /// How it is had without a classifier; none where the code always has one.
    pub bare: Option<&'static str>,
    /// Whether a configuration is written beside the weights, which says the sizes.
    pub configured: bool,
}

/// What nearly all classes share; each says in what it differs.
pub(super) const PLAIN: Can = Can {
    blocks: &[BlockKind::Basic, BlockKind::Bottleneck],
    order: ActivationOrder::Post,
    stems: &[(StemForm::Large, None)],
    stride_on: &[(2, None)],
    stride_in: StrideIn::First,
    first_stride: &[(1, None)],
    inner: Inner::Any,
    groups: true,
    gates: false,
    always_gated: false,
    pooled: false,
    norms: &[Norms::Batch],
    only: &[],
    channels: Some(""),
    bare: Some(""),
    configured: false,
};

impl ModelClass {
    /// Names of its layers.
    #[must_use]
    pub fn layout(&self) -> &'static NamingLayout {
        self.conventions.layout
    }

    /// What of a form its code cannot build, a sentence each; the settings with which it builds the rest.
    ///
    /// # Errors
    /// The sentences, at least one.
    pub fn settings(&self, form: &Form, first_stride: usize) -> Result<Vec<String>, Vec<String>> {
        let mut settings = Vec::new();
        let mut reasons = self.order_reasons(form);
        let can = &self.can;
        let mut choose = |setting: Option<Option<&'static str>>, reason: &dyn Fn() -> String| match setting {
            Some(None) => {}
            Some(Some(text)) => settings.push(text.to_owned()),
            None => reasons.push(reason()),
        };
        choose(find(can.stems, form.stem), &|| {
            let have: Vec<&str> = can.stems.iter().map(|(stem, _)| stem.describe()).collect();
            format!("its stem is {}, the layout's is {}", form.stem.describe(), have.join(" or "))
        });
        if form.block == BlockKind::Bottleneck && form.stride_in == StrideIn::First && form.stages.len() > 1 {
            choose(find(can.stride_on, form.stride_on), &|| stride_reason(form.stride_on, can.stride_on));
        }
        choose(find(can.first_stride, first_stride), &|| {
            format!("its first stage has stride {first_stride}, the layout's has stride {}", can.first_stride[0].0)
        });
        if !can.blocks.contains(&form.block) {
            let what = match form.block {
                BlockKind::Basic => "its blocks are basic ones (two 3x3 convolutions), the layout has bottlenecks only",
                BlockKind::Bottleneck => "its blocks are bottlenecks, the layout has basic blocks (two 3x3) only",
                BlockKind::Other => "its blocks are neither basic ones nor bottlenecks",
            };
            reasons.push(what.to_owned());
        }
        if form.block == BlockKind::Bottleneck && !form.stages.iter().all(|stage| can.inner.allows(stage)) {
            let widths: Vec<String> =
                form.stages.iter().map(|stage| format!("{} of {}", stage.width, stage.outputs)).collect();
            reasons.push(format!(
                "its bottlenecks have {} channels within, the layout's code makes {}",
                widths.join(", "),
                can.inner.describe()
            ));
        }
        let has = |what: &str| format!("it has {what}, which the layout has no place for");
        if form.groups > 1 && !can.groups {
            reasons.push(has(&format!("convolutions of {} groups", form.groups)));
        }
        if form.squeeze_excite && !can.gates {
            reasons.push(has("squeeze-and-excite gates"));
        }
        if can.always_gated && !form.squeeze_excite {
            reasons.push("its blocks have no squeeze-and-excite gates, the layout's have".to_owned());
        }
        if form.blurred {
            reasons.push(has("fixed filters before its strides"));
        }
        if form.pooled_shortcut != can.pooled && (form.pooled_shortcut || self.strides(form)) {
            reasons.push(if form.pooled_shortcut {
                "its projections pool where they have a stride, the layout's have the stride in the 1x1".to_owned()
            } else {
                "its projections have the stride in the 1x1, the layout's pool before it".to_owned()
            });
        }
        if !can.norms.iter().any(|norms| matches!(norms, Norms::Group(_)) == form.group_norm) {
            let (its, theirs) = if form.group_norm { ("group", "batch") } else { ("batch", "group") };
            reasons.push(format!("it has {its} norms, the layout has {theirs} norms"));
        }
        if reasons.is_empty() {
            self.size_reasons(form, &mut reasons, &mut settings);
        }
        if reasons.is_empty() { Ok(settings) } else { Err(reasons) }
    }

    /// Whether its weights may be of this form, in whatever sizes and with whatever single convolution as their stem: what was
    /// built with its code may have been changed since.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub(crate) fn reads(&self, library: &ModelLibrary, form: &Form) -> Result<(), String> {
        let mut form = form.clone();
        let builds = |stem: StemForm| library.model_classes.iter().any(|class| find(class.can.stems, stem).is_some());
        let single = matches!(form.stem, StemForm::Large | StemForm::Small | StemForm::Other);
        if let (true, false, Some((usual, _))) = (single, builds(form.stem), self.can.stems.first()) {
            form.stem = *usual;
        }
        if self.can.only.is_empty() {
            for stage in &mut form.stages {
                stage.width = self.can.inner.usual(stage);
            }
        }
        self.settings(&form, self.conventions.first_stride).map(|_| ()).map_err(|reasons| reasons.join("; "))
    }

    /// As [`ModelClass::settings`], for what stands before and behind the blocks: channels of images, and whether the network
    /// classifies, or at least takes the mean of its last map.
    ///
    /// # Errors
    /// The sentences, at least one.
    pub fn ends(&self, channels: usize, classifies: bool, pools: bool) -> Result<Vec<String>, Vec<String>> {
        let (mut settings, mut reasons) = (Vec::new(), Vec::new());
        match self.can.channels {
            Some(text) if channels != 3 => settings.push(text.replace("{n}", &channels.to_string())),
            None if channels != 3 => {
                let plural = if channels == 1 { "" } else { "s" };
                reasons.push(format!("its images have {channels} channel{plural}, the layout's code takes 3"));
            }
            Some(_) | None => {}
        }
        match self.can.bare {
            Some(text) if !classifies => settings.push(text.to_owned()),
            None if !classifies => reasons.push("it has no classifier, the layout's code always has one".to_owned()),
            Some(_) | None => {}
        }
        if !pools && self.headless == Headless::Features {
            settings.push("it gives the map of its last block: take that before the mean".to_owned());
        }
        settings.retain(|text| !text.is_empty());
        if reasons.is_empty() { Ok(settings) } else { Err(reasons) }
    }

    fn strides(&self, form: &Form) -> bool {
        form.stages.len() > 1 && self.can.order == form.order
    }

    fn order_reasons(&self, form: &Form) -> Vec<String> {
        let can = &self.can;
        let mut reasons = Vec::new();
        if form.order != can.order {
            reasons.push(match form.order {
                ActivationOrder::Pre => {
                    "it is pre-activated (v2: norm and ReLU before each convolution), the layout's blocks are \
                               post-activated (v1: ReLU behind the sum)"
                        .to_owned()
                }
                ActivationOrder::Post => {
                    "it is post-activated (v1: ReLU behind the sum), the layout's blocks are pre-activated \
                                (v2: norm and ReLU before each convolution)"
                        .to_owned()
                }
            });
        }
        if form.stride_in != can.stride_in {
            let text = |position: StrideIn| match position {
                StrideIn::First => "the first block of a stage",
                StrideIn::Last => "the last block of a stage, with a pool as its shortcut",
            };
            reasons.push(format!(
                "it has the stride in {}, the layout has it in {}",
                text(form.stride_in),
                text(can.stride_in)
            ));
        }
        reasons
    }

    /// What sizes forbid, and what they ask of whoever builds the model.
    fn size_reasons(&self, form: &Form, reasons: &mut Vec<String>, settings: &mut Vec<String>) {
        let name = form.standard_name();
        if self.can.only.is_empty() {
            if name.is_none() && !self.can.configured {
                let stages: Vec<String> = form.stages.iter().map(|stage| stage.blocks.to_string()).collect();
                let widths: Vec<String> = form.stages.iter().map(|stage| stage.width.to_string()).collect();
                settings.push(format!(
                    "its sizes are no standard ones: build it with blocks {}, inner widths {}, {} channels behind the stem",
                    stages.join("-"),
                    widths.join("-"),
                    form.stem_width
                ));
            }
            return;
        }
        let standard = |depth: &usize| Form::named(&format!("resnet{depth}")).contains(form);
        if !self.can.only.iter().any(standard) {
            let depths: Vec<String> = self.can.only.iter().map(ToString::to_string).collect();
            let what = name.map_or_else(|| "its sizes are no standard ones".to_owned(), |name| format!("it is {name}"));
            reasons
                .push(format!("{what}; the layout's code builds ResNet-{} in standard sizes only", depths.join(", ")));
        }
    }
}

/// What a reason ends with where no shape would tell.
pub const SILENT: &str = ": all shapes would fit, and it would compute something else";

fn find<T: PartialEq + Copy>(settings: &[Setting<T>], wanted: T) -> Option<Option<&'static str>> {
    settings.iter().find(|(value, _)| *value == wanted).map(|(_, text)| *text)
}

fn stride_reason(found: usize, has: &[Setting<usize>]) -> String {
    let text = |conv: usize| match conv {
        1 => "the first 1x1 (v1, as Keras Applications and Caffe)".to_owned(),
        2 => "the 3x3 (v1.5, as torchvision)".to_owned(),
        other => format!("convolution {other}"),
    };
    let has: Vec<String> = has.iter().map(|(conv, _)| text(*conv)).collect();
    if found == 0 {
        let has = has.join(" or ");
        return format!("none of its bottlenecks has a stride, the layout's code has it on {has}{SILENT}");
    }
    format!(
        "its bottlenecks have the stride on {}, the layout's code has it on {}{SILENT}",
        text(found),
        has.join(" or ")
    )
}
