//! Elementwise functions of one value.

use residua_ir::{Activation, Node};

use super::super::lowering::{Lowering, unsupported};
use super::super::proto::{float, string};
use crate::EmitError;

/// α and λ of Klambauer et al. 2017, "Self-Normalizing Neural Networks"; ONNX's defaults are these rounded to f32.
const SELU: [f64; 2] = [1.673_263_242_354_377_2, 1.050_700_987_355_480_5];

pub(super) fn activation(out: &mut Lowering<'_>, node: &Node, function: Activation) -> Result<(), EmitError> {
    let x = out.operand(node.inputs[0])?;
    let chain = &mut Chain { out, node };
    match function {
        Activation::Relu { negative_slope, threshold, max_value } => {
            relu(chain, x, negative_slope, threshold, max_value)
        }
        Activation::Elu { alpha } => chain.end("Elu", vec![x], vec![float("alpha", alpha)]),
        Activation::Selu => {
            let [alpha, gamma] = SELU;
            chain.end("Selu", vec![x], vec![float("alpha", alpha), float("gamma", gamma)])
        }
        Activation::Gelu { tanh_approximation } => gelu(chain, x, tanh_approximation),
        Activation::Silu => {
            let gate = chain.step("Sigmoid", vec![x.clone()])?;
            chain.rearranged();
            chain.end("Mul", vec![x, gate], Vec::new())
        }
        Activation::HardSigmoid { slope, offset } => {
            chain.end("HardSigmoid", vec![x], vec![float("alpha", slope), float("beta", offset)])
        }
        Activation::HardSwish if chain.out.opset >= 14 => chain.end("HardSwish", vec![x], Vec::new()),
        Activation::HardSwish => {
            let attributes = vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
            let gate = chain.step_with("HardSigmoid", vec![x.clone()], attributes)?;
            chain.rearranged();
            chain.end("Mul", vec![x, gate], Vec::new())
        }
        Activation::Clip { min, max } => chain.clip(x, min, max),
        Activation::Mish if chain.out.opset >= 18 => chain.end("Mish", vec![x], Vec::new()),
        Activation::Mish => {
            let soft = chain.step("Softplus", vec![x.clone()])?;
            let gate = chain.step("Tanh", vec![soft])?;
            chain.rearranged();
            chain.end("Mul", vec![x, gate], Vec::new())
        }
        Activation::Celu { alpha } => chain.end("Celu", vec![x], vec![float("alpha", alpha)]),
        Activation::Shrink { limit, bias } => {
            chain.end("Shrink", vec![x], vec![float("lambd", limit), float("bias", bias)])
        }
        // Called the same there.
        Activation::Sigmoid
        | Activation::Tanh
        | Activation::Softplus
        | Activation::Softsign
        | Activation::Exp
        | Activation::Log
        | Activation::Sqrt
        | Activation::Reciprocal
        | Activation::Abs
        | Activation::Neg
        | Activation::Erf
        | Activation::Floor
        | Activation::Ceil
        | Activation::Round
        | Activation::Sign
        | Activation::Not
        | Activation::Sin
        | Activation::Cos
        | Activation::Tan
        | Activation::Asin
        | Activation::Acos
        | Activation::Atan
        | Activation::Sinh
        | Activation::Cosh
        | Activation::Asinh
        | Activation::Acosh
        | Activation::Atanh => chain.end(function.name(), vec![x], Vec::new()),
    }
}

/// Several operators of the operand's shape for one node.
struct Chain<'a, 'm> {
    out: &'a mut Lowering<'m>,
    node: &'a Node,
}

impl Chain<'_, '_> {
    fn step(&mut self, op: &str, inputs: Vec<String>) -> Result<String, EmitError> {
        self.step_with(op, inputs, Vec::new())
    }

    fn step_with(
        &mut self,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<residua_formats::onnx::schema::AttributeProto>,
    ) -> Result<String, EmitError> {
        let shape = self.out.shape(self.node.inputs[0]);
        self.out.step(self.node, op, inputs, attributes, &shape)
    }

    fn end(
        &mut self,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<residua_formats::onnx::schema::AttributeProto>,
    ) -> Result<(), EmitError> {
        self.out.result(self.node, op, inputs, attributes)
    }

    fn scalar(&mut self, what: &str, value: f64) -> Result<String, EmitError> {
        self.out.scalar_like(self.node.inputs[0], &format!("{}/{what}", self.node.name.raw()), value)
    }

