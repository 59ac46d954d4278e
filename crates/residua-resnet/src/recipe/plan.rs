//! Which layers a recipe has: stem, blocks and head, in the order in which the model's code makes them.
//!
//! Invariant: a layer reads layers before it only. Sizes are followed as far as the image's is known, since padding
//! and flattened features may depend on them.

use std::collections::HashMap;

use residua_ir::shape::window::{Window, same_upper};
use residua_ir::{Activation, Pads};

use super::layers::{ConvPadding, class_of};
use super::{
    Biases, Classifier, Framework, Head, HeadLayer, HeadPool, Layer, LayerKind, Norms, Own, Pool, PoolEdge,
    Projections, Recipe,
};
use crate::anatomy::{ActivationOrder, BlockKind, Reads};
use crate::form::{StageForm, StemForm, StrideIn};
use crate::layouts::{keras_order, snake_case};
use crate::slot::{Component, Position};

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
pub(super) struct Plan<'a> {
    recipe: &'a Recipe,
    layers: Vec<Layer>,
    /// How many layers of a class were given a name by the framework.
    counts: HashMap<&'static str, usize>,
}

/// A block, and where it is.
#[derive(Clone, Copy)]
struct BlockPlan {
    stage: usize,
    block: usize,
    sizes: StageForm,
    stride: usize,
}

impl BlockPlan {
    fn position(self, component: Component) -> Position {
        Position::Block { stage: self.stage, block: self.block, component }
    }
}

impl<'a> Plan<'a> {
    pub(super) fn of(recipe: &'a Recipe) -> Vec<Layer> {
        let mut plan = Self { recipe, layers: Vec::new(), counts: HashMap::new() };
        let mut x = plan.stem();
        for (stage, &sizes) in recipe.form.stages.iter().enumerate() {
            for block in 0..sizes.blocks {
                let stride = plan.stride(stage, block, sizes.blocks);
                x = plan.block(x, BlockPlan { stage, block, sizes, stride });
            }
        }
        if recipe.form.order == ActivationOrder::Pre {
            x = plan.norm(Position::FinalNorm, x);
            x = plan.activation(Position::FinalActivation, x);
        }
        if let Some(head) = &recipe.head {
            plan.head(x, head);
        }
        plan.layers
    }

    fn push(
        &mut self,
        position: Position,
        kind: LayerKind,
        inputs: Vec<usize>,
        gives: usize,
        size: Option<[usize; 2]>,
    ) -> usize {
        let framework = self.recipe.conventions.framework;
        let class = class_of(kind, framework);
        let given = self.recipe.names.iter().find(|(at, _)| *at == position).map(|(_, name)| name.clone());
        let count = self.counts.entry(class).or_default();
        let named = self.recipe.conventions.layout.layer(position);
        let name = given.or_else(|| named.clone()).unwrap_or_else(|| match (framework, *count) {
            (Framework::Torch, _) if position == Position::Input => "x".to_owned(),
            (Framework::Torch, _) => position.to_string(),
            (Framework::Keras, 0) => snake_case(class),
            (Framework::Keras, n) => format!("{}_{n}", snake_case(class)),
        });
        *count += usize::from(named.is_none());
        let takes = inputs.first().map_or(gives, |&input| self.layers[input].gives);
        self.layers.push(Layer { position, name, class, kind, inputs, takes, gives, size });
        self.layers.len() - 1
    }

    /// A layer that keeps the channels.
    fn keep(&mut self, position: Position, kind: LayerKind, inputs: Vec<usize>, size: Option<[usize; 2]>) -> usize {
        let gives = inputs.first().map_or(0, |&x| self.layers[x].gives);
        self.push(position, kind, inputs, gives, size)
    }

    fn norm(&mut self, position: Position, x: usize) -> usize {
        let epsilon = self.own(position).and_then(|own| own.epsilon).unwrap_or(self.recipe.conventions.epsilon);
        let kind = match self.recipe.conventions.norms {
            Norms::Batch => LayerKind::BatchNorm { epsilon, affine: true },
            Norms::Group(groups) => LayerKind::GroupNorm { groups, epsilon },
        };
        self.keep(position, kind, vec![x], self.layers[x].size)
    }

