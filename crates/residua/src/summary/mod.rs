//! What `inspect` knows about a model: the data behind every way of printing it, and its JSON as it is.
//!
//! Only metadata is looked at; no element of a tensor is touched, but by [`weights`].

mod cost;
pub(crate) mod diagram;
mod interface;
mod layers;
mod parts;
#[cfg(test)]
mod tests;
pub(crate) mod unknown;
mod weights;

use std::fs;
use std::path::Path;

use residua_ir::computes::{ComputesIn, computes_in};
use residua_ir::{Checked, Graph, Role, Unused};
use residua_resnet::anatomy::Block;
use residua_resnet::preprocessing::Known;
use residua_resnet::{Anatomy, Architecture};
use serde::Serialize;

use crate::args::Count;
use crate::render::FindingRecord;

pub(crate) use cost::{Memory, Parameters};
pub(crate) use interface::Interface;
pub(crate) use layers::{Field, LayerRow};
use unknown::Unknown;
pub(crate) use weights::{Weights, weights};

/// A model as `inspect` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    pub(crate) schema: &'static str,
    pub(crate) file: String,
    /// Size of the file; of all files in a folder.
    pub(crate) bytes: Option<u64>,
    pub(crate) name: &'a str,
    pub(crate) format: &'a str,
    pub(crate) framework: &'a str,
    pub(crate) framework_version: Option<&'a str>,
    /// How the network was found, where the file does not hold it.
    pub(crate) notes: &'a [String],
    /// What would have run code where the file is loaded by its own framework; nothing of it was run.
    pub(crate) dangers: &'a [String],
    pub(crate) architecture: Option<&'a Architecture>,
    /// Layers of which nothing is known but their class.
    pub(crate) unknown: Vec<Unknown>,
    /// The mode in which values of pictures are scaled, `custom` where it has no name; null where nothing tells.
    pub(crate) preprocessing: Option<&'static str>,
    pub(crate) preprocessing_known_by: Option<String>,
    /// Each part of how pictures are prepared, and from where it is.
    pub(crate) preparation: Option<Known>,
    pub(crate) inputs: Vec<Interface<'a>>,
    pub(crate) outputs: Vec<Interface<'a>>,
    /// What the source computes in types narrower than f32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) computes_in: Vec<ComputesIn>,
    /// Whose way of counting parameters and MACs is followed.
    pub(crate) counted_as: Count,
    pub(crate) parameters: Parameters,
    /// The input sizes that MACs and activation memory are for, where the model leaves its own free.
    pub(crate) costs_at: Option<Vec<Vec<usize>>>,
    pub(crate) macs: Option<u64>,
    pub(crate) flops: Option<u64>,
    pub(crate) memory: Memory,
    pub(crate) unused: &'a [Unused],
    pub(crate) findings: Vec<FindingRecord>,
    pub(crate) blocks: &'a [Block],
    pub(crate) layers: Vec<LayerRow<'a>>,
}

impl<'a> Summary<'a> {
    /// Takes these findings instead of those of validation.
    pub(crate) fn set_findings(&mut self, graph: &Graph, findings: Vec<FindingRecord>) {
        layers::mark(&mut self.layers, graph, &findings);
        self.findings = findings;
    }

    /// Everything about a model. `sized` is the same model at sizes that are known, for MACs and memory.
    pub(crate) fn of(path: &Path, model: &'a Checked, sized: &'a Checked, anatomy: &'a Anatomy, count: Count) -> Self {
        let graph = model.graph();
        let source = graph.source();
        let macs = cost::macs_by_node(sized, count);
        let total = macs.iter().try_fold(0u64, |sum, &macs| sum.checked_add(macs?));
        let costs_at = (!std::ptr::eq(model, sized)).then(|| interface::fixed_inputs(sized));
        let mut summary = Self {
            schema: "residua.inspect/1",
            file: path.to_string_lossy().into_owned(),
            bytes: file_size(path),
            name: graph.name().raw(),
            format: &source.format,
            framework: &source.framework,
            framework_version: source.version.as_deref(),
            notes: &source.notes,
            dangers: &source.dangers,
            architecture: anatomy.architecture.as_ref(),
            unknown: unknown::unknown(model),
            preprocessing: None,
            preprocessing_known_by: None,
            preparation: None,
            inputs: graph.inputs().iter().map(|&id| Interface::of(model, id)).collect(),
            outputs: graph.outputs().iter().map(|&id| Interface::of(model, id)).collect(),
            computes_in: computes_in(model),
            counted_as: count,
            parameters: Parameters::counted(graph, count),
            costs_at,
            macs: total,
            flops: total.and_then(|macs| macs.checked_mul(2)),
            memory: Memory::of(sized),
            unused: graph.unused(),
            findings: Vec::new(),
            blocks: &anatomy.blocks,
            layers: layers::rows(model, sized, anatomy, &macs, count),
        };
        summary.set_findings(graph, model.findings().iter().map(FindingRecord::from).collect());
        summary
    }
}

/// Whether a parameter is one that the framework counts.
fn is_counted(role: Role) -> bool {
    match role {
        Role::Weight | Role::Statistic | Role::Counter => true,
        Role::Literal | Role::Default => false,
    }
}

fn file_size(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_file() {
        return Some(metadata.len());
    }
    let files = fs::read_dir(path).ok()?.filter_map(|entry| entry.ok()?.metadata().ok());
    Some(files.filter(fs::Metadata::is_file).map(|file| file.len()).sum())
}
