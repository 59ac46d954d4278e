//! The layers of a recipe, with their operands, tensors and shapes.

use std::collections::HashMap;

use residua_ir::shape::window::{Window, same_upper};
use residua_ir::{Activation, Pads};

use super::{Biases, Framework, Head, HeadPool, Norms, PoolEdge, Projections, Recipe};
use crate::anatomy::{BlockKind, Order, Reads};
use crate::form::{StageForm, StemForm, StrideIn};
use crate::layouts::{keras_order, snake_case};
use crate::slot::{Field, Part, Place, Slot};

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LayerKind {
    Input,
    /// Zeros on each side of rows and columns.
    Pad(usize),
    /// Channels of zeros before and behind.
    PadChannels([usize; 2]),
    Conv {
        kernel: usize,
        stride: usize,
        groups: usize,
        bias: bool,
        padding: ConvPadding,
        standardised: Option<f64>,
    },
    BatchNorm {
        epsilon: f64,
    },
    GroupNorm {
        groups: usize,
        epsilon: f64,
    },
    Activation(Activation),
    /// Its padding is −∞.
    MaxPool {
        kernel: usize,
        stride: usize,
        pad: usize,
    },
    Add,
    Mul,
    /// Where `ceil`, the last window may stick out; what sticks out does not count.
    AvgPool {
        kernel: usize,
        stride: usize,
        ceil: bool,
    },
    GlobalPool {
        keep_dims: bool,
    },
    Flatten,
    Dense {
        softmax: bool,
        bias: bool,
    },
}

/// How a convolution pads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvPadding {
    /// By these amounts.
    Amounts(Pads),
    /// So that the output is `ceil(n / stride)`, for a size that is free.
    Same,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Where in the network.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Class in its framework.
    pub class: &'static str,
    /// What it computes.
    pub kind: LayerKind,
    /// Layers that it reads, by their place in the list.
    pub inputs: Vec<usize>,
    /// Channels or features that it takes.
    pub takes: usize,
    /// Channels or features that it gives.
    pub gives: usize,
    /// Rows and columns that it gives, where known; [`None`] behind a pool over all pixels too.
    pub size: Option<[usize; 2]>,
}

impl Layer {
    /// Its tensors and their shapes in this project's axis order, in the order in which Keras stores them.
    #[must_use]
    pub fn tensors(&self) -> Vec<(Slot, Vec<usize>)> {
        let slot = |field: Field| Slot { place: self.place, field };
        match self.kind {
            LayerKind::Conv { kernel, groups, bias, .. } => {
                let weight = (slot(Field::Weight), vec![self.gives, self.takes / groups.max(1), kernel, kernel]);
                let bias = bias.then(|| (slot(Field::Bias), vec![self.gives]));
                [weight].into_iter().chain(bias).collect()
            }
            LayerKind::BatchNorm { .. } => [Field::Scale, Field::Offset, Field::Mean, Field::Variance]
                .into_iter()
                .map(|field| (slot(field), vec![self.gives]))
                .collect(),
            LayerKind::GroupNorm { .. } => {
                vec![(slot(Field::Scale), vec![self.gives]), (slot(Field::Offset), vec![self.gives])]
            }
            LayerKind::Dense { bias, .. } => {
                let weight = (slot(Field::Weight), vec![self.gives, self.takes]);
                [weight].into_iter().chain(bias.then(|| (slot(Field::Bias), vec![self.gives]))).collect()
            }
            LayerKind::Input
            | LayerKind::Pad(_)
            | LayerKind::PadChannels(_)
            | LayerKind::Activation(_)
            | LayerKind::MaxPool { .. }
            | LayerKind::Add
            | LayerKind::Mul
            | LayerKind::AvgPool { .. }
            | LayerKind::GlobalPool { .. }
            | LayerKind::Flatten => Vec::new(),
        }
    }
}

impl Recipe {
    /// All layers, each after those that it reads: in the order in which Keras lists them, or in that of the forward
    /// pass.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let created = Plan::of(self);
        if self.conventions.framework == Framework::Torch {
            return created;
        }
        let inputs: Vec<Vec<usize>> = created.iter().map(|layer| layer.inputs.clone()).collect();
        let order = keras_order(&inputs, inputs.len() - 1);
        let mut moved = vec![0; created.len()];
        for (new, &old) in order.iter().enumerate() {
            moved[old] = new;
        }
        let mut created: Vec<Option<Layer>> = created.into_iter().map(Some).collect();
        let in_order = order.iter().filter_map(|&old| created[old].take());
        in_order
            .map(|mut layer| {
                for input in &mut layer.inputs {
                    *input = moved[*input];
                }
                layer
            })
            .collect()
    }
}

