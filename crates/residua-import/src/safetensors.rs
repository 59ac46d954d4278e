//! safetensors files to a graph: those that hold one, written by this project.
//!
//! Not here: files with weights alone, which are state dicts.

use std::collections::HashMap;

use residua_formats::safetensors::SafetensorsFile;
use residua_ir::preparation::Stated;
use residua_ir::{Format, Graph, Tensor, Unused, in_full, interchange};

use crate::error::{Error, Result};

/// Key of the graph's text in the metadata.
const GRAPH_KEY: &str = "residua.graph";

/// Whether a file holds its graph.
#[must_use]
pub fn holds_graph(file: &SafetensorsFile) -> bool {
    file.metadata.contains_key(GRAPH_KEY)
}

/// The network in a container that holds its graph.
///
/// # Errors
/// [`Error`], naming the layer or tensor it is about.
pub fn import(file: SafetensorsFile, name: &str) -> Result<Graph> {
    let text = file.metadata.get(GRAPH_KEY).ok_or_else(|| Error::Config {
        at: "metadata".into(),
        expected: format!("`{GRAPH_KEY}`").into(),
        found: format!("none in `{name}`").into(),
    })?;
    let tensors: HashMap<&str, &Tensor> = file.tensors.iter().map(|t| (t.name.as_str(), &t.tensor)).collect();
    let used = std::cell::RefCell::new(std::collections::HashSet::new());
    let graph = interchange::read(text, |name| {
        used.borrow_mut().insert(name.to_owned());
        tensors.get(name).map(|&tensor| tensor.clone())
    });
    let mut graph = graph.map_err(|error| Error::Config {
        at: format!("metadata `{GRAPH_KEY}`").into(),
        expected: "the text of a graph".into(),
        found: in_full(&error).into(),
    })?;
    let used = used.into_inner();
    let unused = file.tensors.iter().filter(|tensor| !used.contains(&tensor.name));
    graph.add_unused(unused.map(|tensor| Unused {
        location: tensor.name.clone().into(),
        reason: "the graph in the metadata does not mention it".to_owned(),
    }));
    let source = graph.source_mut();
    source.notes.push(format!("written from {} by residua", source.format));
    source.written_from = Some(source.format);
    source.format = Format::Safetensors;
    source.preprocessing = std::mem::take(&mut source.preprocessing).into_iter().map(Stated::recorded).collect();
    Ok(graph)
}
