//! Networks from state dicts: names and tensors, and whatever else the file says of them.
//!
//! PyTorch's checkpoints and safetensors files hold no graph. The network is told from names and shapes
//! ([`residua_resnet::recognise()`]), behind whatever prefixes wrappers put before them ([`prefix`]); what names and shapes leave
//! open comes from the user, from `config.json` ([`config`]), from the tree of a pickled module ([`modules`]), or from the layout's
//! own model code, and is noted. A checkpoint may hold several state dicts ([`choose`]).
//!
//! Invariant: every tensor is bound, or listed as unused with the reason, or reading fails. What a file says about its network
//! and what its tensors are must agree.

mod beside;
mod bodies;
mod choose;
mod config;
mod families;
mod fastai;
mod faults;
mod heads;
mod masks;
mod modules;
mod network;
mod prefix;
mod readers;
mod refused;
mod renamed;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use residua_formats::NamedTensor;
use residua_formats::safetensors::SafetensorsFile;
use residua_formats::torch::{Attribute, StateDict, TorchFile, TorchKind};
use residua_ir::{Format, Framework, Graph, Source, Unused, hint};
use residua_resnet::layouts::{Axes, Headless, ModelLibrary};
use residua_resnet::recipe::{Bound, Head, HeadPool, Recipe, Wanted};
use residua_resnet::recognise::{Choice, Given, Recognised};
use residua_resnet::{Field, Position, Slot, recognise};
use serde_json::Value;

use crate::LoadOptions;
use crate::config_json::config_json;
use crate::error::{Error, Result};
use crate::preparation;
use config::Config;
use network::{Asked, Network};

/// A file of state dicts, whatever its container.
struct Checkpoint {
    state_dicts: Vec<StateDict>,
    source: Source,
    unused: Vec<Unused>,
    config: Option<Value>,
}

/// The network in a file of PyTorch.
pub(crate) fn from_torch(file: TorchFile, name: &str, options: &LoadOptions) -> Result<Graph> {
    let version = file.scalars.iter().find(|(path, _)| path == "pytorch-lightning_version");
    let version = version.and_then(|(_, value)| match value {
        Attribute::Text(version) => Some(format!("lightning {version}")),
        _ => None,
    });
    for (path, value) in &file.scalars {
        let last = path.rsplit('.').next().unwrap_or(path);
        if let (true, Attribute::Text(name)) = (["arch", "architecture", "model", "model_name"].contains(&last), value)
        {
            config::refuse_hidden(name, &format!("`{path}` in the file"))?;
        }
    }
    if file.kind == TorchKind::Script && file.state_dicts.iter().all(|dict| dict.tensors.is_empty()) {
        return Err(Error::Unsupported {
            what: "a TorchScript program without weights under names, such as a frozen one,".into(),
            help: "save it before `torch.jit.freeze`, or save the model's `state_dict()`".into(),
        });
    }
    let (preprocessing, followed) = preparation::of_scalars(&file.scalars);
    let dangers =
        file.dangers.iter().map(|danger| format!("`{}` would have been called ({})", danger.global, danger.place));
    let source = Source {
        format: file.kind.format(),
        framework: Framework::Pytorch,
        version,
        notes: file.notes.into_iter().chain(followed).collect(),
        dangers: dangers.collect(),
        preprocessing,
        ..Source::default()
    };
    let checkpoint = Checkpoint { state_dicts: file.state_dicts, source, unused: file.unused, config: file.config };
    network(checkpoint, name, options)
}

/// The network in a safetensors file without a graph.
pub(crate) fn from_safetensors(file: SafetensorsFile, name: &str, options: &LoadOptions) -> Result<Graph> {
    let mut options = options.clone();
    hints(&file.metadata, &mut options.given)?;
    let preprocessing = preparation::of_metadata(|key| file.metadata.get(key).map(String::as_str))?;
    let labels = preparation::labels_of_metadata(|key| file.metadata.get(key).map(String::as_str))?;
    let source = Source { format: Format::Safetensors, notes: file.notes, preprocessing, labels, ..Source::default() };
    let all = StateDict { path: String::new(), tensors: file.tensors, modules: Vec::new() };
    let checkpoint = Checkpoint { state_dicts: vec![all], source, unused: file.unused, config: file.config };
    network(checkpoint, name, &options)
}

