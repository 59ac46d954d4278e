//! Resampling, in the forms that it had.
//!
//! Before operator set 11 an element lay at `x / scale`, and the nearest one was the one before.

use residua_ir::{Coordinates, DType, Extent, Fit, Interpolation, Op, Resize, ResizeTarget, Rounding, ValueId};

use super::super::{Misused, Reader, Unknown, Unread};
use super::Read;

/// All axes that change; those of scale 1 are left out.
fn scaled(r: &mut Reader<'_>, x: ValueId, scales: &[f64], interpolation: Interpolation) -> Read {
    let (axes, scales) = scales.iter().copied().enumerate().filter(|&(_, scale)| scale != 1.0).unzip();
    let target = ResizeTarget::Scales(scales);
    let coordinates = Coordinates::Asymmetric;
    let resize = Resize { axes, target, interpolation, coordinates, antialias: false, exclude_outside: false };
    r.end(Op::Resize(resize), &[x])
}

/// How it interpolated before operator set 11.
fn old_mode(r: &Reader<'_>) -> Result<Interpolation, Unread> {
    match r.attributes.text("mode")?.unwrap_or("nearest") {
        "nearest" => Ok(Interpolation::Nearest(Rounding::Floor)),
        "linear" | "bilinear" => Ok(Interpolation::Linear),
        other => Err(Unknown(format!("the mode `{other}` is not known"))),
    }
}

pub(super) fn upsample(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let interpolation = old_mode(r)?;
    let missing = || Unknown("its scales are missing".to_owned());
    let scales = if r.opset < 7 {
        let side = |name: &str| r.attributes.float(name)?.ok_or_else(missing);
        vec![1.0, 1.0, side("height_scale")?, side("width_scale")?]
    } else if r.opset < 9 {
        r.attributes.floats("scales")?.ok_or_else(missing)?.iter().map(|&scale| f64::from(scale)).collect()
    } else {
        scales(r, 1)?
    };
    whole_rank(r, x, scales.len())?;
    scaled(r, x, &scales, interpolation)
}

/// Scales that are an operand: f32, whatever the type of what is resized.
fn scales(r: &mut Reader<'_>, index: usize) -> Result<Vec<f64>, Unread> {
    let scales = r.scope.reals(r.required(index)?, "scales")?;
    r.expect_type(index, "scales", Some(DType::F32))?;
    Ok(scales)
}

fn whole_rank(r: &Reader<'_>, x: ValueId, found: usize) -> Result<(), Unread> {
    match r.rank(x) {
        Some(rank) if rank != found => Err(Misused(format!("{found} sizes for {rank} axes"))),
        Some(_) | None => Ok(()),
    }
}

fn interpolation(r: &Reader<'_>) -> Result<Interpolation, Unread> {
    let rounding = r.attributes.text("nearest_mode")?.unwrap_or("round_prefer_floor");
    let coefficient = r.attributes.float("cubic_coeff_a")?.unwrap_or(-0.75);
    Ok(match r.attributes.text("mode")?.unwrap_or("nearest") {
        "nearest" => Interpolation::Nearest(match rounding {
            "round_prefer_floor" => Rounding::HalfDown,
            "round_prefer_ceil" => Rounding::HalfUp,
            "floor" => Rounding::Floor,
            "ceil" => Rounding::Ceil,
            other => return Err(Unknown(format!("the rounding `{other}` is not known"))),
        }),
        "linear" => Interpolation::Linear,
        "cubic" => Interpolation::Cubic { coefficient },
        other => return Err(Unknown(format!("the mode `{other}` is not known"))),
    })
}

/// Where elements lie; operator set 11 had a mode that is another rounding of half pixels.
fn coordinates(
    r: &mut Reader<'_>,
    axes: usize,
    interpolation: Interpolation,
) -> Result<(Coordinates, Interpolation), Unread> {
    let outside = r.attributes.float("extrapolation_value")?.unwrap_or(0.0);
    let coordinates = match r.attributes.text("coordinate_transformation_mode")?.unwrap_or("half_pixel") {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_crop_and_resize" => {
            let name = r.required(1)?;
            let ends = r.scope.reals(name, "region")?;
            if ends.len() != 2 * axes {
                return Err(Unknown(format!("a region of {} numbers for {axes} axes", ends.len())));
            }
            let region = (0..axes).map(|axis| [ends[axis], ends[axes + axis]]).collect();
            Coordinates::Crop { region, outside }
        }
        // (x + 0.5) / scale: half a pixel further than half pixels.
        "tf_half_pixel_for_nn" if interpolation == Interpolation::Nearest(Rounding::Floor) => {
            return Ok((Coordinates::HalfPixel, Interpolation::Nearest(Rounding::HalfUp)));
        }
        "tf_half_pixel_for_nn" if interpolation == Interpolation::Nearest(Rounding::HalfDown) => {
            return Ok((Coordinates::HalfPixel, Interpolation::Nearest(Rounding::Ceil)));
        }
        other => return Err(Unknown(format!("the coordinates `{other}` are not known in this mode"))),
    };
    Ok((coordinates, interpolation))
}

