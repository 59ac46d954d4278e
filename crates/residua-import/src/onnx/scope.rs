//! What is known while a graph is read: values, constants and types by name.
//!
//! A tensor of the file becomes a parameter of the graph when an operator reads it as a value; one that is read as
//! shape, axes or padding becomes attributes. Computations on constants that only move elements are views here.
//!
//! Bodies of functions and branches are read in frames of their own, above that of the graph. What they name stands in
//! the graph under the name of what they were entered for, a slash, and its own; what they give, under its name outside.

use std::collections::{BTreeSet, HashMap, HashSet};

use residua_ir::budget::{Limit, Meter, Overrun};
use residua_ir::shape::infer;
use residua_ir::{
    DType, Dim, Extent, GraphBuilder, LayerId, Op, Parameter, ReshapeDim, Role, Shape, Tensor, TensorType, Transform,
    ValueId,
};

use super::numbers::{self, Numbers};
use super::unread::{Unknown, Unread};

/// A tensor that is known before anything runs.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) tensor: Tensor,
    /// Name of the tensor of the file it is a view of.
    pub(super) name: String,
    /// A number of the graph's text rather than a weight.
    pub(super) literal: bool,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Value(ValueId),
    Constant(Constant),
    /// Numbers that are known or follow from sizes.
    Sizes(Numbers),
}

/// Names of one list of nodes.
#[derive(Default)]
struct Frame {
    items: HashMap<String, Item>,
    /// Whether names of the frame below are seen: branches see them, functions do not.
    open: bool,
    /// Before each name, in the graph.
    prefix: String,
    /// Names that results have in the graph instead.
    results: HashMap<String, String>,
}

/// See the [module](self).
pub(super) struct Scope {
    pub(super) builder: GraphBuilder,
    /// That of the graph, and those of the bodies that are being read, innermost last.
    frames: Vec<Frame>,
    /// Names of the graph, which nothing in a body may get.
    taken: BTreeSet<String>,
    /// How many bodies were entered under each name.
    entered: HashMap<String, usize>,
    types: HashMap<ValueId, TensorType>,
    parameters: HashMap<String, HashMap<Vec<Transform>, ValueId>>,
    /// Values made of numbers, by their names in the graph.
    made: HashMap<String, ValueId>,
    /// Values that sizes are read of, in the order in which [`Extent`]s of [`Numbers`] count them.
    sized: Vec<ValueId>,
    /// Where each of them is in that list.
    places: HashMap<ValueId, usize>,
    /// Parts of expressions that were computed or put into nodes.
    pub(super) expressions: Meter,
    /// Bytes of tensors that are one repeated number.
    pub(super) filled: Meter,
    /// Tensors of the file that something has read.
    pub(super) read: HashSet<String>,
}

impl Scope {
    pub(super) fn new(builder: GraphBuilder) -> Self {
        Self {
            builder,
            frames: vec![Frame::default()],
            taken: BTreeSet::new(),
            entered: HashMap::new(),
            types: HashMap::new(),
            parameters: HashMap::new(),
            made: HashMap::new(),
            sized: Vec::new(),
            places: HashMap::new(),
            expressions: Meter::new(Limit::ExpressionNodes),
            filled: Meter::new(Limit::FilledBytes),
            read: HashSet::new(),
        }
    }

    /// Keeps these names from what stands in bodies.
    pub(super) fn reserve(&mut self, names: impl Iterator<Item = String>) {
        self.taken.extend(names);
    }

    /// A prefix that no name has yet.
    fn fresh_prefix(&mut self, name: String) -> String {
        let count = self.entered.entry(name.clone()).or_insert(0);
        loop {
            *count += 1;
            let prefix = if *count == 1 { format!("{name}/") } else { format!("{name}_{count}/") };
            let next = self.taken.range(prefix.clone()..).next();
            if next.is_none_or(|taken| !taken.starts_with(&prefix)) {
                return prefix;
            }
        }
    }

