//! ONNX Runtime, CPU, by release; the crate `ort` links one of them.
//!
//! Source: 1.15 to 1.32 were installed, and given a model of each version of the format and of the operators; older ones
//! are from the compatibility table of its documentation. Element types, and operators of sets before 7, were tried in
//! 1.32.

use super::{Domains, External, FreeSizes, Onnx, Runtime, Taken, Takes};
use residua_formats::onnx::schema::DataType;

/// Names beyond ONNX's own whose operators are built in.
const DOMAINS: &[&str] = &[
    "ai.onnx.ml",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "com.microsoft",
    "com.microsoft.experimental",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
];

const TYPES: &[(DataType, Taken)] = &[
    (DataType::Float, Taken::AsIs),
    (DataType::Double, Taken::AsIs),
    (DataType::Float16, Taken::AsIs),
    (DataType::Bfloat16, Taken::AsIs),
    (DataType::Int8, Taken::AsIs),
    (DataType::Int16, Taken::AsIs),
    (DataType::Int32, Taken::AsIs),
    (DataType::Int64, Taken::AsIs),
    (DataType::Uint8, Taken::AsIs),
    (DataType::Uint16, Taken::AsIs),
    (DataType::Uint32, Taken::AsIs),
    (DataType::Uint64, Taken::AsIs),
    (DataType::Bool, Taken::AsIs),
    (DataType::String, Taken::AsIs),
    (DataType::Int4, Taken::AsIs),
    (DataType::Uint4, Taken::AsIs),
    (DataType::Float8e4m3fn, Taken::AsIs),
    (DataType::Float8e4m3fnuz, Taken::AsIs),
    (DataType::Float8e5m2, Taken::AsIs),
    (DataType::Float8e5m2fnuz, Taken::AsIs),
];

/// Operators of every residual network that the CPU has no kernels of for these types.
const LACKS: &[(DataType, &[(&str, usize)])] = &[
    (DataType::Double, &[("Conv", 1), ("ConvTranspose", 1)]),
    (DataType::Bfloat16, &[("Conv", 1), ("ConvTranspose", 1), ("Gemm", 1), ("BatchNormalization", 1)]),
];

const fn release(name: &'static str, about: &'static str, ir: i64, opset: i64) -> Runtime {
    let onnx = Onnx {
        ir: 3..=ir,
        opsets: 7..=opset,
        promised: 7..=opset,
        domains: Domains::All(DOMAINS),
        functions: true,
        operators: None,
        limits: &[],
        types: TYPES,
        lacks: LACKS,
        external: External::Read,
        free_sizes: FreeSizes::Taken,
        undeclared: true,
    };
    Runtime { name, about, takes: Takes::Onnx(onnx) }
}

/// The newest that is known.
pub(super) static NEWEST: Runtime = release("ort", "ONNX Runtime 1.32", 14, 28);

/// Releases.
pub(super) static RELEASES: [Runtime; 26] = [
    release("ort-1.7", "ONNX Runtime 1.7", 7, 13),
    release("ort-1.8", "ONNX Runtime 1.8", 7, 14),
    release("ort-1.9", "ONNX Runtime 1.9", 8, 15),
    release("ort-1.10", "ONNX Runtime 1.10", 8, 15),
    release("ort-1.11", "ONNX Runtime 1.11", 8, 16),
    release("ort-1.12", "ONNX Runtime 1.12", 8, 17),
    release("ort-1.13", "ONNX Runtime 1.13", 8, 17),
    release("ort-1.14", "ONNX Runtime 1.14", 8, 18),
    release("ort-1.15", "ONNX Runtime 1.15", 9, 19),
    release("ort-1.16", "ONNX Runtime 1.16", 9, 19),
    release("ort-1.17", "ONNX Runtime 1.17", 9, 20),
    release("ort-1.18", "ONNX Runtime 1.18", 10, 21),
    release("ort-1.19", "ONNX Runtime 1.19", 10, 21),
    release("ort-1.20", "ONNX Runtime 1.20", 10, 21),
    release("ort-1.21", "ONNX Runtime 1.21", 10, 22),
    release("ort-1.22", "ONNX Runtime 1.22", 10, 22),
    release("ort-1.23", "ONNX Runtime 1.23", 11, 23),
    release("ort-1.24", "ONNX Runtime 1.24", 13, 25),
    release("ort-1.25", "ONNX Runtime 1.25", 13, 26),
    release("ort-1.26", "ONNX Runtime 1.26", 13, 26),
    release("ort-1.27", "ONNX Runtime 1.27", 13, 26),
    release("ort-1.28", "ONNX Runtime 1.28", 13, 26),
    release("ort-1.29", "ONNX Runtime 1.29", 13, 26),
    release("ort-1.30", "ONNX Runtime 1.30", 13, 26),
    release("ort-1.31", "ONNX Runtime 1.31", 13, 26),
    release("ort-1.32", "ONNX Runtime 1.32", 14, 28),
];
