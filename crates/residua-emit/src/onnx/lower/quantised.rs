//! Quantised values.

use residua_formats::onnx::schema::{AttributeProto, NodeProto};
use residua_ir::{DType, DynamicRange, Granularity, Node, NodeId, Quantize, Shape};

use super::super::dynamic::Dynamic;
use super::super::lowering::{Lowering, needs, unsupported};
use super::super::proto::{self, int};
use crate::EmitError;

/// Refuses what the operator set does not have.
fn check(out: &Lowering<'_>, node: &Node, steps: DType, granularity: Granularity) -> Result<(), EmitError> {
    let since = match (steps, out.float) {
        (_, DType::F64) => return Err(unsupported(node, "ONNX quantises no f64; ask for f32")),
        (DType::I16 | DType::U16, _) => 21,
        _ if granularity.block.is_some() => 21,
        (_, DType::F16 | DType::BF16) => 19,
        (_, _) => return Ok(()),
    };
    if out.opset >= since {
        return Ok(());
    }
    let what = format!("{steps} beside {}{}", out.float, if granularity.block.is_some() { ", in blocks" } else { "" });
    Err(needs(out, node, &what, since))
}

/// Operands and attributes; a zero point that is left out says that integers are u8.
fn operands(
    out: &mut Lowering<'_>,
    node: &Node,
    granularity: Granularity,
) -> Result<(Vec<String>, Vec<AttributeProto>), EmitError> {
    let inputs = node.inputs.iter().map(|&id| out.operand(id)).collect::<Result<_, _>>()?;
    let mut attributes = Vec::new();
    if out.shape(node.inputs[1]).element_count() != Some(1) {
        attributes.push(int("axis", granularity.axis));
        attributes.extend(granularity.block.map(|block| int("block_size", block)));
    }
    Ok((inputs, attributes))
}

pub(super) fn quantize(out: &mut Lowering<'_>, id: NodeId, quantize: &Quantize) -> Result<(), EmitError> {
    let node = out.graph().node(id);
    if out.dynamic.contains_key(&id) {
        return Ok(());
    }
    check(out, node, quantize.dtype, quantize.granularity)?;
    let (mut inputs, attributes) = operands(out, node, quantize.granularity)?;
    if inputs.len() == 2 && quantize.dtype != DType::U8 {
        let shape = out.shape(node.inputs[1]).as_fixed();
        let shape = shape.ok_or_else(|| unsupported(node, "the shape of its scale must be known"))?;
        inputs.push(out.tensors.zeros(&format!("{}/zero_point", node.name.raw()), quantize.dtype, shape)?);
    }
    out.result(node, "QuantizeLinear", inputs, attributes)
}

pub(super) fn dequantize(out: &mut Lowering<'_>, node: &Node, granularity: Granularity) -> Result<(), EmitError> {
    check(out, node, out.source_dtype(node.inputs[0]), granularity)?;
    let (inputs, attributes) = operands(out, node, granularity)?;
    out.result(node, "DequantizeLinear", inputs, attributes)
}

/// The node of three results that this one is a part of, when its first part comes.
pub(super) fn dynamic_range(out: &mut Lowering<'_>, id: NodeId, which: DynamicRange) -> Result<(), EmitError> {
    let node = out.graph().node(id);
    if out.float != DType::F32 {
        return Err(unsupported(node, format!("ONNX finds no range of {} when it is run; ask for f32", out.float)));
    }
    if out.opset < 11 {
        return Err(needs(out, node, "a range that is found when it is run", 11));
    }
    let whole = out.dynamic.get(&id).copied();
    let first = whole.is_none_or(|whole| id == whole.scale.min(whole.zero));
    if !first {
        return Ok(());
    }
    let x = out.operand(node.inputs[0])?;
    let outputs = match whole {
        Some(Dynamic { quantize, scale, zero }) => {
            let mut name = |id: NodeId| out.operand(out.graph().node(id).output());
            [name(quantize)?, name(scale)?, name(zero)?]
        }
        None => {
            let own = out.operand(node.output())?;
            let full = out.shape(node.inputs[0]);
            let scalar = Shape::new(Vec::new());
            let mut unread = |what: &str, dtype: DType, shape: &Shape| {
                let name = out.fresh(&format!("{}/{what}", node.name.raw()));
                out.types.push(proto::value_info(&name, dtype, shape));
                name
            };
            let integers = unread("quantized", DType::U8, &full);
            match which {
                DynamicRange::ZeroPoint => [integers, unread("scale", DType::F32, &scalar), own],
                DynamicRange::Scale => [integers, own, unread("zero_point", DType::U8, &scalar)],
            }
        }
    };
    out.nodes.push(NodeProto {
        name: node.name.raw().to_owned(),
        op_type: "DynamicQuantizeLinear".to_owned(),
        input: vec![x],
        output: outputs.to_vec(),
        ..NodeProto::default()
    });
    Ok(())
}
