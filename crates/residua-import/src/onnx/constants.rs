//! Nodes whose result is known before anything runs: constants, views of tensors, and arithmetic on shapes.
//!
//! Exporters compute the target of a reshape from the shape of its operand (`Shape`, `Gather`, `Concat`); sizes that are
//! free stay references to the value that has them ([`Size::Of`]).

use std::sync::Arc;

use bytes::Bytes;
use residua_formats::onnx::OnnxFile;
use residua_formats::onnx::schema::NodeProto;
use residua_ir::tensor::element_count;
use residua_ir::{DType, Endian, LazyBytes, Tensor, TensorError};

use super::Unknown;
use super::attributes::Attributes;
use super::interface::dtype;
use super::scope::{Constant, Item, Scope, Size};
use crate::error::Result;

/// Bytes that one tensor of one repeated number may come to when it is read.
const FILL_BYTES: usize = 1 << 30;

/// One number as often as needed, made when it is read.
struct Fill {
    element: Vec<u8>,
    count: usize,
}

impl LazyBytes for Fill {
    fn load(&self) -> Result<Bytes, TensorError> {
        Ok(self.element.repeat(self.count).into())
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

fn number(scope: &Scope, node: &NodeProto, attributes: &Attributes<'_>) -> Result<Option<Item>, Unknown> {
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

fn filled(scope: &mut Scope, node: &NodeProto, value: Option<Tensor>) -> Result<Option<Item>, Unknown> {
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
    let count = element_count(&shape).ok().filter(|&count| count <= FILL_BYTES / kind.size());
    let count = count.ok_or_else(|| Unknown(format!("a tensor of shape {shape:?} of one number is too large")))?;
    let tensor = Tensor::from_lazy(kind, Endian::Little, shape, Arc::new(Fill { element, count }));
    Ok(tensor.ok().map(|tensor| constant(scope, node, tensor)))
}

fn known(values: Vec<i64>) -> Vec<Size> {
    values.into_iter().map(Size::Known).collect()
}

/// Views of constants, and arithmetic on shapes.
fn computed(
    scope: &mut Scope,
    node: &NodeProto,
    attributes: &Attributes<'_>,
    opset: i64,
) -> Result<Option<Item>, Unknown> {
    let Some(first) = node.input.first() else { return Ok(None) };
    if node.op_type == "Shape" {
        return shape(scope, first, attributes);
    }
    let integers = match scope.item(first) {
        Some(Item::Sizes { .. }) => true,
        Some(Item::Constant(constant)) => !constant.tensor.dtype().is_float(),
        Some(Item::Value(_)) | None => return Ok(None),
    };
    if integers {
        if let Some(truth) = comparison(scope, node)? {
            return Ok(Some(truth));
        }
        if let Some((sizes, scalar)) = arithmetic(scope, node, attributes)? {
            return Ok(Some(Item::Sizes { sizes, scalar }));
        }
    }
    view(scope, node, attributes, opset)
}

fn shape(scope: &mut Scope, of: &str, attributes: &Attributes<'_>) -> Result<Option<Item>, Unknown> {
    let all: Vec<Size> = match scope.item(of) {
        Some(Item::Value(id)) => {
            let id = *id;
            let Some(ty) = scope.type_of(id) else { return Ok(None) };
            let size = |axis: usize, dim: &residua_ir::Dim| {
                dim.fixed().and_then(|size| i64::try_from(size).ok()).map_or(Size::Of(id, axis), Size::Known)
            };
            ty.shape.dims().iter().enumerate().map(|(axis, dim)| size(axis, dim)).collect()
        }
        Some(Item::Constant(constant)) => {
            known(constant.tensor.shape().iter().filter_map(|&size| i64::try_from(size).ok()).collect())
        }
        Some(Item::Sizes { sizes, scalar: false }) => vec![Size::Known(i64::try_from(sizes.len()).unwrap_or(0))],
        Some(Item::Sizes { scalar: true, .. }) => Vec::new(),
        None => return Ok(None),
    };
    let start = bound(attributes.int("start")?.unwrap_or(0), all.len());
    let end = bound(attributes.int("end")?.unwrap_or(i64::MAX), all.len());
    Ok(Some(Item::Sizes { sizes: all.get(start..end).unwrap_or_default().to_vec(), scalar: false }))
}

/// A bound of a range, counted from the end where it is negative, and clamped.
fn bound(index: i64, len: usize) -> usize {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let index = if index < 0 { index.saturating_add(len) } else { index };
    usize::try_from(index.clamp(0, len)).unwrap_or(0)
}

/// Integers in, integers out.
fn arithmetic(
    scope: &mut Scope,
    node: &NodeProto,
    attributes: &Attributes<'_>,
) -> Result<Option<(Vec<Size>, bool)>, Unknown> {
    let is_scalar = |scope: &Scope, name: &str| match scope.item(name) {
        Some(Item::Sizes { scalar, .. }) => *scalar,
        Some(Item::Constant(constant)) => constant.tensor.shape().is_empty(),
        Some(Item::Value(_)) | None => false,
    };
    let mut operands = Vec::new();
    for name in &node.input {
        let Some(sizes) = scope.sizes(name) else { return Ok(None) };
        operands.push((sizes, is_scalar(scope, name)));
    }
    let [(first, scalar), rest @ ..] = &operands[..] else { return Ok(None) };
    let axis_zero = |axis: Option<i64>| matches!(axis, None | Some(0 | -1));
    Ok(match (node.op_type.as_str(), rest) {
        ("Identity", []) => Some((first.clone(), *scalar)),
        ("Cast", []) => {
            let integer = attributes.int("to")?.and_then(dtype).is_some_and(|to| !to.is_float() && to != DType::Bool);
            integer.then(|| (first.clone(), *scalar))
        }
        ("Gather", [(indices, one)]) if axis_zero(attributes.int("axis")?) => {
            let pick = |index: &Size| match index {
                Size::Known(index) => {
                    let len = i64::try_from(first.len()).ok()?;
                    let index = if *index < 0 { index.checked_add(len)? } else { *index };
                    first.get(usize::try_from(index).ok()?).copied()
                }
                Size::Of(..) => None,
            };
            let picked: Option<Vec<Size>> = indices.iter().map(pick).collect();
            picked.map(|sizes| (sizes, *one))
        }
        ("Concat", _) if axis_zero(attributes.int("axis")?) => {
            Some((operands.iter().flat_map(|(sizes, _)| sizes.clone()).collect(), false))
        }
        ("Unsqueeze", _) if *scalar && unsqueezes_zero(attributes.ints("axes")?, rest) => Some((first.clone(), false)),
        ("Squeeze", _) if first.len() == 1 && unsqueezes_zero(attributes.ints("axes")?.or(Some(&[0])), rest) => {
            Some((first.clone(), true))
        }
        ("Add" | "Sub" | "Mul" | "Div", [(second, other)]) => {
            binary(node.op_type.as_str(), first, second).map(|sizes| (sizes, *scalar && *other))
        }
        ("Slice", _) => slice(first, attributes, rest)?.map(|sizes| (sizes, false)),
        _ => None,
    })
}

/// Two integers that are compared, or yes and no that are joined: what the condition of an `If` is computed from.
fn comparison(scope: &mut Scope, node: &NodeProto) -> Result<Option<Item>, Unknown> {
    let holds: fn(i64, i64) -> bool = match node.op_type.as_str() {
        "Equal" => |a, b| a == b,
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        "And" => |a, b| a != 0 && b != 0,
        "Or" => |a, b| a != 0 || b != 0,
        "Xor" => |a, b| (a != 0) != (b != 0),
        "Not" => |a, b| a == b,
        _ => return Ok(None),
    };
    let mut operands = Vec::new();
    for name in &node.input {
        operands.push(scope.sizes(name));
    }
    let (a, b) = match (node.op_type.as_str(), &operands[..]) {
        ("Not", [Some(a)]) => (a, &vec![Size::Known(0)]),
        ("Not", _) => return Ok(None),
        (_, [Some(a), Some(b)]) => (a, b),
        _ => return Ok(None),
    };
    let ([Size::Known(a)], [Size::Known(b)]) = (&a[..], &b[..]) else { return Ok(None) };
    let bytes = Bytes::copy_from_slice(&[u8::from(holds(*a, *b))]);
    let tensor = Tensor::from_bytes(DType::Bool, Endian::Little, Vec::new(), bytes);
    Ok(tensor.ok().map(|tensor| constant(scope, node, tensor)))
}

/// Whether the axes, an attribute or operand, are the first one.
fn unsqueezes_zero(attribute: Option<&[i64]>, rest: &[(Vec<Size>, bool)]) -> bool {
    match rest {
        [] => matches!(attribute, Some([0 | -1])),
        [(axes, _)] => matches!(axes[..], [Size::Known(0 | -1)]),
        _ => false,
    }
}

fn binary(op: &str, a: &[Size], b: &[Size]) -> Option<Vec<Size>> {
    let len = a.len().max(b.len());
    let at = |sizes: &[Size], index: usize| if sizes.len() == 1 { sizes.first() } else { sizes.get(index) }.copied();
    (0..len)
        .map(|index| match (at(a, index)?, at(b, index)?) {
            (Size::Known(a), Size::Known(b)) => match op {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                _ => a.checked_div(b),
            }
            .map(Size::Known),
            (Size::Of(..), _) | (_, Size::Of(..)) => None,
        })
        .collect()
}

fn slice(
    sizes: &[Size],
    attributes: &Attributes<'_>,
    rest: &[(Vec<Size>, bool)],
) -> Result<Option<Vec<Size>>, Unknown> {
    let one = |values: &[Size]| if let [Size::Known(value)] = values { Some(*value) } else { None };
    let (start, end, axis, step) = match rest {
        [] => {
            let first = |values: Option<&[i64]>| values.and_then(|values| values.first().copied());
            (
                first(attributes.ints("starts")?),
                first(attributes.ints("ends")?),
                first(attributes.ints("axes")?),
                Some(1),
            )
        }
        [starts, ends, more @ ..] => (
            one(&starts.0),
            one(&ends.0),
            more.first().map_or(Some(0), |axes| one(&axes.0)),
            more.get(1).map_or(Some(1), |steps| one(&steps.0)),
        ),
        [_] => return Ok(None),
    };
    let (Some(start), Some(end), Some(0 | -1) | None, Some(1)) = (start, end, axis, step) else { return Ok(None) };
    Ok(Some(sizes.get(bound(start, sizes.len())..bound(end, sizes.len())).unwrap_or_default().to_vec()))
}

/// The same elements of a constant, seen otherwise.
fn view(scope: &mut Scope, node: &NodeProto, attributes: &Attributes<'_>, opset: i64) -> Result<Option<Item>, Unknown> {
    let Some(Item::Constant(constant)) = scope.item(&node.input[0]).cloned() else { return Ok(None) };
    let Constant { tensor, name, literal } = constant;
    let rank = tensor.shape().len();
    let view = match node.op_type.as_str() {
        "Identity" => Ok(tensor),
        "Cast" => match attributes.int("to")?.and_then(dtype) {
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

fn reshaped(shape: &[usize], target: &[i64], zero: bool) -> Option<Vec<usize>> {
    let mut sizes = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, &size) in target.iter().enumerate() {
        sizes.push(match size {
            -1 if open.replace(axis).is_none() => 1,
            0 if !zero => *shape.get(axis)?,
            _ => usize::try_from(size).ok()?,
        });
    }
    if let Some(axis) = open {
        sizes[axis] = element_count(shape).ok()?.checked_div(element_count(&sizes).ok()?)?;
    }
    Some(sizes)
}

fn resized(shape: &[usize], axes: Option<&[i64]>, squeeze: bool) -> Option<Vec<usize>> {
    let Some(axes) = axes else {
        return squeeze.then(|| shape.iter().copied().filter(|&size| size != 1).collect());
    };
    let rank = if squeeze { shape.len() } else { shape.len().checked_add(axes.len())? };
    let rank = i64::try_from(rank).ok()?;
    let mut axes: Vec<usize> = axes
        .iter()
        .map(|&axis| usize::try_from(if axis < 0 { axis.checked_add(rank)? } else { axis }).ok())
        .collect::<Option<_>>()?;
    axes.sort_unstable();
    let mut sizes = shape.to_vec();
    if squeeze {
        for &axis in axes.iter().rev() {
            if sizes.get(axis) != Some(&1) {
                return None;
            }
            sizes.remove(axis);
        }
    } else {
        for axis in axes {
            if axis > sizes.len() {
                return None;
            }
            sizes.insert(axis, 1);
        }
    }
    Some(sizes)
}
