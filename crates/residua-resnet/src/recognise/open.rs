//! What names and shapes leave open of a network that was told from them: what is taken, and how whoever knows more says so.
//!
//! The stem's stride and pool, the strides and dilations of the stages, activations and epsilons change what a network
//! computes and no shape. Each is a [`Choice`] unless it is [`Given`]. What is given must be possible: as many numbers as
//! there are stages, no stride where the shortcut has none.

use std::collections::BTreeSet;

use residua_ir::Hint;

use super::{Choice, Given};
use crate::anatomy::BlockKind;
use crate::form::{StemForm, StrideIn};
use crate::layouts::Headless;
use crate::recipe::{Dilations, Head, HeadPool, Norms, Own, Pool, PoolEdge, Projections, Recipe};
use crate::slot::{Component, Position};

/// The stem, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GivenStem {
    /// Stride of its first convolution.
    pub stride: Option<usize>,
    /// The pool behind it.
    pub pool: Option<StemPool>,
}

/// A pool behind a stem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StemPool {
    /// None.
    None,
    /// Maxima of 3x3 with stride 2, padded by 1.
    Usual,
    /// Maxima of 3x3 with stride 2 without padding, the last window sticking out.
    Ceil,
    /// Maxima of 2x2 with stride 2.
    Two,
}

/// Dilations of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenDilation {
    /// That of its convolutions, where those of the stage before dilate its first one (torchvision and timm, when they replace
    /// a stride).
    Stage(usize),
    /// Those of its blocks, the last one's for all behind it.
    Blocks(Vec<usize>),
}

impl GivenDilation {
    /// Dilation of its last block.
    fn last(&self) -> usize {
        match self {
            Self::Stage(dilation) => *dilation,
            Self::Blocks(blocks) => blocks.last().copied().unwrap_or(1),
        }
    }
}

/// Something that was given and cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// What says it.
    pub option: Hint,
    /// What it may say.
    pub expected: String,
    /// What it says.
    pub found: String,
}

/// What says how the stages walk over pixels.
pub const STRIDES: [Hint; 3] = [Hint::Strides, Hint::Dilations, Hint::OutputStride];

impl Given {
    /// Whether it says how the stages walk over pixels.
    #[must_use]
    pub fn says_strides(&self) -> bool {
        self.strides.is_some() || self.dilations.is_some() || self.output_stride.is_some()
    }
}

/// Stages and blocks that have a projection: those whose tensors are there, and those that cannot be without.
pub(super) fn projecting(recipe: &Recipe, has: impl Fn(Position) -> bool) -> BTreeSet<(usize, usize)> {
    let mut projecting = BTreeSet::new();
    let mut takes = recipe.form.stem_width;
    for (stage, sizes) in recipe.form.stages.iter().enumerate() {
        for block in 0..sizes.blocks {
            let changes = takes != sizes.outputs && recipe.conventions.projections != Projections::Pad;
            if changes || has(Position::Block { stage, block, component: Component::ShortcutConv }) {
                projecting.insert((stage, block));
            }
            takes = sizes.outputs;
        }
    }
    projecting
}

impl Recipe {
    /// Gives a network that was told otherwise than by [`recognise`](super::recognise()) what is given of all that names and shapes leave
    /// open.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn settle(&mut self, given: &Given) -> Result<(), Impossible> {
        let Self { form, conventions, .. } = self;
        conventions.epsilon = given.epsilon.unwrap_or(conventions.epsilon);
        conventions.activation = given.activation.unwrap_or(conventions.activation);
        if form.block == BlockKind::Bottleneck && form.stride_in == StrideIn::First {
            form.stride_on = given.stride_on.unwrap_or(form.stride_on);
        }
        if given.headless == Some(Headless::Features) {
            self.head.get_or_insert_with(|| Head::new(HeadPool::Global, None));
        }
        if given.says_strides() {
            let layers = self.layers();
            let has = |position: Position| layers.iter().any(|layer| layer.position == position);
            self.pace.projecting = Some(projecting(self, has));
        }
        settle(self, given)
    }

    /// What of that is taken, where nothing is given.
    #[must_use]
    pub fn left_open(&self, given: &Given) -> Vec<Choice> {
        choices(false, self, given)
    }

    /// By how much its last map is smaller than the image.
    #[must_use]
    pub fn whole_stride(&self) -> usize {
        let stages = if self.pace.strides.is_empty() { usual(self) } else { self.pace.strides.clone() };
        stages.into_iter().fold(stem_stride(self), usize::saturating_mul)
    }
}

