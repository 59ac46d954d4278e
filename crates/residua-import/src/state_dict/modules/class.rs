//! What modules without weights compute, by their classes.

use residua_formats::torch::{Attribute, Module};
use residua_ir::Activation;

/// What a module computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Class {
    /// Nothing, where a model is not trained.
    Nothing,
    Activation(Activation),
    MaxPool,
    AvgPool,
    /// Means over all pixels.
    GlobalPool,
    /// Maxima over all pixels.
    GlobalMaxPool,
    /// The mean of both.
    GlobalMeanOfBoth,
    /// Both, the means first.
    GlobalBoth,
    /// Over features, or its logarithm.
    Softmax {
        log: bool,
    },
    Flatten,
    Pad,
    /// A function of the program that saved it.
    Function,
    /// What training or measuring needs, beside the network.
    Beside,
    /// What is not known here.
    Unknown,
}

/// What a module computes by its class and its attributes.
pub(in super::super) fn class(module: &Module) -> Class {
    let name = module.class.rsplit('.').next().unwrap_or(&module.class);
    if let Some(activation) = activation(name, module) {
        return Class::Activation(activation);
    }
    match name {
        "Identity"
        | "Dropout"
        | "Dropout1d"
        | "Dropout2d"
        | "Dropout3d"
        | "AlphaDropout"
        | "FeatureAlphaDropout"
        | "DropPath"
        | "BitDropPath"
        | "DropBlock2d"
        | "StochasticDepth"
        | "Sequential"
        | "ModuleList" => Class::Nothing,
        "MaxPool2d" => Class::MaxPool,
        "AvgPool2d" | "AvgPool2dSame" => Class::AvgPool,
        "AdaptiveAvgPool2d" | "FastAdaptiveAvgPool" | "FastAdaptiveAvgPool2d" | "GlobalAveragePooling" => {
            Class::GlobalPool
        }
        "AdaptiveMaxPool2d" | "FastAdaptiveMaxPool" => Class::GlobalMaxPool,
        "AdaptiveAvgMaxPool2d" | "FastAdaptiveAvgMaxPool" => Class::GlobalMeanOfBoth,
        "AdaptiveCatAvgMaxPool2d" | "FastAdaptiveCatAvgMaxPool" => Class::GlobalBoth,
        "Softmax" if over_features(module) => Class::Softmax { log: false },
        "LogSoftmax" if over_features(module) => Class::Softmax { log: true },
        "Flatten" if flattens(module) => Class::Flatten,
        "ConstantPad2d" | "ZeroPad2d" => Class::Pad,
        "LambdaLayer" => Class::Function,
        name if name.ends_with("Loss") || module.class.starts_with("torchmetrics.") => Class::Beside,
        _ => Class::Unknown,
    }
}

/// Whether a softmax is over the features of an image, which is what torch takes for two axes where none is given.
fn over_features(module: &Module) -> bool {
    matches!(module.attributes.get("dim"), None | Some(Attribute::None | Attribute::Int(1 | -1)))
}

/// Whether all axes behind the first become one.
fn flattens(module: &Module) -> bool {
    let is = |key: &str, default: i64| match module.attributes.get(key) {
        None => true,
        Some(found) => *found == Attribute::Int(default),
    };
    is("start_dim", 1) && is("end_dim", -1)
}

fn activation(name: &str, module: &Module) -> Option<Activation> {
    let number = |key: &str, default: f64| match module.attributes.get(key) {
        Some(Attribute::Float(value)) => *value,
        #[expect(clippy::cast_precision_loss, reason = "slopes are small")]
        Some(Attribute::Int(value)) => *value as f64,
        _ => default,
    };
    let tanh = module.attributes.get("approximate") == Some(&Attribute::Text("tanh".to_owned()));
    Some(match name {
        "ReLU" => Activation::RELU,
        "ReLU6" => Activation::RELU6,
        "SiLU" | "Swish" | "SiLUActivation" => Activation::Silu,
        "GELU" => Activation::Gelu { tanh_approximation: tanh },
        "GELUActivation" => Activation::Gelu { tanh_approximation: false },
        "NewGELUActivation" | "PytorchGELUTanh" | "GELUTanh" => Activation::Gelu { tanh_approximation: true },
        "LeakyReLU" => Activation::leaky_relu(number("negative_slope", 0.01)),
        "ELU" => Activation::Elu { alpha: number("alpha", 1.0) },
        "SELU" => Activation::Selu,
        "Hardswish" => Activation::HardSwish,
        "Mish" | "MishActivation" => Activation::Mish,
        "CELU" => Activation::Celu { alpha: number("alpha", 1.0) },
        "Hardsigmoid" => Activation::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 },
        "Hardtanh" => Activation::Clip { min: Some(number("min_val", -1.0)), max: Some(number("max_val", 1.0)) },
        "Tanh" => Activation::Tanh,
        "Sigmoid" => Activation::Sigmoid,
        // Beyond `threshold` torch goes on linearly, which differs from the function by less than what f32 shows.
        "Softplus" if number("beta", 1.0) == 1.0 && number("threshold", 20.0) >= 20.0 => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        _ => return None,
    })
}
