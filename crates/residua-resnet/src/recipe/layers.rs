//! The layers of a recipe, with their operands, tensors and shapes.

use std::collections::HashMap;

use residua_ir::Pads;
use residua_ir::shape::window::{Window, same_upper};

use super::{Biases, Head, HeadPool, Recipe};
use crate::anatomy::{BlockKind, Order, Reads};
use crate::form::{StageForm, StemForm, StrideIn};
use crate::layouts::{keras_order, snake_case};
use crate::slot::{Field, Part, Place, Slot};

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LayerKind {
    Input,
    Pad(usize),
    Conv { kernel: usize, stride: usize, groups: usize, bias: bool, padding: ConvPadding },
    BatchNorm { epsilon: f64 },
    Relu,
    MaxPool { kernel: usize, stride: usize },
    Add,
    AvgPool { kernel: usize },
    GlobalPool,
    Flatten,
    Dense { softmax: bool },
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
    /// Class in Keras.
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
            LayerKind::Dense { .. } => {
                vec![(slot(Field::Weight), vec![self.gives, self.takes]), (slot(Field::Bias), vec![self.gives])]
            }
            LayerKind::Input
            | LayerKind::Pad(_)
            | LayerKind::Relu
            | LayerKind::MaxPool { .. }
            | LayerKind::Add
            | LayerKind::AvgPool { .. }
            | LayerKind::GlobalPool
            | LayerKind::Flatten => Vec::new(),
        }
    }
}

