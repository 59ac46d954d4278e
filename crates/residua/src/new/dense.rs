//! Densely connected networks (Huang et al. 2017, DenseNet-BC), with the names and details of torchvision's.
//!
//! Each layer is a norm, a ReLU, a 1x1 convolution to four times what it adds, a norm, a ReLU and a 3x3 convolution; what
//! it gives is put behind what it takes. Between blocks, a 1x1 convolution halves the channels and a mean the pixels.

use residua_ir::{
    Activation, AvgPool, BatchNorm, Conv, DType, GlobalPool, Graph, GraphBuilder, GraphError, InputType, LayerId,
    MaxPool, Op, Padding, Pads, Parameter, PoolKind, Role, Source, SourceOrder, Tensor, ValueId,
};
use residua_resnet::recipe::Input;

use crate::initial::{Initial, kernel};

/// torchvision's epsilon, `torch.nn.BatchNorm2d`'s own.
const EPSILON: f64 = 1e-5;
/// What a layer's first convolution gives, over what its second adds.
const BOTTLENECK: usize = 4;

/// A densely connected network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DenseNet {
    pub(super) name: String,
    /// Layers of each block.
    pub(super) layers: [usize; 4],
    /// Channels that a layer adds.
    pub(super) growth: usize,
    /// Channels behind the stem.
    pub(super) stem: usize,
    pub(super) input: Input,
    pub(super) classes: usize,
    pub(super) seed: u64,
}

/// A value with its channels.
type Maps = (ValueId, usize);

impl DenseNet {
    /// The graph, with seeded weights.
    ///
    /// # Errors
    /// Where it is too large.
    pub(super) fn graph(&self, source: Source) -> Result<Graph, GraphError> {
        let mut g = GraphBuilder::new(self.name.clone());
        g.source(source);
        let image = InputType { dtype: DType::F32, shape: self.input.shape() };
        let x = g.input_with("x", image, SourceOrder::Same);
        let mut build = Build { g, seed: self.seed, place: 0 };
        let x = build.conv("features.conv0", (x, self.input.channels), self.stem, [7, 2])?;
        let x = build.norm_relu("features.norm0", "features.relu0", x)?;
        let pool = MaxPool {
            kernel: [3, 3],
            strides: [2, 2],
            padding: Padding::Explicit(Pads::all(1)),
            dilations: [1, 1],
            ceil_mode: false,
        };
        let mut x = (build.node("features.pool0", "MaxPool2d", Op::MaxPool(pool), &[x.0]), x.1);
        for (block, &layers) in self.layers.iter().enumerate() {
            for layer in 1..=layers {
                x = build.layer(&format!("features.denseblock{}.denselayer{layer}", block + 1), x, self.growth)?;
            }
            if block + 1 < self.layers.len() {
                x = build.transition(&format!("features.transition{}", block + 1), x)?;
            }
        }
        let x = build.norm_relu("features.norm5", "relu", x)?;
        let pool = Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: false });
        let pooled = build.node("pool", "AdaptiveAvgPool2d", pool, &[x.0]);
        let scores = build.classifier((pooled, x.1), self.classes)?;
        let mut g = build.g;
        g.output(scores);
        g.finish()
    }
}

struct Build {
    g: GraphBuilder,
    seed: u64,
    place: u64,
}

impl Build {
    fn node(&mut self, name: &str, class: &str, op: Op, operands: &[ValueId]) -> ValueId {
        let layer = self.g.layer(name, class, true);
        self.g.node(name, op, operands, layer)
    }

    fn parameter(&mut self, name: String, role: Role, layer: LayerId, tensor: Tensor) -> ValueId {
        self.g.parameter(Parameter { name: name.into(), location: String::new().into(), role, layer, tensor })
    }

    fn conv(&mut self, name: &str, x: Maps, gives: usize, [side, stride]: [usize; 2]) -> Result<Maps, GraphError> {
        let layer = self.g.layer(name, "Conv2d", true);
        self.place += 1;
        let weight = format!("{name}.weight");
        let tensor = kernel(Initial::He, &[gives, x.1, side, side], self.seed, self.place);
        let tensor = tensor.map_err(|source| GraphError::Tensor { name: weight.clone().into(), source })?;
        let weight = self.parameter(weight, Role::Weight, layer, tensor);
        let padding = Padding::Explicit(Pads::all(side / 2));
        let op = Op::Conv(Conv { strides: [stride; 2], padding, ..Conv::default() });
        Ok((self.g.node(name, op, &[x.0, weight], layer), gives))
    }

    fn norm_relu(&mut self, norm: &str, relu: &str, x: Maps) -> Result<Maps, GraphError> {
        let layer = self.g.layer(norm, "BatchNorm2d", true);
        let fields = [
            ("weight", Role::Weight, 1.0),
            ("bias", Role::Weight, 0.0),
            ("running_mean", Role::Statistic, 0.0),
            ("running_var", Role::Statistic, 1.0),
        ];
        let mut operands = vec![x.0];
        for (field, role, value) in fields {
            let name = format!("{norm}.{field}");
            let tensor = Tensor::from_f32(vec![x.1], &vec![value; x.1]);
            let tensor = tensor.map_err(|source| GraphError::Tensor { name: name.clone().into(), source })?;
            operands.push(self.parameter(name, role, layer, tensor));
        }
        let value = self.g.node(norm, Op::BatchNorm(BatchNorm { epsilon: EPSILON }), &operands, layer);
        Ok((self.node(relu, "ReLU", Op::Activation(Activation::RELU), &[value]), x.1))
    }

    fn layer(&mut self, name: &str, x: Maps, growth: usize) -> Result<Maps, GraphError> {
        let y = self.norm_relu(&format!("{name}.norm1"), &format!("{name}.relu1"), x)?;
        let y = self.conv(&format!("{name}.conv1"), y, BOTTLENECK * growth, [1, 1])?;
        let y = self.norm_relu(&format!("{name}.norm2"), &format!("{name}.relu2"), y)?;
        let y = self.conv(&format!("{name}.conv2"), y, growth, [3, 1])?;
        let both = self.node(name, "Concat", Op::Concat { axis: 1 }, &[x.0, y.0]);
        Ok((both, x.1 + growth))
    }

    fn transition(&mut self, name: &str, x: Maps) -> Result<Maps, GraphError> {
        let x = self.norm_relu(&format!("{name}.norm"), &format!("{name}.relu"), x)?;
        let x = self.conv(&format!("{name}.conv"), x, x.1 / 2, [1, 1])?;
        let pool = AvgPool {
            kernel: [2, 2],
            strides: [2, 2],
            padding: Padding::Explicit(Pads::default()),
            dilations: [1, 1],
            ceil_mode: false,
            count_include_pad: false,
        };
        Ok((self.node(&format!("{name}.pool"), "AvgPool2d", Op::AvgPool(pool), &[x.0]), x.1))
    }

    fn classifier(&mut self, x: Maps, classes: usize) -> Result<ValueId, GraphError> {
        let layer = self.g.layer("classifier", "Linear", true);
        self.place += 1;
        let weight = kernel(Initial::Glorot, &[classes, x.1], self.seed, self.place);
        let bias = Tensor::from_f32(vec![classes], &vec![0.0; classes]);
        let mut operands = vec![x.0];
        for (field, tensor) in [("weight", weight), ("bias", bias)] {
            let name = format!("classifier.{field}");
            let tensor = tensor.map_err(|source| GraphError::Tensor { name: name.clone().into(), source })?;
            operands.push(self.parameter(name, Role::Weight, layer, tensor));
        }
        Ok(self.g.node("classifier", Op::Linear, &operands, layer))
    }
}
