//! Heads that modules state: a `Sequential` in the place of the classifier, and what enclosing ones put behind the network.
//!
//! torch's own containers say in which order their items run; all else is code that is in no file. So a head is read where nothing but
//! those joins its layers and each layer is one of torch's. What is read so is taken apart from the network before that is held against
//! its modules, and put behind it then.

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::NamedTensor;
use residua_formats::torch::{Attribute, Module, StateDict};
use residua_ir::Shown;
use residua_resnet::recipe::{Head, HeadLayer, HeadPool};
use residua_resnet::recognise::Given;
use residua_resnet::{Field, Position, Slot};

use super::class::{Class, class};
use crate::state_dict::bodies::cuts;
use crate::state_dict::network::{Network, uncompiled};
use crate::state_dict::step::Step;

/// Containers whose items run one behind the other.
const IN_ORDER: [&str; 4] = [
    "torch.nn.modules.container.Sequential",
    "torchvision.ops.misc.MLP",
    "torchvision.ops.misc.Conv2dNormActivation",
    "torch.nn.Sequential",
];
/// What passes on what the one module in it gives.
const WRAPPERS: [&str; 4] = [
    "torch.nn.parallel.data_parallel.DataParallel",
    "torch.nn.parallel.distributed.DistributedDataParallel",
    "torch._dynamo.eval_frame.OptimizedModule",
    "torch.optim.swa_utils.AveragedModel",
];
/// Layers that are named in a note.
const SHOWN: usize = 12;

/// A head as its modules state it.
pub(in crate::state_dict) struct Stated<'a> {
    steps: Vec<Step<'a>>,
    /// Paths of the modules that it is made of.
    paths: Vec<String>,
    /// How it is known: `its modules state it`.
    known: &'static str,
}

/// Why a head is not read.
pub(in crate::state_dict) struct Unread {
    /// The module.
    path: String,
    why: String,
}

impl Unread {
    /// Said of a head that was left out.
    pub(in crate::state_dict) fn note(&self) -> String {
        format!("what stands behind the features is not read: `{}` {}", self.path.shown(), self.why)
    }
}

/// The head of a network, where its modules state one that is more than the classifier that was found.
pub(in crate::state_dict) fn of<'a>(
    network: &Network<'a>,
    given: &Given,
    head_from: Option<&str>,
) -> Result<Option<Stated<'a>>, Unread> {
    let pooled = if given.head_pool == Some(HeadPool::Both) { 2 } else { 1 };
    let tree = Outline::of(network);
    let items: Vec<&Item> = tree.items();
    let cut = |item: &&&Item| head_from.is_some_and(|head| cuts(&format!("{}.", item.path), &network.prefix, head));
    let kept: Vec<&Item> = items.iter().copied().take_while(|item| !cut(&item)).collect();
    let mut steps = Vec::new();
    let mut gives = features(network).saturating_mul(pooled);
    for item in &kept {
        if let Some(step) = tree.step(item, gives)? {
            if let HeadLayer::Dense { outputs, .. } = step.layer {
                gives = outputs;
            }
            steps.push(step);
        }
    }
    let usual = match &steps[..] {
        [] => true,
        // One dense layer is a classifier, whatever it is called; where the network was told with it, nothing is left to do.
        [step] => matches!(step.layer, HeadLayer::Dense { .. }) && tree.classifier.as_ref() == Some(&step.path),
        _ => false,
    };
    let paths = items.iter().map(|item| item.path.clone()).chain(tree.start.clone()).collect();
    Ok((!usual).then_some(Stated::new(steps, paths, "its modules state it")))
}

/// What stands before the layout's own names in a file, which may name the module that the network is in (`backbone.`).
fn prefix(network: &Network) -> String {
    let layout = network.recognised.class.layout();
    let mut body = network.recognised.slots.iter().filter(|(slot, _)| !matches!(slot.position, Position::Dense(_)));
    let found = body.find_map(|(slot, &index)| {
        let name = uncompiled(&network.names.get(index)?.name);
        let own = layout.tensor(*slot)?;
        let prefix = name.strip_suffix(&own).or_else(|| name.strip_suffix(&layout.saved(own, false)))?;
        Some(prefix.to_owned())
    });
    found.unwrap_or_else(|| network.prefix.clone())
}

