//! A network written down step by step, as the code of its class computes it, over the tensors of a state dict.
//!
//! Channels are followed, so that a tensor that does not fit is found where it is used. Invariant: every tensor that a step uses is
//! marked as used, and what is left at the end is known.

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::NamedTensor;
use residua_ir::{
    Activation, AvgPool, BatchNorm, Border, Conv, DType, Elementwise, GlobalPool, GraphBuilder, GroupNorm, Hint,
    InputType, LayerId, MaxPool, Op, PadAxes, Padding, Pads, Parameter, PoolKind, ReshapeDim, Role, SourceOrder,
    Tensor, ValueId,
};

use residua_resnet::recognise::Choice;

use crate::error::{Error, Result};

/// What a step gives: `[N, channels, H, W]`, or `[N, channels]`.
#[derive(Clone, Copy)]
pub(super) struct Features {
    pub(super) value: ValueId,
    pub(super) channels: usize,
}

/// How a convolution walks over pixels. It pads so that a kernel of odd size keeps their number.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) groups: usize,
    /// Whether it pads at all.
    pub(super) pads: bool,
}

impl Walk {
    pub(super) const PLAIN: Self = Self { stride: 1, dilation: 1, groups: 1, pads: true };

    pub(super) fn stride(stride: usize) -> Self {
        Self { stride, ..Self::PLAIN }
    }
}

/// See the [module](self).
pub(super) struct Writer<'a> {
    pub(super) g: GraphBuilder,
    tensors: BTreeMap<String, &'a NamedTensor>,
    used: BTreeSet<String>,
    epsilon: f64,
    /// What stands where the code has its activation.
    usual: Activation,
    /// Whether it has a matrix.
    classifies: bool,
    /// What was taken that is not in the file.
    pub(super) taken: Vec<Choice>,
}

impl<'a> Writer<'a> {
    /// Over these tensors, by their names without a prefix.
    pub(super) fn new(name: &str, tensors: BTreeMap<String, &'a NamedTensor>, epsilon: f64, usual: Activation) -> Self {
        let (g, used, taken) = (GraphBuilder::new(name), BTreeSet::new(), Vec::new());
        Self { g, tensors, used, epsilon, usual, classifies: false, taken }
    }

    /// Whether it has a matrix, whose outputs are no features.
    pub(super) fn classifies(&self) -> bool {
        self.classifies
    }

    /// Notes what is taken that is not in the file, once, with what says otherwise.
    pub(super) fn takes(&mut self, taken: impl Into<String>, hints: &[Hint]) {
        let choice = Choice { taken: taken.into(), hints: hints.to_vec() };
        if !self.taken.contains(&choice) {
            self.taken.push(choice);
        }
    }

