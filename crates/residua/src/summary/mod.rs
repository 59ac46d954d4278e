//! What `inspect` knows about a model: the data behind every way of printing it, and its JSON as it is.
//!
//! Only metadata is looked at; no element of a tensor is touched, but by [`weights`].

mod cost;
pub mod diagram;
mod interface;
mod layers;
mod parts;
#[cfg(test)]
mod tests;
pub mod unknown;
#[cfg(feature = "reports")]
mod weights;

use std::fs;
use std::path::Path;

use residua_ir::computes::{ComputesIn, computes_in};
use residua_ir::{Checked, Dim, Finding, Graph, Role, Unused, validate};
use residua_resnet::anatomy::Block;
use residua_resnet::preprocessing::Known;
use residua_resnet::{Anatomy, Architecture};
use serde::Serialize;

use crate::model::Model;
use crate::options::Count;

pub use cost::{Memory, Parameters};
use diagram::Diagram;
pub use interface::Interface;
pub use layers::{Field, LayerRow};
use unknown::Unknown;
#[cfg(feature = "reports")]
pub use weights::{Weights, weights};

/// A model as `inspect` shows it.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// Name and version of the document.
    pub schema: &'static str,
    /// The file or folder.
    pub file: String,
    /// Size of the file; of all files in a folder.
    pub bytes: Option<u64>,
    /// The graph's own name.
    pub name: &'a str,
    /// The format of the file.
    pub format: &'a str,
    /// The framework that wrote it.
    pub framework: &'a str,
    /// And its version.
    pub framework_version: Option<&'a str>,
    /// How the network was found, where the file does not hold it.
    pub notes: &'a [String],
    /// What would have run code where the file is loaded by its own framework; nothing of it was run.
    pub dangers: &'a [String],
    /// What it is called and how it is built, where that is known.
    pub architecture: Option<&'a Architecture>,
    /// Layers of which nothing is known but their class.
    pub unknown: Vec<Unknown>,
    /// The mode in which values of images are scaled, `custom` where it has no name; null where nothing tells.
    pub preprocessing: Option<&'static str>,
    /// In words: how that is known.
    pub preprocessing_known_by: Option<String>,
    /// Each part of how images are prepared, and from where it is.
    pub preparation: Option<Known>,
    /// Which published weights it is, where somebody asked.
    #[cfg(feature = "known")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<&'a crate::known::Identity>,
    /// What goes in.
    pub inputs: Vec<Interface<'a>>,
    /// What comes out.
    pub outputs: Vec<Interface<'a>>,
    /// What the source computes in types narrower than f32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub computes_in: Vec<ComputesIn>,
    /// Whose way of counting parameters and MACs is followed.
    pub counted_as: Count,
    /// How many numbers it holds.
    pub parameters: Parameters,
    /// The input sizes that MACs and activation memory are for, where the model leaves its own free.
    pub costs_at: Option<Vec<Vec<usize>>>,
    /// Multiply-adds; none where a size is free.
    pub macs: Option<u64>,
    /// Two for each of them.
    pub flops: Option<u64>,
    /// What weights and activations take.
    pub memory: Memory,
    /// Tensors of the file that nothing uses, with the reason.
    pub unused: &'a [Unused],
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// Its residual blocks.
    pub blocks: &'a [Block],
    /// A row a layer, in graph order.
    pub layers: Vec<LayerRow<'a>>,
}

impl<'a> Summary<'a> {
    /// Takes these findings instead of those of validation.
    pub fn set_findings(&mut self, graph: &Graph, findings: Vec<Finding>) {
        layers::mark(&mut self.layers, graph, &findings);
        self.findings = findings;
    }