/// An operand that may be left out, or have no elements.
fn given<'a>(r: &mut Reader<'a>, index: usize) -> Option<&'a str> {
    let name = r.operand(index)?;
    let empty = r.constant_shape(index).is_some_and(|shape| shape.contains(&0));
    if empty {
        r.scope.constant(name);
    }
    (!empty).then_some(name)
}

pub(super) fn resize(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    if r.opset < 11 {
        let interpolation = old_mode(r)?;
        let scales = scales(r, 1)?;
        whole_rank(r, x, scales.len())?;
        return scaled(r, x, &scales, interpolation);
    }
    let (scales, sizes) = (given(r, 2), given(r, 3));
    let mut operands = vec![x];
    let target = match (sizes, scales) {
        (Some(name), _) => {
            let sizes = r.scope.extents(name);
            let sizes = sizes.ok_or_else(|| Unknown("its sizes are computed when it is run".to_owned()))?;
            let sizes = r.scope.extents_of(&sizes, &mut operands);
            let fit = match r.attributes.text("keep_aspect_ratio_policy")?.unwrap_or("stretch") {
                "stretch" => Fit::Stretch,
                "not_larger" => Fit::NotLarger,
                "not_smaller" => Fit::NotSmaller,
                other => return Err(Unknown(format!("the policy `{other}` is not known"))),
            };
            ResizeTarget::Sizes { sizes, fit }
        }
        (None, Some(_)) => {
            r.attributes.skip(&["keep_aspect_ratio_policy"]);
            ResizeTarget::Scales(self::scales(r, 2)?)
        }
        (None, None) => return Err(Unknown("neither scales nor sizes are given".to_owned())),
    };
    let count = match &target {
        ResizeTarget::Scales(scales) => scales.len(),
        ResizeTarget::Sizes { sizes, .. } => sizes.len(),
    };
    let axes = match r.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&axis| Reader::axis(axis, r.rank(x))).collect::<Result<Vec<_>, _>>()?,
        None => {
            whole_rank(r, x, count)?;
            (0..count).collect()
        }
    };
    if axes.len() != count {
        return Err(Misused(format!("{count} sizes for {} axes", axes.len())));
    }
    let interpolation = interpolation(r)?;
    let (coordinates, interpolation) = coordinates(r, count, interpolation)?;
    let antialias = r.attributes.flag("antialias", false)?;
    let exclude_outside = r.attributes.flag("exclude_outside", false)?;
    let resize = Resize { axes, target, interpolation, coordinates, antialias, exclude_outside };
    let resize = changed(r, x, in_order(resize));
    r.end(Op::Resize(resize), &operands)
}

/// The same with its axes ascending.
fn in_order(resize: Resize) -> Resize {
    let mut order: Vec<usize> = (0..resize.axes.len()).collect();
    order.sort_by_key(|&at| resize.axes[at]);
    axes_at(resize, &order)
}

/// The same without the axes that stay as they are.
fn changed(r: &Reader<'_>, x: ValueId, resize: Resize) -> Resize {
    let stays = |at: usize| match (&resize.target, &resize.coordinates) {
        (_, Coordinates::Crop { region, .. }) if region[at] != [0.0, 1.0] => false,
        (ResizeTarget::Scales(scales), _) => scales[at] == 1.0,
        (ResizeTarget::Sizes { sizes, fit: Fit::Stretch }, _) => match &sizes[at] {
            Extent::Known(size) => r.scope.fixed(x, resize.axes[at]).is_some_and(|own| i64::try_from(own) == Ok(*size)),
            Extent::Of { operand: 0, axis } => *axis == resize.axes[at],
            Extent::Of { .. } | Extent::Computed { .. } => false,
        },
        (ResizeTarget::Sizes { .. }, _) => false,
    };
    let kept: Vec<usize> = (0..resize.axes.len()).filter(|&at| !stays(at)).collect();
    axes_at(resize.clone(), &kept)
}

fn axes_at(resize: Resize, at: &[usize]) -> Resize {
    let target = match resize.target {
        ResizeTarget::Scales(scales) => ResizeTarget::Scales(at.iter().map(|&at| scales[at]).collect()),
        ResizeTarget::Sizes { sizes, fit } => {
            ResizeTarget::Sizes { sizes: at.iter().map(|&at| sizes[at].clone()).collect(), fit }
        }
    };
    let coordinates = match resize.coordinates {
        Coordinates::Crop { region, outside } => {
            Coordinates::Crop { region: at.iter().map(|&at| region[at]).collect(), outside }
        }
        other @ (Coordinates::HalfPixel
        | Coordinates::HalfPixelSymmetric
        | Coordinates::PytorchHalfPixel
        | Coordinates::AlignCorners
        | Coordinates::Asymmetric) => other,
    };
    Resize { axes: at.iter().map(|&at| resize.axes[at]).collect(), target, coordinates, ..resize }
}