/// Layers in the order in which the model's code makes them.
struct Plan<'a> {
    recipe: &'a Recipe,
    layers: Vec<Layer>,
    /// How many layers of a class were given a name by the framework.
    counts: HashMap<&'static str, usize>,
}

impl<'a> Plan<'a> {
    fn of(recipe: &'a Recipe) -> Vec<Layer> {
        let mut plan = Self { recipe, layers: Vec::new(), counts: HashMap::new() };
        let mut x = plan.stem();
        let stages = recipe.form.stages.len();
        for (at, &stage) in recipe.form.stages.iter().enumerate() {
            for block in 0..stage.blocks {
                x = plan.block(x, at, block, stage, at + 1 == stages);
            }
        }
        if recipe.form.order == Order::Pre {
            x = plan.norm(Place::FinalNorm, x);
            x = plan.activation(Place::FinalActivation, x);
        }
        if let Some(head) = &recipe.head {
            plan.head(x, head);
        }
        plan.layers
    }

    fn push(
        &mut self,
        place: Place,
        kind: LayerKind,
        inputs: Vec<usize>,
        gives: usize,
        size: Option<[usize; 2]>,
    ) -> usize {
        let framework = self.recipe.conventions.framework;
        let class = class_of(kind, framework);
        let given = self.recipe.names.iter().find(|(at, _)| *at == place).map(|(_, name)| name.clone());
        let count = self.counts.entry(class).or_default();
        let named = self.recipe.conventions.layout.layer(place);
        let name = given.or_else(|| named.clone()).unwrap_or_else(|| match (framework, *count) {
            (Framework::Torch, _) if place == Place::Input => "x".to_owned(),
            (Framework::Torch, _) => place.to_string(),
            (Framework::Keras, 0) => snake_case(class),
            (Framework::Keras, n) => format!("{}_{n}", snake_case(class)),
        });
        *count += usize::from(named.is_none());
        let takes = inputs.first().map_or(gives, |&input| self.layers[input].gives);
        self.layers.push(Layer { place, name, class, kind, inputs, takes, gives, size });
        self.layers.len() - 1
    }

    /// A layer that keeps the channels.
    fn keep(&mut self, place: Place, kind: LayerKind, inputs: Vec<usize>, size: Option<[usize; 2]>) -> usize {
        let gives = inputs.first().map_or(0, |&x| self.layers[x].gives);
        self.push(place, kind, inputs, gives, size)
    }

    fn norm(&mut self, place: Place, x: usize) -> usize {
        let own = self.recipe.epsilons.iter().find(|(at, _)| *at == place).map(|(_, epsilon)| *epsilon);
        let epsilon = own.unwrap_or(self.recipe.conventions.epsilon);
        let kind = match self.recipe.conventions.norms {
            Norms::Batch => LayerKind::BatchNorm { epsilon },
            Norms::Group(groups) => LayerKind::GroupNorm { groups, epsilon },
        };
        self.keep(place, kind, vec![x], self.layers[x].size)
    }

    fn activation(&mut self, place: Place, x: usize) -> usize {
        let kind = LayerKind::Activation(self.recipe.conventions.activation);
        self.keep(place, kind, vec![x], self.layers[x].size)
    }

    fn pad(&mut self, place: Place, x: usize, amount: usize) -> usize {
        let size = self.layers[x].size.map(|size| size.map(|n| n + 2 * amount));
        self.keep(place, LayerKind::Pad(amount), vec![x], size)
    }

    /// A convolution; `valid` where a layer before it pads.
    fn conv(&mut self, place: Place, x: usize, gives: usize, kernel: usize, stride: usize, valid: bool) -> usize {
        let conventions = &self.recipe.conventions;
        let in_block = matches!(place, Place::Block { part: Part::Conv(_), .. });
        let groups = if in_block && kernel > 1 { self.recipe.form.groups } else { 1 };
        let last = if self.recipe.form.block == BlockKind::Basic { 2 } else { 3 };
        let bias = match (conventions.biases, place) {
            (_, Place::Block { part: Part::Gate(_), .. }) => true,
            (Biases::All, _) => true,
            (Biases::None, _) => false,
            (Biases::BeforeSums, Place::Block { part: Part::Conv(n), .. }) => n == last,
            (Biases::BeforeSums, _) => true,
        };
        let in_gate = matches!(place, Place::Block { part: Part::Gate(_), .. });
        let standardised = conventions.standardised.filter(|_| !in_gate);
        let before = self.layers[x].size;
        let (padding, size) = match conventions.framework {
            Framework::Keras => padding(before, kernel, stride, valid),
            Framework::Torch => centred(before, kernel, stride),
        };
        self.push(place, LayerKind::Conv { kernel, stride, groups, bias, padding, standardised }, vec![x], gives, size)
    }

