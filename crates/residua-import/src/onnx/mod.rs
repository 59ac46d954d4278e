//! ONNX messages to a graph.
//!
//! Operators are read by their definition in the model's operator set; an attribute that is not known, an operand that
//! must be known and is not, a result that something reads and that is not computed here: each makes the node
//! [`Opaque`](residua_ir::Op::Opaque) with the reason, never something close to it. Axes are those that the model
//! declares, so the interface has the source's order by definition.
//!
//! Nodes are read in topological order whatever their order in the file. Functions of the model, and branches of an `If`
//! whose condition is known, are read where they are used (`inline`); other subgraphs are not entered.

mod arithmetic;
mod attributes;
mod constants;
mod faults;
mod fold;
mod inline;
#[cfg(test)]
mod inline_tests;
mod interface;
mod metadata;
mod nodes;
mod numbers;
mod opaque;
mod order;
mod scope;
mod shapes;

#[cfg(test)]
mod tests;
mod unread;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use residua_ir::{Format, Graph, GraphBuilder, LayerId, Source, Unused, ValueId};

use crate::error::{Error, Result};
use crate::preparation;
use attributes::{Attributes, Bindings};
use inline::Entered;
use scope::{Constant, Item, Scope};
use unread::{Misused, Unknown, Unread};

/// Newest operator set whose operators are known.
const NEWEST_OPSET: i64 = 28;

pub use nodes::{Claim, claims};

/// A node while it is read.
struct Reader<'a> {
    file: &'a OnnxFile,
    scope: &'a mut Scope,
    node: &'a NodeProto,
    attributes: &'a Attributes<'a>,
    opset: i64,
    layer: LayerId,
    /// Name of the first result.
    name: &'a str,
    /// For each result, whether something reads it.
    wanted: &'a [bool],
    /// Results beyond the first, by position.
    given: Vec<(usize, ValueId)>,
}

fn source(model: &ModelProto, graph: &GraphProto, opset: i64) -> Result<Source> {
    let about =
        |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let producer = if model.producer_name.is_empty() { "onnx" } else { model.producer_name.as_str() };
    Ok(Source {
        format: Format::Onnx,
        framework: producer.into(),
        version: (!model.producer_version.is_empty()).then(|| model.producer_version.clone()),
        notes: vec![format!("IR version {}, opset {opset}", model.ir_version)],
        preprocessing: preparation::of_metadata(about)?,
        labels: preparation::labels_of_metadata(about)?,
        architecture: about("residua.architecture").map(str::to_owned),
        onnx: Some(metadata::header(model, graph, opset)),
        ..Source::default()
    })
}

/// The version of ONNX's own operators that a model or function uses.
fn opset(imports: &[OperatorSetIdProto]) -> Result<i64> {
    let version = opsets(imports).get("").copied().unwrap_or(1);
    if (1..=NEWEST_OPSET).contains(&version) {
        return Ok(version);
    }
    Err(Error::Unsupported {
        what: format!("operator set {version}").into(),
        help: format!("sets 1 to {NEWEST_OPSET} are read; export the model with one of them").into(),
    })
}

fn is_onnx(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// One name for each domain; ONNX's own has two.
fn domain(name: &str) -> &str {
    if is_onnx(name) { "" } else { name }
}

/// Versions by domain.
fn opsets(imports: &[OperatorSetIdProto]) -> HashMap<&str, i64> {
    imports.iter().map(|set| (domain(&set.domain), set.version)).collect()
}

/// Versions by domain: those of a function, and behind them those of whoever calls it.
#[derive(Clone)]
struct Opsets<'a>(Rc<Layer<'a>>);

struct Layer<'a> {
    own: Rc<HashMap<&'a str, i64>>,
    around: Option<Opsets<'a>>,
}

impl<'a> Opsets<'a> {
    fn of(own: Rc<HashMap<&'a str, i64>>, around: Option<Opsets<'a>>) -> Self {
        Self(Rc::new(Layer { own, around }))
    }