/// The pool of a head that gives more than one number for each channel, where the modules of a file have one.
pub(in crate::state_dict) fn pool(dicts: &[StateDict]) -> Option<HeadPool> {
    let mut modules = dicts.iter().flat_map(|dict| &dict.modules);
    modules.any(|module| class(module) == Class::GlobalBoth).then_some(HeadPool::Both)
}

/// Channels that the last block gives, which are the features that a head takes.
fn features(network: &Network) -> usize {
    let recipe = &network.recognised.recipe;
    recipe.form.stages.last().map_or(0, |stage| stage.outputs)
}

impl<'a> Stated<'a> {
    /// A head of these layers, which are all that lies at these paths.
    pub(in crate::state_dict) fn new(steps: Vec<Step<'a>>, paths: Vec<String>, known: &'static str) -> Self {
        Self { steps, paths, known }
    }

    /// Takes the head apart from the network: what was told as the classifier, and what was left out.
    pub(in crate::state_dict) fn detach(&self, network: &mut Network<'a>) {
        let within = |name: &str| self.paths.iter().any(|path| is_within(&uncompiled(name), path));
        let kept: Vec<usize> = (0..network.names.len()).filter(|&at| !within(&network.names[at].name)).collect();
        let moved: BTreeMap<usize, usize> = kept.iter().enumerate().map(|(now, &before)| (before, now)).collect();
        network.recognised.slots = std::mem::take(&mut network.recognised.slots)
            .into_iter()
            .filter_map(|(slot, index)| Some((slot, *moved.get(&index)?)))
            .collect();
        network.names = kept.iter().map(|&at| network.names[at]).collect();
        network.recognised.choices.retain(|choice| !choice.taken.ends_with("as the classifier"));
        let bound: BTreeSet<&str> =
            self.steps.iter().flat_map(|step| &step.tensors).map(|(_, tensor)| tensor.name.as_str()).collect();
        network.unused.retain(|unused| !bound.contains(unused.location.raw()));
        for tensors in network.heads.values_mut() {
            tensors.retain(|name| !bound.contains(name.as_str()));
        }
        network.heads.retain(|_, tensors| !tensors.is_empty());
        network.apart = self.paths.clone();
    }

    /// Puts the head behind the network.
    pub(in crate::state_dict) fn attach(&self, network: &mut Network<'a>) -> String {
        let recognised = &mut network.recognised;
        let mut head = recognised.recipe.head.take().unwrap_or_else(|| Head::new(HeadPool::Global, None));
        head.classifier = None;
        for (n, step) in (1..).zip(&self.steps) {
            let position = Position::Head(n);
            head.layers.push(step.layer);
            let name = step.path.strip_prefix(&network.prefix).unwrap_or(&step.path);
            recognised.recipe.names.push((position, name.to_owned()));
            for (field, tensor) in &step.tensors {
                recognised.slots.insert(Slot { position, field: *field }, network.names.len());
                network.names.push(tensor);
            }
        }
        recognised.recipe.head = Some(head);
        let shown: Vec<String> = self.steps.iter().take(SHOWN).map(|step| step.text.clone()).collect();
        let more = self.steps.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("head as {}: {}{more}", self.known, shown.join(", "))
    }
}

/// A module of a head, in the order in which they run.
struct Item<'a> {
    path: String,
    module: &'a Module,
}

/// The modules and tensors of a file by their paths, without what torch.compile puts into these.
struct Outline<'a> {
    items: Vec<Item<'a>>,
    by_path: BTreeMap<String, usize>,
    /// The modules right within each, in order.
    children: BTreeMap<String, Vec<usize>>,
    tensors: BTreeMap<String, Vec<&'a NamedTensor>>,
    /// Paths of all that holds tensors of stem and blocks.
    body: BTreeSet<String>,
    /// The module of the classifier, where there is one.
    classifier: Option<String>,
    /// Where the head begins.
    start: Option<String>,
    /// The module of the network.
    root: String,
}

