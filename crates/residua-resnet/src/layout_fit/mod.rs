//! Layout fit: whether the model code of a library can build a network, and the tensors under that code's names if it can.
//!
//! The network that the code would build is built: its form from anatomy, everything else as the code settles it, its
//! tensors from the source with moves that keep the function (biases into norms, epsilons into variances, axes). It
//! is then compared with the source, block by block. What differs is a reason to refuse, in the user's terms: shapes alone
//! would often fit, and the result would be another function.
//!
//! Not done here: proof. Whoever writes the tensors reads them back and runs both networks.

mod differences;
mod dilated;
mod shapes;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use residua_ir::{Checked, GraphError, NodeId, Op, ParameterId, Role, Tensor, TensorError, in_full, validate};

use crate::anatomy::{Anatomy, Block, BlockKind, ShortcutKind, Stage};
use crate::architecture::analyse;
use crate::form::{Form, StrideIn};
use crate::layouts::{Axes, Headless, ModelClass, ModelLibrary};
use crate::recipe::{
    Bound, Classifier, Conventions, Framework, Head, HeadPool, Input, Norms, Projections, Recipe, Sizes,
};
use crate::recognise::Given;
use crate::slot::{Field, Slot};
pub use shapes::fits_by_shapes;
use source::Tensors;

/// A tensor under the name of a layout.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FittedTensor {
    /// What it is.
    pub slot: Slot,
    /// Its name in the layout.
    pub name: String,
    /// Its elements, in the layout's axis order.
    pub tensor: Tensor,
    /// Parameters of the source that it was made of; none for what the source leaves out, such as biases of 0.
    pub from: Vec<ParameterId>,
    /// What was computed, a phrase each; nothing where elements were only moved.
    pub moves: Vec<String>,
}

/// A network as the model code of a library has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fitted {
    /// The library.
    pub library: &'static ModelLibrary,
    /// The model class.
    pub class: &'static ModelClass,
    /// The network as the class builds it.
    pub recipe: Recipe,
    /// Its tensors, in the order of its layers.
    pub tensors: Vec<FittedTensor>,
    /// Tensors of the source that it has no place for and the function does not need, with the reason.
    pub dropped: Vec<(ParameterId, String)>,
    /// What whoever builds the model has to set, beyond what the class does by itself.
    pub settings: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl Fitted {
    /// Whether elements were computed, not only moved.
    #[must_use]
    pub fn is_computed(&self) -> bool {
        self.tensors.iter().any(|placed| !placed.moves.is_empty())
    }

    /// What a reader cannot tell from names and shapes, where it is not what the class does by itself: keys and values
    /// for the metadata of a file.
    #[must_use]
    pub fn hints(&self) -> Vec<(&'static str, String)> {
        let Self { class, recipe, .. } = self;
        let mut hints = vec![("residua.layout", self.library.name.to_owned())];
        let stride_on = recipe.form.stride_on;
        if class.can.stride_on.iter().skip(1).any(|(other, _)| *other == stride_on) {
            hints.push(("residua.stride_on", stride_on.to_string()));
        }
        if recipe.conventions.first_stride != class.conventions.first_stride {
            hints.push(("residua.first_stride", recipe.conventions.first_stride.to_string()));
        }
        if let (Norms::Group(groups), true) =
            (recipe.conventions.norms, recipe.conventions.norms != class.conventions.norms)
        {
            hints.push(("residua.norm_groups", groups.to_string()));
        }
        if !recipe.pace.strides.is_empty() {
            hints.push(("residua.output_stride", recipe.whole_stride().to_string()));
        }
        let pools = recipe.head.is_some();
        if recipe.head.as_ref().is_none_or(|head| head.classifier.is_none())
            && pools != (class.headless == Headless::Features)
        {
            hints.push(("residua.headless", if pools { "features" } else { "map" }.to_owned()));
        }
        hints
    }
}