    /// What a layer has of its own.
    fn own(&self, position: Position) -> Option<&'a Own> {
        self.recipe.own.get(&position)
    }

    fn activation(&mut self, position: Position, x: usize) -> usize {
        let conventions = &self.recipe.conventions;
        let inner = matches!(position, Position::Block { component: Component::Activation(_), .. });
        let inner = conventions.inner_activation.filter(|_| inner && self.recipe.form.order == ActivationOrder::Post);
        self.function(position, inner.unwrap_or(conventions.activation), x)
    }

    /// An activation, unless the place has another or none.
    fn function(&mut self, position: Position, usual: Activation, x: usize) -> usize {
        match self.own(position).and_then(|own| own.activation).unwrap_or(Some(usual)) {
            Some(activation) => self.keep(position, LayerKind::Activation(activation), vec![x], self.layers[x].size),
            None => x,
        }
    }

    fn pad(&mut self, position: Position, x: usize, amount: usize) -> usize {
        let size = self.layers[x].size.map(|size| size.map(|n| n + 2 * amount));
        self.keep(position, LayerKind::Pad(amount), vec![x], size)
    }

    /// A convolution; `valid` where a layer before it pads.
    fn conv(&mut self, position: Position, x: usize, gives: usize, usual: Window, valid: bool) -> usize {
        let conventions = &self.recipe.conventions;
        let own = self.own(position).cloned().unwrap_or_default();
        let window = Window {
            kernel: own.kernel.unwrap_or(usual.kernel),
            stride: own.stride.map_or(usual.stride, |[rows, _]| rows),
            dilation: own.dilation.map_or(usual.dilation, |[rows, _]| rows),
        };
        let in_block = matches!(position, Position::Block { component: Component::Conv(_), .. });
        let groups = if in_block && window.kernel > 1 { self.recipe.form.groups } else { 1 };
        let last = if self.recipe.form.block == BlockKind::Basic { 2 } else { 3 };
        let in_gate = matches!(position, Position::Block { component: Component::Gate(_), .. });
        let bias = match (conventions.biases, position) {
            _ if in_gate => conventions.gate_biases,
            (Biases::All, _) => true,
            (Biases::None, _) => false,
            (Biases::BeforeSums, Position::Block { component: Component::Conv(n), .. }) => n == last,
            (Biases::BeforeSums, _) => true,
        };
        let before = self.layers[x].size;
        let (padding, size) = match conventions.framework {
            Framework::Torch if !valid => centred(before, window),
            Framework::Torch | Framework::Keras => padding(before, window, valid),
        };
        let kind = LayerKind::Conv {
            kernel: window.kernel,
            stride: own.stride.unwrap_or([window.stride; 2]),
            dilation: own.dilation.unwrap_or([window.dilation; 2]),
            groups: own.groups.unwrap_or(groups),
            bias,
            padding: own.pads.map_or(padding, ConvPadding::Amounts),
            standardised: conventions.standardised.filter(|_| !in_gate),
        };
        self.push(position, kind, vec![x], own.gives.unwrap_or(gives), size.filter(|_| own.pads.is_none()))
    }

    fn stem(&mut self) -> usize {
        let recipe = self.recipe;
        let mut x = self.push(Position::Input, LayerKind::Input, Vec::new(), recipe.input.channels, recipe.input.size);
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
                x = self.pad(Position::Stem(Component::Pad(n)), x, kernel / 2);
            }
            x = self.conv(Position::Stem(Component::Conv(n)), x, gives, Window { kernel, stride, dilation: 1 }, pads);
            if recipe.conventions.stem_norm || at + 1 < convs.len() {
                x = self.norm(Position::Stem(Component::Norm(n)), x);
                x = self.activation(Position::Stem(Component::Activation(n)), x);
            }
        }
        let pool = self.own(Position::Pool).and_then(|own| own.pool);
        match pool.unwrap_or(large.then(|| recipe.conventions.stem_pool())) {
            Some(pool) => self.stem_pool(x, pool),
            None => x,
        }
    }

    fn stem_pool(&mut self, mut x: usize, pool: Pool) -> usize {
        let usual = pool == self.recipe.conventions.stem_pool();
        // A pool that pads by itself has no layer before it that does, nor has another one that Keras's code would have.
        let own = self.recipe.conventions.framework == Framework::Keras && !usual;
        if self.recipe.conventions.pool_edge == PoolEdge::Zeros && pool.pads.is_zero() && !own {
            x = self.pad(Position::PoolPad, x, 1);
        }
        let size = self.layers[x].size.filter(|_| usual);
        // Where the last window may stick out there is one more where some pixels are left.
        let rest = usize::from(pool.ceil);
        let size = size.map(|size| size.map(|n| valid_size(n + 2 * pool.pads.top + rest, 3, 2)));
        self.keep(Position::Pool, LayerKind::MaxPool(pool), vec![x], size)
    }

    fn stride(&self, stage: usize, block: usize, blocks: usize) -> usize {
        let form = &self.recipe.form;
        let own = |n: usize| self.own(Position::Block { stage, block, component: Component::Conv(n) })?.stride;
        let own = (1..=3).filter_map(own).map(|[rows, _]| rows).reduce(usize::saturating_mul);
        if let Some(own) = own {
            return own;
        }
        let carries = match form.stride_in {
            StrideIn::First => block == 0,
            StrideIn::Last => block + 1 == blocks,
        };
        if let Some(&stride) = self.recipe.pace.strides.get(stage) {
            return if carries { stride } else { 1 };
        }
        match form.stride_in {
            StrideIn::First if block == 0 && stage > 0 => 2,
            StrideIn::First if block == 0 => self.recipe.conventions.first_stride,
            StrideIn::Last if block + 1 == blocks && stage + 1 < form.stages.len() => 2,
            StrideIn::First | StrideIn::Last => 1,
        }
    }

    fn block(&mut self, x: usize, planned: BlockPlan) -> usize {
        let recipe = self.recipe;
        let pre = recipe.form.order == ActivationOrder::Pre;
        // Behind a normalised stem the first block needs no pre-activation.
        let bare = recipe.conventions.stem_norm && planned.stage == 0 && planned.block == 0;
        let mut y = x;
        if pre && !bare {
            y = self.norm(planned.position(Component::Norm(1)), y);
            y = self.activation(planned.position(Component::Activation(1)), y);
        }
        let source = if recipe.conventions.shortcut_reads == Reads::Preactivated { y } else { x };
        let projects = self.projects(x, planned);
        // Keras Applications make the shortcut first, the CIFAR example last; names that Keras makes up count on it.
        let early = recipe.conventions.pad_layers || !projects;
        let mut shortcut = x;
        if early {
            shortcut = if projects { self.projection(source, planned) } else { self.plain_shortcut(x, planned) };
        }
        y = self.main_path(y, planned);
        if !early {
            shortcut = self.projection(source, planned);
        }
        let y = self.keep(planned.position(Component::Add), LayerKind::Add, vec![shortcut, y], self.layers[y].size);
        if pre { y } else { self.activation(planned.position(Component::Output), y) }
    }

    fn projects(&self, x: usize, planned: BlockPlan) -> bool {
        if let Some(projecting) = &self.recipe.pace.projecting {
            return projecting.contains(&(planned.stage, planned.block));
        }
        let form = &self.recipe.form;
        let thins = form.stride_in == StrideIn::First && planned.stride > 1;
        let changes = self.layers[x].gives != planned.sizes.outputs || thins;
        match self.recipe.conventions.projections {
            Projections::WhereChanged => changes,
            Projections::FirstBottleneck => changes || (planned.block == 0 && form.block == BlockKind::Bottleneck),
            Projections::FirstOfStage => changes || planned.block == 0,
            Projections::Pad => false,
        }
    }

    /// A shortcut without weights: pixels are left out where the main path has a stride, channels of zeros added where it
    /// gives more than it takes.
    fn plain_shortcut(&mut self, mut x: usize, planned: BlockPlan) -> usize {
        let BlockPlan { stride, .. } = planned;
        if stride > 1 {
            let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, 1, stride)));
            let pool = LayerKind::MaxPool(Pool::square(1, stride, 0));
            x = self.keep(planned.position(Component::ShortcutPool), pool, vec![x], size);
        }
        let outputs = planned.sizes.outputs;
        let missing = outputs.saturating_sub(self.layers[x].gives);
        if missing > 0 {
            let pad = LayerKind::PadChannels([missing / 2, missing - missing / 2]);
            x = self.push(planned.position(Component::ShortcutPad), pad, vec![x], outputs, self.layers[x].size);
        }
        x
    }

    fn projection(&mut self, mut x: usize, planned: BlockPlan) -> usize {
        let mut stride = planned.stride;
        let dilated = self.recipe.pace.dilations(planned.stage, planned.block).rest > 1;
        let pools = self.recipe.form.pooled_shortcut && (stride > 1 || dilated);
        let usual = if stride > 1 {
            Pool { ceil: true, ..Pool::square(2, stride, 0) }
        } else {
            // In place of a stride that was replaced by a dilation: the mean of each pixel and those behind it, where zeros lie
            // behind the last (timm's AvgPool2dSame).
            let pads = Pads { bottom: 1, right: 1, ..Pads::default() };
            Pool { pads, counts_pads: true, ..Pool::square(2, 1, 0) }
        };
        let position = planned.position(Component::ShortcutPool);
        if let Some(pool) = self.own(position).and_then(|own| own.pool).unwrap_or(pools.then_some(usual)) {
            let size = self.layers[x].size.filter(|_| pool == usual);
            let size = size.map(|size| size.map(|n| n.div_ceil(stride)));
            x = self.keep(position, LayerKind::AvgPool(pool), vec![x], size);
            stride = 1;
        }
        let window = Window { kernel: 1, stride, dilation: 1 };
        x = self.conv(planned.position(Component::ShortcutConv), x, planned.sizes.outputs, window, false);
        if self.recipe.conventions.shortcut_norm { self.norm(planned.position(Component::ShortcutNorm), x) } else { x }
    }

    /// Convolutions with what lies between them; the first one's pre-activation is there already.
    fn main_path(&mut self, mut y: usize, planned: BlockPlan) -> usize {
        let form = &self.recipe.form;
        let pre = form.order == ActivationOrder::Pre;
        let StageForm { width, outputs, .. } = planned.sizes;
        let convs: &[(usize, usize)] = match form.block {
            BlockKind::Basic => &[(3, width), (3, outputs)],
            BlockKind::Bottleneck | BlockKind::Other => &[(1, width), (3, width), (1, outputs)],
        };
        let dilations = self.recipe.pace.dilations(planned.stage, planned.block);
        let first_wide = convs.iter().position(|&(kernel, _)| kernel > 1).map_or(0, |at| at + 1);
        for (n, &(kernel, gives)) in (1..).zip(convs) {
            let dilation = match kernel {
                1 => 1,
                _ if n == first_wide => dilations.first,
                _ => dilations.rest,
            };
            if pre && n > 1 {
                y = self.norm(planned.position(Component::Norm(n)), y);
                y = self.activation(planned.position(Component::Activation(n)), y);
            }
            // Only the pre-activated nets of Keras Applications pad the 3x3 of a block by a layer.
            let pads = pre && kernel > 1 && self.recipe.conventions.pad_layers;
            if pads {
                y = self.pad(planned.position(Component::Pad(n)), y, kernel / 2 * dilation);
            }
            let stride = if n == form.stride_on { planned.stride } else { 1 };
            y = self.conv(planned.position(Component::Conv(n)), y, gives, Window { kernel, stride, dilation }, pads);
            if !pre {
                y = self.norm(planned.position(Component::Norm(n)), y);
                if n < convs.len() {
                    y = self.activation(planned.position(Component::Activation(n)), y);
                }
            }
        }
        if form.squeeze_excite { self.gate(y, planned) } else { y }
    }

    /// A factor per channel, from the mean over all pixels.
    fn gate(&mut self, x: usize, planned: BlockPlan) -> usize {
        let gives = self.layers[x].gives;
        // A width that is not given is 0, which no kernel fits.
        let width = self.recipe.sizes.gates.get(planned.stage).copied().unwrap_or(0);
        let pixel = Some([1, 1]);
        let window = Window { kernel: 1, stride: 1, dilation: 1 };
        let mut y = self.keep(
            planned.position(Component::GatePool),
            LayerKind::GlobalPool { keep_dims: true, max: false },
            vec![x],
            pixel,
        );
        y = self.conv(planned.position(Component::Gate(1)), y, width, window, false);
        y = self.function(planned.position(Component::GateActivation(1)), Activation::RELU, y);
        y = self.conv(planned.position(Component::Gate(2)), y, gives, window, false);
        y = self.function(planned.position(Component::GateActivation(2)), Activation::Sigmoid, y);
        self.keep(planned.position(Component::GateProduct), LayerKind::Mul, vec![x, y], self.layers[x].size)
    }

    fn head(&mut self, mut x: usize, head: &Head) {
        let as_conv = head.classifier.as_ref().is_some_and(|classifier| classifier.as_conv);
        // Torch's global pool keeps rows and columns, Keras's does not.
        let keep_dims = as_conv || self.recipe.conventions.framework == Framework::Torch;
        let pixel = keep_dims.then_some([1, 1]);
        let over_all = |max: bool| LayerKind::GlobalPool { keep_dims, max };
        x = match head.pool {
            HeadPool::Global => self.keep(Position::HeadPool, over_all(false), vec![x], pixel),
            HeadPool::Max => self.keep(Position::HeadPool, over_all(true), vec![x], pixel),
            HeadPool::MeanOfBoth | HeadPool::Both | HeadPool::MaxThenMean => {
                let max_first = head.pool == HeadPool::MaxThenMean;
                let first = self.keep(Position::OneHeadPool(1), over_all(max_first), vec![x], pixel);
                let second = self.keep(Position::OneHeadPool(2), over_all(!max_first), vec![x], pixel);
                let (kind, times) =
                    if head.pool == HeadPool::MeanOfBoth { (LayerKind::Mean, 1) } else { (LayerKind::Concat, 2) };
                let gives = self.layers[x].gives.saturating_mul(times);
                self.push(Position::HeadPool, kind, vec![first, second], gives, pixel)
            }
            HeadPool::Window(kernel) => {
                let size = self.layers[x].size.map(|size| size.map(|n| valid_size(n, kernel, kernel)));
                let pool = LayerKind::AvgPool(Pool::square(kernel, kernel, 0));
                self.keep(Position::HeadPool, pool, vec![x], size)
            }
        };
        let is_map = matches!(head.pool, HeadPool::Window(_)) || keep_dims;
        if is_map && !as_conv {
            x = self.flatten(x);
        }
        for (n, &layer) in (1..).zip(&head.layers) {
            x = self.head_layer(Position::Head(n), layer, x);
        }
        let Some(Classifier { classes, softmax, bias, .. }) = head.classifier else { return };
        let pixel = as_conv.then_some([1, 1]);
        x = self.push(Position::Dense(0), LayerKind::Dense { softmax, bias, as_conv }, vec![x], classes, pixel);
        if as_conv {
            self.flatten(x);
        }
    }

    fn head_layer(&mut self, position: Position, layer: HeadLayer, x: usize) -> usize {
        let kind = match layer {
            HeadLayer::Dense { outputs, bias } => {
                let dense = LayerKind::Dense { softmax: false, bias, as_conv: false };
                return self.push(position, dense, vec![x], outputs, None);
            }
            HeadLayer::BatchNorm { epsilon, affine } => LayerKind::BatchNorm { epsilon, affine },
            HeadLayer::LayerNorm { epsilon } => LayerKind::LayerNorm { epsilon },
            HeadLayer::Activation(activation) => LayerKind::Activation(activation),
            HeadLayer::PRelu { slopes } => LayerKind::PRelu(slopes),
            HeadLayer::Softmax => LayerKind::Softmax { log: false },
            HeadLayer::LogSoftmax => LayerKind::Softmax { log: true },
        };
        self.keep(position, kind, vec![x], None)
    }

    /// Features of a map; their size is the map's.
    fn flatten(&mut self, x: usize) -> usize {
        let Layer { gives, size, .. } = self.layers[x];
        let features = size.map_or(0, |[h, w]| h * w * gives);
        self.push(Position::Flatten, LayerKind::Flatten, vec![x], features, size)
    }
}