/// What our own writer says in the metadata, where the user says nothing.
fn hints(metadata: &BTreeMap<String, String>, given: &mut Given) -> Result<()> {
    let number = |key: &str| -> Result<Option<usize>> {
        let Some(text) = metadata.get(key) else { return Ok(None) };
        let wrong = || Error::Config {
            at: format!("metadata `{key}`").into(),
            expected: "a small number".into(),
            found: text.chars().take(32).collect::<String>().into(),
        };
        text.parse().ok().filter(|number| (1..=65536).contains(number)).map(Some).ok_or_else(wrong)
    };
    given.library = given.library.or_else(|| ModelLibrary::named(metadata.get("residua.layout")?));
    given.stride_on = given.stride_on.or(number("residua.stride_on")?);
    given.first_stride = given.first_stride.or(number("residua.first_stride")?);
    given.norm_groups = given.norm_groups.or(number("residua.norm_groups")?);
    if !given.says_strides() {
        given.output_stride = number("residua.output_stride")?;
    }
    given.headless = given.headless.or(match metadata.get("residua.headless").map(String::as_str) {
        Some("map") => Some(Headless::Map),
        Some("features") => Some(Headless::Features),
        Some(_) | None => None,
    });
    Ok(())
}

fn network(checkpoint: Checkpoint, name: &str, options: &LoadOptions) -> Result<Graph> {
    let Checkpoint { state_dicts, mut source, mut unused, config } = checkpoint;
    let config = match &options.config {
        Some(path) => Some(config_json(path)?),
        None => config,
    };
    let config = config.as_ref().map(|value| Config::read(value, &mut source.notes)).transpose()?.flatten();
    let mut given = options.given.clone();
    if let Some(config) = &config {
        config.fill(&mut given);
    }
    let state_dicts = renamed::renamed(state_dicts, &mut given, &mut source.notes, &mut unused)?;
    let state_dicts = masks::multiplied(state_dicts, &mut source.notes)?;
    given.head_pool = modules::head::pool(&state_dicts);
    let head_from = options.head_from.as_deref();
    let asked = Asked { given: &given, head_from, unused: &unused, dangers: &source.dangers };
    let which = options.which.as_deref();
    let mut chosen = match choose::network(&state_dicts, which, &asked) {
        Ok(chosen) => chosen,
        Err(error) => {
            let family = families::network(&state_dicts, which, &asked, name, &source, &unused);
            return family.unwrap_or(Err(error));
        }
    };
    let (own, head);
    let built = fastai_head(&chosen);
    if let Some((pool, head)) = built {
        head.detach(&mut chosen);
        (given.head_pool, given.headless) = (Some(pool), Some(Headless::Features));
        chosen.recognised = again(&chosen, &given)?;
        let note = head.attach(&mut chosen);
        chosen.notes.push(note);
    } else if !chosen.dict.modules.is_empty() {
        head = stated_head(&mut chosen, &mut given, head_from);
        if chosen.is_part() {
            own = chosen.alone();
            chosen.dict = &own;
        }
        chosen.recognised = modules::settle(&chosen, given)?;
        if let Some(head) = &head {
            let note = head.attach(&mut chosen);
            chosen.notes.push(note);
        }
    } else {
        let mut known = Vec::new();
        if let Some((more, choice)) = beside::complete(&chosen, &given) {
            (given, known) = (more, vec![choice]);
        }
        if let Some((headless, choice)) = readers::form(&chosen, &given) {
            given.headless = Some(headless);
            known.push(choice);
        }
        if !known.is_empty() {
            chosen.recognised = again(&chosen, &given)?;
            chosen.recognised.choices.splice(0..0, known);
        }
        beside::detection(chosen.dict, &mut chosen.recognised);
    }
    let (stated, said) = preparation::of_tensors(&chosen.dict.tensors);
    source.preprocessing.extend(stated);
    if let Some(impossible) = &chosen.recognised.impossible {
        let (expected, found) = (impossible.expected.clone(), impossible.found.clone());
        return Err(Error::Config {
            at: impossible.option.to_string().into(),
            expected: expected.into(),
            found: found.into(),
        });
    }
    let Network { recognised, names, notes, unused: outside, heads, .. } = chosen;
    source.notes.extend(bodies::left_out(&heads));
    source.notes.extend(notes);
    unused.extend(outside);
    if let Some(config) = &config {
        config.hold(&recognised.recipe)?;
    }
    source.notes.extend(said);
    source.notes.extend(told(&recognised));
    source.architecture = recognised.recipe.standard_name();
    if source.framework == Framework::Unknown {
        let keras = recognised.class.layout().axes == Axes::Keras;
        source.framework = if keras { Framework::Keras } else { Framework::Pytorch };
    }
    let mut recipe = recognised.recipe.clone();
    if recipe.name.is_empty() {
        recipe.name = name.to_owned();
    }
    build(&recipe, &recognised, &names, source, unused)
}

