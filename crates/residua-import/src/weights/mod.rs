//! Networks known from their weights alone: the Keras Applications downloads, CIFAR networks, and their like.
//!
//! Such files hold no graph. The network is found from the names of layers, or, where Keras made those up, from
//! shapes and order: recipes that could have these shapes are written down, and each is tried strictly. Every tensor
//! of the file must bind with the right shape, every tensor of the recipe must be there, and the layers without
//! weights that the file lists must be the recipe's. What shapes cannot tell is taken from the recipe, and said
//! in the notes of the source. A file that fits nothing is refused with what was tried.
//!
//! Not here: files with a configuration ([`crate::keras`]); checkpoints of other frameworks.

mod bind;
mod family;
mod group;
mod guess;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use residua_formats::keras::KerasFile;
use residua_ir::{Framework, Graph, Hint, Source, Unused, in_full};
use residua_resnet::form::Form;
use residua_resnet::recipe::{HeadPool, KerasModelClass, Recipe};
use residua_resnet::recognise::{Choice, Given, Impossible};

use crate::error::{Error, Result};
use crate::keras::{self, applications, applications::Written};
use crate::state_dict::taken;
use group::{Group, Groups};
use guess::Why;

/// The network whose weights are in a Keras file without a configuration; `name` is its name where nothing else is known, `given` is
/// what is known of what weights leave open.
///
/// # Errors
/// [`Error::Weights`], with every network that was tried and why it is none of them, where the file fits none, or
/// several. [`Error::Config`] for what is given and cannot be. [`Error::Unsupported`] for kernels that a Theano backend wrote.
pub fn import(file: KerasFile, name: &str, given: &Given) -> Result<Graph> {
    if file.backend.as_deref() == Some("theano") {
        return Err(Error::Unsupported {
            what: "weights that were saved with the Theano backend".into(),
            help: "their convolution kernels are mirrored; load and save them with the TensorFlow backend first".into(),
        });
    }
    let groups = group::of(&file.weights);
    let version = file.version.clone();
    let source = Source { format: file.kind.format(), framework: Framework::Keras, version, ..Source::default() };
    if groups.layers.iter().all(|group| group.tensors.is_empty()) {
        return Err(Error::Weights { problem: "the file holds no weights".into(), tried: Vec::new() });
    }

    let mut fits: Vec<(Recipe, Vec<String>, Graph)> = Vec::new();
    let (mut tried, mut impossible) = (Vec::new(), None);
    for model_class in candidates(&groups) {
        match attempt(model_class, &groups, name, (&source, &file.unused), given) {
            Ok(found) => fits.push(found),
            Err(Why::Reason(why)) => tried.push(format!("{}: {why}", model_class.describe()).into()),
            Err(Why::Impossible(what)) => impossible = impossible.or(Some(what)),
        }
    }
    if fits.len() > 1 {
        let names = fits.iter().map(|(recipe, _, _)| describe(&recipe.form).into()).collect();
        return Err(Error::Weights { problem: "several networks fit".into(), tried: names });
    }
    let Some((recipe, notes, mut graph)) = fits.pop() else {
        if let Some(Impossible { option, expected, found }) = impossible {
            return Err(Error::Config {
                at: option.to_string().into(),
                expected: expected.into(),
                found: found.into(),
            });
        }
        if let Some(family) = family::of(&groups) {
            let written = applications::written(family, &family::shapes(&groups), given);
            let refused = || Err(family::refused(family));
            drop(groups);
            return written.map_or_else(refused, |written| from_applications(file, name, written?));
        }
        let count = groups.layers.iter().filter(|group| !group.tensors.is_empty()).count();
        let problem = format!("the file holds weights of {count} layers, which are those of no network known here");
        return Err(Error::Weights { problem: problem.into(), tried });
    };
    let source = graph.source_mut();
    source.architecture = recipe.standard_name();
    source.notes = notes;
    Ok(graph)
}

/// The network that was written out for a file of weights.
fn from_applications(file: KerasFile, name: &str, written: Written) -> Result<Graph> {
    let Written { config, notes } = written;
    let mut graph = keras::import(KerasFile { config: Some(config), ..file }, name)?;
    graph.source_mut().notes.splice(0..0, notes);
    Ok(graph)
}

