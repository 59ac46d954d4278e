//! A graph as JSON and back: what stands in the metadata of files of ours beside the tensors.
//!
//! The text holds everything but elements: a parameter says which stored tensor it is and which view operations lead
//! to it. Reading trusts nothing: references go backwards only, unknown fields are refused (a field that is skipped
//! could change what the graph computes), and what has to be allocated without bytes in the file is bounded.
//!
//! The schema is [`SCHEMA`]; a change to what the text can say is a new number.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::budget::{Limit, Meter};
use crate::graph::{
    Graph, GraphBuilder, GraphError, InputType, Layer, Parameter, ParameterId, Role, Source, SourceOrder, ValueId,
    ValueKind,
};
use crate::name::{Name, Text};
use crate::op::Op;
use crate::shape::{Dim, Shape};
use crate::tensor::{DType, Tensor, TensorError, Transform};

/// Name and version of the text.
pub const SCHEMA: &str = "residua.graph/1";

/// Bound on free sizes in a text, far beyond any image.
const MAX_DIM: i64 = 1 << 40;

/// Where the elements of a parameter are.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In the stored tensor of this name, seen through these view operations.
    Stored {
        /// Name of the stored tensor.
        tensor: String,
        /// What leads from it to the parameter, in order.
        transforms: Vec<Transform>,
    },
    /// Nowhere: all elements of a floating-point tensor are this number.
    Filled(f64),
}

