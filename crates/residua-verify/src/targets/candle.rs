//! candle: its ResNets, and its evaluator of ONNX models.
//!
//! Source: candle-transformers 0.11, `models/resnet.rs`, as the library `candle` has it; candle-onnx 0.11.1, `eval.rs`
//! (`simple_eval`, which reads nodes in the order of the file and no file beside the model). The ResNets are held against
//! the crate in the tests; candle-onnx is not, since building it takes `protoc`.

use residua_formats::onnx::schema::DataType;

use super::{ANY, Domains, External, FreeSizes, Limit, Onnx, Runtime, Taken, Takes, Then};
use crate::onnx::Node;

/// candle_transformers::models::resnet.
pub(super) static MODELS: Runtime =
    Runtime { name: "candle", about: "candle-transformers 0.11", takes: Takes::Weights("candle") };

/// candle-onnx.
pub(super) static ONNX: Runtime = Runtime {
    name: "candle-onnx",
    about: "candle-onnx 0.11",
    takes: Takes::Onnx(Onnx {
        ir: ANY,
        opsets: ANY,
        promised: ANY,
        domains: Domains::Only(&[]),
        functions: false,
        operators: Some(OPERATORS),
        limits: LIMITS,
        types: TYPES,
        lacks: &[],
        external: External::Refused,
        free_sizes: FreeSizes::Taken,
        undeclared: true,
    }),
};

const LIMITS: &[Limit] = &[
    Limit { op: "Conv", concerns: |node, _| pads_itself(node), then: Then::Refused, says: PADS_ITSELF },
    Limit {
        op: "Conv",
        concerns: |node, _| uneven(node.ints("strides")) || uneven(node.ints("dilations")),
        then: Then::Refused,
        says: "needs the same stride and dilation on both axes",
    },
    Limit { op: "MaxPool", concerns: |node, _| pads_itself(node), then: Then::Refused, says: PADS_ITSELF },
    Limit { op: "MaxPool", concerns: |node, _| pads(node), then: Then::Refused, says: "with padding is not supported" },
    Limit {
        op: "MaxPool",
        concerns: |node, _| dilates(node),
        then: Then::Refused,
        says: "with dilation is not supported",
    },
    Limit { op: "MaxPool", concerns: |node, _| rounds_up(node), then: Then::Otherwise, says: ROUNDS_DOWN },
    Limit { op: "AveragePool", concerns: |node, _| pads_itself(node), then: Then::Refused, says: PADS_ITSELF },
    Limit {
        op: "AveragePool",
        concerns: |node, _| pads(node),
        then: Then::Refused,
        says: "with padding is not supported",
    },
    Limit {
        op: "AveragePool",
        concerns: |node, _| dilates(node),
        then: Then::Refused,
        says: "with dilation is not supported",
    },
    Limit { op: "AveragePool", concerns: |node, _| rounds_up(node), then: Then::Otherwise, says: ROUNDS_DOWN },
    Limit {
        op: "BatchNormalization",
        concerns: |node, _| node.int("training_mode", 0) != 0,
        then: Then::Refused,
        says: "in training mode is not supported",
    },
    Limit {
        op: "Clip",
        concerns: |node, _| node.has("min") || node.has("max"),
        then: Then::Otherwise,
        says: "ignores limits that are attributes, as operator sets before 11 have them",
    },
    Limit {
        op: "Gemm",
        concerns: |node, _| !node.takes(2),
        then: Then::Refused,
        says: "without a bias is not supported",
    },
    Limit {
        op: "Pad",
        concerns: |node, _| node.text("mode", "constant") != "reflect",
        then: Then::Refused,
        says: "is supported in the mode reflect only",
    },
    Limit {
        op: "Pad",
        concerns: |node, _| node.proto.input.len() != 2,
        then: Then::Refused,
        says: "with another number of operands than 2 is not supported",
    },
    Limit {
        op: "ReduceMean",
        concerns: |node, _| node.takes(1),
        then: Then::Otherwise,
        says: "takes the mean over all axes where they are an operand, as from operator set 18 on",
    },
];

const PADS_ITSELF: &str = "that finds its padding itself (`auto_pad`) is not supported";
const ROUNDS_DOWN: &str = "rounds sizes down where they are to be rounded up (`ceil_mode`)";

fn pads_itself(node: Node) -> bool {
    node.text("auto_pad", "NOTSET") != "NOTSET"
}

fn pads(node: Node) -> bool {
    node.ints("pads").iter().any(|&pad| pad != 0)
}

fn dilates(node: Node) -> bool {
    node.ints("dilations").iter().any(|&dilation| dilation != 1)
}

fn rounds_up(node: Node) -> bool {
    node.int("ceil_mode", 0) != 0
}

fn uneven(amounts: &[i64]) -> bool {
    amounts.windows(2).any(|pair| pair[0] != pair[1])
}

const TYPES: &[(DataType, Taken)] = &[
    (DataType::Float, Taken::AsIs),
    (DataType::Double, Taken::AsIs),
    (DataType::Float16, Taken::AsIs),
    (DataType::Int32, Taken::As("i64")),
    (DataType::Int64, Taken::AsIs),
    (DataType::Uint8, Taken::AsIs),
    (DataType::Uint32, Taken::AsIs),
    (DataType::Bool, Taken::As("u8")),
];

const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Cos",
    "CumSum",
    "Div",
    "Dropout",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "Gelu",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "HardSwish",
    "Identity",
    "If",
    "LSTM",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "OneHot",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "RNN",
    "RandomNormal",
    "RandomUniform",
    "Range",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "ScatterND",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Sin",
    "Size",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];
