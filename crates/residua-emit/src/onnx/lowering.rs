//! The graph under construction: nodes, types, and what stands for the values of the source.
//!
//! Invariant: names of the source's values are reserved before any other is made, so that inputs, outputs and layers
//! keep theirs.

use std::collections::{BTreeMap, HashMap, HashSet};

use residua_formats::onnx::schema::{AttributeProto, NodeProto, ValueInfoProto};
use residua_ir::{
    Checked, DType, Graph, Metadata, Node, NodeId, ParameterId, Shape, Tensor, Text, Transform, ValueId, ValueKind,
};

use super::dynamic::{self, Dynamic};
use super::names::Names;
use super::options::{FloatTypes, OnnxOptions};
use super::tensors::{Initializer, Tensors};
use super::version::{self, TooOld};
use super::{legalise, proto, types};
use crate::{EmitError, TensorMapping};

/// See the [module](self).
pub(crate) struct Lowering<'a> {
    pub(crate) model: &'a Checked,
    pub(crate) opset: i64,
    /// What the reals of the node that is being written are; of all nodes, where there is one type.
    pub(crate) float: DType,
    /// The type in which it reads tensors; `None` for each its own.
    pub(crate) tensor_type: Option<DType>,
    /// Which reals have which type.
    pub(crate) types_of: FloatTypes,
    /// For each value, the one that stands for it: identities are left out.
    pub(crate) roots: Vec<ValueId>,
    /// Names in the output of inputs and computed values.
    pub(crate) names: HashMap<ValueId, String>,
    /// What the source calls its nodes, and says of them and of its values.
    pub(crate) said: Names<'a>,
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) tensors: Tensors,
    /// For each parameter, the views of it that are written, their types and their names.
    stored: HashMap<ParameterId, Vec<(Vec<Transform>, DType, String)>>,
    /// Padding nodes that went into the convolution behind them.
    pub(crate) absorbed: HashSet<NodeId>,
    /// Nodes that are written together, as one that quantises by a range found when it is run.
    pub(crate) dynamic: HashMap<NodeId, Dynamic>,
    pub(crate) types: Vec<ValueInfoProto>,
    pub(crate) mapping: Vec<TensorMapping>,
    /// Operator sets beside ONNX's own that nodes are of.
    pub(crate) domains: BTreeMap<String, i64>,
    pub(crate) rearranged: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(model: &'a Checked, opset: i64, options: &OnnxOptions, roots: Vec<ValueId>) -> Self {
        let dynamic = dynamic::find(model.graph(), &roots);
        let taken = model.graph().values().iter().map(|value| value.name.raw().to_owned()).collect();
        Self {
            model,
            opset,
            float: options.float,
            tensor_type: Some(options.float),
            types_of: options.types,
            roots,
            names: HashMap::new(),
            said: Names::of(model.graph()),
            nodes: Vec::new(),
            tensors: Tensors::new(taken),
            stored: HashMap::new(),
            absorbed: HashSet::new(),
            dynamic,
            types: Vec::new(),
            mapping: Vec::new(),
            domains: BTreeMap::new(),
            rearranged: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn graph(&self) -> &'a Graph {
        self.model.graph()
    }

    /// The name of a value of the source; an empty one would be an input left out.
    pub(crate) fn own_name(&self, id: ValueId) -> String {
        let name = &self.graph().value(id).name;
        if name.is_empty() { format!("value:{}", id.index()) } else { name.raw().to_owned() }
    }

    /// Turns to the next node.
    pub(crate) fn turn_to(&mut self, node: &Node) {
        if self.types_of == FloatTypes::Own {
            self.float = types::of_node(self.model, node);
            self.tensor_type = types::of_tensors(self.model, node);
        }
    }

    /// Turns to what stands behind all nodes.
    pub(crate) fn turn_to_interface(&mut self) {
        if self.types_of == FloatTypes::Own {
            self.tensor_type = None;
        }
    }

    /// Element type in the output.
    pub(crate) fn dtype(&self, dtype: DType) -> DType {
        match self.types_of {
            FloatTypes::One | FloatTypes::WideInterface if dtype.is_float() => self.float,
            FloatTypes::One | FloatTypes::WideInterface | FloatTypes::Own => dtype,
        }
    }

    /// Element type of an input or output in the output.
    pub(crate) fn interface_dtype(&self, dtype: DType) -> DType {
        match (self.types_of, dtype) {
            (FloatTypes::WideInterface, DType::F32 | DType::F16 | DType::BF16) => DType::F32,
            (FloatTypes::WideInterface, _) => dtype,
            (FloatTypes::One | FloatTypes::Own, _) => self.dtype(dtype),
        }
    }

    /// Shape of a value. Where it is not known, the node is one of those that can do without
    /// (`lower::needs_shapes`).
    pub(crate) fn shape(&self, id: ValueId) -> Shape {
        self.model.shape_of(id).cloned().unwrap_or_else(|| Shape::new(Vec::new()))
    }

    pub(crate) fn source_dtype(&self, id: ValueId) -> DType {
        self.model.type_of(id).map_or(DType::F32, |ty| ty.dtype)
    }

    /// What a node reads for this value.
    pub(crate) fn operand(&mut self, id: ValueId) -> Result<String, EmitError> {
        self.operand_as(id, &[])
    }

    /// What a node reads for this value seen through these view operations; only where it is a parameter are there any.
    pub(crate) fn operand_as(&mut self, id: ValueId, views: &[Transform]) -> Result<String, EmitError> {
        let id = self.roots[id.index()];
        let ValueKind::Parameter(parameter) = self.graph().value(id).kind else {
            return Ok(self.names.get(&id).cloned().unwrap_or_else(|| self.own_name(id)));
        };
        let stored = self.graph().parameter(parameter).tensor.dtype();
        let dtype = self.tensor_type.filter(|_| stored.is_float()).unwrap_or(stored);
        let known = self.stored.get(&parameter).map(Vec::as_slice).unwrap_or_default();
        if let Some((_, _, name)) = known.iter().find(|(other, of, _)| other == views && *of == dtype) {
            return Ok(name.clone());
        }
        let own = self.names.get(&id).cloned().unwrap_or_else(|| self.own_name(id));
        let name = if known.is_empty() { own } else { self.fresh(&own) };
        let source = self.graph().parameter(parameter);
        let mut tensor = source.tensor.clone();
        for view in views {
            tensor = tensor
                .apply(view)
                .map_err(|error| EmitError::Tensor { tensor: (&source.name).into(), source: error })?;
        }
        let tensor = if tensor.dtype().is_float() { tensor.cast(dtype) } else { tensor };
        self.mapping.push(TensorMapping::new(self.graph(), &[parameter], &name, &tensor));
        let metadata = self.said.of_value(source.name.raw());
        self.tensors.add(Initializer { name: name.clone(), tensor, metadata });
        self.stored.entry(parameter).or_default().push((views.to_vec(), dtype, name.clone()));
        Ok(name)
    }

    /// Whether a value is a tensor of the model.
    pub(crate) fn is_parameter(&self, id: ValueId) -> bool {
        self.graph().as_parameter(self.roots[id.index()]).is_some()
    }

    /// Whether the elements of a tensor lie in the source as its shape says.
    pub(crate) fn is_stored_as_it_is(&self, id: ValueId) -> bool {
        let moves = |transform: &Transform| matches!(transform, Transform::Permute(_) | Transform::Reshape(_));
        let parameter = self.graph().as_parameter(self.roots[id.index()]);
        parameter.is_none_or(|parameter| !parameter.tensor.transforms().iter().any(moves))
    }

    /// Whether a tensor of the model is in the output.
    pub(crate) fn is_written(&self, id: ParameterId) -> bool {
        self.stored.contains_key(&id)
    }

    /// A name that no value has yet.
    pub(crate) fn fresh(&mut self, wanted: &str) -> String {
        self.tensors.fresh(wanted)
    }

    /// A number, rounded to f32 first, as an attribute is.
    #[expect(clippy::cast_possible_truncation, reason = "real attributes of ONNX are f32")]
    pub(crate) fn scalar(&mut self, name: &str, value: f64) -> Result<String, EmitError> {
        self.tensors.constant(name, Tensor::filled(self.float, Vec::new(), f64::from(value as f32)))
    }

    /// A number of the type of this value.
    pub(crate) fn scalar_like(&mut self, id: ValueId, name: &str, value: f64) -> Result<String, EmitError> {
        let dtype = self.source_dtype(id);
        if dtype.is_float() {
            return self.scalar(name, value);
        }
        #[expect(clippy::cast_possible_truncation, reason = "integers of attributes are small")]
        self.tensors.constant(name, Tensor::from_i64(Vec::new(), &[value as i64]).map(|tensor| tensor.cast(dtype)))
    }

    /// Numbers of f32, whatever the float type of the output.
    pub(crate) fn f32s(&mut self, name: &str, values: &[f64]) -> Result<String, EmitError> {
        self.tensors.f32s(name, values)
    }

    /// A vector of one number.
    pub(crate) fn filled(&mut self, name: &str, len: usize, value: f64) -> Result<String, EmitError> {
        self.tensors.constant(name, Tensor::filled(self.float, vec![len], value))
    }

    /// A tensor of zeros.
    pub(crate) fn zeros(&mut self, name: &str, shape: Vec<usize>) -> Result<String, EmitError> {
        self.tensors.zeros(name, self.float, shape)
    }

    /// An integer.
    pub(crate) fn integer(&mut self, name: &str, value: i64) -> Result<String, EmitError> {
        self.tensors.constant(name, Tensor::from_i64(Vec::new(), &[value]))
    }

    /// A list of integers.
    pub(crate) fn list(&mut self, name: &str, values: &[i64]) -> Result<String, EmitError> {
        self.tensors.constant(name, Tensor::from_i64(vec![values.len()], values))
    }

    /// Adds a node.
    pub(crate) fn push(
        &mut self,
        op: &str,
        name: &str,
        inputs: Vec<String>,
        output: String,
        attributes: Vec<AttributeProto>,
    ) -> Result<(), EmitError> {
        self.push_all(op, name, inputs, vec![output], attributes)
    }

    /// Adds a node of several results.
    pub(crate) fn push_all(
        &mut self,
        op: &str,
        name: &str,
        inputs: Vec<String>,
        outputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> Result<(), EmitError> {
        let refuse = |too_old| refused(name, op, too_old);
        let form = legalise::Form { op: op.to_owned(), inputs, attributes };
        let target = legalise::Target { opset: self.opset, float: self.float };
        let form = legalise::legalise(&mut self.tensors, target, form).map_err(refuse)?;
        if let Some(too_old) = version::too_old_for(&form.op, self.float, self.opset) {
            return Err(refuse(too_old));
        }
        self.nodes.push(NodeProto {
            name: name.to_owned(),
            op_type: form.op,
            input: form.inputs,
            output: outputs,
            attribute: form.attributes,
            ..NodeProto::default()
        });
        Ok(())
    }

    /// Adds the node that gives `node`'s result, under its name.
    pub(crate) fn result(
        &mut self,
        node: &Node,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> Result<(), EmitError> {
        if let Some(&first) = node.inputs.first() {
            self.check_operand(node.name.raw(), op, self.source_dtype(first))?;
        }
        let output = self.operand(node.output())?;
        let (name, said) = self.said.of_node(node, op);
        self.push(op, &name, inputs, output, attributes)?;
        self.annotate(said);
        Ok(())
    }

    /// Refuses an operator for operands that it takes in newer operator sets only.
    pub(crate) fn check_operand(&self, name: &str, op: &str, operand: DType) -> Result<(), EmitError> {
        let since = version::takes_since(op, operand);
        if since > self.opset {
            return Err(refused(name, op, TooOld::new(&format!("{operand} there"), since, self.opset)));
        }
        Ok(())
    }

    /// Says of the last node what its source says.
    fn annotate(&mut self, said: Option<&Metadata>) {
        if let (Some(said), Some(written)) = (said, self.nodes.last_mut()) {
            proto::annotate_node(written, said);
        }
    }

    /// Adds a node on the way to `node`'s result.
    pub(crate) fn step(
        &mut self,
        node: &Node,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        shape: &Shape,
    ) -> Result<String, EmitError> {
        let dtype = self.source_dtype(node.output());
        self.step_of(node, op, inputs, attributes, (dtype, shape))
    }

    /// The same of another type than the node's.
    pub(crate) fn step_of(
        &mut self,
        node: &Node,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        (dtype, shape): (DType, &Shape),
    ) -> Result<String, EmitError> {
        self.check_operand(node.name.raw(), op, dtype)?;
        let name = self.fresh(&format!("{}/{op}", node.name.raw()));
        if self.model.type_of(node.output()).is_some() {
            self.types.push(proto::value_info(&name, self.dtype(dtype), shape));
        }
        let (called, said) = self.said.of_step(node, op, &name);
        self.push(op, &called, inputs, name.clone(), attributes)?;
        self.annotate(said);
        Ok(name)
    }

    /// Says that a node had to be written as several, so that rounding may differ.
    pub(crate) fn rearranged(&mut self, node: &Node) {
        self.rearranged.push(node.name.raw().to_owned());
    }
}

/// What a node cannot be written for.
pub(crate) fn unsupported(node: &Node, problem: impl Into<Text>) -> EmitError {
    refused(node.name.raw(), node.op.name(), TooOld { problem: problem.into().into_raw(), since: None })
}

/// What a node cannot be written for in this operator set.
pub(crate) fn needs(out: &Lowering<'_>, node: &Node, what: &str, since: i64) -> EmitError {
    refused(node.name.raw(), node.op.name(), TooOld::new(what, since, out.opset))
}

fn refused(node: &str, op: &str, TooOld { problem, since }: TooOld) -> EmitError {
    EmitError::Unsupported { node: node.into(), op: op.into(), problem: problem.into(), since }
}
