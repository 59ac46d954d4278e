//! How images are prepared, as the files of a model state it.
//!
//! Read are `preprocessor_config.json` of transformers ([`hugging_face`]), `config.json` of timm ([`timm`]) and the files of a preset of KerasHub ([`keras_hub`]) beside a
//! model, and what the scripts of torchvision, timm and others leave in a checkpoint ([`checkpoint`], [`buffers`]). What our own writer
//! puts into metadata is read where the metadata are ([`of_metadata`]).
//!
//! Invariant: a statement that cannot be followed is an error that names the file and the key, never a guess.

mod buffers;
mod checkpoint;
mod hugging_face;
mod keras_hub;
mod settings;
mod timm;

use std::path::Path;

use residua_formats::{Beside, ModelSource, beside};
use residua_ir::preparation::{Preparation, PreparationError, Stated};
use residua_ir::{Graph, Hint};
use serde_json::Value;

use crate::config_json::config_json;
use crate::error::{Error, Result};

pub(crate) use buffers::{of_tensors, says_values};
pub(crate) use checkpoint::of_scalars;
pub(crate) use timm::is_timm;

/// Key in the metadata of files that we write.
const METADATA_KEY: &str = "residua.preprocessing";

/// Files of transformers, and the key of the settings in them where they are not all of it; the first that is there counts.
const PROCESSORS: [(&str, Option<&str>); 2] =
    [("preprocessor_config.json", None), ("processor_config.json", Some("image_processor"))];
/// timm's file, and transformers' configuration of the network.
const CONFIG: &str = "config.json";

/// Puts into the graph what the files beside its model state. What the model's own library would follow counts first.
///
/// `config` is for weights alone: the configuration that was named for them, if one was.
///
/// # Errors
/// Where a file states what cannot be followed.
pub(crate) fn read_beside(source: &ModelSource, config: Option<Option<&Path>>, graph: &mut Graph) -> Result<()> {
    let mut found = Found { weights_alone: config.is_some(), ..Found::default() };
    let named = config.flatten();
    // A configuration that is named stands for all that lies beside it.
    let beside_named = named.map(ModelSource::from);
    let model = beside_named.as_ref().unwrap_or(source);
    for (name, key) in PROCESSORS {
        let Some((value, alone)) = json(model, name)? else { continue };
        let settings = match key {
            Some(key) => value.get(key),
            None => Some(&value),
        };
        let Some(settings) = settings else { continue };
        if alone || named.is_some() {
            found.add(name, hugging_face::read(name, settings)?);
        } else {
            found.shared(name);
        }
        break;
    }
    let config = match named {
        Some(config) => Some((config_json(config)?, true)),
        // Where it is no JSON, the reader of the container has said so.
        None => json(source, CONFIG).unwrap_or_default(),
    };
    let labels = config.as_ref().filter(|(_, alone)| *alone).and_then(|(value, _)| labels_of_config(value));
    if let Some((value, alone)) = config.filter(|(value, _)| is_timm(value)) {
        if alone {
            found.add(CONFIG, timm::read(CONFIG, &value)?);
        } else {
            found.shared(CONFIG);
        }
    }
    for (name, place) in keras_hub::FILES {
        let Some((value, alone)) = json(model, name)?.filter(|(value, _)| keras_hub::is_hub(value)) else { continue };
        if alone {
            found.add(name, keras_hub::read(name, place, &value)?);
        } else {
            found.shared(name);
        }
        break;
    }
    let source = graph.source_mut();
    if source.labels.is_empty() {
        source.labels = labels.unwrap_or_default();
    }
    source.preprocessing.splice(0..0, found.stated);
    source.notes.extend(found.notes);
    Ok(())
}

/// What a reader of one place found.
#[derive(Debug, Default)]
struct Read {
    preparation: Preparation,
    notes: Vec<String>,
}

#[derive(Default)]
struct Found {
    weights_alone: bool,
    stated: Vec<Stated>,
    notes: Vec<String>,
}

impl Found {
    fn add(&mut self, name: &str, read: Read) {
        self.notes.extend(read.notes);
        if !read.preparation.is_empty() {
            self.stated.push(Stated::new(name, read.preparation));
        }
    }

    fn shared(&mut self, name: &str) {
        let or = match self.weights_alone {
            true => format!(", or name its config.json with {}", Hint::Config),
            false => String::new(),
        };
        self.notes.push(format!(
            "{name} beside the model says how images are prepared, but several models lie there, so nothing was taken \
             from it; put the model into a folder of its own{or}"
        ));
    }
}

/// The JSON of this name beside a model, and whether it is about this model.
fn json(model: &ModelSource, name: &str) -> Result<Option<(Value, bool)>> {
    Ok(match beside(model, name)? {
        Beside::Nothing => None,
        Beside::OfThis(value) => Some((value, true)),
        Beside::OfSeveral(value) => Some((value, false)),
    })
}

/// What metadata of ours state, given the value of a key.
///
/// # Errors
/// Where it is nothing that our writer writes.
pub(crate) fn of_metadata<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<Stated>> {
    let Some(text) = value(METADATA_KEY) else { return Ok(Vec::new()) };
    let stated = Stated::from_metadata(text, value(&format!("{METADATA_KEY}.from")));
    Ok(vec![stated.map_err(|error| wrong_part(&format!("metadata `{METADATA_KEY}`"), error))?])
}

/// Key in the metadata of files that we write: names of the classes, a JSON array.
const LABELS_KEY: &str = "residua.labels";

/// Names of classes that metadata of ours hold, given the value of a key.
///
/// # Errors
/// Where it is nothing that our writer writes.
pub(crate) fn labels_of_metadata<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<String>> {
    let Some(text) = value(LABELS_KEY) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| Error::Config {
        at: format!("metadata `{LABELS_KEY}`").into(),
        expected: "a JSON array of names, one a class".into(),
        found: error.to_string().into(),
    })
}

/// Names of classes in a configuration of transformers, `id2label`: all from 0, none left out.
fn labels_of_config(config: &Value) -> Option<Vec<String>> {
    let map = config.get("id2label")?.as_object()?;
    let name = |class: usize| map.get(&class.to_string())?.as_str().map(str::to_owned);
    let names: Vec<String> = (0..map.len()).map_while(name).collect();
    // What transformers writes where nobody named them names nothing.
    let named = names.iter().enumerate().any(|(class, name)| *name != format!("LABEL_{class}"));
    (named && names.len() == map.len()).then_some(names)
}

fn wrong_part(at: &str, error: PreparationError) -> Error {
    let PreparationError { at: part, expected, found } = error;
    Error::Config { at: format!("{at}, {part}").into(), expected, found }
}