/// Networks to try: those whose layout names the layers; where none does, all whose layers Keras may have named.
fn candidates(groups: &Groups) -> Vec<KerasModelClass> {
    let named: Vec<KerasModelClass> =
        KerasModelClass::ALL.into_iter().filter(|&model_class| guess::speaks(model_class, groups)).collect();
    if named.is_empty() {
        // The old package's names are all that tells its networks from the new ones.
        KerasModelClass::ALL.into_iter().filter(|&model_class| model_class != KerasModelClass::Old).collect()
    } else {
        named
    }
}

/// Tries one model class; says why the file is none of it.
fn attempt(
    model_class: KerasModelClass,
    groups: &Groups,
    name: &str,
    (source, unused): (&Source, &[Unused]),
    given: &Given,
) -> Result<(Recipe, Vec<String>, Graph), Why> {
    let by_name = guess::speaks(model_class, groups);
    let guess = if by_name {
        guess::from_names(model_class, groups, given)?
    } else {
        guess::from_order(model_class, groups, given)?
    };
    let mut recipe = guess.recipe;
    recipe.name = groups.model.clone().or_else(|| recipe.standard_name()).unwrap_or_else(|| name.to_owned());
    let layers = recipe.layers();
    let matched = bind::match_layers(model_class, &layers, groups, by_name)?;
    let mut placed = BTreeMap::new();
    for (layer, group) in layers.iter().zip(&matched.groups) {
        if let Some(group) = group {
            recipe.names.extend(group.name.clone().map(|name| (layer.position, name)));
            placed.insert(layer.position, *group);
        }
    }
    let mut notes = vec![summary(&recipe, by_name)];
    notes.extend(guess.notes);
    notes.extend(matched.notes);
    notes.extend(settled(model_class, &recipe, given));
    let graph = bind::build(&recipe, &placed, source.clone(), unused.to_vec()).map_err(|error| in_full(&error))?;
    Ok((recipe, notes, graph))
}

/// What the network is and how it was found.
fn summary(recipe: &Recipe, by_name: bool) -> String {
    let how = if by_name { "names of layers" } else { "shapes and order" };
    let classifier = recipe.head.as_ref().and_then(|head| head.classifier.as_ref());
    let top = classifier.map_or("without top".to_owned(), |classifier| format!("{} classes", classifier.classes));
    format!("network found from {how}: {}, {top}", describe(&recipe.form))
}

fn describe(form: &Form) -> String {
    let stages: Vec<String> = form.stages.iter().map(|stage| stage.blocks.to_string()).collect();
    match form.standard_name() {
        Some(name) => name,
        None => {
            let widths: Vec<String> = form.stages.iter().map(|stage| stage.width.to_string()).collect();
            format!(
                "depth {}, blocks {}, inner widths {}, stem {}",
                form.depth(),
                stages.join("-"),
                widths.join("-"),
                form.stem_width
            )
        }
    }
}

/// What neither names nor shapes tell and the recipe settles.
fn settled(model_class: KerasModelClass, recipe: &Recipe, given: &Given) -> Vec<String> {
    let mut choices = recipe.left_open(given);
    if recipe.head.is_some() {
        choices.retain(|choice| !choice.hints.contains(&Hint::Pooling));
    }
    choices.push(Choice { taken: "how convolutions and pools pad".to_owned(), hints: Vec::new() });
    let mut notes: Vec<String> = taken(model_class.describe(), &choices).into_iter().collect();
    if model_class == KerasModelClass::Old {
        notes.push(
            "the pool of the stem pads with zeros, as in the package's last releases; the first did not".to_owned(),
        );
    }
    if let Some(head) = &recipe.head {
        let pool = match head.pool {
            HeadPool::Global => "global average pooling".to_owned(),
            HeadPool::Window(size) => format!("average pooling over {size}x{size} pixels"),
            HeadPool::Max => "global maximum pooling".to_owned(),
            HeadPool::MeanOfBoth | HeadPool::Both | HeadPool::MaxThenMean => {
                "global average and maximum pooling".to_owned()
            }
        };
        let classifier = if head.classifier.is_some() { " and a dense layer with softmax" } else { "" };
        notes.push(format!("not in the file: head taken as {pool}{classifier}"));
    }
    if let Some([h, w]) = recipe.input.size {
        notes.push(format!("not in the file: images taken as {h}x{w}"));
    }
    notes
}

/// A group as a reader of an error understands it.
fn describe_group(group: &Group) -> String {
    let shapes: Vec<String> = group.tensors.iter().map(|named| format!("{:?}", named.tensor.shape())).collect();
    format!("`{}` {}", group.label(), shapes.join(" "))
}
