//! What a layer of a recipe is: its operands, tensors and shapes, and the order of all layers. Which layers there are is
//! planned elsewhere.

use residua_ir::{Activation, Pads};

use super::own::Pool;
use crate::conventions::Framework;
use crate::slot::{Field, Position, Slot};

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
        stride: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
        bias: bool,
        padding: ConvPadding,
        standardised: Option<f64>,
    },
    /// Without a factor and a summand where it is not `affine`.
    BatchNorm {
        epsilon: f64,
        affine: bool,
    },
    GroupNorm {
        groups: usize,
        epsilon: f64,
    },
    /// Over all features of an image.
    LayerNorm {
        epsilon: f64,
    },
    Activation(Activation),
    /// With this many slopes.
    PRelu(usize),
    Softmax {
        log: bool,
    },
    /// Its padding is −∞.
    MaxPool(Pool),
    Add,
    Mul,
    /// The mean of two.
    Mean,
    /// The channels of one behind those of another.
    Concat,
    AvgPool(Pool),
    /// Means over all pixels, or maxima.
    GlobalPool {
        keep_dims: bool,
        max: bool,
    },
    Flatten,
    /// Where `as_conv`, a 1x1 convolution of one pixel.
    Dense {
        softmax: bool,
        bias: bool,
        as_conv: bool,
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
    pub position: Position,
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
        let slot = |field: Field| Slot { position: self.position, field };
        match self.kind {
            LayerKind::Conv { kernel, groups, bias, .. } => {
                let weight = (slot(Field::Weight), vec![self.gives, self.takes / groups.max(1), kernel, kernel]);
                let bias = bias.then(|| (slot(Field::Bias), vec![self.gives]));
                [weight].into_iter().chain(bias).collect()
            }
            LayerKind::BatchNorm { affine, .. } => {
                let affine: &[Field] = if affine { &[Field::Scale, Field::Offset] } else { &[] };
                let fields = affine.iter().chain(&[Field::Mean, Field::Variance]);
                fields.map(|&field| (slot(field), vec![self.gives])).collect()
            }
            LayerKind::PRelu(slopes) => vec![(slot(Field::Weight), vec![slopes])],
            LayerKind::GroupNorm { .. } | LayerKind::LayerNorm { .. } => {
                vec![(slot(Field::Scale), vec![self.gives]), (slot(Field::Offset), vec![self.gives])]
            }
            LayerKind::Dense { bias, as_conv, .. } => {
                let pixel: &[usize] = if as_conv { &[1, 1] } else { &[] };
                let weight = (slot(Field::Weight), [&[self.gives, self.takes], pixel].concat());
                [weight].into_iter().chain(bias.then(|| (slot(Field::Bias), vec![self.gives]))).collect()
            }
            LayerKind::Input
            | LayerKind::Pad(_)
            | LayerKind::PadChannels(_)
            | LayerKind::Activation(_)
            | LayerKind::Softmax { .. }
            | LayerKind::MaxPool(_)
            | LayerKind::Add
            | LayerKind::Mul
            | LayerKind::Mean
            | LayerKind::Concat
            | LayerKind::AvgPool(_)
            | LayerKind::GlobalPool { .. }
            | LayerKind::Flatten => Vec::new(),
        }
    }
}

/// What a framework calls such a layer.
pub(super) fn class_of(kind: LayerKind, framework: Framework) -> &'static str {
    let (keras, torch) = match kind {
        LayerKind::Input => ("InputLayer", "Input"),
        LayerKind::Pad(_) => ("ZeroPadding2D", "ZeroPad2d"),
        LayerKind::PadChannels(_) => ("ZeroPadding3D", "ConstantPad3d"),
        LayerKind::Conv { .. } => ("Conv2D", "Conv2d"),
        LayerKind::BatchNorm { .. } => ("BatchNormalization", "BatchNorm2d"),
        LayerKind::GroupNorm { .. } => ("GroupNormalization", "GroupNorm"),
        LayerKind::LayerNorm { .. } => ("LayerNormalization", "LayerNorm"),
        LayerKind::PRelu(_) => ("PReLU", "PReLU"),
        LayerKind::Softmax { log: false } => ("Softmax", "Softmax"),
        LayerKind::Softmax { log: true } => ("Activation", "LogSoftmax"),
        LayerKind::Activation(Activation::RELU) => ("Activation", "ReLU"),
        LayerKind::Activation(activation) => ("Activation", activation.name()),
        LayerKind::MaxPool(_) => ("MaxPooling2D", "MaxPool2d"),
        LayerKind::Add => ("Add", "Add"),
        LayerKind::Mul => ("Multiply", "Mul"),
        LayerKind::Mean => ("Average", "Mean"),
        LayerKind::Concat => ("Concatenate", "Concat"),
        LayerKind::AvgPool(_) => ("AveragePooling2D", "AvgPool2d"),
        LayerKind::GlobalPool { max: false, .. } => ("GlobalAveragePooling2D", "AdaptiveAvgPool2d"),
        LayerKind::GlobalPool { max: true, .. } => ("GlobalMaxPooling2D", "AdaptiveMaxPool2d"),
        LayerKind::Flatten => ("Flatten", "Flatten"),
        LayerKind::Dense { .. } => ("Dense", "Linear"),
    };
    match framework {
        Framework::Keras => keras,
        Framework::Torch => torch,
    }
}