/// The head that fastai put behind a network, of which nothing but names and shapes is known.
fn fastai_head<'a>(chosen: &Network<'a>) -> Option<(HeadPool, modules::head::Stated<'a>)> {
    if !chosen.dict.modules.is_empty() || chosen.heads.is_empty() {
        return None;
    }
    let features = chosen.recognised.recipe.form.stages.last()?.outputs;
    let tensors = chosen.dict.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let head = fastai::head(tensors, &chosen.prefix, features)?;
    Some((head.pool, modules::head::Stated::new(head.steps, vec![head.module], head.known)))
}

/// The head that a network's modules state, taken apart from it; where there is one that is not read, that is noted.
fn stated_head<'a>(
    chosen: &mut Network<'a>,
    given: &mut Given,
    head_from: Option<&str>,
) -> Option<modules::head::Stated<'a>> {
    match modules::head::of(chosen, given, head_from) {
        Ok(head) => {
            if let Some(head) = &head {
                head.detach(chosen);
                given.headless = Some(Headless::Features);
            }
            head
        }
        Err(unread) => {
            chosen.notes.push(unread.note());
            None
        }
    }
}

/// The network of the same tensors, told with more that is known.
fn again(chosen: &Network, given: &Given) -> Result<Recognised> {
    let given = Given { library: Some(chosen.recognised.library), ..given.clone() };
    recognise(&modules::entries_of(&chosen.recognised, &chosen.names), &given).map_err(|mismatches| Error::Weights {
        problem: "what is known of the network says otherwise than names and shapes".into(),
        tried: mismatches.into_iter().map(|m| format!("{}: {}", m.class, m.reason).into()).collect(),
    })
}

/// How the network was told, and what was taken without being told.
fn told(recognised: &Recognised) -> Vec<String> {
    let Recognised { library, class, recipe, choices, .. } = recognised;
    let depth = recipe.form.depth();
    let name = recipe.standard_name().unwrap_or_else(|| format!("a network of depth {depth} in sizes of its own"));
    let classes = recipe.head.as_ref().and_then(Head::classes);
    let head = classes.map_or("without a classifier".to_owned(), |classes| format!("{classes} classes"));
    let mut notes = vec![format!(
        "network found from names and shapes: {name}, {head}, in the layout of {} ({})",
        library.name, class.describe
    )];
    notes.extend(taken(class.describe, choices));
    notes
}

/// All that was taken, in one sentence.
pub(crate) fn taken(class: &str, choices: &[Choice]) -> Option<String> {
    let texts: Vec<String> = choices
        .iter()
        .map(|choice| match &choice.hints[..] {
            [] => choice.taken.clone(),
            hints => format!("{} ({})", choice.taken, hint::listed(hints)),
        })
        .collect();
    let otherwise = match choices.iter().filter(|choice| !choice.hints.is_empty()).count() {
        0 => "",
        1 => "; the option in brackets says otherwise",
        _ => "; the options in brackets say otherwise",
    };
    (!texts.is_empty()).then(|| format!("not in the file, taken as in {class}: {}{otherwise}", texts.join("; ")))
}

/// The graph of a network that was told from these tensors.
fn build(
    recipe: &Recipe,
    recognised: &Recognised,
    names: &[&NamedTensor],
    source: Source,
    unused: Vec<Unused>,
) -> Result<Graph> {
    let layout = recognised.class.layout();
    let bound = |slot: Slot| -> Option<Result<Bound>> {
        let named = *names.get(*recognised.slots.get(&slot)?)?;
        let tensor = layout.read(slot, &named.tensor);
        let tensor = tensor.map_err(|source| Error::Tensor { tensor: named.name.clone().into(), source });
        Some(tensor.map(|tensor| Bound { tensor, name: named.name.clone(), location: named.location.clone() }))
    };
    let counters = recognised.slots.keys().filter(|slot| slot.field == Field::Batches);
    let counters: Result<BTreeMap<Position, Bound>> =
        counters.filter_map(|slot| Some(bound(*slot)?.map(|bound| (slot.position, bound)))).collect();
    recipe.build_with(source, unused, counters?, &mut |wanted: &Wanted| {
        bound(wanted.slot).unwrap_or_else(|| {
            Err(Error::MissingTensor {
                layer: wanted.layer.name.clone().into(),
                tensor: wanted.slot.field.to_string().into(),
                expected: format!("{:?}", wanted.shape).into(),
                found: "nothing".into(),
            })
        })
    })
}
