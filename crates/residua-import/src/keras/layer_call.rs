//! One call of one layer: where lowering reads keys and operands, binds tensors and emits nodes.
//!
//! The last node of a layer bears the layer's name, so that asking for a layer by name finds what the layer gives; nodes
//! before it are `<layer>/conv`, `<layer>/transpose`, …. A second call of a shared layer is `<layer>:1`, and so on.
//!
//! Invariant: the tensors of a layer are bound once, whatever the number of calls.

use std::collections::HashMap;

use residua_ir::budget::Meter;
use residua_ir::shape::infer;
use residua_ir::{
    DType, Dim, GraphBuilder, IdentityReason, LayerId, Op, Opaque, Parameter, ReshapeDim, Role, Shape, SourceOrder,
    Tensor, TensorError, TensorType, Text, ValueId,
};

use super::config::{Arg, Call, DeclaredShape, Layer};
use super::json::{Constant, Fields};
use super::order;
use super::store::{Store, Wanted};
use crate::error::{Error, Result};

/// Which Keras wrote the file, where their layers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// Keras 2 and tf-keras.
    Keras2,
    /// Keras 3.
    Keras3,
}

/// A value of the graph, with what the importer knows of it.
#[derive(Debug, Clone)]
pub(super) struct Val {
    pub(super) id: ValueId,
    /// How it lies in the source.
    pub(super) order: SourceOrder,
    /// `None` behind a layer that is not known, or that does not fit its operands.
    pub(super) ty: Option<TensorType>,
}

impl Val {
    pub(super) fn rank(&self) -> Option<usize> {
        self.ty.as_ref().map(|ty| ty.shape.rank())
    }

    /// Size of an axis of the graph's value.
    pub(super) fn size(&self, axis: usize) -> Option<usize> {
        self.ty.as_ref()?.shape.dims().get(axis)?.fixed()
    }

    pub(super) fn is_float(&self) -> bool {
        self.ty.as_ref().is_none_or(|ty| ty.dtype.is_float())
    }

    /// The graph's axis of each source axis; `None` where the shape is not known, or for flattened images.
    pub(super) fn axes(&self) -> Option<Vec<usize>> {
        order::axes(&self.order, self.rank()?)
    }

    /// Size of each source axis.
    pub(super) fn source_sizes(&self) -> Option<Vec<Option<usize>>> {
        let shape = self.order.source_shape(&self.ty.as_ref()?.shape);
        Some(shape.dims().iter().map(Dim::fixed).collect())
    }

    fn text(&self) -> String {
        self.ty.as_ref().map_or_else(|| "?".to_owned(), |ty| self.order.source_shape(&ty.shape).to_string())
    }
}

/// Why a call gave no value.
#[derive(Debug)]
pub(super) enum Stop {
    /// The layer is inspectable only, for this reason.
    Opaque(String),
    /// The file is wrong.
    Fail(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Fail(error)
    }
}

/// What lowering a call gives.
pub(super) type Lowered<T = Val> = std::result::Result<T, Stop>;

/// What all calls of a model share.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) builder: GraphBuilder,
    pub(super) store: Store,
    pub(super) generation: Generation,
    /// Whether kernels were written for Theano, which convolves with flipped kernels.
    pub(super) flipped_kernels: bool,
    /// Whether images are NCHW in the source.
    pub(super) channels_first: bool,
    pub(super) layers: HashMap<String, LayerId>,
    /// Tensors that are bound already, by layer.
    pub(super) bound: HashMap<String, Vec<(&'static str, Val)>>,
    /// Calls so far.
    pub(super) calls: Meter,
    /// Bytes of the tensors that stand for what the file does not hold.
    pub(super) made: Meter,
    /// What was taken where the file leaves it open.
    pub(super) notes: Vec<String>,
}

impl Net {
    /// Says what was taken, once.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Keeps models that call each other many times over from growing without end.
    pub(super) fn count_call(&mut self) -> Result<()> {
        Ok(self.calls.spend(1)?)
    }
}

/// How an operator wants to see a tensor that is stored in Keras's order.
type View<'v> = dyn Fn(&Tensor) -> Result<Tensor, TensorError> + 'v;

/// A tensor that a layer needs.
pub(super) struct Weight<'v> {
    names: Vec<&'static str>,
    shape: Vec<Option<usize>>,
    role: Role,
    view: Box<View<'v>>,
}

impl<'v> Weight<'v> {
    pub(super) fn new(name: &'static str, shape: &[Option<usize>]) -> Self {
        Self { names: vec![name], shape: shape.to_vec(), role: Role::Weight, view: Box::new(|t| Ok(t.clone())) }
    }