impl<'a> Outline<'a> {
    fn of(network: &Network<'a>) -> Self {
        let items: Vec<Item> =
            network.dict.modules.iter().map(|module| Item { path: uncompiled(&module.path), module }).collect();
        let mut children: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            if let Some(above) = parent(&item.path) {
                children.entry(above.to_owned()).or_default().push(at);
            }
        }
        let by_path = items.iter().enumerate().map(|(at, item)| (item.path.clone(), at)).collect();
        let mut tensors: BTreeMap<String, Vec<&NamedTensor>> = BTreeMap::new();
        for tensor in &network.dict.tensors {
            let name = uncompiled(&tensor.name);
            let module = name.rsplit_once('.').map_or("", |(module, _)| module);
            tensors.entry(module.to_owned()).or_default().push(tensor);
        }
        let (mut body, mut classifier) = (BTreeSet::new(), None);
        for (slot, &index) in &network.recognised.slots {
            let Some(named) = network.names.get(index) else { continue };
            let name = uncompiled(&named.name);
            let Some((module, _)) = name.rsplit_once('.') else { continue };
            if matches!(slot.position, Position::Dense(_)) {
                classifier = Some(module.to_owned());
            } else {
                body.extend(ancestors(module).map(str::to_owned));
            }
        }
        let prefix = prefix(network);
        let root = prefix.trim_end_matches('.').to_owned();
        let mut outline = Self { items, by_path, children, tensors, body, classifier, start: None, root };
        let named = network.recognised.class.layout().layer(Position::Dense(0));
        let named = named.map(|layer| format!("{prefix}{layer}"));
        outline.start = outline.classifier.clone().or(named).and_then(|path| outline.start(path));
        outline
    }

    fn class(&self, path: &str) -> Option<&'a str> {
        Some(self.items.get(*self.by_path.get(path)?)?.module.class.as_str())
    }

    fn in_order(&self, path: &str) -> bool {
        self.class(path).is_some_and(|class| IN_ORDER.contains(&class))
    }

    /// The outermost container of the head in the network that the layer at a path lies in.
    fn start(&self, mut path: String) -> Option<String> {
        let free = |path: &str| path != self.root && !self.body.contains(path) && !path.is_empty();
        while !self.by_path.contains_key(&path) {
            path = parent(&path).filter(|above| free(above))?.to_owned();
        }
        while let Some(above) = parent(&path).filter(|above| free(above) && self.in_order(above)) {
            path = above.to_owned();
        }
        Some(path)
    }

    /// The modules that run behind the features, in order.
    fn items(&self) -> Vec<&Item<'a>> {
        let mut items = Vec::new();
        let mut path = match &self.start {
            Some(start) => {
                self.expand(start, &mut items);
                start.clone()
            }
            None => self.root.clone(),
        };
        while let Some(above) = parent(&path).map(str::to_owned) {
            if self.in_order(&above) {
                let siblings = self.children(&above);
                for item in siblings.skip_while(|item| item.path != path).skip(1) {
                    self.expand(&item.path, &mut items);
                }
            } else {
                let class = self.class(&above).unwrap_or_default();
                // The network's own code ends with its classifier.
                let inside = is_within(&above, &self.root);
                if !inside && !WRAPPERS.contains(&class) {
                    break;
                }
            }
            path = above;
        }
        // What runs behind the head and holds tensors of the network is no head.
        if items.iter().any(|item| self.body.contains(&item.path)) { Vec::new() } else { items }
    }

    fn children(&self, above: &str) -> impl Iterator<Item = &Item<'a>> {
        self.children.get(above).into_iter().flatten().map(|&at| &self.items[at])
    }

    fn expand<'s>(&'s self, path: &str, items: &mut Vec<&'s Item<'a>>) {
        // Each module is within one other, so that this ends; nothing is deeper than its path is long.
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            if self.in_order(&path) {
                let children: Vec<String> = self.children(&path).map(|item| item.path.clone()).collect();
                open.extend(children.into_iter().rev());
            } else if let Some(&at) = self.by_path.get(&path) {
                items.push(&self.items[at]);
            }
        }
    }

    /// The layer that a module is; [`None`] for what does nothing.
    fn step(&self, item: &Item<'a>, takes: usize) -> Result<Option<Step<'a>>, Unread> {
        let unread = |why: String| Unread { path: item.path.clone(), why };
        let module = item.module;
        let name = module.class.rsplit('.').next().unwrap_or(&module.class);
        let of_torch = module.class.starts_with("torch.nn.");
        let unknown = || unread(format!("is a `{}`, and what that computes is in no file", module.class.shown()));
        if self.children(&item.path).next().is_some() {
            return Err(unknown());
        }
        let own = self.tensors.get(&item.path).map_or(&[][..], |own| own);
        let mut tensors = Vec::new();
        for named in own {
            let last = named.name.rsplit('.').next().unwrap_or_default();
            let field = match (last, name) {
                ("weight", "Linear" | "NonDynamicallyQuantizableLinear" | "PReLU") => Field::Weight,
                ("bias", "Linear" | "NonDynamicallyQuantizableLinear") => Field::Bias,
                ("weight", _) => Field::Scale,
                ("bias", _) => Field::Offset,
                ("running_mean", _) => Field::Mean,
                ("running_var", _) => Field::Variance,
                ("num_batches_tracked", _) => Field::Batches,
                _ => {
                    return Err(unread(format!(
                        "has a tensor `{}`, which its class does not have by itself",
                        last.shown()
                    )));
                }
            };
            tensors.push((field, *named));
        }
        let shape =
            |field: Field| tensors.iter().find(|(at, _)| *at == field).map(|(_, named)| named.tensor.shape().to_vec());
        let layer = match (name, class(module)) {
            ("Linear" | "NonDynamicallyQuantizableLinear", _) if of_torch => match shape(Field::Weight).as_deref() {
                Some(&[outputs, inputs]) if inputs == takes => {
                    HeadLayer::Dense { outputs, bias: shape(Field::Bias).is_some() }
                }
                found => {
                    return Err(unread(format!(
                        "takes {}, and {takes} features come in",
                        match found {
                            Some(&[_, inputs]) => inputs.to_string(),
                            _ => "something else".to_owned(),
                        }
                    )));
                }
            },
            ("BatchNorm1d" | "SyncBatchNorm", _) if of_torch && shape(Field::Mean).is_some() => {
                HeadLayer::BatchNorm { epsilon: epsilon(module), affine: shape(Field::Scale).is_some() }
            }
            ("LayerNorm", _) if of_torch && shape(Field::Scale).is_some() && shape(Field::Offset).is_some() => {
                HeadLayer::LayerNorm { epsilon: epsilon(module) }
            }
            ("PReLU", _) if of_torch => {
                HeadLayer::PRelu { slopes: shape(Field::Weight).and_then(|shape| shape.first().copied()).unwrap_or(0) }
            }
            (_, _) if !tensors.is_empty() => return Err(unknown()),
            (_, Class::Nothing | Class::Flatten) => return Ok(None),
            // Of one pixel all pools give the pixel, and of features torch's do nothing that is meant.
            (_, Class::Activation(activation)) => HeadLayer::Activation(activation),
            (_, Class::Softmax { log: false }) => HeadLayer::Softmax,
            (_, Class::Softmax { log: true }) => HeadLayer::LogSoftmax,
            (
                _,
                Class::MaxPool
                | Class::AvgPool
                | Class::GlobalPool
                | Class::GlobalMaxPool
                | Class::GlobalMeanOfBoth
                | Class::GlobalBoth
                | Class::Pad
                | Class::Function
                | Class::Beside
                | Class::Unknown,
            ) => return Err(unknown()),
        };
        for (field, named) in &tensors {
            let shape = named.tensor.shape();
            let fits = match (layer, field) {
                (HeadLayer::Dense { outputs, .. }, Field::Bias) => shape == [outputs],
                (HeadLayer::Dense { .. }, _) => true,
                (HeadLayer::PRelu { slopes }, _) => shape == [slopes] && (slopes == 1 || slopes == takes),
                (_, Field::Batches) => shape.len() <= 1,
                _ => shape == [takes],
            };
            if !fits {
                return Err(unread(format!("has a `{field}` of shape {shape:?}, and {takes} features come in")));
            }
        }
        let text = match layer {
            HeadLayer::Dense { outputs, .. } => format!("{name} {takes} to {outputs}"),
            _ => name.to_owned(),
        };
        Ok(Some(Step { path: item.path.clone(), layer, tensors, text }))
    }
}

fn epsilon(module: &Module) -> f64 {
    match module.attributes.get("eps") {
        Some(Attribute::Float(epsilon)) => *epsilon,
        Some(Attribute::Int(0)) => 0.0,
        _ => 1e-5,
    }
}

/// The path of the module around one; [`None`] for the root.
fn parent(path: &str) -> Option<&str> {
    (!path.is_empty()).then(|| path.rsplit_once('.').map_or("", |(above, _)| above))
}

/// A path and those of all modules around it but the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| parent(path)).filter(|path| !path.is_empty())
}

fn is_within(path: &str, module: &str) -> bool {
    module.is_empty() || path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
