//! Resampling, axis by axis: each element of the result is a weighted sum of elements along the axis.
//!
//! Positions and weights are those of ONNX's specification of `Resize` at operator set 19, computed in f64.

use residua_ir::{Coordinates, Interpolation, Resize, Rounding};

use crate::element::Element;

/// One axis before and after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Position among the axes that change.
    pub(crate) index: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) scale: f64,
}

impl Line {
    /// Where element `x` of the result lies; none where that is beyond the operand and a constant stands there.
    #[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements")]
    fn position(&self, x: usize, coordinates: &Coordinates) -> Option<f64> {
        let (x, before, after) = (x as f64, self.before as f64, self.after as f64);
        // What the size would be if it were not rounded.
        let exact = self.scale * before;
        let half_pixel = (x + 0.5) / self.scale - 0.5;
        Some(match coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::HalfPixelSymmetric => half_pixel + before / 2.0 * (1.0 - after / exact),
            Coordinates::PytorchHalfPixel if self.after > 1 => half_pixel,
            Coordinates::PytorchHalfPixel => 0.0,
            Coordinates::AlignCorners if exact == 1.0 || self.after == 1 => 0.0,
            Coordinates::AlignCorners => x * (before - 1.0) / (exact - 1.0),
            Coordinates::Asymmetric => x / self.scale,
            Coordinates::Crop { region, .. } => {
                let [start, end] = region[self.index];
                let last = before - 1.0;
                let at = if exact == 1.0 || self.after == 1 {
                    0.5 * (start + end) * last
                } else {
                    start * last + x * (end - start) * last / (exact - 1.0)
                };
                return (0.0..=last).contains(&at).then_some(at);
            }
        })
    }

    /// Which elements, counted from the front and possibly beyond an end, make the one at `position`, and by how much.
    fn taps(&self, position: f64, resize: &Resize, taps: &mut Vec<(i64, f64)>) {
        taps.clear();
        // The neighbour before, at a distance above 0 and up to 1.
        let base = position.ceil() - 1.0;
        let ratio = position - base;
        #[expect(clippy::cast_possible_truncation, reason = "positions are near those of elements")]
        let start = base as i64;
        // How much wider than its neighbours what is summed is.
        let shrink = if resize.antialias { self.scale.min(1.0) } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, reason = "no axis has 2^53 elements")]
        let reach = |width: f64| (-width / shrink).floor() as i64 + 1;
        #[expect(clippy::cast_precision_loss, reason = "no axis has 2^53 elements")]
        let distance = |i: i64| (i as f64 - ratio) * shrink;
        match resize.interpolation {
            Interpolation::Nearest(rounding) => {
                let nearest = match rounding {
                    Rounding::HalfDown => (position - 0.5).ceil(),
                    Rounding::HalfUp => (position + 0.5).floor(),
                    Rounding::Floor => position.floor(),
                    Rounding::Ceil => position.ceil(),
                };
                #[expect(clippy::cast_possible_truncation, reason = "positions are near those of elements")]
                taps.push((nearest as i64, 1.0));
            }
            Interpolation::Linear => {
                let first = reach(1.0);
                taps.extend((first..2 - first).map(|i| (start.saturating_add(i), (1.0 - distance(i).abs()).max(0.0))));
            }
            Interpolation::Cubic { coefficient } => {
                let first = reach(2.0);
                taps.extend(
                    (first..2 - first).map(|i| (start.saturating_add(i), keys(distance(i).abs(), coefficient))),
                );
            }
        }
        if resize.exclude_outside {
            taps.retain(|&(at, _)| usize::try_from(at).is_ok_and(|at| at < self.before));
        }
        if resize.exclude_outside || shrink < 1.0 {
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
    }
}

/// Keys' cubic of a distance; `a` is usually -0.75 or -0.5. R. Keys, "Cubic convolution interpolation for digital image
/// processing", 1981, equation 4.
fn keys(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// Resamples along one axis with `inner` elements behind it.
pub(crate) fn resize<T: Element>(x: &[T], line: Line, inner: usize, resize: &Resize, out: &mut [T]) {
    if line.before * inner == 0 || line.after * inner == 0 {
        return;
    }
    let outside = match &resize.coordinates {
        Coordinates::Crop { outside, .. } => T::from_f64(*outside),
        Coordinates::HalfPixel
        | Coordinates::HalfPixelSymmetric
        | Coordinates::PytorchHalfPixel
        | Coordinates::AlignCorners
        | Coordinates::Asymmetric => T::default(),
    };
    let mut taps = Vec::new();
    let mut merged: Vec<(usize, T)> = Vec::new();
    for at in 0..line.after {
        let position = line.position(at, &resize.coordinates);
        merged.clear();
        if let Some(position) = position {
            line.taps(position, resize, &mut taps);
            let clamped = taps
                .iter()
                .filter(|(_, weight)| *weight != 0.0)
                .map(|&(at, weight)| (usize::try_from(at).unwrap_or(0).min(line.before - 1), T::from_f64(weight)));
            merged.extend(clamped);
        }
        let blocks = x.chunks_exact(line.before * inner).zip(out.chunks_exact_mut(line.after * inner));
        for (x, out) in blocks {
            let out = &mut out[at * inner..][..inner];
            if position.is_none() {
                out.fill(outside);
                continue;
            }
            match merged[..] {
                // Copied, so that nothing is rounded.
                [(from, _)] => out.copy_from_slice(&x[from * inner..][..inner]),
                _ => {
                    out.fill(T::default());
                    for &(from, weight) in &merged {
                        let x = &x[from * inner..][..inner];
                        out.iter_mut().zip(x).for_each(|(out, &x)| *out += weight * x);
                    }
                }
            }
        }
    }
}