/// Why a network cannot be built with a class.
#[derive(Debug)]
enum Problem {
    /// In the user's terms.
    Reason(String),
    Graph(GraphError),
    Tensor(TensorError),
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl From<TensorError> for Problem {
    fn from(error: TensorError) -> Self {
        Self::Tensor(error)
    }
}

impl Problem {
    fn text(self) -> String {
        match self {
            Self::Reason(text) => text,
            Self::Graph(error) => in_full(&error),
            Self::Tensor(error) => error.to_string(),
        }
    }
}

/// The network under the names of a library.
///
/// # Errors
/// Why the library's model code cannot build it, a sentence each; of several classes, the reasons of the nearest.
pub fn fit_layout(model: &Checked, anatomy: &Anatomy, library: &'static ModelLibrary) -> Result<Fitted, Vec<String>> {
    let Some(form) = Form::observed(anatomy) else {
        return Err(vec!["it has no residual blocks".to_owned()]);
    };
    let outside: Vec<String> = outside_of_forms(model, anatomy).into_iter().chain(uneven(anatomy)).collect();
    let first_stride = first_stride(anatomy, &form);
    let mut nearest: Option<(bool, Vec<String>)> = None;
    let dilates = dilated::is_dilated(anatomy);
    for &class in library.model_classes {
        let form = if dilates { dilated::as_built(&form, class) } else { form.clone() };
        let shortcuts = shortcut_reason(anatomy, class).map_or_else(|| Ok(Vec::new()), |reason| Err(vec![reason]));
        let ends = class.ends(channels(anatomy), !anatomy.head.dense.is_empty(), anatomy.head.pool.is_some());
        let settings = all_of([class.settings(&form, first_stride), shortcuts, ends]);
        let (of_form, reasons) = match settings {
            Ok(settings) if outside.is_empty() => {
                let source = Source { model, anatomy, form: &form };
                let replaced = if dilates { dilated::choices(library, &form) } else { Vec::new() };
                let built = replaced.into_iter().find_map(|(output, given)| {
                    let mut fitted = fit_class(source, Some(output), library, class, settings.clone()).ok()?;
                    fitted.settings.push(format!("build it with {given}, which no tensor says"));
                    Some(fitted)
                });
                match built.map_or_else(|| fit_class(source, None, library, class, settings), Ok) {
                    Ok(fitted) => return Ok(fitted),
                    Err(reasons) => (false, reasons),
                }
            }
            Ok(_) => (false, outside.clone()),
            Err(reasons) => (true, reasons.into_iter().chain(outside.clone()).collect()),
        };
        // A class of the network's form is nearer than one of another.
        if nearest.as_ref().is_none_or(|(other, best)| (of_form, reasons.len()) < (*other, best.len())) {
            nearest = Some((of_form, reasons));
        }
    }
    Err(nearest.map(|(_, reasons)| reasons).unwrap_or_default())
}

/// All settings, or all reasons.
fn all_of<const N: usize>(parts: [Result<Vec<String>, Vec<String>>; N]) -> Result<Vec<String>, Vec<String>> {
    let reasons: Vec<String> =
        parts.iter().filter_map(|component| component.as_ref().err()).flatten().cloned().collect();
    if reasons.is_empty() { Ok(parts.into_iter().flatten().flatten().collect()) } else { Err(reasons) }
}

/// Channels of the image.
fn channels(anatomy: &Anatomy) -> usize {
    anatomy.stem.convs.first().map_or(3, |conv| conv.inputs * conv.groups.max(1))
}

/// Stride of the first block.
fn first_stride(anatomy: &Anatomy, form: &Form) -> usize {
    match form.stride_in {
        StrideIn::First => anatomy.blocks.first().map_or(1, |block| block.stride),
        StrideIn::Last => 1,
    }
}

/// Whether shortcuts that change channels are of another kind than the class's.
fn shortcut_reason(anatomy: &Anatomy, class: &ModelClass) -> Option<String> {
    let has = |kind: ShortcutKind| anatomy.blocks.iter().any(|block| block.shortcut == kind);
    let pads = class.conventions.projections == Projections::Pad;
    let text = if has(ShortcutKind::Pad) && !pads {
        "its shortcuts add channels of zeros (option A), the layout's code has projections there"
    } else if has(ShortcutKind::Projection) && pads {
        "its shortcuts are projections, the layout's code adds channels of zeros there (option A)"
    } else {
        return None;
    };
    Some(text.to_owned())
}

/// What no form of a residual network has.
fn outside_of_forms(model: &Checked, anatomy: &Anatomy) -> Vec<String> {
    let graph = model.graph();
    let mut reasons = Vec::new();
    let mut refuse = |reason: String| reasons.push(reason);
    if let Some(&node) = anatomy.stem.scaling.first() {
        let layer = &graph.layer(graph.node(node).layer).name;
        refuse(format!("it prepares its images itself (`{layer}`), which is part of no layout"));
    }
    if let Some(loose) = anatomy.loose.first() {
        let behind = &anatomy.blocks[loose.behind].name;
        refuse(format!("it has {} convolutions behind {behind} that no shortcut spans", loose.convs.len()));
    }
    if !anatomy.long_skips.is_empty() {
        refuse("it has shortcuts over several blocks".to_owned());
    }
    if anatomy.elsewhere > 0 {
        refuse(format!("{} of its residual blocks lie beside the main path", anatomy.elsewhere));
    }
    if graph.inputs().len() != 1 || graph.outputs().len() != 1 {
        refuse(format!(
            "it has {} inputs and {} outputs, not one of each",
            graph.inputs().len(),
            graph.outputs().len()
        ));
    }
    let head = &anatomy.head;
    if head.dense.len() > 1 {
        refuse(format!("its head has {} dense layers, the layouts have one", head.dense.len()));
    }
    if let Some(activation) = head.dense.first().and_then(|dense| dense.activation.as_deref())
        && !matches!(activation, "Softmax" | "Sigmoid")
    {
        refuse(format!("its classifier is followed by {activation}"));
    }
    if let Some(reason) = head.pool.and_then(|pool| not_a_global_mean(model, pool)) {
        refuse(reason);
    } else if head.pool.is_none() && !head.dense.is_empty() {
        refuse("its classifier takes all pixels, the layouts' take their mean".to_owned());
    }
    reasons
}

/// Widths and groups that differ between the blocks of a stage: every layout's code makes all of them alike.
fn uneven(anatomy: &Anatomy) -> Vec<String> {
    let mut reasons = Vec::new();
    let inner = |block: &Block| -> Vec<usize> {
        let convs = block.convs.len().saturating_sub(1);
        block.convs.iter().take(convs).map(|conv| conv.outputs).collect()
    };
    let even = |stage: &Stage| {
        let blocks = anatomy.stage_blocks(stage);
        let known = blocks.iter().all(|block| matches!(block.kind, BlockKind::Basic | BlockKind::Bottleneck));
        let mut widths = blocks.iter().flat_map(inner);
        let first = widths.next();
        !known || widths.all(|width| Some(width) == first)
    };
    if let Some((at, stage)) = anatomy.stages.iter().enumerate().find(|(_, stage)| !even(stage)) {
        let text = |block: &Block| inner(block).iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        let widths: Vec<String> = anatomy.stage_blocks(stage).iter().map(text).collect();
        reasons.push(format!(
            "its blocks have inner widths of their own, as pruning leaves them (stage {at}: {}), and the layout's code makes all \
             blocks of a stage alike",
            widths.join(", ")
        ));
    }
    let groups = anatomy.blocks.first().map(|block| block.groups);
    let known = anatomy.blocks.iter().all(|block| matches!(block.kind, BlockKind::Basic | BlockKind::Bottleneck));
    if let Some(block) = anatomy.blocks.iter().find(|block| known && Some(block.groups) != groups) {
        reasons.push(format!(
            "its blocks have groups of their own ({}: {}, the first: {}), and the layout's code has as many in all",
            block.name,
            block.groups,
            groups.unwrap_or(1)
        ));
    }
    reasons
}

/// Why a pool is not the mean over all pixels.
fn not_a_global_mean(model: &Checked, node: NodeId) -> Option<String> {
    use residua_ir::{AvgPool, GlobalPool, PoolKind, Reduce};
    let node = model.graph().node(node);
    let size = || {
        let dims = model.shape_of(*node.inputs.first()?)?.dims();
        Some([dims.get(2)?.fixed()?, dims.get(3)?.fixed()?])
    };
    match &node.op {
        Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, .. }) => None,
        Op::Reduce(Reduce { kind: PoolKind::Mean, axes, .. }) if axes[..] == [2, 3] => None,
        Op::AvgPool(AvgPool { kernel, .. }) if size() == Some(*kernel) => None,
        op => Some(format!("its head pools by {} and not by the mean over all pixels", op.name())),
    }
}

