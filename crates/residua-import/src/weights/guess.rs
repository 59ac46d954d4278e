//! Recipes that could have the tensors of a file.
//!
//! A guess may be wrong: it needs only as much of the file as tells the sizes. Binding is what decides.

use residua_resnet::form::{Form, StageForm};
use residua_resnet::layouts::Headless;
use residua_resnet::recipe::{Classifier, Head, HeadPool, Input, KerasModelClass, Recipe};
use residua_resnet::recognise::{Given, Impossible};
use residua_resnet::{Component, Position};

use super::describe_group;
use super::group::{Group, Groups, Kind};

/// A recipe, and what was assumed on the way to it.
pub(super) struct Guess {
    pub(super) recipe: Recipe,
    pub(super) notes: Vec<String>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Why {
    /// In words.
    Reason(String),
    /// What is given cannot be.
    Impossible(Impossible),
}

impl From<String> for Why {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for Why {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

/// Most blocks that a stage may have; the deepest network in the literature has 200.
const MAX_BLOCKS: usize = 512;

/// Whether the layers with weights bear the names of a model class: those of blocks, which tell the model class apart.
pub(super) fn speaks(model_class: KerasModelClass, groups: &Groups) -> bool {
    let layout = model_class.conventions().layout;
    let mut blocks = 0;
    let mut own = false;
    for name in groups.layers.iter().filter(|g| !g.tensors.is_empty()).filter_map(|g| g.name.as_deref()) {
        if let Some(Position::Block { component, .. }) = layout.position(name) {
            blocks += 1;
            own |= match model_class {
                KerasModelClass::V1 => component == Component::Norm(3),
                KerasModelClass::V2 => component == Component::Norm(1),
                KerasModelClass::Old | KerasModelClass::CifarV1 | KerasModelClass::CifarV2 => true,
            };
        }
    }
    blocks > 3 && own
}

/// The recipe that names and shapes tell.
pub(super) fn from_names(model_class: KerasModelClass, groups: &Groups, given: &Given) -> Result<Guess, Why> {
    let layout = model_class.conventions().layout;
    let weighted: Vec<&Group> = groups.layers.iter().filter(|group| !group.tensors.is_empty()).collect();
    let conv = |position: Position| {
        let name = layout.layer(position).unwrap_or_default();
        let group = weighted.iter().find(|group| group.name.as_deref() == Some(name.as_str()));
        match group.map(|group| group.kind()) {
            Some(Kind::Conv { kernel, .. }) => Ok(kernel),
            Some(_) => Err(Why::from(format!("`{name}` is no convolution"))),
            None => Err(format!("there is no layer `{name}`").into()),
        }
    };
    let positions = weighted.iter().filter_map(|group| layout.position(group.name.as_deref()?));
    let mut blocks: Vec<usize> = Vec::new();
    for position in positions {
        let Position::Block { stage, block, .. } = position else { continue };
        if stage >= 8 || block >= MAX_BLOCKS {
            return Err(format!("more stages or blocks than any such network has ({position})").into());
        }
        blocks.resize(blocks.len().max(stage + 1), 0);
        blocks[stage] = blocks[stage].max(block + 1);
    }
    let [_, _, channels, stem_width] = conv(Position::Stem(Component::Conv(0)))?;
    let mut stages = Vec::new();
    for (stage, &blocks) in blocks.iter().enumerate() {
        let at = |component: Component| Position::Block { stage, block: 0, component };
        stages.push(StageForm {
            blocks,
            width: conv(at(Component::Conv(2)))?[3],
            outputs: conv(at(Component::Conv(3)))?[3],
        });
    }
    assemble(model_class, model_class.form(stem_width, stages), channels, groups, given)
}

/// The recipe that shapes and the order within each class tell.
pub(super) fn from_order(model_class: KerasModelClass, groups: &Groups, given: &Given) -> Result<Guess, Why> {
    let mut convs = Vec::new();
    for group in &groups.layers {
        match group.kind() {
            Kind::Conv { kernel, .. } => convs.push(kernel),
            Kind::Dense(_) | Kind::Norm(_) | Kind::Empty => {}
            Kind::Other => return Err(format!("no layer of it has such tensors: {}", describe_group(group)).into()),
        }
    }
    let cifar = matches!(model_class, KerasModelClass::CifarV1 | KerasModelClass::CifarV2);
    let Some((&[rows, columns, channels, stem_width], rest)) = convs.split_first() else {
        return Err("the file has no convolution".into());
    };
    let size = if cifar { 3 } else { 7 };
    if (rows, columns) != (size, size) {
        return Err(format!("its first convolution is {size}x{size}, the file's is {rows}x{columns}").into());
    }
    // The 3x3 convolutions of one width in a row are those of one stage.
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for (at, &[h, w, _, out]) in rest.iter().enumerate() {
        if (h, w) != (3, 3) {
            continue;
        }
        match runs.last_mut() {
            Some((width, count, _)) if *width == out => *count += 1,
            Some(_) | None => runs.push((out, 1, at)),
        }
    }
    let expected = if cifar { 3 } else { 4 };
    if runs.len() != expected {
        return Err(format!(
            "it has {expected} stages, the file's 3x3 convolutions have {} widths in a row",
            runs.len()
        )
        .into());
    }
    let mut stages = Vec::new();
    for (width, count, first) in runs {
        let (blocks, outputs) = if model_class == KerasModelClass::CifarV1 {
            (count / 2, width)
        } else {
            // Behind a stage's first 3x3 come its projection and its last 1x1, both of the stage's channels.
            (count, rest.get(first + 1).map_or(0, |kernel| kernel[3]))
        };
        if blocks > MAX_BLOCKS {
            return Err(format!("no such network has {blocks} blocks in a stage").into());
        }
        stages.push(StageForm { blocks, width, outputs });
    }
    if cifar && stages.iter().any(|stage| stage.blocks != stages[0].blocks || stage.blocks == 0) {
        let counts: Vec<String> = stages.iter().map(|stage| stage.blocks.to_string()).collect();
        return Err(format!(
            "its stages have the same number of blocks, these shapes would give {}",
            counts.join(", ")
        )
        .into());
    }
    assemble(model_class, model_class.form(stem_width, stages), channels, groups, given)
}

/// Adds image and head to a form.
fn assemble(
    model_class: KerasModelClass,
    form: Form,
    channels: usize,
    groups: &Groups,
    given: &Given,
) -> Result<Guess, Why> {
    let dense = groups.layers.iter().filter_map(|group| match group.kind() {
        Kind::Dense(shape) => Some((group, shape)),
        Kind::Conv { .. } | Kind::Norm(_) | Kind::Empty | Kind::Other => None,
    });
    let dense: Vec<(&Group, [usize; 2])> = dense.collect();
    let mut recipe = model_class.recipe("", form, Input { channels, size: None }, None);
    // A pool that the file lists behind a network without a classifier is what it ends with.
    let pool = model_class.conventions().layout.layer(Position::HeadPool);
    let is_global = |group: &Group| group.class == "global_average_pooling2d" || pool.is_some() && group.name == pool;
    let lists_global = groups.layers.iter().any(|group| group.tensors.is_empty() && is_global(group));
    let pools = lists_global.then_some(Headless::Features);
    let headless = given.headless.or(pools).filter(|_| dense.is_empty());
    recipe.settle(&Given { headless, ..given.clone() }).map_err(Why::Impossible)?;
    let mut notes = Vec::new();
    let (group, rows, classes) = match &dense[..] {
        [] => return Ok(Guess { recipe, notes }),
        [(group, [rows, classes])] => (*group, *rows, *classes),
        more => return Err(several_dense(&recipe, more).into()),
    };
    if classes < 2 {
        return Err(format!(
            "behind it lies {}, and whether its one output goes through a sigmoid is not in the file; load the whole \
             model instead",
            describe_group(group)
        )
        .into());
    }
    let nested = groups.model.is_some();
    if nested {
        notes.push(format!(
            "the file holds a base network and one dense layer, {}; what lies between them is not in the file",
            describe_group(group)
        ));
    }
    let cifar = matches!(model_class, KerasModelClass::CifarV1 | KerasModelClass::CifarV2);
    let pool = if cifar && !nested && !lists_global { HeadPool::Window(8) } else { HeadPool::Global };
    recipe.input.size = image(&recipe, pool, rows, classes, nested)
        .ok_or_else(|| format!("its dense layer takes other features than {}", describe_group(group)))?;
    recipe.head = Some(Head::new(pool, Some(Classifier::dense(classes, true))));
    Ok(Guess { recipe, notes })
}

/// Size of the image that a dense layer of so many features tells, if any; [`None`] where they do not fit.
fn image(recipe: &Recipe, pool: HeadPool, rows: usize, classes: usize, nested: bool) -> Option<Option<[usize; 2]>> {
    let features = recipe.form.stages.last()?.outputs;
    match pool {
        HeadPool::Global | HeadPool::Max | HeadPool::MeanOfBoth | HeadPool::Both | HeadPool::MaxThenMean => {
            // The network as Keras Applications builds it for ImageNet has a fixed size.
            let imagenet = recipe.form.standard_name().is_some_and(|name| !name.ends_with("_cifar"))
                && classes == 1000
                && recipe.input.channels == 3
                && !nested;
            (rows == features).then_some(imagenet.then_some([224; 2]))
        }
        HeadPool::Window(size) => {
            // Windows of the last stage, whose rows and columns are the image's divided by all strides.
            let side = rows.checked_div(features)?.isqrt();
            let image = side.checked_mul(size)?.checked_mul(recipe.whole_stride())?;
            let fits = (1..=64).contains(&side) && side * side * features == rows && image <= 1 << 16;
            fits.then_some(Some([image; 2]))
        }
    }
}

/// Why a network with a head of several dense layers is not guessed.
fn several_dense(recipe: &Recipe, dense: &[(&Group, [usize; 2])]) -> String {
    let list: Vec<String> = dense.iter().map(|(group, _)| describe_group(group)).collect();
    format!(
        "the base is recognised ({}), but the file does not say how its {} dense layers are joined to it and what \
         activations they have: {}; load the whole model (.keras, or .h5 with its configuration) instead",
        super::describe(&recipe.form),
        dense.len(),
        list.join(", ")
    )
}
