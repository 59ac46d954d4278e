//! One layer to operators: a file for each family of layers, and the table of classes.
//!
//! A class that is not in the table, or whose options have no operator, becomes [`residua_ir::Op::Opaque`] with the
//! reason; its tensors become operands of that, so that they are still accounted for.

mod activation;
mod conv;
mod dense;
mod filters;
mod indexing;
mod lengths;
mod merge;
mod norm;
mod operation;
mod pool;
mod preprocess;
mod reduction;
mod resample;
mod reshape;
mod scale;

use residua_ir::{IdentityReason, Op};

use super::config::Body;
use super::layer_call::{LayerCall, Lowered, Stop, Val};
use crate::error::Result;

/// The values that a call gives.
pub(super) fn lower(mut layer_call: LayerCall<'_, '_>) -> Result<Vec<Val>> {
    let given = layer_call.inputs.clone();
    layer_call.float_inputs();
    let splits = matches!(layer_call.layer.body, Body::Operation) && layer_call.layer.class == "Split";
    let fields = layer_call.fields();
    let values = match splits {
        true => indexing::split(&mut layer_call, fields),
        false => lower_class(&mut layer_call).map(|value| vec![value]),
    };
    match values {
        Ok(values) => Ok(values),
        Err(Stop::Fail(error)) => Err(error),
        Err(Stop::Opaque(reason)) => {
            let class = layer_call.layer.class;
            Ok(vec![layer_call.opaque(class, reason, &given.iter().collect::<Vec<_>>())])
        }
    }
}

fn lower_class(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    if matches!(layer_call.layer.body, Body::Operation) {
        return operation::keras3(layer_call);
    }
    match layer_call.layer.class {
        "Conv2D" => conv::conv(layer_call),
        "DepthwiseConv2D" => conv::depthwise(layer_call),
        "SeparableConv2D" => conv::separable(layer_call),
        "Conv2DTranspose" => conv::transposed(layer_call),
        "Dense" => dense::dense(layer_call),
        "BatchNormalization" | "SyncBatchNormalization" => norm::batch(layer_call),
        "GroupNormalization" => norm::group(layer_call),
        "LayerNormalization" => norm::layer(layer_call),
        "UnitNormalization" => lengths::unit(layer_call),
        "RMSNormalization" => lengths::rms(layer_call),
        "Dot" => lengths::dot(layer_call),
        "Activation" | "ReLU" | "LeakyReLU" | "ELU" | "Softmax" | "ThresholdedReLU" => activation::layer(layer_call),
        "PReLU" => activation::prelu(layer_call),
        "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" => merge::elementwise(layer_call),
        "Concatenate" => merge::concatenate(layer_call),
        "MaxPooling2D" | "AveragePooling2D" => pool::windows(layer_call),
        "GlobalMaxPooling2D" | "GlobalAveragePooling2D" => pool::global(layer_call),
        "GlobalMaxPooling1D" | "GlobalAveragePooling1D" => pool::global_of_steps(layer_call),
        "AdaptiveAveragePooling2D" | "AdaptiveMaxPooling2D" => resample::adaptive(layer_call),
        "Resizing" => resample::resizing(layer_call),
        "CenterCrop" => resample::center_crop(layer_call),
        "UpSampling2D" => resample::up_sampling(layer_call),
        "ZeroPadding2D" => pool::zero_padding(layer_call),
        "Cropping2D" => pool::cropping(layer_call),
        "Flatten" => reshape::flatten(layer_call),
        "Reshape" => reshape::reshape(layer_call),
        "Permute" => reshape::permute(layer_call),
        "Rescaling" => preprocess::rescaling(layer_call),
        "Normalization" => preprocess::normalization(layer_call),
        "TFOpLambda" | "SlicingOpLambda" => operation::keras2(layer_call),
        class => match training_only(class) {
            Some(reason) => identity(layer_call, reason),
            None => match scale::known(layer_call)? {
                Some(value) => Ok(value),
                None => Err(Stop::Opaque(why_opaque(class))),
            },
        },
    }
}

/// Layers that pass their input on unless the model is being trained.
fn training_only(class: &str) -> Option<IdentityReason> {
    Some(match class {
        "Dropout" | "SpatialDropout1D" | "SpatialDropout2D" | "SpatialDropout3D" | "AlphaDropout" => {
            IdentityReason::Dropout
        }
        "GaussianNoise" | "GaussianDropout" => IdentityReason::Noise,
        "RandomFlip"
        | "RandomRotation"
        | "RandomZoom"
        | "RandomTranslation"
        | "RandomContrast"
        | "RandomBrightness"
        | "RandomHeight"
        | "RandomWidth"
        | "RandomSaturation"
        | "RandomHue"
        | "RandomSharpness"
        | "RandomShear"
        | "RandomGrayscale"
        | "RandomColorJitter"
        | "RandomColorDegeneration"
        | "RandomPosterization"
        | "RandomInvert"
        | "RandomErasing"
        | "RandomGaussianBlur"
        | "RandomPerspective"
        | "RandomElasticTransform"
        | "MixUp"
        | "CutMix"
        | "RandAugment"
        | "AugMix" => IdentityReason::Augmentation,
        "ActivityRegularization" | "Identity" => IdentityReason::Linear,
        _ => return None,
    })
}

fn identity(layer_call: &mut LayerCall<'_, '_>, reason: IdentityReason) -> Lowered {
    if layer_call.training && reason != IdentityReason::Linear {
        return Err(Stop::Opaque("it is called with training=True, so it is random when run".to_owned()));
    }
    let x = layer_call.input()?;
    let order = x.order.clone();
    Ok(layer_call.finish(Op::Identity(reason), &[&x], order))
}

fn why_opaque(class: &str) -> String {
    match class {
        "Lambda" => "a Lambda layer is Python code, which is neither decoded nor run".to_owned(),
        "RandomCrop" => "it crops images also when the model is run; do that before the model".to_owned(),
        "AutoContrast" | "Equalization" | "Solarization" | "CLAHE" => {
            "it changes images also when the model is run; do that before the model".to_owned()
        }
        _ => format!("layers of class {class} are not known"),
    }
}
