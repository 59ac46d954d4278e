//! Nodes whose result is known before anything runs: constants, views of tensors, and [`arithmetic`] on shapes.

use std::sync::Arc;

use bytes::Bytes;
use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::NodeProto;
use residua_ir::budget::Overrun;
use residua_ir::tensor::element_count;
use residua_ir::{DType, Endian, LazyBytes, Tensor, TensorError};

use super::arithmetic;
use super::attributes::Attributes;
use super::interface::dtype;
use super::numbers::Number;
use super::scope::{Constant, Item, Scope};
use super::shapes::{reshaped, resized};
use super::unread::{Unknown, Unread};
use crate::error::Result;

/// View operations on one tensor that are kept; more of them are nodes of the graph. Exporters write a few.
const VIEWS: usize = 64;

/// One number as often as needed, made when it is read.
struct Fill {
    element: Vec<u8>,
    count: usize,
}

impl LazyBytes for Fill {
    fn load(&self) -> Result<Bytes, TensorError> {
        Ok(self.element.repeat(self.count).into())
    }

    fn stored(&self) -> Option<u64> {
        Some(self.element.len() as u64)
    }
}

/// What a node gives, where that is known; `None` where it has to be an operator of the graph.
///
/// # Errors
/// What is wrong with a tensor in the node.
pub(super) fn fold(
    scope: &mut Scope,
    file: &OnnxFile,
    node: &NodeProto,
    attributes: &Attributes<'_>,
    opset: i64,
) -> Result<Option<Item>> {
    let item = match node.op_type.as_str() {
        "Constant" => match attributes.tensor("value") {
            Ok(Some(proto)) => Ok(Some(constant(scope, node, file.tensor(proto)?))),
            Ok(None) | Err(_) => number(scope, node, attributes),
        },
        "ConstantOfShape" => {
            let value = match attributes.tensor("value") {
                Ok(Some(proto)) => Some(file.tensor(proto)?),
                Ok(None) | Err(_) => None,
            };
            filled(scope, node, value)
        }
        _ => computed(scope, node, attributes, opset),
    };
    // What is not understood here is said where the node is read as an operator.
    let item = item.unwrap_or(None);
    Ok(item.filter(|_| attributes.finish().is_ok()))
}

fn constant(scope: &Scope, node: &NodeProto, tensor: Tensor) -> Item {
    let literal = tensor.len() == 1;
    let name = node.output.first().map(|name| scope.shown(name)).unwrap_or_default();
    Item::Constant(Constant { tensor, name, literal })
}

fn number(scope: &Scope, node: &NodeProto, attributes: &Attributes<'_>) -> Result<Option<Item>, Unread> {
    let damaged = |error: TensorError| Unknown(error.to_string());
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    let tensor = if let Some(value) = attributes.float("value_float")? {
        Tensor::from_f32(Vec::new(), &[value as f32])
    } else if let Some(values) = attributes.floats("value_floats")? {
        Tensor::from_f32(vec![values.len()], values)
    } else if let Some(value) = attributes.int("value_int")? {
        Tensor::from_i64(Vec::new(), &[value])
    } else if let Some(values) = attributes.ints("value_ints")? {
        Tensor::from_i64(vec![values.len()], values)
    } else {
        return Ok(None);
    };
    Ok(Some(constant(scope, node, tensor.map_err(damaged)?)))
}

fn filled(scope: &mut Scope, node: &NodeProto, value: Option<Tensor>) -> Result<Option<Item>, Unread> {
    let Some(name) = node.input.first() else { return Ok(None) };
    let sizes = scope.ints(name, "sizes")?;
    let shape: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let Some(shape) = shape else { return Ok(None) };
    let (kind, mut element) = (value.as_ref().map_or(DType::F32, Tensor::dtype), Vec::new());
    match value {
        Some(value) if value.len() == 1 => {
            value.append_le_bytes(&mut element).map_err(|error| Unknown(error.to_string()))?;
        }
        Some(_) => return Ok(None),
        None => element = vec![0; kind.size()],
    }
    let too_large = |_| Unknown(format!("a tensor of shape {shape:?} of one number is too large"));
    let count = element_count(&shape).map_err(too_large)?;
    scope.filled.take_here(count.saturating_mul(kind.size())).map_err(|overrun| Unknown(overrun.to_string()))?;
    let tensor = Tensor::from_lazy(kind, Endian::Little, shape, Arc::new(Fill { element, count }));
    Ok(tensor.ok().map(|tensor| constant(scope, node, tensor)))
}

/// Views of constants, and arithmetic on shapes.
fn computed(
    scope: &mut Scope,
    node: &NodeProto,
    attributes: &Attributes<'_>,
    opset: i64,
) -> Result<Option<Item>, Unread> {
    if let Ok(Some(view)) = view(scope, node, attributes, opset) {
        return Ok(Some(view));
    }
    let found = arithmetic::fold(scope, node, attributes, opset)?;
    if let Some(numbers) = &found {
        let beyond = |overrun: Overrun| Unknown(overrun.to_string());
        scope.charge(numbers.list.iter().filter_map(Number::whole)).map_err(beyond)?;
    }
    Ok(found.map(Item::Sizes))
}

/// The same elements of a constant, seen otherwise.
fn view(scope: &mut Scope, node: &NodeProto, attributes: &Attributes<'_>, opset: i64) -> Result<Option<Item>, Unread> {
    let first = node.input.first().and_then(|name| scope.item(name));
    let Some(Item::Constant(constant)) = first else { return Ok(None) };
    // A chain without end would be copied for each of its links.
    if constant.tensor.transforms().len() >= VIEWS {
        return Ok(None);
    }
    let constant = constant.clone();
    let Constant { tensor, name, literal } = constant;
    let rank = tensor.shape().len();
    let view = match node.op_type.as_str() {
        "Identity" => Ok(tensor),
        "Cast" => match attributes.int("to")?.and_then(dtype) {
            Some(to) if to == tensor.dtype() || (to.is_float() && tensor.dtype().is_float()) => Ok(tensor.cast(to)),
            Some(_) | None => return Ok(None),
        },
        "CastLike" if opset >= 15 => match node.input.get(1).and_then(|name| scope.dtype_of(name)) {
            Some(to) if to == tensor.dtype() || (to.is_float() && tensor.dtype().is_float()) => Ok(tensor.cast(to)),
            Some(_) | None => return Ok(None),
        },
        "Transpose" => {
            let perm: Option<Vec<usize>> = match attributes.ints("perm")? {
                Some(perm) => perm.iter().map(|&axis| usize::try_from(axis).ok()).collect(),
                None => Some((0..rank).rev().collect()),
            };
            match perm {
                Some(perm) => tensor.permute(&perm),
                None => return Ok(None),
            }
        }
        "Reshape" if opset >= 5 => {
            let Some(name) = node.input.get(1) else { return Ok(None) };
            let target = scope.ints(name, "sizes")?;
            match reshaped(tensor.shape(), &target, attributes.flag("allowzero", false)?) {
                Some(shape) => tensor.reshape(&shape),
                None => return Ok(None),
            }
        }
        "Unsqueeze" | "Squeeze" => {
            let axes = match node.input.get(1) {
                Some(name) => Some(scope.ints(name, "axes")?),
                None => attributes.ints("axes")?.map(<[i64]>::to_vec),
            };
            match resized(tensor.shape(), axes.as_deref(), node.op_type == "Squeeze") {
                Some(shape) => tensor.reshape(&shape),
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let tensor = view.map_err(|error| Unknown(format!("tensor `{name}`: {error}")))?;
    Ok(Some(Item::Constant(Constant { tensor, name, literal })))
}