    /// The tensors that no step used.
    pub(super) fn left(&self) -> Vec<&'a NamedTensor> {
        let left = self.tensors.iter().filter(|(name, _)| !self.used.contains(*name));
        left.map(|(_, tensor)| *tensor).collect()
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.tensors.get(name).map(|named| named.tensor.shape())
    }

    /// Whether a module has tensors.
    pub(super) fn has_module(&self, path: &str) -> bool {
        let start = format!("{path}.");
        self.tensors.range(start.clone()..).next().is_some_and(|(name, _)| name.starts_with(&start))
    }

    /// How many modules there are under names that `path` makes of the numbers from `first` on.
    pub(super) fn count(&self, first: usize, path: impl Fn(usize) -> String) -> usize {
        (first..).take_while(|&at| self.has_module(&path(at))).count()
    }

    /// The error of a tensor that is not there.
    pub(super) fn missing(layer: &str, tensor: &str, expected: &str) -> Error {
        Error::MissingTensor {
            layer: layer.into(),
            tensor: tensor.into(),
            expected: expected.into(),
            found: "nothing".into(),
        }
    }

    fn tensor(&mut self, layer: &str, field: &str, expected: &str) -> Result<&'a NamedTensor> {
        let name = format!("{layer}.{field}");
        let named = *self.tensors.get(&name).ok_or_else(|| Self::missing(layer, field, expected))?;
        self.used.insert(name);
        Ok(named)
    }

    fn put(&mut self, layer: LayerId, named: &NamedTensor, tensor: Tensor, role: Role) -> ValueId {
        let (name, location) = (named.name.clone().into(), named.location.clone().into());
        self.g.parameter(Parameter { name, location, role, layer, tensor })
    }

    fn wrong(layer: &str, field: &str, named: &NamedTensor, expected: String) -> Error {
        Error::Shape {
            layer: layer.into(),
            tensor: field.into(),
            expected: expected.into(),
            found: format!("{:?}", named.tensor.shape()).into(),
            location: named.location.clone().into(),
        }
    }

    /// A vector of so many numbers, one a channel.
    fn vector(&mut self, id: LayerId, layer: &str, field: &str, size: usize, role: Role) -> Result<ValueId> {
        let expected = format!("[{size}]");
        let named = self.tensor(layer, field, &expected)?;
        if named.tensor.shape() != [size] {
            return Err(Self::wrong(layer, field, named, expected));
        }
        Ok(self.put(id, named, named.tensor.clone(), role))
    }

    fn bias(&mut self, id: LayerId, layer: &str, size: usize) -> Result<Option<ValueId>> {
        let has = self.has(&format!("{layer}.bias"));
        has.then(|| self.vector(id, layer, "bias", size, Role::Weight)).transpose()
    }

    /// The image.
    pub(super) fn input(&mut self, channels: usize, size: Option<[usize; 2]>) -> Features {
        let shape = residua_resnet::recipe::Input { channels, size }.shape();
        let value = self.g.input_with("x", InputType { dtype: DType::F32, shape }, SourceOrder::Same);
        Features { value, channels }
    }

    /// A step without tensors.
    pub(super) fn step(&mut self, name: &str, class: &str, op: Op, inputs: &[Features], channels: usize) -> Features {
        let id = self.g.layer(name, class, true);
        let inputs: Vec<ValueId> = inputs.iter().map(|input| input.value).collect();
        Features { value: self.g.node(name, op, &inputs, id), channels }
    }

    /// A convolution, with its bias where it has one.
    pub(super) fn conv(&mut self, x: Features, layer: &str, walk: Walk) -> Result<Features> {
        let id = self.g.layer(layer, "Conv2d", true);
        let takes = x.channels.checked_div(walk.groups).filter(|takes| takes * walk.groups == x.channels);
        let expected = format!("[any, {}, rows, columns]", takes.unwrap_or(0));
        let named = self.tensor(layer, "weight", &expected)?;
        let (&[gives, of, rows, columns], Some(takes)) = (named.tensor.shape(), takes) else {
            return Err(Self::wrong(layer, "weight", named, expected));
        };
        if of != takes || rows == 0 || columns == 0 || !gives.is_multiple_of(walk.groups) {
            return Err(Self::wrong(layer, "weight", named, expected));
        }
        let weight = self.put(id, named, named.tensor.clone(), Role::Weight);
        let mut operands = vec![x.value, weight];
        operands.extend(self.bias(id, layer, gives)?);
        let pad = |size: usize| if walk.pads { (size - 1).saturating_mul(walk.dilation) / 2 } else { 0 };
        let pads = Pads { top: pad(rows), left: pad(columns), bottom: pad(rows), right: pad(columns) };
        let op = Op::Conv(Conv {
            strides: [walk.stride; 2],
            padding: Padding::Explicit(pads),
            dilations: [walk.dilation; 2],
            groups: walk.groups,
        });
        Ok(Features { value: self.g.node(layer, op, &operands, id), channels: gives })
    }

    /// A batch norm.
    pub(super) fn norm(&mut self, x: Features, layer: &str) -> Result<Features> {
        let id = self.g.layer(layer, "BatchNorm2d", true);
        if let Some(&named) = self.tensors.get(&format!("{layer}.num_batches_tracked")) {
            self.used.insert(format!("{layer}.num_batches_tracked"));
            self.g.unread_parameter(Parameter {
                name: named.name.clone().into(),
                location: named.location.clone().into(),
                role: Role::Counter,
                layer: id,
                tensor: named.tensor.clone(),
            });
        }
        let mut operands = vec![x.value];
        for (field, role) in [
            ("weight", Role::Weight),
            ("bias", Role::Weight),
            ("running_mean", Role::Statistic),
            ("running_var", Role::Statistic),
        ] {
            operands.push(self.vector(id, layer, field, x.channels, role)?);
        }
        let op = Op::BatchNorm(BatchNorm { epsilon: self.epsilon });
        Ok(Features { value: self.g.node(layer, op, &operands, id), ..x })
    }

    /// A norm of each channel over its own pixels, with a factor and a summand.
    pub(super) fn instance_norm(&mut self, x: Features, layer: &str) -> Result<Features> {
        let id = self.g.layer(layer, "InstanceNorm2d", true);
        let mut operands = vec![x.value];
        for field in ["weight", "bias"] {
            operands.push(self.vector(id, layer, field, x.channels, Role::Weight)?);
        }
        let op = Op::GroupNorm(GroupNorm { groups: x.channels, epsilon: self.epsilon });
        Ok(Features { value: self.g.node(layer, op, &operands, id), ..x })
    }

    /// A rectifier with a slope of its own for each channel.
    pub(super) fn prelu(&mut self, x: Features, layer: &str) -> Result<Features> {
        let id = self.g.layer(layer, "PReLU", true);
        let expected = format!("[{}]", x.channels);
        let named = self.tensor(layer, "weight", &expected)?;
        if named.tensor.shape() != [x.channels] {
            return Err(Self::wrong(layer, "weight", named, expected));
        }
        let slopes = named.tensor.reshape(&[x.channels, 1, 1]);
        let slopes = slopes.map_err(|source| Error::Tensor { tensor: named.name.clone().into(), source })?;
        let slopes = self.put(id, named, slopes, Role::Weight);
        Ok(Features { value: self.g.node(layer, Op::PRelu, &[x.value, slopes], id), ..x })
    }

    /// The activation of the network, a rectifier unless another is given.
    pub(super) fn relu(&mut self, x: Features, name: &str) -> Features {
        self.activation(x, name, self.usual)
    }

    pub(super) fn activation(&mut self, x: Features, name: &str, activation: Activation) -> Features {
        let class = if activation == Activation::RELU { "ReLU" } else { activation.name() };
        self.step(name, class, Op::Activation(activation), &[x], x.channels)
    }

    pub(super) fn add(&mut self, a: Features, b: Features, name: &str) -> Features {
        self.step(name, "Add", Op::Elementwise(Elementwise::Add), &[a, b], a.channels)
    }

    pub(super) fn product(&mut self, a: Features, b: Features, name: &str) -> Features {
        self.step(name, "Mul", Op::Elementwise(Elementwise::Mul), &[a, b], a.channels)
    }

    /// Channels from the first on, so many.
    pub(super) fn channels(&mut self, x: Features, from: usize, count: usize, name: &str) -> Features {
        self.step(name, "Slice", Op::slice(1, from, Some(from + count), 1), &[x], count)
    }

    /// Channels one behind the other.
    pub(super) fn concat(&mut self, parts: &[Features], name: &str) -> Features {
        let channels = parts.iter().map(|part| part.channels).sum();
        self.step(name, "Concat", Op::Concat { axis: 1 }, parts, channels)
    }

    /// Maxima of windows that pad by the same amount on each side.
    pub(super) fn max_pool(&mut self, x: Features, name: &str, kernel: usize, stride: usize, pad: usize) -> Features {
        let pool = MaxPool {
            kernel: [kernel; 2],
            strides: [stride; 2],
            padding: Padding::Explicit(Pads::all(pad)),
            dilations: [1; 2],
            ceil_mode: false,
        };
        self.step(name, "MaxPool2d", Op::MaxPool(pool), &[x], x.channels)
    }

    /// Means of windows; `counted` where what is padded counts as zeros.
    pub(super) fn mean_pool(
        &mut self,
        x: Features,
        name: &str,
        size: [usize; 3],
        ceil: bool,
        counted: bool,
    ) -> Features {
        let [kernel, stride, pad] = size;
        let pool = AvgPool {
            kernel: [kernel; 2],
            strides: [stride; 2],
            padding: Padding::Explicit(Pads::all(pad)),
            dilations: [1; 2],
            ceil_mode: ceil,
            count_include_pad: counted,
        };
        self.step(name, "AvgPool2d", Op::AvgPool(pool), &[x], x.channels)
    }

    /// Means over all pixels: `[N, C]`, or `[N, C, 1, 1]` where axes are kept.
    pub(super) fn mean(&mut self, x: Features, name: &str, keep_dims: bool) -> Features {
        let op = Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims });
        self.step(name, "AdaptiveAvgPool2d", op, &[x], x.channels)
    }

    /// `[N, C, H, W]` as `[N, C * H * W]`.
    pub(super) fn flatten(&mut self, x: Features, name: &str, pixels: usize) -> Features {
        self.step(name, "Flatten", Op::Flatten { axis: 1 }, &[x], x.channels.saturating_mul(pixels))
    }

    /// Another shape for the same elements.
    pub(super) fn reshape(&mut self, x: Features, name: &str, shape: Vec<ReshapeDim>) -> Features {
        self.step(name, "Reshape", Op::Reshape { shape }, &[x], x.channels)
    }

    pub(super) fn transpose(&mut self, x: Features, name: &str, perm: Vec<usize>) -> Features {
        self.step(name, "Transpose", Op::Transpose { perm }, &[x], x.channels)
    }

    /// A matrix, with its bias where it has one.
    pub(super) fn linear(&mut self, x: Features, layer: &str) -> Result<Features> {
        self.classifies = true;
        let id = self.g.layer(layer, "Linear", true);
        let expected = format!("[any, {}]", x.channels);
        let named = self.tensor(layer, "weight", &expected)?;
        let gives = match *named.tensor.shape() {
            [gives, takes] if takes == x.channels => gives,
            _ => return Err(Self::wrong(layer, "weight", named, expected)),
        };
        let weight = self.put(id, named, named.tensor.clone(), Role::Weight);
        let mut operands = vec![x.value, weight];
        operands.extend(self.bias(id, layer, gives)?);
        Ok(Features { value: self.g.node(layer, Op::Linear, &operands, id), channels: gives })
    }

    /// A convolution along the channels of `[N, C, 1, 1]`, whose kernel `[1, 1, k]` pads so that their number stays.
    pub(super) fn conv_over_channels(&mut self, x: Features, layer: &str) -> Result<Features> {
        let expected = "[1, 1, an odd number]";
        let named = self.tensor(layer, "weight", expected)?;
        let size = match *named.tensor.shape() {
            [1, 1, size] if size % 2 == 1 => size,
            _ => return Err(Self::wrong(layer, "weight", named, expected.to_owned())),
        };
        let turned = self.transpose(x, &format!("{layer}.turned"), vec![0, 2, 1, 3]);
        let id = self.g.layer(layer, "Conv1d", true);
        let kernel = named.tensor.reshape(&[1, 1, size, 1]);
        let kernel = kernel.map_err(|source| Error::Tensor { tensor: named.name.clone().into(), source })?;
        let kernel = self.put(id, named, kernel, Role::Weight);
        let pads = Pads { top: size / 2, bottom: size / 2, ..Pads::default() };
        let op = Op::Conv(Conv { padding: Padding::Explicit(pads), ..Conv::default() });
        let value = self.g.node(layer, op, &[turned.value, kernel], id);
        Ok(self.transpose(Features { value, ..x }, &format!("{layer}.back"), vec![0, 2, 1, 3]))
    }

    /// Every second pixel of what a fixed filter `[C, 1, k, k]` makes of an image that is mirrored at its edges.
    pub(super) fn blur(&mut self, x: Features, layer: &str) -> Result<Features> {
        let expected = format!("[{}, 1, size, size]", x.channels);
        let named = self.tensor(layer, "filt", &expected)?;
        let size = match *named.tensor.shape() {
            [channels, 1, rows, columns] if channels == x.channels && rows == columns && rows > 0 => rows,
            _ => return Err(Self::wrong(layer, "filt", named, expected)),
        };
        let pads = [(size - 1) / 2, size / 2];
        let pad = PadAxes { amounts: vec![[0; 2], [0; 2], pads, pads], border: Border::Reflect };
        let padded = self.step(&format!("{layer}.pad"), "ReflectionPad2d", Op::PadAxes(pad), &[x], x.channels);
        let id = self.g.layer(layer, "BlurPool", false);
        let filter = self.put(id, named, named.tensor.clone(), Role::Statistic);
        let op = Op::Conv(Conv { strides: [2; 2], groups: x.channels, ..Conv::default() });
        Ok(Features { value: self.g.node(layer, op, &[padded.value, filter], id), ..x })
    }
}