/// Gives a network the strides, dilations and stem that are given.
///
/// # Errors
/// What of it cannot be.
pub(super) fn settle(recipe: &mut Recipe, given: &Given) -> Result<(), Impossible> {
    stem(recipe, given.stem)?;
    if !given.says_strides() {
        return Ok(());
    }
    let stages = recipe.form.stages.len();
    let count = |option: Hint, count: usize| match count == stages {
        true => Ok(()),
        false => Err(Impossible {
            option,
            expected: format!(
                "{stages} numbers, one for each stage of this network{}",
                match count {
                    1 => format!(" (the stride of the whole network is {})", Hint::OutputStride),
                    _ => String::new(),
                }
            ),
            found: format!("{count}"),
        }),
    };
    if let Some(output) = given.output_stride {
        if given.strides.is_some() || given.dilations.is_some() {
            return Err(Impossible {
                option: Hint::OutputStride,
                expected: format!("it alone, or {} and {}", Hint::Strides, Hint::Dilations),
                found: "both".to_owned(),
            });
        }
        return replace_strides(recipe, output);
    }
    if let Some(dilations) = &given.dilations {
        count(Hint::Dilations, dilations.len())?;
        refuse_late_strides(recipe, Hint::Dilations)?;
        recipe.pace.dilations = spread(dilations);
    }
    recipe.pace.strides = match (&given.strides, &given.dilations) {
        (Some(strides), _) => {
            count(Hint::Strides, strides.len())?;
            strides.clone()
        }
        (None, dilations) => undilated(recipe, dilations.as_deref().unwrap_or_default()),
    };
    hold_shortcuts(recipe)
}

/// Strides of the stages by the form, where a stage that dilates more than the one before has none.
fn undilated(recipe: &Recipe, dilations: &[GivenDilation]) -> Vec<usize> {
    let mut before = 1;
    let strides = usual(recipe).into_iter().zip(dilations).map(|(stride, dilation)| {
        let grows = dilation.last() > before;
        before = dilation.last();
        if grows { 1 } else { stride }
    });
    strides.collect()
}

/// Strides of the stages by the form.
fn usual(recipe: &Recipe) -> Vec<usize> {
    let (form, first) = (&recipe.form, recipe.conventions.first_stride);
    let stages = form.stages.len();
    let stride = |stage: usize| match form.stride_in {
        StrideIn::First if stage == 0 => first,
        StrideIn::Last if stage + 1 == stages => 1,
        StrideIn::First | StrideIn::Last => 2,
    };
    (0..stages).map(stride).collect()
}

fn refuse_late_strides(recipe: &Recipe, option: Hint) -> Result<(), Impossible> {
    match recipe.form.stride_in {
        StrideIn::First => Ok(()),
        StrideIn::Last => Err(Impossible {
            option,
            expected: "a network whose stages have their stride in the first block".to_owned(),
            found: "one that has them in the last (ResNet V2 of Keras Applications)".to_owned(),
        }),
    }
}

/// Dilations of all blocks.
fn spread(dilations: &[GivenDilation]) -> Vec<Vec<Dilations>> {
    let mut before = 1;
    let stages = dilations.iter().map(|dilation| {
        let blocks = match dilation {
            GivenDilation::Stage(dilation) => {
                let whole = Dilations { first: *dilation, rest: *dilation };
                vec![Dilations { first: before, rest: *dilation }, whole]
            }
            GivenDilation::Blocks(blocks) => {
                blocks.iter().map(|&dilation| Dilations { first: dilation, rest: dilation }).collect()
            }
        };
        before = dilation.last();
        blocks
    });
    stages.collect()
}

