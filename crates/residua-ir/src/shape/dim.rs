//! One size of a shape: a number, or an expression in a free size.
//!
//! Windows map a size n to ⌊(n + a) / s⌋ + b. Since ⌊(⌊(n + a) / s⌋ + b) / t⌋ = ⌊(n + a + b·s) / (s·t)⌋ for positive
//! s and t, any chain of convolutions and pools is again of the form ⌊(n + offset) / divisor⌋; so two paths of a
//! residual block can be compared exactly even where the image's size is free.

use std::fmt;
use std::sync::Arc;

use crate::name::printable;

/// One size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Fixed(usize),
    /// `⌊(symbol + offset) / divisor⌋`.
    Symbolic {
        /// Name of the free size: `N`, `H`, `W`.
        symbol: Arc<str>,
        /// Summand.
        offset: i64,
        /// Divisor, positive.
        divisor: i64,
    },
    /// Not known, and equal to nothing.
    Unknown,
}

impl Dim {
    /// A free size.
    #[must_use]
    pub fn symbol(name: &str) -> Self {
        Self::Symbolic { symbol: name.into(), offset: 0, divisor: 1 }
    }

    /// The number, where it is known.
    #[must_use]
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Dim::Fixed(size) => Some(*size),
            Dim::Symbolic { .. } | Dim::Unknown => None,
        }
    }

    /// `⌊(self + add) / divide⌋ + then`; [`None`] where a known result is negative or anything overflows.
    #[must_use]
    pub fn affine(&self, add: i64, divide: i64, then: i64) -> Option<Self> {
        if divide <= 0 {
            return None;
        }
        match self {
            Dim::Fixed(size) => {
                let sum = i64::try_from(*size).ok()?.checked_add(add)?;
                let result = sum.div_euclid(divide).checked_add(then)?;
                usize::try_from(result).ok().map(Dim::Fixed)
            }
            Dim::Symbolic { symbol, offset, divisor } => {
                let total = divisor.checked_mul(divide)?;
                let offset = offset.checked_add(add.checked_mul(*divisor)?)?.checked_add(then.checked_mul(total)?)?;
                Some(Dim::Symbolic { symbol: symbol.clone(), offset, divisor: total })
            }
            Dim::Unknown => Some(Dim::Unknown),
        }
    }

    /// Whether both may be the same size: false only where both are known, or both are expressions in the same symbol
    /// with the same divisor that never meet.
    #[must_use]
    pub fn may_equal(&self, other: &Dim) -> bool {
        match (self, other) {
            (Dim::Fixed(a), Dim::Fixed(b)) => a == b,
            (
                Dim::Symbolic { symbol: a, offset: x, divisor: d },
                Dim::Symbolic { symbol: b, offset: y, divisor: e },
            ) => a != b || d != e || x.abs_diff(*y) < d.unsigned_abs(),
            (Dim::Unknown, _) | (_, Dim::Unknown) | (Dim::Fixed(_), _) | (_, Dim::Fixed(_)) => true,
        }
    }

    /// Whether both are certainly the same size.
    #[must_use]
    pub fn is_equal(&self, other: &Dim) -> bool {
        self == other && *self != Dim::Unknown
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |symbol: &Arc<str>| printable(symbol).into_owned();
        match self {
            Dim::Fixed(size) => write!(f, "{size}"),
            Dim::Symbolic { symbol, offset: 0, divisor: 1 } => f.write_str(&name(symbol)),
            Dim::Symbolic { symbol, offset, divisor: 1 } => write!(f, "{}{offset:+}", name(symbol)),
            Dim::Symbolic { symbol, offset: 0, divisor } => write!(f, "⌊{}/{divisor}⌋", name(symbol)),
            Dim::Symbolic { symbol, offset, divisor } => {
                if offset + 1 == *divisor {
                    write!(f, "⌈{}/{divisor}⌉", name(symbol))
                } else {
                    write!(f, "⌊({}{offset:+})/{divisor}⌋", name(symbol))
                }
            }
            Dim::Unknown => f.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_of_a_strided_block_have_the_same_free_size() {
        let h = Dim::symbol("H");
        // 3x3, stride 2, padding 1 after a 1x1; and a 1x1 with stride 2.
        let main = h.affine(0, 1, 0).and_then(|d| d.affine(2 - 3, 2, 1)).unwrap();
        let shortcut = h.affine(-1, 2, 1).unwrap();
        assert_eq!(main, shortcut);
        assert_eq!(main.to_string(), "⌈H/2⌉");
    }

    #[test]
    fn nested_windows_agree_with_arithmetic() {
        for n in 20..60usize {
            let fixed = Dim::Fixed(n).affine(-1, 2, 1).and_then(|d| d.affine(-3, 3, 1)).unwrap();
            let Dim::Symbolic { offset, divisor, .. } =
                Dim::symbol("n").affine(-1, 2, 1).and_then(|d| d.affine(-3, 3, 1)).unwrap()
            else {
                panic!("stays symbolic")
            };
            assert_eq!(fixed, Dim::Fixed(usize::try_from((n as i64 + offset).div_euclid(divisor)).unwrap()));
        }
    }

    #[test]
    fn an_unknown_size_equals_nothing_for_certain() {
        assert!(!Dim::Unknown.is_equal(&Dim::Unknown));
        assert!(Dim::Unknown.may_equal(&Dim::Fixed(3)));
        assert!(!Dim::symbol("H").may_equal(&Dim::symbol("H").affine(1, 1, 0).unwrap()));
        assert_eq!(Dim::Fixed(2).affine(-3, 1, 0), None);
    }
}