/// A network that is to be fitted.
#[derive(Clone, Copy)]
struct Source<'a> {
    model: &'a Checked,
    anatomy: &'a Anatomy,
    form: &'a Form,
}

/// The network as a class builds it, with its last strides replaced by dilations where an output stride is given.
fn fit_class(
    Source { model, anatomy, form }: Source<'_>,
    output_stride: Option<usize>,
    library: &'static ModelLibrary,
    class: &'static ModelClass,
    settings: Vec<String>,
) -> Result<Fitted, Vec<String>> {
    let tensors = Tensors::new(model, anatomy);
    let mut recipe = recipe(model, anatomy, form, class, &tensors);
    if output_stride.is_some() {
        let given = Given { output_stride, ..Given::default() };
        recipe.settle(&given).map_err(|impossible| vec![impossible.expected])?;
    }
    let mut placed: Vec<FittedTensor> = Vec::new();
    let built = recipe.build::<Problem>(Default::default(), Vec::new(), &mut |wanted| {
        let found = tensors.find(&recipe, wanted)?;
        let name = class.layout().tensor(wanted.slot).map(|name| class.layout().saved(name, recipe.head.is_some()));
        let name = name.ok_or_else(|| Problem::Reason(format!("it has a {}, which has no name there", wanted.slot)))?;
        let tensor = class.layout().stored(wanted.slot, &found.tensor)?;
        placed.push(FittedTensor {
            slot: wanted.slot,
            name: name.clone(),
            tensor,
            from: found.from,
            moves: found.moves,
        });
        Ok(Bound { tensor: found.tensor, name, location: String::new() })
    });
    let graph = built.map_err(|problem| vec![problem.text()])?;
    let built = validate(graph).map_err(|invalid| vec![invalid.to_string()])?;
    let reasons = differences::between((model, anatomy), (&built, &analyse(&built)));
    if !reasons.is_empty() {
        return Err(reasons);
    }
    if class.counters {
        placed =
            with_counters(placed, class, recipe.head.is_some(), &tensors).map_err(|problem| vec![problem.text()])?;
    }
    let dropped = dropped(model, &placed).map_err(|reason| vec![reason])?;
    Ok(Fitted { library, class, recipe, tensors: placed, dropped, settings, notes: notes(anatomy, class) })
}