/// Replaces strides by dilations from the stage on whose stride would make the map smaller than asked for, as torchvision's
/// `replace_stride_with_dilation` and timm's `output_stride` do.
fn replace_strides(recipe: &mut Recipe, output: usize) -> Result<(), Impossible> {
    refuse_late_strides(recipe, Hint::OutputStride)?;
    let stem = stem_stride(recipe);
    let (mut stride, mut dilation, mut possible) = (stem, 1usize, vec![stem]);
    let (mut strides, mut dilations) = (Vec::new(), Vec::new());
    let mut whole = stem;
    for usual in usual(recipe) {
        whole = whole.saturating_mul(usual);
        possible.push(whole);
        if stride.saturating_mul(usual) > output {
            dilation = dilation.saturating_mul(usual);
            strides.push(1);
        } else {
            stride = stride.saturating_mul(usual);
            strides.push(usual);
        }
        dilations.push(GivenDilation::Stage(dilation));
    }
    if stride != output {
        possible.dedup();
        let possible: Vec<String> = possible.iter().map(usize::to_string).collect();
        return Err(Impossible {
            option: Hint::OutputStride,
            expected: format!("one of the strides that stem and stages come to: {}", possible.join(", ")),
            found: output.to_string(),
        });
    }
    recipe.pace.strides = strides;
    recipe.pace.dilations = spread(&dilations);
    Ok(())
}

/// A stride in a stage without projection: the shortcut could not follow.
fn hold_shortcuts(recipe: &Recipe) -> Result<(), Impossible> {
    let thins = recipe.form.stride_in == StrideIn::First && recipe.conventions.projections != Projections::Pad;
    let projects =
        |stage: usize| recipe.pace.projecting.as_ref().is_none_or(|projecting| projecting.contains(&(stage, 0)));
    let wrong =
        recipe.pace.strides.iter().enumerate().find(|&(stage, &stride)| thins && stride > 1 && !projects(stage));
    match wrong {
        Some((stage, stride)) => Err(Impossible {
            option: Hint::Strides,
            expected: format!("stride 1 in stage {}, whose shortcut has no projection", stage + 1),
            found: stride.to_string(),
        }),
        None => Ok(()),
    }
}

/// Where a stem has its stride.
fn first_conv(recipe: &Recipe) -> Position {
    Position::Stem(Component::Conv(usize::from(recipe.form.stem == StemForm::Deep)))
}

fn stem(recipe: &mut Recipe, given: GivenStem) -> Result<(), Impossible> {
    if let Some(stride) = given.stride {
        recipe.own.entry(first_conv(recipe)).or_default().stride = Some([stride; 2]);
    }
    if let Some(pool) = given.pool {
        let usual = recipe.conventions.stem_pool();
        let pool = match pool {
            StemPool::None => None,
            StemPool::Usual if recipe.conventions.pool_edge == PoolEdge::Ceil => Some(Pool::square(3, 2, 1)),
            StemPool::Usual => Some(usual),
            StemPool::Ceil => Some(Pool { ceil: true, ..Pool::square(3, 2, 0) }),
            StemPool::Two => Some(Pool::square(2, 2, 0)),
        };
        recipe.own.entry(Position::Pool).or_default().pool = Some(pool);
    }
    Ok(())
}

fn usual_stem_stride(stem: StemForm) -> usize {
    match stem {
        StemForm::Large | StemForm::Deep | StemForm::Other => 2,
        StemForm::Small => 1,
    }
}

/// The pool of a stem, where it has one.
fn pool_of(recipe: &Recipe) -> Option<Pool> {
    let own = recipe.own.get(&Position::Pool).and_then(|own| own.pool);
    own.unwrap_or_else(|| (recipe.form.stem != StemForm::Small).then(|| recipe.conventions.stem_pool()))
}

/// Stride of the first convolution.
fn conv_stride(recipe: &Recipe) -> usize {
    let own = recipe.own.get(&first_conv(recipe)).and_then(|own: &Own| own.stride);
    own.map_or(usual_stem_stride(recipe.form.stem), |[rows, _]| rows)
}

/// Stride of the stem with its pool.
fn stem_stride(recipe: &Recipe) -> usize {
    conv_stride(recipe).saturating_mul(pool_of(recipe).map_or(1, |pool| pool.stride[0]))
}