/// As much padding on each side as lies on each side of the middle of a kernel, and the size it gives.
fn centred(before: Option<[usize; 2]>, window: Window) -> (ConvPadding, Option<[usize; 2]>) {
    let amount = window.kernel / 2 * window.dilation;
    let size = before.map(|size| size.map(|n| valid_size(n + 2 * amount, extent(window), window.stride)));
    (ConvPadding::Amounts(Pads::all(amount)), size)
}

/// How a convolution pads an image of this size, and the size it gives; `valid` where a layer before it pads.
fn padding(before: Option<[usize; 2]>, window: Window, valid: bool) -> (ConvPadding, Option<[usize; 2]>) {
    let Window { kernel, stride, dilation } = window;
    if valid || kernel == 1 {
        let size = before.map(|size| size.map(|n| valid_size(n, extent(window), stride)));
        return (ConvPadding::Amounts(Pads::default()), size);
    }
    if stride == 1 {
        return (ConvPadding::Amounts(Pads::all(kernel / 2 * dilation)), before);
    }
    let amounts = before.and_then(|[h, w]| Some((same_upper(h, window)?, same_upper(w, window)?)));
    match amounts {
        Some(((top, bottom), (left, right))) => {
            let size = before.map(|size| size.map(|n| n.div_ceil(stride)));
            (ConvPadding::Amounts(Pads { top, left, bottom, right }), size)
        }
        None => (ConvPadding::Same, None),
    }
}

/// Pixels from the first to the last that a kernel takes.
fn extent(window: Window) -> usize {
    window.kernel.saturating_sub(1) * window.dilation + 1
}

/// Size behind a window without padding; 0 where it does not fit.
fn valid_size(n: usize, kernel: usize, stride: usize) -> usize {
    n.checked_sub(kernel).map_or(0, |room| room / stride + 1)
}
