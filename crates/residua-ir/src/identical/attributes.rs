//! What the attributes of an operator come to on what it is applied to: one form for all that say the same.
//!
//! A window that pads so that sizes stay pads by amounts that follow from known sizes; rounding a size up says nothing where it
//! comes out even; an average over windows that hang over nothing counts nothing there; the taps of a window of one lie nowhere apart; a
//! slice that begins so far from the end begins so far from the front.

use crate::op::{AvgPool, Conv, Extent, LpPool, MaxPool, Op, Padding};
use crate::shape::range::Range;
use crate::shape::window::{Window, output_size, resolve};
use crate::shape::{Dim, Shape};

/// The operator with its attributes in that form; `x` is the shape of its first operand, `kernel` that of its second.
#[expect(clippy::wildcard_enum_match_arm, reason = "attributes of others say one thing in one way")]
pub(super) fn settled(op: &Op, x: Option<&Shape>, kernel: Option<&Shape>) -> Op {
    let Some(x) = x else { return op.clone() };
    let pooled = |padding, ceil_mode, kernel, strides, dilations| {
        let windows = Windows { x, kernel, strides, dilations };
        let padding = windows.padding(padding);
        (padding, windows.rounds_up(padding, ceil_mode), windows.taps_apart())
    };
    match op {
        Op::Conv(conv) => {
            let size = |axis: usize| kernel?.dims().get(axis)?.fixed();
            let Some(kernel) = size(2).zip(size(3)) else { return op.clone() };
            let (padding, _, dilations) =
                pooled(conv.padding, false, [kernel.0, kernel.1], conv.strides, conv.dilations);
            Op::Conv(Conv { padding, dilations, ..*conv })
        }
        Op::MaxPool(pool) => {
            let (padding, ceil_mode, dilations) =
                pooled(pool.padding, pool.ceil_mode, pool.kernel, pool.strides, pool.dilations);
            Op::MaxPool(MaxPool { padding, ceil_mode, dilations, ..*pool })
        }
        Op::LpPool(pool) => {
            let (padding, ceil_mode, dilations) =
                pooled(pool.padding, pool.ceil_mode, pool.kernel, pool.strides, pool.dilations);
            Op::LpPool(LpPool { padding, ceil_mode, dilations, ..*pool })
        }
        Op::AvgPool(pool) => {
            let (padding, ceil_mode, dilations) =
                pooled(pool.padding, pool.ceil_mode, pool.kernel, pool.strides, pool.dilations);
            // Every window lies on the image.
            let whole = padding == Padding::default() && !ceil_mode;
            let count_include_pad = pool.count_include_pad && !whole;
            Op::AvgPool(AvgPool { padding, ceil_mode, dilations, count_include_pad, ..*pool })
        }
        Op::Slice { axis, start, end, step } => {
            sliced(x, *axis, (start, end.as_ref(), *step)).unwrap_or_else(|| op.clone())
        }
        _ => op.clone(),
    }
}

/// Windows over `x [N,C,H,W]`. Pairs are (vertical, horizontal).
struct Windows<'s> {
    x: &'s Shape,
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
}

impl Windows<'_> {
    fn both(&self) -> [Window; 2] {
        [0, 1].map(|i| Window { kernel: self.kernel[i], stride: self.strides[i], dilation: self.dilations[i] })
    }

    fn size(&self, axis: usize) -> Option<&Dim> {
        self.x.dims().get(axis)
    }

    /// The amounts, where they follow from sizes that are known.
    fn padding(&self, padding: Padding) -> Padding {
        let fixed = |axis| self.size(axis).and_then(Dim::fixed);
        let amounts = fixed(2).zip(fixed(3)).and_then(|(height, width)| resolve(padding, height, width, self.both()));
        amounts.map_or(padding, Padding::Explicit)
    }

    /// Whether rounding a size up gives another one.
    fn rounds_up(&self, padding: Padding, ceil_mode: bool) -> bool {
        let Padding::Explicit(pads) = padding else { return ceil_mode };
        let sides = [(pads.top, pads.bottom), (pads.left, pads.right)];
        let even = |i: usize| {
            let (window, (before, after)) = (self.both()[i], sides[i]);
            let Some(dim) = self.size(i + 2).filter(|dim| dim.fixed().is_some()) else { return false };
            output_size(dim, window, before, after, true) == output_size(dim, window, before, after, false)
        };
        ceil_mode && !(even(0) && even(1))
    }

    fn taps_apart(&self) -> [usize; 2] {
        [0, 1].map(|i| if self.kernel[i] == 1 { 1 } else { self.dilations[i] })
    }
}

/// A slice by where it begins and how many elements it takes, as one from there to the place of that number; nothing where that is not known.
fn sliced(x: &Shape, axis: usize, (start, end, step): (&Extent, Option<&Extent>, i64)) -> Option<Op> {
    let number = |extent: &Extent| match extent {
        Extent::Known(number) => Some(*number),
        Extent::Of { .. } | Extent::Computed { .. } => None,
    };
    let end = match end {
        Some(end) => Some(number(end)?),
        None => None,
    };
    let taken = Range { start: number(start)?, end, step }.of(x.dims().get(axis)?.fixed()?);
    let step = if taken.count > 1 { step } else { 1 };
    Some(Op::Slice { axis, start: Extent::from(taken.first), end: Some(Extent::from(taken.count)), step })
}