    /// Everything about a model. `sized` is the same model at sizes that are known, for MACs and memory.
    pub fn of(path: &Path, model: &'a Checked, sized: &'a Checked, anatomy: &'a Anatomy, count: Count) -> Self {
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
            format: source.format.name(),
            framework: source.framework.name(),
            framework_version: source.version.as_deref(),
            notes: &source.notes,
            dangers: &source.dangers,
            architecture: anatomy.architecture.as_ref(),
            unknown: unknown::unknown(model),
            preprocessing: None,
            preprocessing_known_by: None,
            preparation: None,
            #[cfg(feature = "known")]
            identity: None,
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
        summary.set_findings(graph, model.findings().to_vec());
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

impl Model {
    /// The model at the sizes that figures of it are for: what [`Sized::summary`] and drawings are made of.
    #[must_use]
    pub fn sized_for_figures(&self) -> Sized<'_> {
        Sized::new(self)
    }
}

/// A model with the sizes that figures of it are for.
#[derive(Debug)]
pub struct Sized<'m> {
    model: &'m Model,
    /// The model at sizes that are known, where its own are free.
    at: Option<Checked>,
}

impl<'m> Sized<'m> {
    /// The model at the size that its architecture was published for, where its own height and width are free.
    #[must_use]
    pub fn new(model: &'m Model) -> Self {
        Self { model, at: at_usual_size(model) }
    }

    fn checked(&self) -> &Checked {
        self.at.as_ref().unwrap_or(&self.model.checked)
    }

    /// Everything about the model.
    #[must_use]
    pub fn summary(&self, count: Count) -> Summary<'_> {
        let model = self.model;
        let known = model.preprocessing();
        let mut summary = Summary::of(&model.path, &model.checked, self.checked(), &model.anatomy, count);
        summary.preprocessing = known.name();
        summary.preprocessing_known_by = Some(known.reason.clone());
        summary.preparation = Some(known);
        #[cfg(feature = "known")]
        {
            summary.identity = model.identity();
        }
        summary
    }

    /// Stages, blocks and shortcuts, for drawings.
    #[must_use]
    pub fn diagram(&self) -> Diagram {
        Diagram::of(&self.model.checked, self.checked(), &self.model.anatomy)
    }

    /// Looks at every weight: findings of all rules into the summary, and the tensors of each row of its layer table.
    /// `tell` hears how many tensors of how many were looked at.
    #[cfg(feature = "reports")]
    pub fn read_weights(&self, summary: &mut Summary, tell: impl Fn(usize, usize) + Sync) -> Vec<Vec<Weights>> {
        let model = self.model;
        let graph = model.checked.graph();
        let (done, all) = (std::sync::atomic::AtomicUsize::new(0), graph.parameters().len());
        // The rules read each weight; what they see of it is asked for only once.
        let name = model.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let subject = residua_verify::Subject::new(&model.checked, &model.anatomy, None).called(&name);
        let findings = residua_verify::check(&subject);
        let of_layers =
            weights(graph, &subject, || tell(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, all));
        summary.set_findings(graph, findings);
        // Rows of inputs that are no layers come first.
        let inputs = summary.layers.len() - of_layers.len();
        let mut rows: Vec<Vec<Weights>> = (0..inputs).map(|_| Vec::new()).collect();
        rows.extend(of_layers);
        rows
    }
}

/// The model at the size that its architecture was published for, where its own height and width are free.
fn at_usual_size(model: &Model) -> Option<Checked> {
    let usual = model.usual_size()?;
    let graph = model.checked.graph();
    let [input] = graph.inputs() else { return None };
    let shape = model.checked.shape_of(*input)?;
    let free = shape.dims().iter().skip(1).any(|dim| dim.fixed().is_none());
    if !free || shape.rank() != 4 {
        return None;
    }
    let size = |(axis, dim): (usize, &Dim)| dim.fixed().unwrap_or(if axis == 0 { 1 } else { usual });
    let sizes: Vec<usize> = shape.dims().iter().enumerate().map(size).collect();
    validate(graph.clone().with_input_shapes(&[Some(sizes)]).ok()?).ok()
}