    pub(super) fn or_named(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self
    }

    pub(super) fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(super) fn view(mut self, view: impl Fn(&Tensor) -> Result<Tensor, TensorError> + 'v) -> Self {
        self.view = Box::new(view);
        self
    }
}

/// One call of a layer.
pub(super) struct LayerCall<'n, 'a> {
    pub(super) net: &'n mut Net,
    pub(super) layer: &'n Layer<'a>,
    pub(super) call: &'n Call<'a>,
    /// Name with those of enclosing models.
    pub(super) path: &'n str,
    /// `:1` for the second call, and so on.
    pub(super) tag: &'n str,
    pub(super) id: LayerId,
    /// Whether the layer is called more than once, so that its tensors cannot be arranged for one caller.
    pub(super) shared: bool,
    /// Whether the call asks for what the layer does in training.
    pub(super) training: bool,
    /// The values that it is given.
    pub(super) inputs: Vec<Val>,
}

impl<'n, 'a> LayerCall<'n, 'a> {
    pub(super) fn fields(&self) -> Fields<'n> {
        self.layer.fields(self.path)
    }

    /// An error about this layer.
    pub(super) fn wrong(&self, problem: impl Into<Text>) -> Stop {
        let (layer, kind) = (self.path.to_owned(), self.layer.class.to_owned());
        Stop::Fail(Error::Layer { layer: layer.into(), kind: kind.into(), problem: problem.into() })
    }

    /// An error about what this layer is given.
    pub(super) fn misfit(&self, problem: impl Into<Text>) -> Stop {
        let (layer, kind) = (self.path.to_owned(), self.layer.class.to_owned());
        Stop::Fail(Error::Misfit { layer: layer.into(), kind: kind.into(), problem: problem.into() })
    }

    /// The only operand.
    pub(super) fn input(&self) -> Lowered {
        match self.inputs.as_slice() {
            [only] => Ok(only.clone()),
            inputs => Err(self.misfit(format!("takes one tensor, found {}", inputs.len()))),
        }
    }

    /// The rank of a value, without which the layer cannot be understood.
    pub(super) fn rank(&self, value: &Val) -> Lowered<usize> {
        value.rank().ok_or_else(|| Stop::Opaque("the shape of its input is not known".to_owned()))
    }

    /// The graph's axis of a source axis.
    pub(super) fn axis(&self, value: &Val, axis: i64) -> Lowered<usize> {
        let rank = self.rank(value)?;
        let source = order::resolve(axis, rank).ok_or_else(|| {
            self.misfit(format!("axis {axis} is out of range for an input of shape {}", value.text()))
        })?;
        Ok(value.axes().map_or(source, |axes| axes[source]))
    }

    // ---- nodes

    fn emit(&mut self, name: &str, op: Op, inputs: &[&Val], order: SourceOrder) -> Val {
        let types: Option<Vec<TensorType>> = inputs.iter().map(|input| input.ty.clone()).collect();
        let ty = types.and_then(|types| infer(&op, &types).ok()).and_then(|types| types.into_iter().next());
        let operands: Vec<ValueId> = inputs.iter().map(|input| input.id).collect();
        let id = self.net.builder.node(name, op, &operands, self.id);
        self.net.builder.set_order(id, order.clone());
        Val { id, order, ty }
    }

    /// A node on the way to what the layer gives.
    pub(super) fn step(&mut self, part: &str, op: Op, inputs: &[&Val], order: SourceOrder) -> Val {
        let name = format!("{}/{part}{}", self.path, self.tag);
        self.emit(&name, op, inputs, order)
    }

    /// The node that gives what the layer gives.
    pub(super) fn finish(&mut self, op: Op, inputs: &[&Val], order: SourceOrder) -> Val {
        let name = format!("{}{}", self.path, self.tag);
        self.emit(&name, op, inputs, order)
    }

    /// Operators one after the other, the last of which gives what the layer gives.
    pub(super) fn chain(&mut self, value: &Val, ops: Vec<(&'static str, Op)>, order: SourceOrder) -> Val {
        let mut value = value.clone();
        let last = ops.len().saturating_sub(1);
        if ops.is_empty() {
            return self.finish(Op::Identity(IdentityReason::Linear), &[&value], order);
        }
        for (index, (part, op)) in ops.into_iter().enumerate() {
            value = if index == last {
                self.finish(op, &[&value], order.clone())
            } else {
                self.step(part, op, &[&value], order.clone())
            };
        }
        value
    }

    /// A node that can only be looked at, with all that the file holds for the layer.
    pub(super) fn opaque(&mut self, op_type: &str, reason: String, inputs: &[&Val]) -> Val {
        let rest = self.net.store.take_rest(self.path);
        for named in rest {
            let own = named.name.rsplit('/').next().unwrap_or_default();
            let own = own.split(':').next().unwrap_or_default();
            let parameter = Parameter {
                name: format!("{}/{own}", self.path).into(),
                location: named.location.into(),
                role: Role::Weight,
                layer: self.id,
                tensor: named.tensor,
            };
            let value = self.parameter(parameter);
            self.net.bound.entry(self.path.to_owned()).or_default().push(("", value));
        }
        let bound = self.net.bound.get(self.path).cloned().unwrap_or_default();
        let operands: Vec<&Val> = inputs.iter().copied().chain(bound.iter().map(|(_, value)| value)).collect();
        let opaque = Opaque::new("keras", op_type, reason);
        self.finish(Op::Opaque(opaque), &operands, SourceOrder::Same)
    }

    // ---- tensors

    fn parameter(&mut self, parameter: Parameter) -> Val {
        let ty = TensorType { dtype: parameter.tensor.dtype(), shape: Shape::fixed(parameter.tensor.shape()) };
        Val { id: self.net.builder.parameter(parameter), order: SourceOrder::Same, ty: Some(ty) }
    }

    /// Binds the layer's tensors, in the order in which Keras writes them.
    pub(super) fn weights<const N: usize>(&mut self, weights: [Weight<'_>; N]) -> Lowered<[Val; N]> {
        let values = self.weight_list(weights.into())?;
        values.try_into().map_err(|_| self.wrong("its tensors cannot be bound"))
    }

    /// The same for a number of tensors that depends on the layer's keys. Counters are bound and give no operand.
    pub(super) fn weight_list(&mut self, weights: Vec<Weight<'_>>) -> Lowered<Vec<Val>> {
        if let Some(bound) = self.net.bound.get(self.path) {
            let operands = weights.iter().filter(|weight| weight.role != Role::Counter);
            let again: Option<Vec<Val>> = operands
                .map(|weight| bound.iter().find(|(name, _)| *name == weight.names[0]).map(|(_, value)| value.clone()))
                .collect();
            return again.ok_or_else(|| self.wrong("its calls need different tensors"));
        }
        let wanted: Vec<Wanted<'_>> =
            weights.iter().map(|weight| Wanted { names: &weight.names, shape: &weight.shape }).collect();
        let found = self.net.store.take(self.path, &wanted)?;
        let mut values = Vec::with_capacity(weights.len());
        for (weight, named) in weights.iter().zip(found) {
            let tensor = (weight.view)(&named.tensor)
                .map_err(|source| Error::Tensor { tensor: named.location.clone().into(), source })?;
            let parameter = Parameter {
                name: format!("{}/{}", self.path, weight.names[0]).into(),
                location: named.location.into(),
                role: weight.role,
                layer: self.id,
                tensor,
            };
            if weight.role == Role::Counter {
                self.net.builder.unread_parameter(parameter);
                continue;
            }
            let value = self.parameter(parameter);
            self.net.bound.entry(self.path.to_owned()).or_default().push((weight.names[0], value.clone()));
            values.push(value);
        }
        Ok(values)
    }

    /// A tensor that the file does not hold.
    pub(super) fn made(&mut self, name: &str, role: Role, tensor: Tensor) -> Val {
        let name = format!("{}/{name}{}", self.path, self.tag);
        self.parameter(Parameter { location: name.clone().into(), name: name.into(), role, layer: self.id, tensor })
    }

    /// The element type that the layer computes in: f32 unless its policy says f64.
    pub(super) fn compute_dtype(&self) -> DType {
        if self.layer.dtype() == Some("float64") { DType::F64 } else { DType::F32 }
    }

    /// A constant of the configuration, rounded as the layer would.
    pub(super) fn constant(&self, constant: &Constant) -> Lowered<Tensor> {
        let shape = constant.shape.clone();
        let tensor = if self.compute_dtype() == DType::F64 {
            Tensor::from_f64(shape, &constant.values)
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "Keras computes with the rounded constant")]
            let values: Vec<f32> = constant.values.iter().map(|&value| value as f32).collect();
            Tensor::from_f32(shape, &values)
        };
        tensor.map_err(|source| self.wrong(source.to_string()))
    }

    pub(super) fn tensor_error(&self, source: TensorError) -> Stop {
        self.wrong(source.to_string())
    }

    // ---- axis orders

    /// The value with its axes where `wanted` says.
    pub(super) fn reordered(&mut self, value: &Val, wanted: SourceOrder) -> Lowered {
        if value.order == wanted {
            return Ok(value.clone());
        }
        let Some(rank) = value.rank() else {
            // Behind a layer that is not known nothing runs; what follows is told as if it fitted.
            return Ok(Val { order: wanted, ..value.clone() });
        };
        if let SourceOrder::FlattenedChannelsLast { .. } = value.order {
            let plain = self.unflattened(value);
            return self.reordered(&plain, wanted);
        }
        let (Some(from), Some(to)) = (value.axes(), order::axes(&wanted, rank)) else {
            return Err(self.wrong(format!("an input of shape {} cannot be brought into its order", value.text())));
        };
        if to.len() != rank {
            return Err(self.misfit(format!("takes an input with {} axes, found shape {}", to.len(), value.text())));
        }
        let perm = order::between(&from, &to);
        Ok(self.step("transpose", Op::Transpose { perm }, &[value], wanted))
    }

    /// A flattened image with its elements in the source's order.
    fn unflattened(&mut self, value: &Val) -> Val {
        let &SourceOrder::FlattenedChannelsLast { channels, height, width } = &value.order else {
            return value.clone();
        };
        let image = [channels, height, width].map(ReshapeDim::Fixed);
        let shape = std::iter::once(ReshapeDim::Copy(0)).chain(image).collect();
        let value = self.step("unflatten", Op::Reshape { shape }, &[value], SourceOrder::channels_last());
        let value = self.step("transpose", Op::Transpose { perm: vec![0, 2, 3, 1] }, &[&value], SourceOrder::Same);
        self.step("flatten", Op::Flatten { axis: 1 }, &[&value], SourceOrder::Same)
    }

    /// The value with its axes in the source's order.
    pub(super) fn plain(&mut self, value: &Val) -> Lowered {
        self.reordered(value, SourceOrder::Same)
    }

    /// The value as an image: NCHW, by the layer's `data_format`.
    pub(super) fn image(&mut self, value: &Val) -> Lowered {
        if let Some(rank) = value.rank()
            && rank != 4
        {
            return Err(self.misfit(format!("takes images (4 axes), found an input of shape {}", value.text())));
        }
        let order = if self.is_channels_first()? { SourceOrder::Same } else { SourceOrder::channels_last() };
        self.reordered(value, order)
    }

    pub(super) fn is_channels_first(&self) -> Lowered<bool> {
        match self.fields().str("data_format")? {
            None | Some("channels_last") => Ok(false),
            Some("channels_first") => Ok(true),
            Some(_) => Err(self.fields().error("data_format", "channels_last or channels_first").into()),
        }
    }

    /// Inputs as floating-point numbers, which is what Keras layers make of pixels.
    pub(super) fn float_inputs(&mut self) {
        let dtype = self.compute_dtype();
        for index in 0..self.inputs.len() {
            let value = self.inputs[index].clone();
            if !value.is_float() {
                let order = value.order.clone();
                self.inputs[index] = self.step("cast", Op::Cast { dtype }, &[&value], order);
            }
        }
    }

    /// A literal among the call's arguments, by position or by name.
    pub(super) fn literal(&self, position: usize, names: &[&str]) -> Option<&'a serde_json::Value> {
        let named = names.iter().find_map(|name| self.call.kwarg(name));
        match self.call.args.get(position).or(named) {
            Some(Arg::Literal(value)) => Some(*value),
            Some(Arg::Tensor(_) | Arg::List(_)) | None => None,
        }
    }
}