/// What was taken where nothing is given.
///
/// `configured` where a `config.json` of Hugging Face can say it too.
pub(super) fn choices(configured: bool, recipe: &Recipe, given: &Given) -> Vec<Choice> {
    let mut choices = Vec::new();
    let mut take = |taken: String, hints: &[Hint]| choices.push(Choice { taken, hints: hints.to_vec() });
    let form = &recipe.form;
    if given.stem.stride.is_none() || given.stem.pool.is_none() {
        take(stem_text(recipe, given.stem), &[Hint::Stem]);
    }
    if !given.says_strides() {
        let strides: Vec<String> = usual(recipe).iter().map(usize::to_string).collect();
        let hints: &[Hint] = match (form.stride_in, configured) {
            (StrideIn::First, true) => &[Hint::Strides, Hint::Dilations, Hint::OutputStride, Hint::Config],
            (StrideIn::First, false) => &STRIDES,
            // Where the last block has the stride, no dilation takes its place.
            (StrideIn::Last, _) => &[Hint::Strides],
        };
        let plural = if strides.len() == 1 { "stride" } else { "strides" };
        take(format!("{plural} {} in the stages, without dilation", strides.join(", ")), hints);
    } else if given.strides.is_none() && given.output_stride.is_none() {
        let strides: Vec<String> = recipe.pace.strides.iter().map(usize::to_string).collect();
        take(format!("strides {} in the stages, none where the dilation grows", strides.join(", ")), &[Hint::Strides]);
    } else if given.dilations.is_none() && given.output_stride.is_none() {
        take("no dilation".to_owned(), &[Hint::Dilations]);
    }
    let strides = form.stages.len() > 1 || recipe.conventions.first_stride > 1;
    if form.block == BlockKind::Bottleneck && strides && given.stride_on.is_none() && form.stride_in == StrideIn::First
    {
        let text = if form.stride_on == 1 { "the first 1x1 (v1)" } else { "the 3x3 (v1.5)" };
        take(format!("the stride of bottlenecks on {text}"), &[Hint::StrideOn]);
    }
    if given.activation.is_none() {
        let hints: &[Hint] = if configured { &[Hint::Activation, Hint::Config] } else { &[Hint::Activation] };
        take(format!("{} as the activation", recipe.conventions.activation.name()), hints);
    }
    if given.epsilon.is_none() && recipe.own.values().all(|own| own.epsilon.is_none()) {
        take(format!("epsilon {:e} in all norms", recipe.conventions.epsilon), &[Hint::Epsilon]);
    }
    if let (Norms::Group(groups), None) = (recipe.conventions.norms, given.norm_groups) {
        take(format!("{groups} groups in all norms"), &[Hint::NormGroups]);
    }
    if recipe.head.as_ref().is_none_or(|head| head.classifier.is_none()) && given.headless.is_none() {
        let gives = if recipe.head.is_some() { "the mean of the last map" } else { "the map of the last block" };
        take(format!("no classifier: the network gives {gives}"), &[Hint::Pooling]);
    }
    choices
}

/// The stem, as far as it is not given.
fn stem_text(recipe: &Recipe, given: GivenStem) -> String {
    let pool = match pool_of(recipe) {
        Some(Pool { ceil: true, .. }) => {
            "a pool of 3x3 with stride 2 behind it, unpadded, its last window sticking out"
        }
        Some(_) => "a pool of 3x3 with stride 2 behind it",
        None => "no pool behind it",
    };
    let what = match recipe.form.stem {
        StemForm::Large => "the 7x7 of the stem",
        StemForm::Small => "the 3x3 of the stem",
        StemForm::Deep => "the first 3x3 of the stem",
        StemForm::Other => "the first convolution",
    };
    let stride = conv_stride(recipe);
    match (given.stride, given.pool) {
        (None, Some(_)) => format!("{what} with stride {stride}"),
        (Some(_), None) => format!("{what} with {pool}"),
        (None, None) | (Some(_), Some(_)) => format!("{what} with stride {stride} and {pool}"),
    }
}
