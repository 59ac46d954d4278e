//! Elementwise functions of one value.

use residua_ir::tensor::decimal;
use residua_ir::{Activation, Elementwise, Op, Property};

use super::super::{Misused, Reader, Unknown};
use super::Read;

/// Attributes as f32, which is what ONNX stores and defaults to.
const SELU: [f32; 2] = [1.673_263_2, 1.050_701];

pub(super) fn plain(r: &mut Reader<'_>, function: Activation) -> Read {
    // Opset 1 to 5.
    r.attributes.skip(&["consumed_inputs"]);
    let x = r.value(0)?;
    r.end(Op::Activation(function), &[x])
}

pub(super) fn with_attributes(r: &mut Reader<'_>) -> Read {
    let number = |name: &str, default: f32| Ok(r.attributes.float(name)?.unwrap_or(decimal(default)));
    let function = match r.node.op_type.as_str() {
        "LeakyRelu" => Activation::leaky_relu(number("alpha", 0.01)?),
        "ThresholdedRelu" => {
            Activation::Relu { negative_slope: 0.0, threshold: number("alpha", 1.0)?, max_value: None }
        }
        "Elu" => Activation::Elu { alpha: number("alpha", 1.0)? },
        "Celu" => Activation::Celu { alpha: number("alpha", 1.0)? },
        "Shrink" => Activation::Shrink { limit: number("lambd", 0.5)?, bias: number("bias", 0.0)? },
        "Selu" => {
            let stated = [number("alpha", SELU[0])?, number("gamma", SELU[1])?];
            if stated != SELU.map(decimal) {
                return scaled_elu(r, stated);
            }
            Activation::Selu
        }
        "Gelu" => match r.attributes.text("approximate")?.unwrap_or("none") {
            "none" => Activation::Gelu { tanh_approximation: false },
            "tanh" => Activation::Gelu { tanh_approximation: true },
            other => return Err(Unknown(format!("the approximation `{other}` is not known"))),
        },
        "HardSigmoid" => Activation::HardSigmoid { slope: number("alpha", 0.2)?, offset: number("beta", 0.5)? },
        "Swish" => {
            let alpha: f64 = number("alpha", 1.0)?;
            if alpha != 1.0 {
                return gated(r, alpha);
            }
            Activation::Silu
        }
        other => return Err(Unknown(format!("`{other}` is not known"))),
    };
    plain(r, function)
}

/// `gamma * elu(x, alpha)`.
fn scaled_elu(r: &mut Reader<'_>, [alpha, gamma]: [f64; 2]) -> Read {
    r.attributes.finish()?;
    let x = r.value(0)?;
    let factor = r.own("gamma", r.dtype(x), gamma)?;
    let elu = r.step("elu", Op::Activation(Activation::Elu { alpha }), &[x]);
    r.end(Op::Elementwise(Elementwise::Mul), &[elu, factor])
}

/// `x * sigmoid(alpha * x)`.
fn gated(r: &mut Reader<'_>, alpha: f64) -> Read {
    r.attributes.finish()?;
    let x = r.value(0)?;
    let factor = r.own("alpha", r.dtype(x), alpha)?;
    let scaled = r.multiply("scaled", x, factor);
    let gate = r.step("gate", Op::Activation(Activation::Sigmoid), &[scaled]);
    r.end(Op::Elementwise(Elementwise::Mul), &[x, gate])
}

pub(super) fn property(r: &mut Reader<'_>, property: Property) -> Read {
    let x = r.value(0)?;
    r.end(Op::Is(property), &[x])
}

/// Bounds are attributes before opset 11 and operands from then on.
pub(super) fn clip(r: &mut Reader<'_>) -> Read {
    let (min, max) = if r.opset < 11 {
        (r.attributes.float("min")?, r.attributes.float("max")?)
    } else {
        let mut bound =
            |index: usize, what: &str| r.operand(index).map(|_| r.number_like_first(index, what)).transpose();
        match (bound(1, "lower bound"), bound(2, "upper bound")) {
            (Ok(min), Ok(max)) => (min, max),
            (Err(misused @ Misused(_)), _) | (_, Err(misused @ Misused(_))) => return Err(misused),
            (Err(Unknown(_)), _) | (_, Err(Unknown(_))) => return computed_clip(r),
        }
    };
    let function = match (min, max) {
        // The same function, under the name that it usually has.
        (Some(0.0), max) if max.is_none_or(|max| max >= 0.0) => {
            Activation::Relu { negative_slope: 0.0, threshold: 0.0, max_value: max }
        }
        // The upper bound is applied last.
        (Some(min), Some(max)) if min > max => {
            r.attributes.finish()?;
            let x = r.value(0)?;
            let above = r.step("above", Op::Activation(Activation::Clip { min: Some(min), max: None }), &[x]);
            return r.end(Op::Activation(Activation::Clip { min: None, max: Some(max) }), &[above]);
        }
        (min, max) => Activation::Clip { min, max },
    };
    plain(r, function)
}

/// Bounds that are computed.
fn computed_clip(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let (least, most) = (Op::Elementwise(Elementwise::Max), Op::Elementwise(Elementwise::Min));
    match (r.operand(1).is_some(), r.operand(2).is_some()) {
        (true, true) => {
            let (min, max) = (r.value(1)?, r.value(2)?);
            let above = r.step("above", least, &[x, min]);
            r.end(most, &[above, max])
        }
        (true, false) => {
            let min = r.value(1)?;
            r.end(least, &[x, min])
        }
        (false, _) => {
            let max = r.value(2)?;
            r.end(most, &[x, max])
        }
    }
}
