//! The numbers of an operator that two uses of one module may have different.

use residua_ir::{Op, Padding, Pads, ReshapeDim};

use crate::form::Kind;

fn pads<'a>(padding: &'a mut Padding, found: &mut Vec<(Kind, &'a mut usize)>) {
    match padding {
        Padding::Explicit(Pads { top, left, bottom, right }) => {
            found.extend([top, left, bottom, right].map(|amount| (Kind::Padding, amount)));
        }
        Padding::SameUpper | Padding::SameLower => {}
    }
}

fn pair<'a>(kind: Kind, amounts: &'a mut [usize; 2], found: &mut Vec<(Kind, &'a mut usize)>) {
    found.extend(amounts.iter_mut().map(|amount| (kind, amount)));
}

/// The numbers of an operator, in a fixed order, to be read or set. All else of it is the same in all uses of a module.
#[expect(clippy::wildcard_enum_match_arm, reason = "what has no numbers here is compared as a whole")]
pub(crate) fn numbers(op: &mut Op) -> Vec<(Kind, &mut usize)> {
    let mut found = Vec::new();
    match op {
        Op::Conv(conv) => {
            pair(Kind::Stride, &mut conv.strides, &mut found);
            pads(&mut conv.padding, &mut found);
            pair(Kind::Dilation, &mut conv.dilations, &mut found);
            found.push((Kind::Groups, &mut conv.groups));
        }
        Op::MaxPool(pool) => {
            pair(Kind::Kernel, &mut pool.kernel, &mut found);
            pair(Kind::Stride, &mut pool.strides, &mut found);
            pads(&mut pool.padding, &mut found);
        }
        Op::AvgPool(pool) => {
            pair(Kind::Kernel, &mut pool.kernel, &mut found);
            pair(Kind::Stride, &mut pool.strides, &mut found);
            pads(&mut pool.padding, &mut found);
        }
        Op::Pad(pad) => {
            let Pads { top, left, bottom, right } = &mut pad.pads;
            found.extend([top, left, bottom, right].map(|amount| (Kind::Padding, amount)));
            found.extend(pad.channels.iter_mut().map(|amount| (Kind::Size, amount)));
        }
        Op::Reshape { shape } => {
            for dim in shape {
                if let ReshapeDim::Fixed(size) = dim {
                    found.push((Kind::Size, size));
                }
            }
        }
        _ => {}
    }
    found
}

/// The same operator with these numbers.
pub(crate) fn with_numbers(op: &Op, values: &[usize]) -> Op {
    let mut op = op.clone();
    for ((_, place), &value) in numbers(&mut op).into_iter().zip(values) {
        *place = value;
    }
    op
}
