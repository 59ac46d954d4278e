//! Attributes of [`Op::Resize`](super::Op::Resize), and the size and scale that each axis comes to.

use serde::{Deserialize, Serialize};

use super::extent::{Extent, shape_of};
use crate::shape::{Dim, ShapeError, TensorType};

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Axes that change, ascending.
    pub axes: Vec<usize>,
    /// How much.
    pub target: ResizeTarget,
    /// How elements are computed from their neighbours.
    pub interpolation: Interpolation,
    /// Where an element of the result lies on the operand.
    pub coordinates: Coordinates,
    /// Widens what an element is computed from where the result is smaller.
    pub antialias: bool,
    /// Leaves out what would lie beyond the ends, instead of repeating the element there.
    pub exclude_outside: bool,
}

/// How large a resized value becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResizeTarget {
    /// So many times as large, rounded down; one factor an axis.
    Scales(Vec<f64>),
    /// So large; one size an axis.
    Sizes {
        /// The sizes.
        sizes: Vec<Extent>,
        /// Whether all axes get one scale.
        fit: Fit,
    },
}

/// How sizes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// As they are.
    Stretch,
    /// As large as possible with one scale, no axis larger than its size.
    NotLarger,
    /// As small as possible with one scale, no axis smaller than its size.
    NotSmaller,
}

/// How an element is computed from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Interpolation {
    /// One of them, by this rounding.
    Nearest(Rounding),
    /// Two an axis, by distance.
    Linear,
    /// Four an axis, by Keys' polynomial with this coefficient.
    Cubic {
        /// Usually -0.75 or -0.5.
        #[serde(with = "super::real")]
        coefficient: f64,
    },
}

/// How a position becomes that of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest, of two the lower.
    HalfDown,
    /// To the nearest, of two the upper.
    HalfUp,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

/// Where element `x` of the result lies, with `scale` = size of the result / size of the operand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Coordinates {
    /// `(x + 0.5) / scale - 0.5`.
    HalfPixel,
    /// As half pixels, moved so that the centres of both fall together where the size was rounded.
    HalfPixelSymmetric,
    /// As half pixels; 0 where the result has one element.
    PytorchHalfPixel,
    /// The first and the last elements fall together: `x * (size - 1) / (result - 1)`.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
    /// A part of the operand, given by its first and last position as parts of the whole.
    Crop {
        /// First and last, one pair an axis.
        region: Vec<[f64; 2]>,
        /// What lies beyond the operand.
        #[serde(with = "super::real")]
        outside: f64,
    },
}

impl Resize {
    /// Sizes of the axes that change, for operands of these types.
    pub(crate) fn sizes(&self, operands: &[TensorType]) -> Result<Vec<Dim>, ShapeError> {
        let dims: Vec<Dim> = self.axes.iter().map(|&axis| operands[0].shape.dims()[axis].clone()).collect();
        let count = match &self.target {
            ResizeTarget::Scales(scales) => scales.len(),
            ResizeTarget::Sizes { sizes, .. } => sizes.len(),
        };
        let regions = match &self.coordinates {
            Coordinates::Crop { region, .. } => region.len(),
            Coordinates::HalfPixel
            | Coordinates::HalfPixelSymmetric
            | Coordinates::PytorchHalfPixel
            | Coordinates::AlignCorners
            | Coordinates::Asymmetric => count,
        };
        if [count, regions] != [dims.len(); 2] {
            let problem = format!("{count} sizes and {regions} regions for {} axes", dims.len());
            return Err(ShapeError::Attribute(problem.into()));
        }
        match &self.target {
            ResizeTarget::Scales(scales) => dims.iter().zip(scales).map(|(dim, &scale)| scaled(dim, scale)).collect(),
            ResizeTarget::Sizes { sizes, fit: Fit::Stretch } => Ok(shape_of(sizes, operands)?.dims().to_vec()),
            ResizeTarget::Sizes { sizes, fit } => {
                let wanted = shape_of(sizes, operands)?.as_fixed();
                let found: Option<Vec<usize>> = dims.iter().map(Dim::fixed).collect();
                let (Some(wanted), Some(found)) = (wanted, found) else { return Ok(vec![Dim::Unknown; dims.len()]) };
                let scale = one_scale(&found, &wanted, *fit);
                found.iter().map(|&size| rounded((size as f64 * scale + 0.5).floor())).collect()
            }
        }
    }

    /// The scale of each axis that changes, for its size before and after.
    #[must_use]
    pub fn scales(&self, before: &[usize], after: &[usize], wanted: Option<&[usize]>) -> Vec<f64> {
        match (&self.target, wanted) {
            (ResizeTarget::Scales(scales), _) => scales.clone(),
            (ResizeTarget::Sizes { fit: fit @ (Fit::NotLarger | Fit::NotSmaller), .. }, Some(wanted)) => {
                vec![one_scale(before, wanted, *fit); before.len()]
            }
            (ResizeTarget::Sizes { .. }, _) => before.iter().zip(after).map(|(&b, &a)| a as f64 / b as f64).collect(),
        }
    }
}

/// The one scale of axes of these sizes that are to become as large as wanted.
fn one_scale(found: &[usize], wanted: &[usize], fit: Fit) -> f64 {
    let scales = found.iter().zip(wanted).map(|(&found, &wanted)| wanted as f64 / found as f64);
    match fit {
        Fit::NotLarger | Fit::Stretch => scales.fold(f64::INFINITY, f64::min),
        Fit::NotSmaller => scales.fold(0.0, f64::max),
    }
}

fn rounded(size: f64) -> Result<Dim, ShapeError> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let known = (0.0..1e15).contains(&size).then_some(Dim::Fixed(size as usize));
    known.ok_or_else(|| ShapeError::Attribute(format!("{size} is no size").into()))
}

/// `⌊size · scale⌋`, in f32 as ONNX has it.
fn scaled(dim: &Dim, scale: f64) -> Result<Dim, ShapeError> {
    if !(scale.is_finite() && scale > 0.0) {
        return Err(ShapeError::Attribute(format!("a scale must be above 0, found {scale}").into()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "scales are f32")]
    match dim.fixed() {
        Some(size) => rounded(f64::from((size as f32 * scale as f32).floor())),
        None if scale == 1.0 => Ok(dim.clone()),
        None if scale < 1.0 && (1.0 / scale).fract() == 0.0 => {
            Ok(dim.affine(0, (1.0 / scale) as i64, 0).unwrap_or(Dim::Unknown))
        }
        None => Ok(Dim::Unknown),
    }
}