    /// The version of a domain's operators.
    fn get(&self, domain: &str) -> Option<i64> {
        self.0.own.get(domain).copied().or_else(|| self.0.around.as_ref()?.get(domain))
    }
}

/// A list of nodes, and what holds for it.
struct Body<'a> {
    nodes: &'a [NodeProto],
    /// Versions of operator sets by domain.
    opsets: Opsets<'a>,
    /// What the attributes of the function are, in this call of it.
    bindings: Rc<Bindings<'a>>,
    /// Names of its results.
    results: Vec<&'a str>,
    /// Those of them that something reads.
    wanted: Vec<&'a str>,
}

impl Body<'_> {
    /// The version of the operator set that this node is of.
    fn opset(&self, node: &NodeProto) -> i64 {
        self.opsets.get(domain(&node.domain)).unwrap_or(1)
    }
}

/// A model while it is read.
struct Importer<'a> {
    file: &'a OnnxFile,
    graph: &'a GraphProto,
    scope: Scope,
    functions: HashMap<inline::Key<'a>, inline::Function<'a>>,
    entered: Entered<'a>,
    /// Types that the model declares, by name; made when they are needed.
    declared: Option<HashMap<&'a str, &'a ValueInfoProto>>,
}

/// The network in a container.
///
/// # Errors
/// [`Error`], naming the node or tensor it is about.
pub fn import(file: OnnxFile, name: &str) -> Result<Graph> {
    read(&file, name)
}

/// As [`import`], of a container that is kept.
pub(crate) fn read(file: &OnnxFile, name: &str) -> Result<Graph> {
    network(file, name).map_err(|error| {
        let faults = file.model.graph.as_ref().map(faults::find).unwrap_or_default();
        if faults.is_empty() { error } else { Error::Faults(faults) }
    })
}

fn network(file: &OnnxFile, name: &str) -> Result<Graph> {
    let model = &file.model;
    let malformed = |what: &str| Error::Config { at: "model".into(), expected: what.into(), found: "none".into() };
    let graph = model.graph.as_ref().ok_or_else(|| malformed("a graph"))?;
    if !graph.sparse_initializer.is_empty() {
        let what = "a model with sparse tensors".to_owned();
        return Err(Error::Unsupported { what: what.into(), help: "export it with dense ones".into() });
    }
    let opset = opset(&model.opset_import)?;
    let mut builder = GraphBuilder::new(if graph.name.is_empty() { name } else { &graph.name });
    builder.source(source(model, graph, opset)?);
    let mut importer = Importer {
        file,
        graph,
        scope: Scope::new(builder),
        functions: HashMap::new(),
        entered: Entered::default(),
        declared: None,
    };
    importer.list_functions(&model.functions)?;
    importer.reserve_names(graph);
    let scope = &mut importer.scope;
    for proto in &graph.initializer {
        if scope.is_defined(&proto.name) {
            let at = format!("tensor `{}`", proto.name);
            return Err(Error::Config { at: at.into(), expected: "one of this name".into(), found: "two".into() });
        }
        let constant =
            Constant { tensor: file.tensor(proto)?, name: proto.name.clone(), literal: proto.dims.is_empty() };
        scope.define(&proto.name, Item::Constant(constant));
    }
    interface::inputs(scope, graph)?;
    importer.body(&Body {
        nodes: &graph.node,
        opsets: Opsets::of(Rc::new(opsets(&model.opset_import)), None),
        bindings: Rc::default(),
        wanted: graph.output.iter().map(|output| output.name.as_str()).collect(),
        results: graph.output.iter().map(|output| output.name.as_str()).collect(),
    })?;
    let scope = &mut importer.scope;
    interface::outputs(scope, graph)?;
    let unused = graph
        .initializer
        .iter()
        .filter(|tensor| !scope.read.contains(&tensor.name))
        .map(|tensor| Unused { location: tensor.name.clone().into(), reason: "no node reads it".to_owned() });
    let unused: Vec<Unused> = unused.collect();
    scope.builder.unused(unused);
    fold::fold(importer.scope.builder.finish()?)
}

