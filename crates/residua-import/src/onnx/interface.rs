//! Inputs and outputs.

use residua_formats::onnx::schema::{DataType, DimensionProto, DimensionValue, GraphProto, TypeValue, ValueInfoProto};
use residua_ir::{DType, Dim, InputType, Shape, SourceOrder, TensorType};

use super::scope::{Item, Scope};
use crate::error::{Error, Result};

/// What an attribute that names an element type means.
pub(super) fn dtype(number: i64) -> Option<DType> {
    DataType::read_as(i32::try_from(number).ok()?)
}

/// A size; one without a number is free, under its own name or one of ours.
fn dim(proto: &DimensionProto, input: &str, axis: usize) -> Dim {
    match &proto.value {
        Some(DimensionValue::Value(size)) if *size > 0 => usize::try_from(*size).map_or(Dim::Unknown, Dim::Fixed),
        Some(DimensionValue::Param(name)) if !name.is_empty() => Dim::symbol(name),
        Some(_) | None if axis == 0 => Dim::symbol("N"),
        Some(_) | None => Dim::symbol(&format!("{input}.{axis}")),
    }
}

fn input_type(info: &ValueInfoProto) -> Result<TensorType> {
    let unsupported = |what: &str| Error::Unsupported {
        what: format!("input `{}` {what}", info.name).into(),
        help: "inputs are tensors of a known rank; export the model again with one".into(),
    };
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref().and_then(|ty| ty.value.as_ref()) else {
        return Err(unsupported("that is no tensor"));
    };
    let shape = tensor.shape.as_ref().ok_or_else(|| unsupported("without a shape"))?;
    let dims = shape.dim.iter().enumerate().map(|(axis, proto)| dim(proto, &info.name, axis));
    let dtype = dtype(tensor.elem_type.into()).ok_or_else(|| unsupported("of a type that is not read"))?;
    Ok(TensorType { dtype, shape: Shape::new(dims.collect()) })
}

/// The type that is declared for a value that is computed: sizes without a name are not known.
pub(super) fn declared(info: &ValueInfoProto) -> Option<TensorType> {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref()?.value.as_ref() else { return None };
    let dims = tensor.shape.as_ref()?.dim.iter().map(|proto| match &proto.value {
        Some(DimensionValue::Value(size)) => usize::try_from(*size).map_or(Dim::Unknown, Dim::Fixed),
        Some(DimensionValue::Param(name)) if !name.is_empty() => Dim::symbol(name),
        Some(DimensionValue::Param(_)) | None => Dim::Unknown,
    });
    Some(TensorType { dtype: dtype(tensor.elem_type.into())?, shape: Shape::new(dims.collect()) })
}

/// Declares the inputs; before IR version 4, initializers were listed among them.
pub(super) fn inputs(scope: &mut Scope, graph: &GraphProto) -> Result<()> {
    for info in graph.input.iter().filter(|info| !info.name.is_empty()) {
        if scope.is_defined(&info.name) {
            continue;
        }
        let ty = input_type(info)?;
        let input = InputType { dtype: ty.dtype, shape: ty.shape.clone() };
        let id = scope.builder.input_with(&info.name, input, SourceOrder::Same);
        scope.set_type(id, ty);
        scope.define(&info.name, Item::Value(id));
    }
    Ok(())
}

/// Marks the outputs.
pub(super) fn outputs(scope: &mut Scope, graph: &GraphProto) -> Result<()> {
    for info in &graph.output {
        let missing = |problem: &str| Error::Layer {
            layer: info.name.clone().into(),
            kind: "output".into(),
            problem: problem.into(),
        };
        if !scope.is_defined(&info.name) {
            return Err(missing("nothing gives it"));
        }
        let id = match scope.item(&info.name) {
            Some(Item::Value(id)) => *id,
            Some(Item::Constant(_) | Item::Sizes(_)) => {
                let layer = scope.builder.layer(&info.name, "Output", false);
                scope.value(&info.name, layer).map_err(|unknown| missing(unknown.reason()))?
            }
            None => return Err(missing("nothing gives it")),
        };
        scope.builder.output(id);
    }
    Ok(())
}
