//! Small networks in a few lines, for tests. Names of layers say nothing on purpose.

use std::collections::HashMap;

use residua_ir::{
    Activation, AvgPool, BatchNorm, Checked, Conv, Dim, Elementwise, GlobalPool, GraphBuilder, GroupNorm,
    IdentityReason, MaxPool, Op, Padding, Pads, PoolKind, Shape, Tensor, ValueId, validate,
};

/// A network under construction.
pub(crate) struct Net {
    pub(crate) g: GraphBuilder,
    channels: HashMap<ValueId, usize>,
    count: usize,
}

impl Net {
    /// A network with an image of free size as its input.
    pub(crate) fn new(channels: usize) -> (Self, ValueId) {
        let mut g = GraphBuilder::new("net");
        let dims = vec![Dim::symbol("N"), Dim::Fixed(channels), Dim::symbol("H"), Dim::symbol("W")];
        let x = g.input("x", Shape::new(dims));
        (Self { g, channels: HashMap::from([(x, channels)]), count: 0 }, x)
    }

    pub(crate) fn channels(&self, value: ValueId) -> usize {
        self.channels[&value]
    }

    pub(crate) fn set_channels(&mut self, value: ValueId, channels: usize) {
        self.channels.insert(value, channels);
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("n{}", self.count)
    }

    pub(crate) fn tensor(&mut self, shape: &[usize]) -> ValueId {
        let name = self.name();
        let zeros = vec![0.0; shape.iter().product()];
        self.g.weight(&name, Tensor::from_f32(shape.to_vec(), &zeros).unwrap())
    }

