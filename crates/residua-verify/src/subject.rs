//! What a rule may look at.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use rayon::prelude::*;
use residua_ir::budget::Overrun;
use residua_ir::free_sizes::{self, Contradiction, Tried};
use residua_ir::op::description::{Class, Products};
use residua_ir::validate::{BAD_ATTRIBUTE, SHAPE_MISMATCH};
use residua_ir::{
    Checked, Code, DType, Finding, Invalid, NodeId, Op, Parameter, ParameterId, Role, Statistics, TensorError, Typed,
    ValueId, ValueKind,
};
use residua_resnet::Anatomy;
use residua_resnet::anatomy::Block;

use crate::dominant::DominantPattern;
use crate::onnx::OnnxText;
use crate::targets::{Fit, Onnx, Runtime, Takes};

/// A model under check. Ranges of values are computed once, when a rule first asks for them.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(crate) model: &'a Typed,
    /// The same, where it holds together.
    checked: Option<&'a Checked>,
    /// What validation found.
    pub(crate) validation: &'a [Finding],
    pub(crate) anatomy: &'a Anatomy,
    pub(crate) expected: Option<&'a str>,
    /// Name of the file, without its ending.
    pub(crate) called: Option<&'a str>,
    /// Float type that it is to be kept in, where that is another than its own.
    pub(crate) dtype: Option<DType>,
    /// The ONNX model that it is read from, or would be written as; why it cannot be written.
    pub(crate) onnx: Option<Result<&'a OnnxText<'a>, &'a str>>,
    /// Runtimes that it is meant for.
    pub(crate) targets: &'a [&'static Runtime],
    fits: OnceLock<Vec<Option<Fit>>>,
    statistics: OnceLock<Vec<Result<Statistics, TensorError>>>,
    dominant: OnceLock<Option<DominantPattern>>,
    free_sizes: OnceLock<Tried>,
}

impl<'a> Subject<'a> {
    /// A model with what is known of it; `expected` is the architecture that it must be, as the user named it.
    #[must_use]
    pub fn new(model: &'a Checked, anatomy: &'a Anatomy, expected: Option<&'a str>) -> Self {
        Self { checked: Some(model), ..Self::of(model, model.findings(), anatomy, expected) }
    }

    /// A model that does not hold together; what can be said beyond that is said.
    #[must_use]
    pub fn of_invalid(invalid: &'a Invalid, anatomy: &'a Anatomy, expected: Option<&'a str>) -> Self {
        Self::of(&invalid.typed, &invalid.findings, anatomy, expected)
    }

    fn of(model: &'a Typed, validation: &'a [Finding], anatomy: &'a Anatomy, expected: Option<&'a str>) -> Self {
        Self {
            model,
            checked: None,
            validation,
            anatomy,
            expected,
            called: None,
            dtype: None,
            onnx: None,
            targets: &[],
            fits: OnceLock::new(),
            statistics: OnceLock::new(),
            dominant: OnceLock::new(),
            free_sizes: OnceLock::new(),
        }
    }

    /// The same in a file of this name, which may say what it holds.
    #[must_use]
    pub fn called(self, name: &'a str) -> Self {
        Self { called: Some(name), ..self }
    }

    /// The same, to be kept in this float type.
    #[must_use]
    pub fn in_dtype(self, dtype: Option<DType>) -> Self {
        Self { dtype, ..self }
    }

