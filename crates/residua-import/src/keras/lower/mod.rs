//! One layer to operators: a file for each family of layers, and the table of classes.
//!
//! A class that is not in the table, or whose options have no operator, becomes [`residua_ir::Op::Opaque`] with the
//! reason; its tensors become operands of that, so that they are still accounted for.

mod activation;
mod conv;
mod dense;
mod merge;
mod norm;
mod operation;
mod pool;
mod preprocess;
mod reshape;

use residua_ir::{IdentityReason, Op};

use super::config::Body;
use super::site::{Lowered, Site, Stop, Val};
use crate::error::Result;

/// The values that a call gives.
pub(super) fn lower(mut site: Site<'_, '_>) -> Result<Vec<Val>> {
    let given = site.inputs.clone();
    site.float_inputs();
    match lower_class(&mut site) {
        Ok(value) => Ok(vec![value]),
        Err(Stop::Fail(error)) => Err(error),
        Err(Stop::Opaque(reason)) => {
            let class = site.layer.class;
            Ok(vec![site.opaque(class, reason, &given.iter().collect::<Vec<_>>())])
        }
    }
}

fn lower_class(site: &mut Site<'_, '_>) -> Lowered {
    if matches!(site.layer.body, Body::Operation) {
        return operation::keras3(site);
    }
    match site.layer.class {
        "Conv2D" => conv::conv(site),
        "DepthwiseConv2D" => conv::depthwise(site),
        "SeparableConv2D" => conv::separable(site),
        "Dense" => dense::dense(site),
        "BatchNormalization" | "SyncBatchNormalization" => norm::batch(site),
        "GroupNormalization" => norm::group(site),
        "LayerNormalization" => norm::layer(site),
        "Activation" | "ReLU" | "LeakyReLU" | "ELU" | "Softmax" | "ThresholdedReLU" => activation::layer(site),
        "PReLU" => activation::prelu(site),
        "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" => merge::elementwise(site),
        "Concatenate" => merge::concatenate(site),
        "MaxPooling2D" | "AveragePooling2D" => pool::windows(site),
        "GlobalMaxPooling2D" | "GlobalAveragePooling2D" => pool::global(site),
        "ZeroPadding2D" => pool::zero_padding(site),
        "Cropping2D" => pool::cropping(site),
        "Flatten" => reshape::flatten(site),
        "Reshape" => reshape::reshape(site),
        "Permute" => reshape::permute(site),
        "Rescaling" => preprocess::rescaling(site),
        "Normalization" => preprocess::normalization(site),
        "TFOpLambda" | "SlicingOpLambda" => operation::keras2(site),
        class => match training_only(class) {
            Some(reason) => identity(site, reason),
            None => Err(Stop::Opaque(why_opaque(class))),
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

fn identity(site: &mut Site<'_, '_>, reason: IdentityReason) -> Lowered {
    if site.training && reason != IdentityReason::Linear {
        return Err(Stop::Opaque("it is called with training=True, so it is random when run".to_owned()));
    }
    let x = site.input()?;
    let order = x.order.clone();
    Ok(site.finish(Op::Identity(reason), &[&x], order))
}

fn why_opaque(class: &str) -> String {
    match class {
        "Lambda" => "a Lambda layer is Python code, which is neither decoded nor run".to_owned(),
        "Resizing" | "CenterCrop" | "RandomCrop" => {
            "it resizes or crops pictures also when the model is run; do that before the model".to_owned()
        }
        "AutoContrast" | "Equalization" | "Solarization" | "CLAHE" => {
            "it changes pictures also when the model is run; do that before the model".to_owned()
        }
        _ => format!("layers of class {class} are not known"),
    }
}
