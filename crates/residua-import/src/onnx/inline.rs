//! Bodies read where they are used: functions of the model, and the branch of an `If` whose condition is known.
//!
//! Invariant: a function is not entered from within itself, and what all bodies together come to is bounded; without
//! that, a file of a kilobyte could ask for more nodes than there is memory.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use residua_formats::onnx::schema::{AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto};
use residua_ir::budget::{Limit, Meter, Overrun};

use super::attributes::{Attributes, Bindings};
use super::order::subgraphs;
use super::scope::{Constant, Item};
use super::{Body, Importer, Opsets, domain, opset, opsets};
use crate::error::{Error, Result};

/// What entering bodies has taken so far.
pub(super) struct Entered<'a> {
    /// A node counts as 256, names and lists as many as they are bytes long.
    size: Meter,
    calls: Meter,
    /// Bodies that are being read, by the names of their functions; none for branches.
    open: Vec<Option<Key<'a>>>,
}

impl Default for Entered<'_> {
    fn default() -> Self {
        Self { size: Meter::new(Limit::InlinedSize), calls: Meter::new(Limit::FunctionCalls), open: Vec::new() }
    }
}

/// A function of the model, with what every call of it needs, made once.
#[derive(Clone)]
pub(super) struct Function<'a> {
    proto: &'a FunctionProto,
    opsets: Rc<HashMap<&'a str, i64>>,
    /// What reading a call of it takes, the names of results not counted.
    size: usize,
}

/// The name of a function: its domain, its own, and which of those of this name it is.
pub(super) type Key<'a> = (&'a str, &'a str, &'a str);

fn key(function: &FunctionProto) -> Key<'_> {
    (domain(&function.domain), &function.name, &function.overload)
}

impl<'a> Importer<'a> {
    /// Keeps the names of the graph from what stands in bodies.
    pub(super) fn reserve_names(&mut self, graph: &'a GraphProto) {
        if self.functions.is_empty() && !graph.node.iter().any(|node| node.op_type == "If") {
            return;
        }
        let of_nodes = graph.node.iter().flat_map(|node| node.output.iter().chain([&node.name]));
        let tensors = graph.initializer.iter().map(|tensor| &tensor.name);
        let inputs = graph.input.iter().map(|info| &info.name);
        self.scope.reserve(of_nodes.chain(tensors).chain(inputs).cloned());
    }