    fn stem(&mut self) -> usize {
        let recipe = self.recipe;
        let mut x = self.push(Place::Input, LayerKind::Input, Vec::new(), recipe.input.channels, recipe.input.size);
        let large = recipe.form.stem != StemForm::Small;
        let pads = recipe.conventions.pad_layers && large;
        let [first, second] = recipe.sizes.deep_stem;
        // Convolutions as (number, kernel, stride, channels); a single one has number 0.
        let convs: &[(usize, usize, usize, usize)] = match recipe.form.stem {
            StemForm::Large | StemForm::Other => &[(0, 7, 2, recipe.form.stem_width)],
            StemForm::Deep => &[(1, 3, 2, first), (2, 3, 1, second), (3, 3, 1, recipe.form.stem_width)],
            StemForm::Small => &[(0, 3, 1, recipe.form.stem_width)],
        };
        for (at, &(n, kernel, stride, gives)) in convs.iter().enumerate() {
            if pads {
                x = self.pad(Place::Stem(Part::Pad(n)), x, kernel / 2);
            }
            x = self.conv(Place::Stem(Part::Conv(n)), x, gives, kernel, stride, pads);
            if recipe.conventions.stem_norm || at + 1 < convs.len() {
                x = self.norm(Place::Stem(Part::Norm(n)), x);
                x = self.activation(Place::Stem(Part::Activation(n)), x);
            }
        }
        if large { self.stem_pool(x) } else { x }
    }