    /// Enters the body of what is called `name`; `open` where it sees the names around it. What it gives is called
    /// as `results` say outside.
    pub(super) fn enter<'n>(&mut self, name: &str, open: bool, results: impl Iterator<Item = (&'n str, &'n str)>) {
        let results = results.map(|(inside, outside)| (inside.to_owned(), self.shown(outside))).collect();
        let prefix = self.fresh_prefix(self.shown(name));
        self.frames.push(Frame { items: HashMap::new(), open, prefix, results });
    }

    /// Leaves a body; what its results, under their names inside, stand for.
    pub(super) fn leave<'n>(&mut self, results: impl Iterator<Item = &'n str>) -> Vec<Option<Item>> {
        let items = results.map(|name| self.item(name).cloned()).collect();
        self.frames.pop();
        items
    }

    /// The name in the graph of what is called `name` here.
    pub(super) fn shown(&self, name: &str) -> String {
        let Some(frame) = self.frames.last() else { return name.to_owned() };
        frame.results.get(name).cloned().unwrap_or_else(|| format!("{}{name}", frame.prefix))
    }

    pub(super) fn define(&mut self, name: &str, item: Item) {
        if let Some(frame) = self.frames.last_mut() {
            frame.items.insert(name.to_owned(), item);
        }
    }

    pub(super) fn set_type(&mut self, id: ValueId, ty: TensorType) {
        self.types.insert(id, ty);
    }

    /// Whether something of this name is seen.
    pub(super) fn is_defined(&self, name: &str) -> bool {
        self.item(name).is_some()
    }

    /// What an operand stands for; `None` where it is left out.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        let closed = self.frames.iter().rposition(|frame| !frame.open).unwrap_or(0);
        self.frames.get(closed..)?.iter().rev().find_map(|frame| frame.items.get(name)).filter(|_| !name.is_empty())
    }

    /// Type of a value, where it is known.
    pub(super) fn type_of(&self, id: ValueId) -> Option<&TensorType> {
        self.types.get(&id)
    }

    /// Element type of what a name stands for, where it is known.
    pub(super) fn dtype_of(&self, name: &str) -> Option<DType> {
        match self.item(name)? {
            Item::Value(id) => self.type_of(*id).map(|ty| ty.dtype),
            Item::Constant(constant) => Some(constant.tensor.dtype()),
            Item::Sizes(numbers) => Some(numbers.dtype()),
        }
    }

    /// Shape of a value that an attribute depends on.
    pub(super) fn shape(&self, id: ValueId) -> Result<Shape, Unread> {
        let shape = self.type_of(id).map(|ty| ty.shape.clone());
        shape.ok_or_else(|| Unknown("the shape of its operand is not known".to_owned()))
    }

    /// A constant, to be read as attribute.
    pub(super) fn constant(&mut self, name: &str) -> Option<Constant> {
        match self.item(name) {
            Some(Item::Constant(constant)) => {
                let constant = constant.clone();
                self.read.insert(constant.name.clone());
                Some(constant)
            }
            Some(Item::Value(_) | Item::Sizes { .. }) | None => None,
        }
    }

    /// Numbers that are known or follow from sizes.
    pub(super) fn numbers(&mut self, name: &str) -> Option<Numbers> {
        if let Some(Item::Sizes(numbers)) = self.item(name) {
            return Some(numbers.clone());
        }
        Numbers::of_tensor(&self.constant(name)?.tensor)
    }

    /// The sizes of what a name stands for, where its shape is known.
    pub(super) fn sizes_of(&mut self, name: &str) -> Option<Vec<Extent>> {
        let sizes = |shape: &[usize]| shape.iter().map(|&size| Extent::from(size)).collect();
        let id = match self.item(name)? {
            Item::Value(id) => *id,
            Item::Constant(constant) => return Some(sizes(constant.tensor.shape())),
            Item::Sizes(numbers) => return Some(sizes(numbers.shape())),
        };
        let shape = self.type_of(id)?.shape.clone();
        let size = |(axis, dim): (usize, &Dim)| match dim.fixed() {
            Some(size) => Extent::from(size),
            None => self.size(id, axis),
        };
        Some(shape.dims().iter().enumerate().map(size).collect())
    }

    /// A size that is free.
    fn size(&mut self, id: ValueId, axis: usize) -> Extent {
        let operand = *self.places.entry(id).or_insert_with(|| {
            self.sized.push(id);
            self.sized.len() - 1
        });
        Extent::Of { operand, axis }
    }

    /// The value that operands of this position in [`Extent`]s are.
    pub(super) fn sized(&self, operand: usize) -> Option<ValueId> {
        self.sized.get(operand).copied()
    }

    /// Counts expressions that were computed or that are walked over.
    ///
    /// # Errors
    /// [`Overrun`] where there were too many in this file, from then on.
    pub(super) fn charge<'e>(&mut self, extents: impl Iterator<Item = &'e Extent>) -> Result<(), Overrun> {
        extents.into_iter().try_for_each(|extent| self.expressions.spend_here(extent.parts()))
    }

    /// An error where what was read so far went beyond a limit.
    pub(super) fn check(&self) -> Result<(), Overrun> {
        self.expressions.check()
    }

    /// Numbers as a node reads them: what their sizes are of is put behind its operands.
    pub(super) fn extents_of(&mut self, extents: &[Extent], operands: &mut Vec<ValueId>) -> Vec<Extent> {
        if self.charge(extents.iter()).is_err() {
            // The node is not read: whoever reads the list of nodes asks the meter.
            return extents.to_vec();
        }
        let mut places: HashMap<ValueId, usize> = HashMap::new();
        for (at, &id) in operands.iter().enumerate() {
            places.entry(id).or_insert(at);
        }
        let mut place = |operand: usize| {
            let Some(id) = self.sized(operand) else { return operand };
            *places.entry(id).or_insert_with(|| {
                operands.push(id);
                operands.len() - 1
            })
        };
        extents.iter().map(|extent| extent.with_operands(&mut place)).collect()
    }

    /// Integers that are known, to be read as attribute.
    pub(super) fn ints(&mut self, name: &str, what: &str) -> Result<Vec<i64>, Unread> {
        let known = self.extents(name).and_then(|extents| extents.iter().map(Extent::known).collect());
        known.ok_or_else(|| Unknown(format!("its {what} are computed when it is run")))
    }

    /// Integers, each known or computed from sizes.
    pub(super) fn extents(&mut self, name: &str) -> Option<Vec<Extent>> {
        self.numbers(name)?.extents()
    }

    /// Real numbers that are known, to be read as attribute.
    pub(super) fn reals(&mut self, name: &str, what: &str) -> Result<Vec<f64>, Unread> {
        let known = match self.constant(name) {
            Some(constant) => Some(constant.tensor).filter(|t| t.len() <= numbers::MOST).and_then(|t| t.to_f64().ok()),
            None => self.numbers(name).and_then(|numbers| numbers.reals()),
        };
        known.ok_or_else(|| Unknown(format!("its {what} are computed when it is run")))
    }

    /// One real number, to be read as attribute.
    pub(super) fn number(&mut self, name: &str, what: &str) -> Result<f64, Unread> {
        match self.reals(name, what).as_deref() {
            Ok(&[only]) => Ok(only),
            Ok(_) | Err(_) => Err(Unknown(format!("its {what} is no single number that is known"))),
        }
    }

    /// A yes or no that is known.
    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        let numbers = self.numbers(name).filter(|numbers| numbers.dtype() == DType::Bool)?;
        if let [only] = &numbers.extents()?[..] { only.known().map(|value| value != 0) } else { None }
    }

    /// An operand as a value of the graph.
    pub(super) fn value(&mut self, name: &str, layer: LayerId) -> Result<ValueId, Unread> {
        self.value_as(name, layer, Role::Weight, &[])
    }

    /// An operand as a value of the graph; a constant gets this role and is seen through these views.
    pub(super) fn value_as(
        &mut self,
        name: &str,
        layer: LayerId,
        role: Role,
        views: &[Transform],
    ) -> Result<ValueId, Unread> {
        let constant = match self.item(name) {
            Some(Item::Value(id)) => return Ok(*id),
            Some(Item::Constant(constant)) => constant.clone(),
            Some(Item::Sizes(numbers)) => {
                let numbers = numbers.clone();
                return self.computed(name, layer, &numbers, views);
            }
            None => return Err(Unknown(format!("operand `{name}` is missing"))),
        };
        let fits = |error| Unknown(format!("tensor `{}`: {error}", constant.name));
        let tensor = views.iter().try_fold(constant.tensor.clone(), |t, view| t.apply(view)).map_err(fits)?;
        self.read.insert(constant.name.clone());
        let known = self.parameters.entry(constant.name.clone()).or_default();
        if let Some(id) = known.get(tensor.transforms()) {
            return Ok(*id);
        }
        let transforms = tensor.transforms().to_vec();
        let ty = TensorType { dtype: tensor.dtype(), shape: Shape::fixed(tensor.shape()) };
        let id = self.builder.parameter(Parameter {
            name: constant.name.clone().into(),
            location: constant.name.into(),
            role: if constant.literal { Role::Literal } else { role },
            layer,
            tensor,
        });
        known.insert(transforms, id);
        self.types.insert(id, ty);
        Ok(id)
    }

    /// Numbers as a value: a tensor where all are known, a node that gives sizes otherwise.
    fn computed(
        &mut self,
        name: &str,
        layer: LayerId,
        numbers: &Numbers,
        views: &[Transform],
    ) -> Result<ValueId, Unread> {
        let shown = self.shown(name);
        if let Some(id) = self.made.get(&shown).filter(|_| views.is_empty()) {
            return Ok(*id);
        }
        if let Some(tensor) = numbers.tensor() {
            let viewed = tensor.and_then(|tensor| views.iter().try_fold(tensor, |tensor, view| tensor.apply(view)));
            let tensor = viewed.map_err(|error| Unknown(format!("`{name}`: {error}")))?;
            let id = self.own(&shown, layer, Role::Literal, tensor);
            if views.is_empty() {
                self.made.insert(shown, id);
            }
            return Ok(id);
        }
        let extents = numbers.extents().filter(|_| views.is_empty());
        let extents = extents.ok_or_else(|| Unknown(format!("`{name}` follows from sizes that are free")))?;
        let mut operands = Vec::new();
        let op = Op::Sizes { sizes: self.extents_of(&extents, &mut operands), scalar: numbers.shape().is_empty() };
        let mut id = self.node(&shown, op, &operands, layer);
        if numbers.shape().len() > 1 {
            let shape = numbers.shape().iter().map(|&size| ReshapeDim::Fixed(size)).collect();
            id = self.node(&format!("{shown}/shape"), Op::Reshape { shape }, &[id], layer);
        }
        if numbers.dtype() != DType::I64 {
            id = self.node(&format!("{shown}/type"), Op::Cast { dtype: numbers.dtype() }, &[id], layer);
        }
        self.made.insert(shown, id);
        Ok(id)
    }

    /// A tensor that is not one of the file's: an attribute, or what the operator needs and the file leaves out.
    pub(super) fn own(&mut self, name: &str, layer: LayerId, role: Role, tensor: Tensor) -> ValueId {
        let ty = TensorType { dtype: tensor.dtype(), shape: Shape::fixed(tensor.shape()) };
        let name = name.to_owned();
        let id = self.builder.parameter(Parameter {
            name: name.into(),
            location: String::new().into(),
            role,
            layer,
            tensor,
        });
        self.types.insert(id, ty);
        id
    }

    /// Adds a node with one result.
    pub(super) fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], layer: LayerId) -> ValueId {
        let operands: Option<Vec<TensorType>> = inputs.iter().map(|id| self.types.get(id).cloned()).collect();
        // What does not fit is found again by validation, with a message that names the node.
        let ty = operands.and_then(|operands| infer(&op, &operands).ok()).and_then(|types| types.into_iter().next());
        let id = self.builder.node(name, op, inputs, layer);
        if let Some(ty) = ty {
            self.types.insert(id, ty);
        }
        id
    }

    /// Size of an axis, where it is known.
    pub(super) fn fixed(&self, id: ValueId, axis: usize) -> Option<usize> {
        self.type_of(id)?.shape.dims().get(axis).and_then(Dim::fixed)
    }
}