    /// One node; as many channels as its first operand has.
    pub(crate) fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = self.name();
        let channels = self.channels[&inputs[0]];
        let value = self.g.add(&name, op, inputs);
        self.channels.insert(value, channels);
        value
    }

    pub(crate) fn conv_groups(&mut self, x: ValueId, out: usize, k: usize, stride: usize, groups: usize) -> ValueId {
        let kernel = self.tensor(&[out, self.channels[&x] / groups, k, k]);
        let padding = Padding::Explicit(Pads::all(k / 2));
        let value = self.op(Op::Conv(Conv { strides: [stride; 2], padding, groups, ..Conv::default() }), &[x, kernel]);
        self.channels.insert(value, out);
        value
    }

    pub(crate) fn conv(&mut self, x: ValueId, out: usize, k: usize, stride: usize) -> ValueId {
        self.conv_groups(x, out, k, stride, 1)
    }

    pub(crate) fn bn(&mut self, x: ValueId) -> ValueId {
        let c = self.channels[&x];
        let tensors: Vec<ValueId> = (0..4).map(|_| self.tensor(&[c])).collect();
        self.op(Op::BatchNorm(BatchNorm { epsilon: 1e-5 }), &[x, tensors[0], tensors[1], tensors[2], tensors[3]])
    }

    pub(crate) fn gn(&mut self, x: ValueId) -> ValueId {
        let c = self.channels[&x];
        let (scale, offset) = (self.tensor(&[c]), self.tensor(&[c]));
        self.op(Op::GroupNorm(GroupNorm { groups: 1, epsilon: 1e-5 }), &[x, scale, offset])
    }

    pub(crate) fn relu(&mut self, x: ValueId) -> ValueId {
        self.op(Op::Activation(Activation::RELU), &[x])
    }

    pub(crate) fn act(&mut self, x: ValueId, activation: Activation) -> ValueId {
        self.op(Op::Activation(activation), &[x])
    }

    pub(crate) fn bn_relu(&mut self, x: ValueId) -> ValueId {
        let x = self.bn(x);
        self.relu(x)
    }

    pub(crate) fn conv_bn_relu(&mut self, x: ValueId, out: usize, k: usize, stride: usize) -> ValueId {
        let x = self.conv(x, out, k, stride);
        self.bn_relu(x)
    }

    pub(crate) fn conv_bn(&mut self, x: ValueId, out: usize, k: usize, stride: usize) -> ValueId {
        let x = self.conv(x, out, k, stride);
        self.bn(x)
    }

    pub(crate) fn max_pool(&mut self, x: ValueId, kernel: usize, stride: usize) -> ValueId {
        let padding = Padding::Explicit(Pads::all(kernel / 2));
        let pool = MaxPool { kernel: [kernel; 2], strides: [stride; 2], padding, dilations: [1, 1], ceil_mode: false };
        self.op(Op::MaxPool(pool), &[x])
    }

    pub(crate) fn avg_pool(&mut self, x: ValueId, kernel: usize) -> ValueId {
        let pool = AvgPool {
            kernel: [kernel; 2],
            strides: [kernel; 2],
            padding: Padding::default(),
            dilations: [1, 1],
            ceil_mode: true,
            count_include_pad: false,
        };
        self.op(Op::AvgPool(pool), &[x])
    }

    pub(crate) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Op::Elementwise(Elementwise::Add), &[a, b])
    }

    pub(crate) fn dropout(&mut self, x: ValueId) -> ValueId {
        self.op(Op::Identity(IdentityReason::Dropout), &[x])
    }

    pub(crate) fn gap(&mut self, x: ValueId, keep_dims: bool) -> ValueId {
        self.op(Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims }), &[x])
    }

    pub(crate) fn dense(&mut self, x: ValueId, out: usize) -> ValueId {
        let weight = self.tensor(&[out, self.channels[&x]]);
        let value = self.op(Op::Linear, &[x, weight]);
        self.channels.insert(value, out);
        value
    }

    /// A gate from pooled 1x1 convolutions.
    pub(crate) fn squeeze_excite(&mut self, x: ValueId, width: usize) -> ValueId {
        let c = self.channels[&x];
        let pooled = self.gap(x, true);
        let small = self.conv(pooled, width, 1, 1);
        let small = self.relu(small);
        let gate = self.conv(small, c, 1, 1);
        let gate = self.act(gate, Activation::Sigmoid);
        self.op(Op::Elementwise(Elementwise::Mul), &[gate, x])
    }

    /// A gate from one convolution over the pooled channels, as ECA has it.
    pub(crate) fn channel_attention(&mut self, x: ValueId) -> ValueId {
        let pooled = self.gap(x, true);
        let row = self.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[pooled]);
        let kernel = self.tensor(&[1, 1, 1, 3]);
        let padding = Padding::Explicit(Pads { left: 1, right: 1, ..Pads::default() });
        let row = self.op(Op::Conv(Conv { padding, ..Conv::default() }), &[row, kernel]);
        let row = self.act(row, Activation::Sigmoid);
        let gate = self.op(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[row]);
        self.op(Op::Elementwise(Elementwise::Mul), &[x, gate])
    }

    /// A mean over 3x3 pixels, weighted, with stride 2.
    pub(crate) fn blur(&mut self, x: ValueId) -> ValueId {
        let c = self.channels[&x];
        let taps: Vec<f32> = [1, 2, 1, 2, 4, 2, 1, 2, 1].iter().map(|&tap| tap as f32 / 16.0).collect();
        let name = self.name();
        let kernel = self.g.weight(&name, Tensor::from_f32(vec![c, 1, 3, 3], &taps.repeat(c)).unwrap());
        let padding = Padding::Explicit(Pads::all(1));
        self.op(Op::Conv(Conv { strides: [2; 2], padding, groups: c, ..Conv::default() }), &[x, kernel])
    }

    /// A basic block, post-activation, with a projection where it is needed.
    pub(crate) fn basic(&mut self, x: ValueId, out: usize, stride: usize) -> ValueId {
        let y = self.conv_bn_relu(x, out, 3, stride);
        let y = self.conv_bn(y, out, 3, 1);
        let shortcut = if stride > 1 || self.channels[&x] != out { self.conv_bn(x, out, 1, stride) } else { x };
        let y = self.add(y, shortcut);
        self.relu(y)
    }

    /// A pre-activated basic block whose projection reads the pre-activated value.
    pub(crate) fn pre_basic(&mut self, x: ValueId, out: usize, stride: usize) -> ValueId {
        let pre = self.bn_relu(x);
        let shortcut = if stride > 1 || self.channels[&x] != out { self.conv(pre, out, 1, stride) } else { x };
        let y = self.conv(pre, out, 3, stride);
        let y = self.bn_relu(y);
        let y = self.conv(y, out, 3, 1);
        self.add(shortcut, y)
    }

    /// Closes the network with a pool and a dense layer.
    pub(crate) fn classifier(mut self, x: ValueId, classes: usize) -> Checked {
        let x = self.gap(x, false);
        let x = self.dense(x, classes);
        self.finish(x)
    }

    pub(crate) fn finish(mut self, output: ValueId) -> Checked {
        self.g.output(output);
        validate(self.g.finish().unwrap()).unwrap()
    }
}