    fn rearranged(&mut self) {
        self.out.rearranged(self.node);
    }

    /// Operands of `Clip`; a lower bound that is left out has an empty name.
    fn bounds(&mut self, x: String, min: Option<f64>, max: Option<f64>) -> Result<Vec<String>, EmitError> {
        let mut inputs = vec![x];
        match min {
            Some(min) => inputs.push(self.scalar("min", min)?),
            None => inputs.push(String::new()),
        }
        if let Some(max) = max {
            inputs.push(self.scalar("max", max)?);
        }
        Ok(inputs)
    }

    fn clip(&mut self, x: String, min: Option<f64>, max: Option<f64>) -> Result<(), EmitError> {
        let inputs = self.bounds(x, min, max)?;
        self.end("Clip", inputs, Vec::new())
    }
}

fn relu(
    chain: &mut Chain<'_, '_>,
    x: String,
    slope: f64,
    threshold: f64,
    max_value: Option<f64>,
) -> Result<(), EmitError> {
    if max_value.is_some_and(|max| max < threshold.max(0.0)) {
        let problem = "its upper bound lies below its threshold, which no operator of ONNX does";
        return Err(unsupported(chain.node, problem));
    }
    match (slope == 0.0, threshold == 0.0, max_value) {
        (true, true, None) => chain.end("Relu", vec![x], Vec::new()),
        (true, true, Some(max)) => chain.clip(x, Some(0.0), Some(max)),
        (false, true, None) => chain.end("LeakyRelu", vec![x], vec![float("alpha", slope)]),
        (true, false, None) => chain.end("ThresholdedRelu", vec![x], vec![float("alpha", threshold)]),
        (false, true, Some(max)) if slope > 0.0 => {
            let leaky = chain.step_with("LeakyRelu", vec![x], vec![float("alpha", slope)])?;
            chain.rearranged();
            chain.clip(leaky, None, Some(max))
        }
        (_, _, max) => {
            // Above the threshold, plus slope times what is missing below it: one of the two is always 0.
            let attributes = vec![float("alpha", threshold)];
            let above = chain.step_with("ThresholdedRelu", vec![x.clone()], attributes)?;
            chain.rearranged();
            if slope == 0.0 {
                return chain.clip(above, None, max);
            }
            let above = match max {
                Some(_) => {
                    let inputs = chain.bounds(above, None, max)?;
                    chain.step("Clip", inputs)?
                }
                None => above,
            };
            let origin = chain.scalar("threshold", threshold)?;
            let shifted = chain.step("Sub", vec![x, origin])?;
            let inputs = chain.bounds(shifted, None, Some(0.0))?;
            let missing = chain.step("Clip", inputs)?;
            let factor = chain.scalar("slope", slope)?;
            let below = chain.step("Mul", vec![missing, factor])?;
            chain.end("Add", vec![above, below], Vec::new())
        }
    }
}

fn gelu(chain: &mut Chain<'_, '_>, x: String, tanh: bool) -> Result<(), EmitError> {
    if chain.out.opset >= 20 {
        let attributes = if tanh { vec![string("approximate", "tanh")] } else { Vec::new() };
        return chain.end("Gelu", vec![x], attributes);
    }
    // x/2 · (1 + f), with f the error function of x/√2 or its approximation.
    let f = if tanh {
        let cubic = chain.scalar("cubic", 0.044_715)?;
        let scale = chain.scalar("scale", std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2)?;
        let square = chain.step("Mul", vec![x.clone(), x.clone()])?;
        let cube = chain.step("Mul", vec![square, x.clone()])?;
        let small = chain.step("Mul", vec![cube, cubic])?;
        let sum = chain.step("Add", vec![x.clone(), small])?;
        let argument = chain.step("Mul", vec![sum, scale])?;
        chain.step("Tanh", vec![argument])?
    } else {
        let scale = chain.scalar("scale", std::f64::consts::FRAC_1_SQRT_2)?;
        let argument = chain.step("Mul", vec![x.clone(), scale])?;
        chain.step("Erf", vec![argument])?
    };
    let (one, half) = (chain.scalar("one", 1.0)?, chain.scalar("half", 0.5)?);
    let gate = chain.step("Add", vec![f, one])?;
    let gated = chain.step("Mul", vec![x, gate])?;
    chain.rearranged();
    chain.end("Mul", vec![gated, half], Vec::new())
}