    fn stem_pool(&mut self, mut x: usize) -> usize {
        let pad = match self.recipe.conventions.pool_edge {
            PoolEdge::Nothing => 1,
            PoolEdge::Zeros => {
                x = self.pad(Place::PoolPad, x, 1);
                0
            }
        };
        let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n + 2 * pad, 3, 2)));
        self.keep(Place::Pool, LayerKind::MaxPool { kernel: 3, stride: 2, pad }, vec![x], size)
    }

    fn block(&mut self, x: usize, at: usize, index: usize, stage: StageForm, last_stage: bool) -> usize {
        let recipe = self.recipe;
        let (form, conventions) = (&recipe.form, &recipe.conventions);
        let place = |part: Part| Place::Block { stage: at, block: index, part };
        let stride = match form.stride_in {
            StrideIn::First if index == 0 && at > 0 => 2,
            StrideIn::First if index == 0 => conventions.first_stride,
            StrideIn::Last if index + 1 == stage.blocks && !last_stage => 2,
            StrideIn::First | StrideIn::Last => 1,
        };
        let pre = form.order == Order::Pre;
        // Behind a normalised stem the first block needs no pre-activation.
        let bare = pre && conventions.stem_norm && at == 0 && index == 0;
        let mut y = x;
        if pre && !bare {
            y = self.norm(place(Part::Norm(1)), y);
            y = self.activation(place(Part::Activation(1)), y);
        }
        let source = if conventions.shortcut_reads == Reads::Preactivated { y } else { x };
        let changes = self.layers[x].gives != stage.outputs || (form.stride_in == StrideIn::First && stride > 1);
        let projects = match conventions.projections {
            Projections::WhereChanged => changes,
            Projections::FirstBottleneck => changes || (index == 0 && form.block == BlockKind::Bottleneck),
            Projections::FirstOfStage => changes || index == 0,
            Projections::Pad => false,
        };
        let mut shortcut = x;
        if !projects && stride > 1 {
            let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, 1, stride)));
            let pool = LayerKind::MaxPool { kernel: 1, stride, pad: 0 };
            shortcut = self.keep(place(Part::ShortcutPool), pool, vec![x], size);
        }
        let missing = stage.outputs.saturating_sub(self.layers[x].gives);
        if !projects && missing > 0 {
            let amounts = [missing / 2, missing - missing / 2];
            let size = self.layers[shortcut].size;
            let pad = LayerKind::PadChannels(amounts);
            shortcut = self.push(place(Part::ShortcutPad), pad, vec![shortcut], stage.outputs, size);
        }
        // Keras Applications make the shortcut first, the CIFAR example last; names that Keras makes up count on it.
        let early = conventions.pad_layers;
        if projects && early {
            shortcut = self.projection(source, at, index, stage, stride);
        }
        y = self.main_path(y, at, index, stage, stride);
        if projects && !early {
            shortcut = self.projection(source, at, index, stage, stride);
        }
        let y = self.keep(place(Part::Add), LayerKind::Add, vec![shortcut, y], self.layers[y].size);
        if pre { y } else { self.activation(place(Part::Output), y) }
    }

    fn projection(&mut self, x: usize, at: usize, index: usize, stage: StageForm, stride: usize) -> usize {
        let place = |part: Part| Place::Block { stage: at, block: index, part };
        let pools = self.recipe.form.pooled_shortcut && stride > 1;
        let mut y = x;
        if pools {
            let size = self.layers[x].size.map(|size| size.map(|n| n.div_ceil(stride)));
            let pool = LayerKind::AvgPool { kernel: 2, stride, ceil: true };
            y = self.keep(place(Part::ShortcutPool), pool, vec![x], size);
        }
        let y = self.conv(place(Part::ShortcutConv), y, stage.outputs, 1, if pools { 1 } else { stride }, false);
        if self.recipe.conventions.shortcut_norm { self.norm(place(Part::ShortcutNorm), y) } else { y }
    }

    /// Convolutions with what lies between them; the first one's pre-activation is there already.
    fn main_path(&mut self, mut y: usize, at: usize, index: usize, stage: StageForm, stride: usize) -> usize {
        let form = &self.recipe.form;
        let place = |part: Part| Place::Block { stage: at, block: index, part };
        let pre = form.order == Order::Pre;
        let convs: &[(usize, usize)] = match form.block {
            BlockKind::Basic => &[(3, stage.width), (3, stage.outputs)],
            BlockKind::Bottleneck | BlockKind::Other => &[(1, stage.width), (3, stage.width), (1, stage.outputs)],
        };
        let carrier = form.stride_on;
        for (n, &(kernel, gives)) in (1..).zip(convs) {
            if pre && n > 1 {
                y = self.norm(place(Part::Norm(n)), y);
                y = self.activation(place(Part::Activation(n)), y);
            }
            // Only the pre-activated nets of Keras Applications pad the 3x3 of a block by a layer.
            let pads = pre && kernel > 1 && self.recipe.conventions.pad_layers;
            if pads {
                y = self.pad(place(Part::Pad(n)), y, kernel / 2);
            }
            y = self.conv(place(Part::Conv(n)), y, gives, kernel, if n == carrier { stride } else { 1 }, pads);
            if !pre {
                y = self.norm(place(Part::Norm(n)), y);
                if n < convs.len() {
                    y = self.activation(place(Part::Activation(n)), y);
                }
            }
        }
        if form.squeeze_excite { self.gate(y, at, index) } else { y }
    }

    /// A factor per channel, from the mean over all pixels.
    fn gate(&mut self, x: usize, at: usize, index: usize) -> usize {
        let place = |part: Part| Place::Block { stage: at, block: index, part };
        let (gives, size) = (self.layers[x].gives, self.layers[x].size);
        let width = self.recipe.sizes.gates.get(at).copied().unwrap_or(1);
        let pixel = size.map(|_| [1, 1]);
        let mut y = self.keep(place(Part::GatePool), LayerKind::GlobalPool { keep_dims: true }, vec![x], pixel);
        y = self.conv(place(Part::Gate(1)), y, width, 1, 1, false);
        y = self.keep(place(Part::GateActivation(1)), LayerKind::Activation(Activation::RELU), vec![y], pixel);
        y = self.conv(place(Part::Gate(2)), y, gives, 1, 1, false);
        y = self.keep(place(Part::GateActivation(2)), LayerKind::Activation(Activation::Sigmoid), vec![y], pixel);
        self.keep(place(Part::GateProduct), LayerKind::Mul, vec![x, y], size)
    }

    fn head(&mut self, mut x: usize, head: &Head) {
        let as_conv = head.classifier.as_ref().is_some_and(|classifier| classifier.as_conv);
        match head.pool {
            HeadPool::Global => {
                let size = as_conv.then_some([1, 1]);
                x = self.keep(Place::HeadPool, LayerKind::GlobalPool { keep_dims: as_conv }, vec![x], size);
            }
            HeadPool::Window(kernel) => {
                let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, kernel, kernel)));
                let pool = LayerKind::AvgPool { kernel, stride: kernel, ceil: false };
                x = self.keep(Place::HeadPool, pool, vec![x], size);
                let features = size.map_or(0, |[h, w]| h * w * self.layers[x].gives);
                x = self.push(Place::Flatten, LayerKind::Flatten, vec![x], features, size);
            }
        }
        let Some(classifier) = &head.classifier else { return };
        let (classes, bias) = (classifier.classes, classifier.bias);
        if !as_conv {
            let kind = LayerKind::Dense { softmax: classifier.softmax, bias };
            self.push(Place::Dense(0), kind, vec![x], classes, None);
            return;
        }
        let padding = ConvPadding::Amounts(Pads::default());
        let kind = LayerKind::Conv { kernel: 1, stride: 1, groups: 1, bias, padding, standardised: None };
        x = self.push(Place::Dense(0), kind, vec![x], classes, Some([1, 1]));
        self.push(Place::Flatten, LayerKind::Flatten, vec![x], classes, None);
    }
}

