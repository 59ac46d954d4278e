//! Sizes and padding of windows: convolutions and pools.

use super::Dim;
use crate::op::{Padding, Pads};

/// One spatial axis of a window operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Taps.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Step between taps.
    pub dilation: usize,
}

impl Window {
    /// Cells from the first to the last tap, `(kernel - 1) * dilation + 1`.
    #[must_use]
    pub fn extent(self) -> Option<i64> {
        let extent = self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)?;
        i64::try_from(extent).ok()
    }
}

/// Amounts before and after that make the output `ceil(n / stride)`, the odd one after (TensorFlow's `SAME`).
///
/// `total = max((ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)`, `before = ⌊total / 2⌋`.
#[must_use]
pub fn same_upper(size: usize, window: Window) -> Option<(usize, usize)> {
    let stride = i64::try_from(window.stride).ok().filter(|&s| s > 0)?;
    let size = i64::try_from(size).ok()?;
    let outputs = size.checked_add(stride - 1)? / stride;
    let covered = (outputs - 1).max(0).checked_mul(stride)?.checked_add(window.extent()?)?;
    let total = usize::try_from((covered - size).max(0)).ok()?;
    Some((total / 2, total - total / 2))
}

/// The same, where it does not depend on the size: at stride 1.
#[must_use]
pub fn same_upper_any_size(window: Window) -> Option<(usize, usize)> {
    let total = usize::try_from(window.extent()? - 1).ok()?;
    (window.stride == 1).then_some((total / 2, total - total / 2))
}

/// The amounts that `padding` comes to for an image of this height and width; windows are (vertical, horizontal).
#[must_use]
pub fn resolve(padding: Padding, height: usize, width: usize, windows: [Window; 2]) -> Option<Pads> {
    let (rows, cols) = match padding {
        Padding::Explicit(pads) => return Some(pads),
        Padding::SameUpper | Padding::SameLower => (same_upper(height, windows[0])?, same_upper(width, windows[1])?),
    };
    Some(if padding == Padding::SameLower {
        Pads { top: rows.1, bottom: rows.0, left: cols.1, right: cols.0 }
    } else {
        Pads { top: rows.0, bottom: rows.1, left: cols.0, right: cols.1 }
    })
}

/// Size of the result along one axis; `None` where the window does not fit or a stride is 0.
///
/// With `ceil`, a last window that would start in the padding after the data is left out, as torch does.
#[must_use]
pub fn output_size(size: &Dim, window: Window, before: usize, after: usize, ceil: bool) -> Option<Dim> {
    let stride = i64::try_from(window.stride).ok().filter(|&s| s > 0)?;
    let pads = i64::try_from(before.checked_add(after)?).ok()?;
    let slack = pads.checked_sub(window.extent()?)?;
    if let Some(size) = size.fixed() {
        let room = i64::try_from(size).ok()?.checked_add(slack)?;
        if room < 0 {
            return None;
        }
        let mut outputs = if ceil { (room + stride - 1) / stride } else { room / stride } + 1;
        if ceil && (outputs - 1) * stride >= i64::try_from(size.checked_add(before)?).ok()? {
            outputs -= 1;
        }
        return usize::try_from(outputs).ok().filter(|&n| n > 0).map(Dim::Fixed);
    }
    if ceil && stride > 1 {
        return Some(Dim::Unknown);
    }
    size.affine(slack, stride, 1)
}

/// Size of the result under `SAME` padding, `ceil(n / stride)`.
#[must_use]
pub fn same_output_size(size: &Dim, window: Window) -> Option<Dim> {
    let stride = i64::try_from(window.stride).ok().filter(|&s| s > 0)?;
    size.affine(stride - 1, stride, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_what_tensorflow_pads() {
        let window = |kernel, stride| Window { kernel, stride, dilation: 1 };
        for (n, k, s, expected) in [
            (224, 3, 2, (0, 1)),
            (8, 3, 2, (0, 1)),
            (225, 3, 2, (1, 1)),
            (7, 3, 2, (1, 1)),
            (224, 7, 2, (2, 3)),
            (225, 7, 2, (3, 3)),
            (10, 1, 2, (0, 0)),
        ] {
            assert_eq!(same_upper(n, window(k, s)), Some(expected), "n={n} k={k} s={s}");
        }
        assert_eq!(same_upper_any_size(window(3, 1)), Some((1, 1)));
        assert_eq!(same_upper_any_size(window(3, 2)), None);
    }

    #[test]
    fn a_window_that_does_not_fit_is_refused() {
        let window = Window { kernel: 7, stride: 1, dilation: 1 };
        assert_eq!(output_size(&Dim::Fixed(6), window, 0, 0, false), None);
        assert_eq!(output_size(&Dim::Fixed(7), window, 0, 0, false), Some(Dim::Fixed(1)));
        assert_eq!(output_size(&Dim::Fixed(7), Window { stride: 0, ..window }, 0, 0, false), None);
    }

    #[test]
    fn ceil_mode_leaves_out_a_window_that_starts_in_the_padding() {
        let window = Window { kernel: 2, stride: 2, dilation: 1 };
        assert_eq!(output_size(&Dim::Fixed(5), window, 0, 0, true), Some(Dim::Fixed(3)));
        assert_eq!(output_size(&Dim::Fixed(5), window, 1, 1, true), Some(Dim::Fixed(3)));
    }
}