/// What can be wrong with a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterchangeError {
    /// No JSON, or a field that is missing, unknown or of another type.
    #[error("the graph's text")]
    Json(#[from] serde_json::Error),
    /// Another version of the text, or another text.
    #[error("the graph's text has the schema `{found}`, expected `{SCHEMA}`: was it written by a newer version?")]
    Schema {
        /// What it says.
        found: Name,
    },
    /// A reference to something that is not there, or not yet.
    #[error("{at} refers to {what} `{name}`, which does not stand before it")]
    Reference {
        /// Node, parameter or output.
        at: Text,
        /// What it refers to.
        what: &'static str,
        /// Its name.
        name: Name,
    },
    /// Two values of one name.
    #[error("two values are named `{0}`")]
    Duplicate(Name),
    /// A number that makes no sense.
    #[error("{at}: {message}")]
    Invalid {
        /// Node, parameter or input.
        at: Text,
        /// What was expected and found.
        message: Text,
    },
    /// A stored tensor that does not fit what the text says of it.
    #[error("parameter `{parameter}`")]
    Tensor {
        /// The parameter.
        parameter: Name,
        /// What does not fit.
        source: TensorError,
    },
    /// A graph that is too large.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphText {
    schema: String,
    name: String,
    source: Source,
    layers: Vec<Layer>,
    inputs: Vec<InputText>,
    parameters: Vec<ParameterText>,
    nodes: Vec<NodeText>,
    outputs: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueText {
    name: String,
    #[serde(default, skip_serializing_if = "is_same")]
    order: SourceOrder,
}

fn is_same(order: &SourceOrder) -> bool {
    *order == SourceOrder::Same
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputText {
    value: ValueText,
    dtype: DType,
    shape: Vec<DimText>,
}

/// A number, a free size, or neither (`null`).
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DimText {
    Fixed(usize),
    Symbol(String),
    Affine(AffineText),
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AffineText {
    symbol: String,
    offset: i64,
    divisor: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterText {
    /// Absent where no node reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<ValueText>,
    name: String,
    location: String,
    role: Role,
    layer: usize,
    dtype: DType,
    shape: Vec<usize>,
    /// One of these two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fill: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    transforms: Vec<Transform>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText {
    outputs: Vec<ValueText>,
    op: Op,
    inputs: Vec<String>,
    layer: usize,
}

fn value_text(graph: &Graph, id: ValueId) -> ValueText {
    let value = graph.value(id);
    ValueText { name: value.name.raw().to_owned(), order: value.order.clone() }
}

fn dim_text(dim: &Dim) -> DimText {
    match dim {
        Dim::Fixed(size) => DimText::Fixed(*size),
        Dim::Symbolic { symbol, offset: 0, divisor: 1 } => DimText::Symbol(symbol.to_string()),
        Dim::Symbolic { symbol, offset, divisor } => {
            DimText::Affine(AffineText { symbol: symbol.to_string(), offset: *offset, divisor: *divisor })
        }
        Dim::Unknown => DimText::Unknown,
    }
}

/// The graph as JSON; `place` says where each parameter's elements are kept.
///
/// # Errors
/// [`InterchangeError::Json`] where an attribute is no number that JSON can hold.
pub fn write(
    graph: &Graph,
    mut place: impl FnMut(ParameterId, &Parameter) -> Place,
) -> Result<String, InterchangeError> {
    let mut values: Vec<Option<ValueText>> = graph.parameters().iter().map(|_| None).collect();
    for id in graph.value_ids() {
        if let ValueKind::Parameter(parameter) = graph.value(id).kind {
            values[parameter.index()] = Some(value_text(graph, id));
        }
    }
    let names = |ids: &[ValueId]| ids.iter().map(|&id| graph.value(id).name.raw().to_owned()).collect::<Vec<_>>();
    let inputs = graph.inputs().iter().filter_map(|&id| match &graph.value(id).kind {
        ValueKind::Input(input) => Some(InputText {
            value: value_text(graph, id),
            dtype: input.dtype,
            shape: input.shape.dims().iter().map(dim_text).collect(),
        }),
        ValueKind::Parameter(_) | ValueKind::Computed { .. } => None,
    });
    let parameters = graph.parameter_ids().zip(values).map(|(id, value)| {
        let parameter = graph.parameter(id);
        let (tensor, transforms, fill) = match place(id, parameter) {
            Place::Stored { tensor, transforms } => (Some(tensor), transforms, None),
            Place::Filled(fill) => (None, Vec::new(), Some(fill)),
        };
        ParameterText {
            value,
            name: parameter.name.raw().to_owned(),
            location: parameter.location.raw().to_owned(),
            role: parameter.role,
            layer: parameter.layer.index(),
            dtype: parameter.tensor.dtype(),
            shape: parameter.tensor.shape().to_vec(),
            tensor,
            fill,
            transforms,
        }
    });
    let nodes = graph.nodes().iter().map(|node| NodeText {
        outputs: node.outputs.iter().map(|&id| value_text(graph, id)).collect(),
        op: node.op.clone(),
        inputs: names(&node.inputs),
        layer: node.layer.index(),
    });
    let text = GraphText {
        schema: SCHEMA.to_owned(),
        name: graph.name().raw().to_owned(),
        source: graph.source().clone(),
        layers: graph.layers().to_vec(),
        inputs: inputs.collect(),
        parameters: parameters.collect(),
        nodes: nodes.collect(),
        outputs: names(graph.outputs()),
    };
    Ok(serde_json::to_string(&text)?)
}

/// Builds the graph again; `tensor` gives the stored tensors by name.
///
/// # Errors
/// [`InterchangeError`], naming the node or parameter.
pub fn read(text: &str, tensor: impl Fn(&str) -> Option<Tensor>) -> Result<Graph, InterchangeError> {
    // The version first, so that a newer text is called that and not malformed.
    #[derive(Deserialize)]
    struct Header {
        schema: String,
    }
    let Header { schema } = serde_json::from_str(text)?;
    if schema != SCHEMA {
        return Err(InterchangeError::Schema { found: schema.into() });
    }
    let text: GraphText = serde_json::from_str(text)?;
    let mut reader = Reader {
        builder: GraphBuilder::new(text.name),
        values: HashMap::new(),
        filled: Meter::new(Limit::DecodedBytes),
    };
    reader.builder.source(text.source);
    let layers: Vec<_> =
        text.layers.into_iter().map(|layer| reader.builder.layer(layer.name, layer.kind, layer.trainable)).collect();
    let layer = |index: usize, at: &str| {
        let missing = || InterchangeError::Reference { at: at.into(), what: "layer", name: index.to_string().into() };
        layers.get(index).copied().ok_or_else(missing)
    };
    for input in text.inputs {
        reader.input(input)?;
    }
    for parameter in text.parameters {
        let owner = layer(parameter.layer, &parameter.name)?;
        let elements = reader.elements(&parameter, &tensor)?;
        let ParameterText { value, name, location, role, .. } = parameter;
        let parameter =
            Parameter { name: name.into(), location: location.into(), role, layer: owner, tensor: elements };
        match value {
            Some(value) => {
                let id = reader.builder.parameter(parameter);
                reader.define(value, id)?;
            }
            None => reader.builder.unread_parameter(parameter),
        }
    }
    for node in text.nodes {
        let names: Vec<&str> = node.outputs.iter().map(|output| output.name.as_str()).collect();
        let Some(&at) = names.first() else {
            let message = "a node without a result".to_owned();
            return Err(InterchangeError::Invalid { at: node.op.name().into(), message: message.into() });
        };
        let inputs = node.inputs.iter().map(|name| reader.value(name, at)).collect::<Result<Vec<_>, _>>()?;
        let ids = reader.builder.node_with_outputs(node.op, &inputs, layer(node.layer, at)?, &names);
        for (output, id) in node.outputs.into_iter().zip(ids) {
            reader.define(output, id)?;
        }
    }
    for output in &text.outputs {
        let id = reader.value(output, "the list of outputs")?;
        reader.builder.output(id);
    }
    Ok(reader.builder.finish()?)
}

struct Reader {
    builder: GraphBuilder,
    values: HashMap<String, ValueId>,
    /// Bytes of tensors that the text describes by one number.
    filled: Meter,
}

impl Reader {
    fn define(&mut self, value: ValueText, id: ValueId) -> Result<(), InterchangeError> {
        self.builder.set_order(id, value.order);
        match self.values.insert(value.name.clone(), id) {
            None => Ok(()),
            Some(_) => Err(InterchangeError::Duplicate(value.name.into())),
        }
    }

    fn value(&self, name: &str, at: &str) -> Result<ValueId, InterchangeError> {
        let missing = || InterchangeError::Reference { at: at.into(), what: "value", name: name.into() };
        self.values.get(name).copied().ok_or_else(missing)
    }

    fn input(&mut self, input: InputText) -> Result<(), InterchangeError> {
        let dims: Result<Vec<Dim>, String> = input
            .shape
            .into_iter()
            .map(|dim| match dim {
                DimText::Fixed(size) => Ok(Dim::Fixed(size)),
                DimText::Symbol(symbol) => Ok(Dim::symbol(&symbol)),
                DimText::Affine(AffineText { symbol, offset, divisor }) => {
                    if !(1..=MAX_DIM).contains(&divisor) || !(-MAX_DIM..=MAX_DIM).contains(&offset) {
                        return Err(format!("a size ({symbol} + {offset}) / {divisor} is out of range"));
                    }
                    Ok(Dim::Symbolic { symbol: symbol.into(), offset, divisor })
                }
                DimText::Unknown => Ok(Dim::Unknown),
            })
            .collect();
        let dims = dims.map_err(|message| InterchangeError::Invalid {
            at: input.value.name.clone().into(),
            message: message.into(),
        })?;
        let ty = InputType { dtype: input.dtype, shape: Shape::new(dims) };
        let id = self.builder.input_with(&input.value.name, ty, SourceOrder::Same);
        self.define(input.value, id)
    }

    fn elements(
        &mut self,
        text: &ParameterText,
        stored: impl Fn(&str) -> Option<Tensor>,
    ) -> Result<Tensor, InterchangeError> {
        let invalid =
            |message: String| InterchangeError::Invalid { at: text.name.clone().into(), message: message.into() };
        let failed = |source| InterchangeError::Tensor { parameter: text.name.clone().into(), source };
        let tensor = match (&text.tensor, text.fill) {
            (Some(name), None) => {
                let missing = || InterchangeError::Reference {
                    at: text.name.clone().into(),
                    what: "the stored tensor",
                    name: name.clone().into(),
                };
                let stored = stored(name).ok_or_else(missing)?;
                text.transforms.iter().try_fold(stored, |tensor, transform| tensor.apply(transform)).map_err(failed)?
            }
            (None, Some(fill)) => {
                let elements = crate::tensor::element_count(&text.shape).map_err(failed)?;
                let size = elements.saturating_mul(text.dtype.size());
                self.filled.spend_here(size).map_err(|overrun| invalid(overrun.to_string()))?;
                Tensor::filled(text.dtype, text.shape.clone(), fill).map_err(failed)?
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(invalid("one of `tensor` and `fill` must be given".to_owned()));
            }
        };
        if tensor.shape() != text.shape || tensor.dtype() != text.dtype {
            return Err(invalid(format!(
                "expected {} of shape {:?}, the stored tensor gives {} of shape {:?}",
                text.dtype,
                text.shape,
                tensor.dtype(),
                tensor.shape()
            )));
        }
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, BatchNorm, Conv, Padding, validate};

    fn graph() -> Graph {
        let mut g = GraphBuilder::new("tiny");
        let shape = Shape::new(vec![Dim::symbol("N"), Dim::Fixed(2), Dim::Unknown, Dim::symbol("W")]);
        let x = g.input_with("x", InputType { dtype: DType::F32, shape }, SourceOrder::channels_last());
        let stored = Tensor::from_f32(vec![3, 3, 2, 4], &[0.25; 72]).unwrap();
        let kernel = g.weight("conv/kernel", stored.permute(&[3, 2, 0, 1]).unwrap());
        let conv = Conv { padding: Padding::SameUpper, ..Conv::default() };
        let y = g.add("conv", Op::Conv(conv), &[x, kernel]);
        let one = g.weight("one", Tensor::filled(DType::F32, vec![4], 1.0).unwrap());
        let y = g.add("bn", Op::BatchNorm(BatchNorm { epsilon: 1.001e-5 }), &[y, one, one, one, one]);
        let y = g.add("relu", Op::Activation(Activation::RELU6), &[y]);
        g.set_order(y, SourceOrder::channels_last());
        g.output(y);
        g.finish().unwrap()
    }

    fn text(graph: &Graph) -> String {
        write(graph, |_, parameter| match parameter.name.raw() {
            "one" => Place::Filled(1.0),
            _ => {
                Place::Stored { tensor: parameter.name.raw().to_owned(), transforms: parameter.tensor.source_view().1 }
            }
        })
        .unwrap()
    }

    fn stored(name: &str) -> Option<Tensor> {
        (name == "conv/kernel").then(|| Tensor::from_f32(vec![3, 3, 2, 4], &[0.25; 72]).unwrap())
    }

    #[test]
    fn a_graph_goes_to_text_and_comes_back_the_same() {
        let graph = graph();
        let again = read(&text(&graph), stored).unwrap();
        assert_eq!(again.to_string(), graph.to_string());
        assert_eq!(again.layers(), graph.layers());
        for (a, b) in again.inputs().iter().chain(again.outputs()).zip(graph.inputs().iter().chain(graph.outputs())) {
            assert_eq!(again.value(*a).order, graph.value(*b).order);
            assert_eq!(again.value(*a).name, graph.value(*b).name);
        }
        let (a, b) = (&again.parameters()[0].tensor, &graph.parameters()[0].tensor);
        assert_eq!((a.shape(), a.to_f32().unwrap()), (b.shape(), b.to_f32().unwrap()));
        assert_eq!(validate(again).unwrap().shape_of(graph.outputs()[0]).unwrap().to_string(), "[N, 4, ?, W]");
    }

    #[test]
    fn a_text_that_says_more_than_is_known_is_refused() {
        let text = text(&graph());
        for (from, to, expected) in [
            ("residua.graph/1", "residua.graph/2", "newer version"),
            ("\"groups\":1", "\"groups\":1,\"padding_mode\":\"reflect\"", "unknown field"),
            ("\"max_value\":6.0", "\"max_value\":6.0,\"min\":1.0", "unknown field"),
            ("\"outputs\":[\"relu\"]", "\"outputs\":[\"gone\"]", "does not stand before it"),
            ("\"inputs\":[\"x\",\"conv/kernel\"]", "\"inputs\":[\"relu\",\"conv/kernel\"]", "does not stand before it"),
            ("\"outputs\":[{\"name\":\"conv\"}]", "\"outputs\":[]", "without a result"),
            ("\"tensor\":\"conv/kernel\"", "\"tensor\":\"other\"", "does not stand before it"),
            ("\"permute\":[3,2,0,1]", "\"permute\":[3,3,0,1]", "cannot apply"),
            ("\"shape\":[4],\"fill\"", "\"shape\":[4000000000],\"fill\"", "bytes after decoding"),
            ("\"layer\":1", "\"layer\":99", "refers to layer"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = crate::in_full(&read(&changed, stored).unwrap_err());
            assert!(error.contains(expected), "{from}: {error}");
        }
    }
}