/// The graph's shape and order of a value whose source shape is declared. Free sizes are called N, H, W and, beyond
/// images, by their axis; `mark` tells those of several inputs apart.
pub(super) fn declared_type(declared: &DeclaredShape, channels_first: bool, mark: &str) -> (Shape, SourceOrder) {
    let names: &[&str] = match (declared.len(), channels_first) {
        (4, true) => &["N", "C", "H", "W"],
        (4, false) => &["N", "H", "W", "C"],
        _ => &["N"],
    };
    let dims: Vec<Dim> = declared
        .iter()
        .enumerate()
        .map(|(axis, size)| match (size, names.get(axis)) {
            (Some(size), _) => Dim::Fixed(*size),
            (None, Some(&"N")) => Dim::symbol("N"),
            (None, Some(name)) => Dim::symbol(&format!("{name}{mark}")),
            (None, None) => Dim::symbol(&format!("d{axis}{mark}")),
        })
        .collect();
    match <[Dim; 4]>::try_from(dims) {
        Ok([n, h, w, c]) if !channels_first => (Shape::new(vec![n, c, h, w]), SourceOrder::channels_last()),
        Ok(dims) => (Shape::new(dims.into()), SourceOrder::Same),
        Err(dims) => (Shape::new(dims), SourceOrder::Same),
    }
}