impl<'a> Importer<'a> {
    /// Reads a list of nodes.
    fn body(&mut self, body: &Body<'a>) -> Result<()> {
        let order = order::order(body.nodes)?;
        let read: HashSet<&str> = body.nodes.iter().flat_map(order::reads).chain(body.wanted.iter().copied()).collect();
        for index in order {
            self.node(&body.nodes[index], body, &read)?;
            self.scope.check()?;
        }
        Ok(())
    }

    /// Reads one node; `read` are all names of its body that something reads.
    fn node(&mut self, node: &'a NodeProto, body: &Body<'a>, read: &HashSet<&str>) -> Result<()> {
        let Some(first) = node.output.iter().find(|name| !name.is_empty()) else { return Ok(()) };
        self.check_names(node)?;
        let attributes = Attributes::of(node, &body.bindings);
        if let Some(function) = self.function(node) {
            return self.call(function, node, &attributes, body, read);
        }
        if is_onnx(&node.domain) {
            if node.op_type == "If"
                && let Some(branch) = self.branch(node, &attributes)?
            {
                return self.take(branch, node, body, read);
            }
            let opset = body.opset(node);
            let folded = constants::fold(&mut self.scope, self.file, node, &attributes, opset)?;
            if let Some(item) = folded {
                self.scope.define(first, item);
                return Ok(());
            }
        }
        let shown = self.scope.shown(first);
        let name = if node.name.is_empty() { shown.clone() } else { self.scope.shown(&node.name) };
        let layer = self.scope.builder.layer(name, &node.op_type, true);
        self.scope.builder.set_metadata(layer, metadata::metadata(&node.doc_string, &node.metadata_props));
        let result = self.known(node, body, read, layer, &shown);
        match result {
            Ok(values) => {
                for (name, value) in values.into_iter().filter_map(|(index, id)| Some((node.output.get(index)?, id))) {
                    self.scope.define(name, Item::Value(value));
                }
            }
            Err(unread) => self.opaque(node, body, layer, &unread),
        }
        Ok(())
    }

    /// Names are given before they are read, and once.
    fn check_names(&self, node: &NodeProto) -> Result<()> {
        let problem = |problem: String| Error::Layer {
            layer: self.scope.shown(&node.name).into(),
            kind: node.op_type.clone().into(),
            problem: problem.into(),
        };
        if let Some(missing) =
            order::reads(node).into_iter().find(|name| !name.is_empty() && !self.scope.is_defined(name))
        {
            return Err(problem(format!("it reads `{missing}`, which nothing gives")));
        }
        if let Some(again) = node.output.iter().find(|name| self.scope.is_defined(name)) {
            return Err(problem(format!("its result `{again}` has the name of an input or tensor")));
        }
        Ok(())
    }

    /// Reads a node as an operator.
    fn known(
        &mut self,
        node: &'a NodeProto,
        body: &Body<'a>,
        read: &HashSet<&str>,
        layer: LayerId,
        name: &str,
    ) -> Result<Vec<(usize, ValueId)>, Unread> {
        let wanted: Vec<bool> =
            node.output.iter().map(|name| !name.is_empty() && read.contains(name.as_str())).collect();
        // Where the first result is left out, what would give it still needs a name.
        let name =
            if node.output.first().is_some_and(|name| !name.is_empty()) { name } else { &format!("{name}/first") };
        let attributes = Attributes::of(node, &body.bindings);
        let opset = body.opset(node);
        nodes::read(Reader {
            file: self.file,
            scope: &mut self.scope,
            node,
            attributes: &attributes,
            opset,
            layer,
            name,
            wanted: &wanted,
            given: Vec::new(),
        })
    }
}