/// The network as the class builds it in this form.
fn recipe(model: &Checked, anatomy: &Anatomy, form: &Form, class: &ModelClass, tensors: &Tensors) -> Recipe {
    let mut conventions: Conventions = class.conventions.clone();
    conventions.first_stride = first_stride(anatomy, form);
    if let Some(activation) = tensors.activation().filter(|_| class.can.configured) {
        conventions.activation = activation;
    }
    if let (true, Some(groups)) = (form.group_norm, tensors.norm_groups()) {
        conventions.norms = if class.sets_groups || matches!(conventions.norms, Norms::Batch) {
            Norms::Group(groups)
        } else {
            conventions.norms
        };
    }
    let stem: Vec<usize> = anatomy.stem.convs.iter().map(|conv| conv.outputs).collect();
    let gates =
        anatomy.stages.iter().map_while(|stage| anatomy.blocks.get(stage.blocks.start)?.squeeze_excite.as_ref()?.width);
    let sizes = Sizes {
        deep_stem: match stem[..] {
            [a, b, _] => [a, b],
            _ => [0; 2],
        },
        gates: gates.collect(),
    };
    let size = model.graph().inputs().first().and_then(|&input| {
        let dims = model.shape_of(input)?.dims();
        Some([dims.get(2)?.fixed()?, dims.get(3)?.fixed()?])
    });
    let input = Input { channels: channels(anatomy), size: size.filter(|_| conventions.framework == Framework::Keras) };
    let classifier = anatomy.head.classes.filter(|_| !anatomy.head.dense.is_empty()).map(|classes| Classifier {
        classes,
        softmax: class.softmax,
        bias: true,
        as_conv: class.classifier_as_conv,
    });
    let head = anatomy.head.pool.map(|_| Head::new(HeadPool::Global, classifier));
    Recipe {
        name: model.graph().name().to_owned().into_raw(),
        form: form.clone(),
        sizes,
        input,
        head,
        conventions,
        names: Vec::new(),
        pace: Default::default(),
        own: BTreeMap::new(),
    }
}

