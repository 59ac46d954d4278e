//! Elementwise functions of one value.

use residua_ir::tensor::decimal;
use residua_ir::{Activation, Op};

use super::super::{Reader, Unknown};
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
        "Selu" => {
            let stated = [number("alpha", SELU[0])?, number("gamma", SELU[1])?];
            if stated != SELU.map(decimal) {
                return Err(Unknown(format!("other constants than those of its paper: {stated:?}")));
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
                return Err(Unknown(format!("`alpha` {alpha} is not known")));
            }
            Activation::Silu
        }
        other => return Err(Unknown(format!("`{other}` is not known"))),
    };
    plain(r, function)
}

/// Bounds are attributes before opset 11 and operands from then on.
pub(super) fn clip(r: &mut Reader<'_>) -> Read {
    let (min, max) = if r.opset < 11 {
        (r.attributes.float("min")?, r.attributes.float("max")?)
    } else {
        let mut bound = |index: usize, what: &str| r.operand(index).map(|name| r.scope.number(name, what)).transpose();
        (bound(1, "lower bound")?, bound(2, "upper bound")?)
    };
    let function = match (min, max) {
        // The same function, under the name that it usually has.
        (Some(0.0), max) if max.is_none_or(|max| max >= 0.0) => {
            Activation::Relu { negative_slope: 0.0, threshold: 0.0, max_value: max }
        }
        (Some(min), Some(max)) if min > max => {
            return Err(Unknown(format!("its lower bound {min} is above its upper bound {max}")));
        }
        (min, max) => Activation::Clip { min, max },
    };
    plain(r, function)
}