    /// The same, for these runtimes.
    #[must_use]
    pub fn for_targets(self, targets: &'a [&'static Runtime]) -> Self {
        Self { targets, ..self }
    }

    /// The same, read from an ONNX model or to be written as one; or why it cannot be.
    #[must_use]
    pub fn as_onnx(self, onnx: Result<&'a OnnxText<'a>, &'a str>) -> Self {
        Self { onnx: Some(onnx), ..self }
    }

    /// The ONNX file that it is read from.
    pub(crate) fn onnx_file(&self) -> Option<&'a OnnxText<'a>> {
        self.onnx.and_then(Result::ok).filter(|text| !text.is_drafted())
    }

    /// The runtimes that take ONNX models, each with what it takes and the model that it is given.
    pub(crate) fn onnx_targets(&self) -> impl Iterator<Item = (&'static Runtime, &'static Onnx, &'a OnnxText<'a>)> {
        let text = self.onnx.and_then(Result::ok);
        self.targets.iter().filter_map(move |runtime| match &runtime.takes {
            Takes::Onnx(takes) => Some((*runtime, takes, text?)),
            Takes::Weights(_) => None,
        })
    }

    /// The runtimes that have model code, each with its layout and how the weights fit.
    pub(crate) fn weight_targets(&self) -> impl Iterator<Item = (&'static Runtime, &'static str, &Fit)> {
        let fit = |runtime: &&'static Runtime| match runtime.takes {
            Takes::Weights(library) => Fit::of(self.checked?, self.anatomy, library),
            Takes::Onnx(_) => None,
        };
        let fits = self.fits.get_or_init(|| self.targets.iter().map(fit).collect());
        self.targets.iter().zip(fits).filter_map(|(runtime, fit)| match runtime.takes {
            Takes::Weights(library) => Some((*runtime, library, fit.as_ref()?)),
            Takes::Onnx(_) => None,
        })
    }

    /// What to do about a network that a runtime's model code cannot build: take source that is written for it, where there is
    /// such, or else what stands in the way.
    pub(crate) fn instead_of_model_code(&self, runtime: &Runtime) -> Option<String> {
        let lacks = match runtime.name {
            "candle" => residua_source::candle::lacks,
            "burn" => residua_source::burn::lacks,
            _ => return None,
        };
        let model = self.checked?;
        // An export is written as the network that it was.
        let normal = residua_ir::rewrite::normalise(model).ok().flatten().and_then(|normal| normal.model.check().ok());
        let program = match &normal {
            Some(normal) => residua_source::plan(normal, &residua_resnet::anatomy::analyse_as_it_is(normal)),
            None => residua_source::plan(model, self.anatomy),
        };
        Some(match lacks(&program).first() {
            None => format!("`residua convert MODEL OUT/ --to {}` writes source that builds it", runtime.name),
            Some(lack) => format!("no source can be written for it either: {} {}", lack.op, lack.reason),
        })
    }

    /// What most blocks have in common; none where there are too few.
    pub(crate) fn dominant(&self) -> Option<&DominantPattern> {
        self.dominant.get_or_init(|| DominantPattern::of(self.model.graph(), self.anatomy)).as_ref()
    }

    /// The same, where an exception to it means anything.
    pub(crate) fn judged_dominant(&self) -> Option<&DominantPattern> {
        self.dominant().filter(|dominant| dominant.judges())
    }

    /// Free sizes that the graph contradicts; none is looked for where the graph does not hold together at all.
    pub(crate) fn contradictions(&self) -> &[Contradiction] {
        &self.tried_sizes().found
    }

    /// The limit at which trying free sizes ended before it was through.
    pub(crate) fn untried_sizes(&self) -> Option<Overrun> {
        self.tried_sizes().given_up
    }

    fn tried_sizes(&self) -> &Tried {
        self.free_sizes.get_or_init(|| match self.checked {
            Some(model) => {
                let declared = self.onnx_file().map_or_else(Vec::new, |text| text.declared_outputs(self.model.graph()));
                free_sizes::contradictions(model, &declared)
            }
            None => Tried::default(),
        })
    }

    /// Whether a layer of a block cannot be computed: what else is odd about the block follows from that.
    pub(crate) fn is_broken(&self, block: &Block) -> bool {
        let broken = [&SHAPE_MISMATCH, &BAD_ATTRIBUTE];
        let mut errors = self.validation.iter().filter(|finding| broken.contains(&finding.code)).peekable();
        errors.peek().is_some() && {
            let nodes = block.main.iter().chain(&block.path.nodes).chain([&block.add]);
            let layers: Vec<&str> = nodes.map(|&node| self.layer(node)).collect();
            errors.any(|finding| finding.node.as_ref().is_some_and(|node| layers.contains(&node.raw())))
        }
    }

    /// The layer that a node belongs to.
    pub(crate) fn layer(&self, node: NodeId) -> &'a str {
        let graph = self.model.graph();
        graph.layer(graph.node(node).layer).name.raw()
    }

    /// What gives a value: a layer, or an input.
    pub(crate) fn origin(&self, value: ValueId) -> &'a str {
        let graph = self.model.graph();
        graph.producer(value).map_or(graph.value(value).name.raw(), |node| self.layer(node))
    }

    /// A finding about a tensor, at the layer that owns it.
    pub(crate) fn about(&self, code: &'static Code, parameter: &Parameter, message: String, help: &str) -> Finding {
        let place = if parameter.location.is_empty() { &parameter.name } else { &parameter.location };
        Finding::new(code, message, help).at(&self.model.graph().layer(parameter.layer).name).of_tensor(place)
    }

    /// Each parameter with what can be said of its values, in the graph's order.
    pub fn statistics(&self) -> impl Iterator<Item = (&'a Parameter, &Result<Statistics, TensorError>)> {
        self.model.graph().parameters().iter().zip(self.all_statistics())
    }

    /// The kernels among them: what convolutions and dense layers multiply by. A vector that was given more axes, to be
    /// added to images, is none, and what only an operator reads that is not known may be anything.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = (&'a Parameter, &Result<Statistics, TensorError>)> {
        let graph = self.model.graph();
        let multiplies = |op: &Op| op.describe().products != Products::None;
        let parameter_of = |value: ValueId| match graph.value(value).kind {
            ValueKind::Parameter(id) => Some(id),
            ValueKind::Input(_) | ValueKind::Computed { .. } => None,
        };
        let read = graph.nodes().iter().filter(|node| multiplies(&node.op)).flat_map(|node| &node.inputs);
        let multiplied: BTreeSet<ParameterId> = read.filter_map(|&value| parameter_of(value)).collect();
        let seen: BTreeSet<ParameterId> = graph
            .nodes()
            .iter()
            // A table that is repeated, such as the mask of an attention, has no filters.
            .filter(|node| !matches!(node.op.describe().class, Class::Unknown | Class::Repetition))
            .flat_map(|node| &node.inputs)
            .filter_map(|&value| parameter_of(value))
            .collect();
        graph.parameter_ids().zip(self.statistics()).filter(move |(id, _)| seen.contains(id)).filter_map(
            move |(id, (parameter, found))| {
                let shape = parameter.tensor.shape();
                let axes = shape.iter().filter(|&&size| size > 1).count();
                let is_kernel = parameter.role == Role::Weight && shape.len() >= 2;
                (is_kernel && (axes > 1 || multiplied.contains(&id))).then_some((parameter, found))
            },
        )
    }

    /// The parameter behind a value with what can be said of its values; none where it is computed, or cannot be read.
    pub(crate) fn statistics_of(&self, value: ValueId) -> Option<(&'a Parameter, &Statistics)> {
        let graph = self.model.graph();
        match graph.value(value).kind {
            ValueKind::Parameter(id) => {
                Some((graph.parameter(id), self.all_statistics().get(id.index())?.as_ref().ok()?))
            }
            ValueKind::Input(_) | ValueKind::Computed { .. } => None,
        }
    }

    fn all_statistics(&self) -> &[Result<Statistics, TensorError>] {
        let parameters = self.model.graph().parameters();
        self.statistics.get_or_init(|| parameters.par_iter().map(|parameter| parameter.tensor.statistics()).collect())
    }
}