/// Tensors that have no place and need none.
///
/// # Errors
/// The first that the function needs.
fn dropped(model: &Checked, placed: &[FittedTensor]) -> Result<Vec<(ParameterId, String)>, String> {
    let used: BTreeSet<ParameterId> = placed.iter().flat_map(|placed| placed.from.iter().copied()).collect();
    let graph = model.graph();
    let mut dropped = Vec::new();
    for id in graph.parameter_ids().filter(|id| !used.contains(id)) {
        let parameter = graph.parameter(id);
        match parameter.role {
            Role::Counter => dropped.push((id, "it counts what was seen in training".to_owned())),
            Role::Literal | Role::Default => {}
            Role::Weight | Role::Statistic => {
                let zero = parameter.tensor.to_f64().is_ok_and(|values| values.iter().all(|value| *value == 0.0));
                if !zero {
                    return Err(format!("it has a tensor that the layout has no place for: `{}`", parameter.name));
                }
                dropped.push((id, "all its elements are 0, and the layout has no place for it".to_owned()));
            }
        }
    }
    Ok(dropped)
}

/// Adds to each batch norm its counter: the source's, or 0.
fn with_counters(
    placed: Vec<FittedTensor>,
    class: &ModelClass,
    has_head: bool,
    tensors: &Tensors,
) -> Result<Vec<FittedTensor>, Problem> {
    let mut all = Vec::with_capacity(placed.len());
    let counters = tensors.counters();
    let none = || Ok::<_, Problem>((Tensor::from_i64(Vec::new(), &[0])?, Vec::new()));
    for tensor in placed {
        let slot = Slot { field: Field::Batches, ..tensor.slot };
        let counts = tensor.slot.field == Field::Variance
            && matches!(class.layout().axes, Axes::Torch | Axes::TorchGateMatrices);
        all.push(tensor);
        if let (true, Some(name)) = (counts, class.layout().tensor(slot)) {
            let name = class.layout().saved(name, has_head);
            let (tensor, from) = counters.get(&slot.position).cloned().map_or_else(none, Ok)?;
            all.push(FittedTensor { slot, name, tensor, from, moves: Vec::new() });
        }
    }
    Ok(all)
}

fn notes(anatomy: &Anatomy, class: &ModelClass) -> Vec<String> {
    let ends_in = anatomy.head.dense.first().and_then(|dense| dense.activation.as_deref());
    match (ends_in, class.softmax) {
        (Some("Softmax"), true) | (None, false) => Vec::new(),
        (Some(activation), false) => vec![format!(
            "{activation} behind the classifier is no part of {}: it gives what goes into it (logits)",
            class.describe
        )],
        (None, true) if anatomy.head.dense.is_empty() => Vec::new(),
        (_, true) => vec![format!("{} puts a softmax behind the classifier", class.describe)],
    }
}
