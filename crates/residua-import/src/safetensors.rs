//! safetensors files to a graph: those that hold one, written by this project.
//!
//! A file with weights alone says neither operators nor hyperparameters; which layouts of other frameworks it may be is
//! told from its names, and refused.

use std::collections::HashMap;

use residua_formats::safetensors::SafetensorsFile;
use residua_ir::{Graph, Tensor, Unused, interchange};

use crate::error::{Error, Result};

/// Key of the graph's text in the metadata.
const GRAPH_KEY: &str = "residua.graph";

/// The network in a container.
///
/// # Errors
/// [`Error`], naming the layer or tensor it is about.
pub fn import(file: SafetensorsFile, name: &str) -> Result<Graph> {
    let Some(text) = file.metadata.get(GRAPH_KEY) else { return Err(weights_alone(&file, name)) };
    let tensors: HashMap<&str, &Tensor> = file.tensors.iter().map(|t| (t.name.as_str(), &t.tensor)).collect();
    let used = std::cell::RefCell::new(std::collections::HashSet::new());
    let graph = interchange::read(text, |name| {
        used.borrow_mut().insert(name.to_owned());
        tensors.get(name).map(|&tensor| tensor.clone())
    });
    let mut graph = graph.map_err(|error| Error::Config {
        at: format!("metadata `{GRAPH_KEY}`"),
        expected: "the text of a graph".to_owned(),
        found: error.to_string(),
    })?;
    let used = used.into_inner();
    let unused = file.tensors.iter().filter(|tensor| !used.contains(&tensor.name));
    graph.add_unused(unused.map(|tensor| Unused {
        location: tensor.name.clone(),
        reason: "the graph in the metadata does not mention it".to_owned(),
    }));
    let source = graph.source_mut();
    source.notes.push(format!("written from {} by residua", source.format));
    source.format = "safetensors".to_owned();
    Ok(graph)
}

/// What the names of a file without a graph look like.
fn weights_alone(file: &SafetensorsFile, name: &str) -> Error {
    let has = |part: &str| file.tensors.iter().any(|tensor| tensor.name.contains(part));
    let looks = [
        ("a torchvision ResNet", has("layer1.0.conv1.weight") && has("fc.weight")),
        ("a Hugging Face ResNet", has("encoder.stages.0.layers.0.layer.0.convolution.weight")),
        ("a timm pre-activation ResNet", has("stages.0.blocks.0.norm1.weight")),
        ("a Keras Applications ResNet", has("conv2_block1_1_conv")),
    ];
    let looks: Vec<&str> = looks.into_iter().filter(|(_, fits)| *fits).map(|(what, _)| what).collect();
    let looks =
        if looks.is_empty() { "of no known naming".to_owned() } else { format!("named as {}", looks.join(" or ")) };
    Error::Unsupported {
        what: format!("`{name}`, a safetensors file of {} tensors without a graph, {looks},", file.tensors.len()),
        help: format!(
            "only files with `{GRAPH_KEY}` in their metadata are read, which `residua convert` writes; convert the model it came from"
        ),
    }
}