/// As much padding on each side as lies on each side of the middle of a kernel, and the size it gives.
fn centred(before: Option<[usize; 2]>, kernel: usize, stride: usize) -> (ConvPadding, Option<[usize; 2]>) {
    let amount = kernel / 2;
    let size = before.map(|size| size.map(|n| valid_size(n + 2 * amount, kernel, stride)));
    (ConvPadding::Amounts(Pads::all(amount)), size)
}

/// How a convolution pads a picture of this size, and the size it gives; `valid` where a layer before it pads.
fn padding(before: Option<[usize; 2]>, kernel: usize, stride: usize, valid: bool) -> (ConvPadding, Option<[usize; 2]>) {
    if valid || kernel == 1 {
        let size = before.map(|size| size.map(|n| valid_size(n, kernel, stride)));
        return (ConvPadding::Amounts(Pads::default()), size);
    }
    if stride == 1 {
        return (ConvPadding::Amounts(Pads::all(kernel / 2)), before);
    }
    let window = Window { kernel, stride, dilation: 1 };
    let amounts = before.and_then(|[h, w]| Some((same_upper(h, window)?, same_upper(w, window)?)));
    match amounts {
        Some(((top, bottom), (left, right))) => {
            let size = before.map(|size| size.map(|n| n.div_ceil(stride)));
            (ConvPadding::Amounts(Pads { top, left, bottom, right }), size)
        }
        None => (ConvPadding::Same, None),
    }
}

fn class_of(kind: LayerKind, framework: Framework) -> &'static str {
    let (keras, torch) = match kind {
        LayerKind::Input => ("InputLayer", "Input"),
        LayerKind::Pad(_) => ("ZeroPadding2D", "ZeroPad2d"),
        LayerKind::PadChannels(_) => ("ZeroPadding", "ConstantPad3d"),
        LayerKind::Conv { .. } => ("Conv2D", "Conv2d"),
        LayerKind::BatchNorm { .. } => ("BatchNormalization", "BatchNorm2d"),
        LayerKind::GroupNorm { .. } => ("GroupNormalization", "GroupNorm"),
        LayerKind::Activation(Activation::RELU) => ("Activation", "ReLU"),
        LayerKind::Activation(activation) => ("Activation", activation.name()),
        LayerKind::MaxPool { .. } => ("MaxPooling2D", "MaxPool2d"),
        LayerKind::Add => ("Add", "Add"),
        LayerKind::Mul => ("Multiply", "Mul"),
        LayerKind::AvgPool { .. } => ("AveragePooling2D", "AvgPool2d"),
        LayerKind::GlobalPool { .. } => ("GlobalAveragePooling2D", "AdaptiveAvgPool2d"),
        LayerKind::Flatten => ("Flatten", "Flatten"),
        LayerKind::Dense { .. } => ("Dense", "Linear"),
    };
    match framework {
        Framework::Keras => keras,
        Framework::Torch => torch,
    }
}

/// Size behind a window without padding; 0 where it does not fit.
fn valid_size(n: usize, kernel: usize, stride: usize) -> usize {
    n.checked_sub(kernel).map_or(0, |room| room / stride + 1)
}
