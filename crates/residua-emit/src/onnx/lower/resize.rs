//! Resampling.

use residua_formats::onnx::schema::AttributeProto;
use residua_ir::{Coordinates, Extent, Fit, Interpolation, Node, Resize, ResizeTarget, Rounding};

use super::super::lowering::{self, Lowering};
use super::super::proto::{float, int, ints, string};
use super::extent;
use crate::EmitError;

/// The opset that an attribute needs.
fn needs(out: &Lowering<'_>, node: &Node, opset: i64, what: &str) -> Result<(), EmitError> {
    if out.opset >= opset { Ok(()) } else { Err(lowering::needs(out, node, what, opset)) }
}

fn interpolation(interpolation: Interpolation) -> Vec<AttributeProto> {
    match interpolation {
        Interpolation::Nearest(rounding) => {
            let rounding = match rounding {
                Rounding::HalfDown => "round_prefer_floor",
                Rounding::HalfUp => "round_prefer_ceil",
                Rounding::Floor => "floor",
                Rounding::Ceil => "ceil",
            };
            vec![string("mode", "nearest"), string("nearest_mode", rounding)]
        }
        Interpolation::Linear => vec![string("mode", "linear")],
        Interpolation::Cubic { coefficient } => {
            vec![string("mode", "cubic"), float("cubic_coeff_a", coefficient)]
        }
    }
}

fn coordinates(out: &Lowering<'_>, node: &Node, coordinates: &Coordinates) -> Result<Vec<AttributeProto>, EmitError> {
    let mut attributes = Vec::new();
    let name = match coordinates {
        Coordinates::HalfPixel => "half_pixel",
        Coordinates::HalfPixelSymmetric => {
            needs(out, node, 19, "symmetric half pixels")?;
            "half_pixel_symmetric"
        }
        Coordinates::PytorchHalfPixel => "pytorch_half_pixel",
        Coordinates::AlignCorners => "align_corners",
        Coordinates::Asymmetric => "asymmetric",
        Coordinates::Crop { outside, .. } => {
            attributes.push(float("extrapolation_value", *outside));
            "tf_crop_and_resize"
        }
    };
    attributes.push(string("coordinate_transformation_mode", name));
    Ok(attributes)
}

pub(super) fn resize(out: &mut Lowering<'_>, node: &Node, resize: &Resize) -> Result<(), EmitError> {
    let rank = out.shape(node.inputs[0]).rank();
    let place = |axis: usize| resize.axes.iter().position(|&a| a == axis);
    let mut attributes = interpolation(resize.interpolation);
    attributes.extend(coordinates(out, node, &resize.coordinates)?);
    if resize.exclude_outside {
        attributes.push(int("exclude_outside", 1));
    }
    if resize.antialias {
        needs(out, node, 18, "antialiasing")?;
        attributes.push(int("antialias", 1));
    }
    let x = out.operand(node.inputs[0])?;
    let region = match &resize.coordinates {
        Coordinates::Crop { region, .. } => {
            let side = |side: usize| (0..rank).map(move |axis| place(axis).map_or([0.0, 1.0], |at| region[at])[side]);
            let values: Vec<f64> = side(0).chain(side(1)).collect();
            out.f32s(&format!("{}/region", node.name.raw()), &values)?
        }
        Coordinates::HalfPixel
        | Coordinates::HalfPixelSymmetric
        | Coordinates::PytorchHalfPixel
        | Coordinates::AlignCorners
        | Coordinates::Asymmetric => String::new(),
    };
    let inputs = match &resize.target {
        ResizeTarget::Scales(scales) => {
            let all: Vec<f64> = (0..rank).map(|axis| place(axis).map_or(1.0, |at| scales[at])).collect();
            vec![x, region, out.f32s(&format!("{}/scales", node.name.raw()), &all)?]
        }
        ResizeTarget::Sizes { sizes, fit } => {
            let policy = match fit {
                Fit::Stretch => None,
                Fit::NotLarger => Some("not_larger"),
                Fit::NotSmaller => Some("not_smaller"),
            };
            let sizes = if let Some(policy) = policy {
                needs(out, node, 18, "keeping the ratio of the sizes")?;
                attributes.push(string("keep_aspect_ratio_policy", policy));
                attributes.push(ints("axes", &resize.axes));
                sizes.clone()
            } else {
                let size = |axis: usize| place(axis).map_or(Extent::Of { operand: 0, axis }, |at| sizes[at].clone());
                let known = |extent: Extent| match extent {
                    Extent::Of { operand: 0, axis } => {
                        out.shape(node.inputs[0]).dims()[axis].fixed().map_or(extent, Extent::from)
                    }
                    Extent::Known(_) | Extent::Of { .. } | Extent::Computed { .. } => extent,
                };
                (0..rank).map(size).map(known).collect()
            };
            vec![x, region, String::new(), extent::list(out, node, "sizes", &sizes)?]
        }
    };
    out.result(node, "Resize", inputs, attributes)
}