impl Recipe {
    /// All layers, in the order in which Keras lists them; each after those that it reads.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let created = Plan::of(self);
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
            x = plan.relu(Place::FinalActivation, x);
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
        let class = class_of(kind);
        let given = self.recipe.names.iter().find(|(at, _)| *at == place).map(|(_, name)| name.clone());
        let count = self.counts.entry(class).or_default();
        let named = self.recipe.conventions.layout.layer(place);
        let name = given.or_else(|| named.clone()).unwrap_or_else(|| match *count {
            0 => snake_case(class),
            n => format!("{}_{n}", snake_case(class)),
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
        let epsilon = self.recipe.conventions.epsilon;
        self.keep(place, LayerKind::BatchNorm { epsilon }, vec![x], self.layers[x].size)
    }

    fn relu(&mut self, place: Place, x: usize) -> usize {
        self.keep(place, LayerKind::Relu, vec![x], self.layers[x].size)
    }

    fn pad(&mut self, place: Place, x: usize, amount: usize) -> usize {
        let size = self.layers[x].size.map(|size| size.map(|n| n + 2 * amount));
        self.keep(place, LayerKind::Pad(amount), vec![x], size)
    }

    /// A convolution; `valid` where a layer before it pads.
    fn conv(&mut self, place: Place, x: usize, gives: usize, kernel: usize, stride: usize, valid: bool) -> usize {
        let in_block = matches!(place, Place::Block { part: Part::Conv(_), .. });
        let groups = if in_block && kernel > 1 { self.recipe.form.groups } else { 1 };
        let last = if self.recipe.form.block == BlockKind::Basic { 2 } else { 3 };
        let bias = match (self.recipe.conventions.biases, place) {
            (Biases::All, _) => true,
            (Biases::None, _) => false,
            (Biases::BeforeSums, Place::Block { part: Part::Conv(n), .. }) => n == last,
            (Biases::BeforeSums, _) => true,
        };
        let (padding, size) = padding(self.layers[x].size, kernel, stride, valid);
        self.push(place, LayerKind::Conv { kernel, stride, groups, bias, padding }, vec![x], gives, size)
    }

    fn stem(&mut self) -> usize {
        let recipe = self.recipe;
        let mut x = self.push(Place::Input, LayerKind::Input, Vec::new(), recipe.input.channels, recipe.input.size);
        let large = recipe.form.stem != StemForm::Small;
        let pads = recipe.conventions.pad_layers && large;
        let (kernel, stride) = if large { (7, 2) } else { (3, 1) };
        if pads {
            x = self.pad(Place::Stem(Part::Pad(0)), x, kernel / 2);
        }
        x = self.conv(Place::Stem(Part::Conv(0)), x, recipe.form.stem_width, kernel, stride, pads);
        if recipe.conventions.stem_norm {
            x = self.norm(Place::Stem(Part::Norm(0)), x);
            x = self.relu(Place::Stem(Part::Activation(0)), x);
        }
        if large {
            x = self.pad(Place::PoolPad, x, 1);
            let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, 3, 2)));
            x = self.keep(Place::Pool, LayerKind::MaxPool { kernel: 3, stride: 2 }, vec![x], size);
        }
        x
    }

    fn block(&mut self, x: usize, at: usize, index: usize, stage: StageForm, last_stage: bool) -> usize {
        let form = &self.recipe.form;
        let place = |part: Part| Place::Block { stage: at, block: index, part };
        let stride = match form.stride_in {
            StrideIn::First if index == 0 && at > 0 => 2,
            StrideIn::Last if index + 1 == stage.blocks && !last_stage => 2,
            StrideIn::First | StrideIn::Last => 1,
        };
        let pre = form.order == Order::Pre;
        // Behind a normalised stem the first block needs no pre-activation.
        let bare = pre && self.recipe.conventions.stem_norm && at == 0 && index == 0;
        let mut y = x;
        if pre && !bare {
            y = self.norm(place(Part::Norm(1)), y);
            y = self.relu(place(Part::Activation(1)), y);
        }
        let source = if self.recipe.conventions.shortcut_reads == Reads::Preactivated { y } else { x };
        let first_stride = form.stride_in == StrideIn::First && stride > 1;
        let projects = self.layers[x].gives != stage.outputs
            || first_stride
            || (index == 0 && form.block == BlockKind::Bottleneck);
        let pooled = !projects && stride > 1;
        let mut shortcut = x;
        if pooled {
            let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, 1, stride)));
            shortcut = self.keep(place(Part::ShortcutPool), LayerKind::MaxPool { kernel: 1, stride }, vec![x], size);
        }
        // Keras Applications make the shortcut first, the CIFAR example last; names that Keras makes up count on it.
        let early = self.recipe.conventions.pad_layers;
        if projects && early {
            shortcut = self.projection(source, at, index, stage, stride);
        }
        y = self.main_path(y, at, index, stage, stride);
        if projects && !early {
            shortcut = self.projection(source, at, index, stage, stride);
        }
        let y = self.keep(place(Part::Add), LayerKind::Add, vec![shortcut, y], self.layers[y].size);
        if pre { y } else { self.relu(place(Part::Output), y) }
    }

    fn projection(&mut self, x: usize, at: usize, index: usize, stage: StageForm, stride: usize) -> usize {
        let place = |part: Part| Place::Block { stage: at, block: index, part };
        let y = self.conv(place(Part::ShortcutConv), x, stage.outputs, 1, stride, false);
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
                y = self.relu(place(Part::Activation(n)), y);
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
                    y = self.relu(place(Part::Activation(n)), y);
                }
            }
        }
        y
    }

    fn head(&mut self, mut x: usize, head: &Head) {
        match head.pool {
            HeadPool::Global => x = self.keep(Place::HeadPool, LayerKind::GlobalPool, vec![x], None),
            HeadPool::Window(kernel) => {
                let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, kernel, kernel)));
                x = self.keep(Place::HeadPool, LayerKind::AvgPool { kernel }, vec![x], size);
                let features = size.map_or(0, |[h, w]| h * w * self.layers[x].gives);
                x = self.push(Place::Flatten, LayerKind::Flatten, vec![x], features, size);
            }
        }
        self.push(Place::Dense(0), LayerKind::Dense { softmax: head.softmax }, vec![x], head.classes, None);
    }
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

fn class_of(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Input => "InputLayer",
        LayerKind::Pad(_) => "ZeroPadding2D",
        LayerKind::Conv { .. } => "Conv2D",
        LayerKind::BatchNorm { .. } => "BatchNormalization",
        LayerKind::Relu => "Activation",
        LayerKind::MaxPool { .. } => "MaxPooling2D",
        LayerKind::Add => "Add",
        LayerKind::AvgPool { .. } => "AveragePooling2D",
        LayerKind::GlobalPool => "GlobalAveragePooling2D",
        LayerKind::Flatten => "Flatten",
        LayerKind::Dense { .. } => "Dense",
    }
}

/// Size behind a window without padding; 0 where it does not fit.
fn valid_size(n: usize, kernel: usize, stride: usize) -> usize {
    n.checked_sub(kernel).map_or(0, |room| room / stride + 1)
}