    /// The function that a node calls; none where it uses an operator.
    pub(super) fn function(&self, node: &NodeProto) -> Option<Function<'a>> {
        self.functions.get(&(domain(&node.domain), node.op_type.as_str(), node.overload.as_str())).cloned()
    }

    /// Reads the functions' names.
    pub(super) fn list_functions(&mut self, functions: &'a [FunctionProto]) -> Result<()> {
        for function in functions {
            opset(&function.opset_import)?;
            let name = key(function);
            let interface = function.input.iter().chain(&function.output).map(|name| name.len() + 64).sum::<usize>();
            let attributes = function.attribute_proto.iter().map(attribute_weight).sum::<usize>();
            let size = interface + attributes + function.node.iter().map(weight).sum::<usize>();
            let opsets = Rc::new(opsets(&function.opset_import));
            if self.functions.insert(name, Function { proto: function, opsets, size }).is_some() {
                return Err(Error::Config {
                    at: format!("function `{}`", function.name).into(),
                    expected: "one of this name".into(),
                    found: "two".into(),
                });
            }
        }
        Ok(())
    }

    /// Reads the body of a function in place of a call of it.
    pub(super) fn call(
        &mut self,
        Function { proto: function, opsets, size }: Function<'a>,
        node: &'a NodeProto,
        attributes: &Attributes<'a>,
        around: &Body<'a>,
        read: &HashSet<&str>,
    ) -> Result<()> {
        if self.entered.open.contains(&Some(key(function))) {
            return Err(refused(node, "the function calls itself".to_owned()));
        }
        self.charge(node, size, function.node.len())?;
        let mut bindings: Bindings<'a> =
            function.attribute_proto.iter().map(|attribute| (attribute.name.as_str(), attribute)).collect();
        bindings.extend(attributes.bindings());
        if let Some(extra) = node.input.get(function.input.len()..).filter(|extra| !extra.is_empty()) {
            return Err(refused(node, format!("the function takes {} operands fewer", extra.len())));
        }
        let body = Body {
            nodes: &function.node,
            opsets: Opsets::of(opsets, Some(around.opsets.clone())),
            bindings: Rc::new(bindings),
            results: function.output.iter().map(String::as_str).collect(),
            wanted: wanted(function.output.iter().map(String::as_str), node, read),
        };
        let given = function.input.iter().zip(&node.input);
        let given: Vec<(&str, Option<Item>)> =
            given.map(|(inside, outside)| (inside.as_str(), self.scope.item(outside).cloned())).collect();
        self.begin(node, Some(key(function)), false, &body);
        for (inside, item) in given {
            if let Some(item) = item {
                self.scope.define(inside, item);
            }
        }
        self.finish(node, &body)
    }

    /// The branch that an `If` takes; none where that shows only when it is run.
    pub(super) fn branch(&mut self, node: &NodeProto, attributes: &Attributes<'a>) -> Result<Option<&'a GraphProto>> {
        let Some(condition) = node.input.first().and_then(|name| self.scope.truth(name)) else { return Ok(None) };
        let graph = attributes.graph(if condition { "then_branch" } else { "else_branch" });
        graph.map_err(|unread| refused(node, unread.reason().to_owned()))
    }

    /// Reads a branch in place of the node that chooses it.
    pub(super) fn take(
        &mut self,
        branch: &'a GraphProto,
        node: &'a NodeProto,
        around: &Body<'a>,
        read: &HashSet<&str>,
    ) -> Result<()> {
        let size = branch.node.iter().map(weight).sum::<usize>() + branch.output.len() * 64;
        self.charge(node, size, branch.node.len())?;
        if !branch.sparse_initializer.is_empty() {
            return Err(refused(node, "its branch has sparse tensors; export it with dense ones".to_owned()));
        }
        let body = Body {
            nodes: &branch.node,
            opsets: around.opsets.clone(),
            bindings: around.bindings.clone(),
            results: branch.output.iter().map(|info| info.name.as_str()).collect(),
            wanted: wanted(branch.output.iter().map(|info| info.name.as_str()), node, read),
        };
        self.begin(node, None, true, &body);
        for proto in &branch.initializer {
            let name = self.scope.shown(&proto.name);
            let constant = Constant { tensor: self.file.tensor(proto)?, name, literal: proto.dims.is_empty() };
            self.scope.define(&proto.name, Item::Constant(constant));
        }
        self.finish(node, &body)
    }

    /// Takes what reading a body costs, before anything of it is done.
    fn charge(&mut self, node: &NodeProto, size: usize, nodes: usize) -> Result<()> {
        let each = self.scope.shown(called(node)).len();
        let beyond = |overrun: Overrun| refused(node, format!("functions and branches: {overrun}"));
        Limit::Nesting.check_here(self.entered.open.len() + 1).map_err(beyond)?;
        self.entered.calls.spend(1).map_err(beyond)?;
        self.entered.size.spend_here(nodes.saturating_mul(each).saturating_add(size)).map_err(beyond)
    }

    /// Enters a body.
    fn begin(&mut self, node: &NodeProto, function: Option<Key<'a>>, open: bool, body: &Body<'a>) {
        let name = called(node);
        let results = body.results.iter().copied().zip(node.output.iter().map(String::as_str));
        self.scope.enter(name, open, results.filter(|(_, outside)| !outside.is_empty()));
        self.entered.open.push(function);
    }

    /// Reads the nodes of a body, leaves it, and gives its results the names that the node has for them.
    fn finish(&mut self, node: &NodeProto, body: &Body<'a>) -> Result<()> {
        self.body(body)?;
        self.entered.open.pop();
        let items = self.scope.leave(body.results.iter().copied());
        // What some node gives and nothing reads may be what no operator here computes.
        let wanted: HashSet<&str> = body.wanted.iter().copied().collect();
        let given: HashSet<&str> = body.nodes.iter().flat_map(|node| &node.output).map(String::as_str).collect();
        for (index, outside) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match (items.get(index), body.results.get(index)) {
                (Some(Some(item)), _) => self.scope.define(outside, item.clone()),
                (_, Some(inside)) if given.contains(inside) && !wanted.contains(inside) => {}
                _ => return Err(refused(node, format!("nothing in its body gives `{outside}`"))),
            }
        }
        Ok(())
    }
}

/// Of the results of a body those that something outside reads under the names that the node gives them.
fn wanted<'a>(results: impl Iterator<Item = &'a str>, node: &NodeProto, read: &HashSet<&str>) -> Vec<&'a str> {
    results.zip(&node.output).filter(|(_, outside)| read.contains(outside.as_str())).map(|(inside, _)| inside).collect()
}

/// What the body of a node is called.
fn called(node: &NodeProto) -> &str {
    let name = if node.name.is_empty() { node.output.iter().find(|name| !name.is_empty()) } else { Some(&node.name) };
    name.map_or("", String::as_str)
}

fn refused(node: &NodeProto, problem: String) -> Error {
    Error::Layer { layer: node.name.clone().into(), kind: node.op_type.clone().into(), problem: problem.into() }
}

/// What reading a node takes, about.
fn weight(node: &NodeProto) -> usize {
    let names = node.input.iter().chain(&node.output).map(String::len).sum::<usize>();
    let attributes = node.attribute.iter().map(attribute_weight).sum::<usize>();
    let within = subgraphs(node).map(|graph| {
        let tensors = graph.initializer.iter().map(tensor_weight).sum::<usize>();
        graph.node.iter().map(weight).sum::<usize>() + tensors
    });
    let metadata = node.metadata_props.iter().map(|entry| entry.key.len() + entry.value.len() + 64).sum::<usize>();
    256 + names + node.name.len() + node.doc_string.len() + metadata + attributes + within.sum::<usize>()
}

fn attribute_weight(attribute: &AttributeProto) -> usize {
    let strings = attribute.strings.iter().map(bytes::Bytes::len).sum::<usize>();
    let tensors = attribute.t.iter().chain(&attribute.tensors).map(tensor_weight).sum::<usize>();
    64 + 8 * attribute.ints.len() + 4 * attribute.floats.len() + strings + tensors
}

/// Elements that are not a slice of the file are made anew each time.
fn tensor_weight(tensor: &TensorProto) -> usize {
    let small = 4 * (tensor.float_data.len() + tensor.int32_data.len());
    64 + small + 8 * (tensor.int64_data.len() + tensor.double_data.len() + tensor.uint64_data.len() + tensor.dims.len())
}
