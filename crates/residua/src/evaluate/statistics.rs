//! Figures of counts: intervals of shares, an exact test of paired outcomes.

use serde::{Deserialize, Serialize};

/// Quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share with the interval that holds the true one with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share, 0 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Share {
    /// Of so many of a number above 0, by Wilson's score interval (Wilson 1927, without continuity correction).
    #[must_use]
    pub fn of(some: u64, all: u64) -> Self {
        Self::within(some, all, Z)
    }

    /// The same for another quantile of the normal distribution.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of images")]
    pub(super) fn within(some: u64, all: u64, quantile: f64) -> Self {
        let n = all.max(1) as f64;
        let value = some as f64 / n;
        let square = quantile * quantile;
        let of = 1.0 + square / n;
        let middle = (value + square / (2.0 * n)) / of;
        let half = quantile / of * (value * (1.0 - value) / n + square / (4.0 * n * n)).sqrt();
        // At the ends the interval touches 0 and 1, which rounding would miss.
        let low = if some == 0 { 0.0 } else { (middle - half).max(0.0) };
        let high = if some == all { 1.0 } else { (middle + half).min(1.0) };
        Self { value, low, high }
    }
}

/// McNemar's exact test: how probable it is that outcomes which only one of two gets right are split at least as unevenly,
/// were both as good as each other. `a` were right in the first alone, `b` in the second alone.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of images")]
pub fn mcnemar(a: u64, b: u64) -> f64 {
    let (few, all) = (a.min(b), a.saturating_add(b));
    // Twice the sum of binomial(all, k) / 2^all over k up to the smaller count, each from the one before, by logarithms.
    let mut log = -(all as f64) * std::f64::consts::LN_2;
    let mut sum = log.exp();
    for k in 1..=few {
        log += ((all - k + 1) as f64).ln() - (k as f64).ln();
        sum += log.exp();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WILSON: [(u64, u64, f64, f64); 8] = [
        (0, 7, 0.0, 0.35433043506668743),
        (1, 1, 0.20654931437723745, 1.0),
        (7, 7, 0.6456695649333126, 1.0),
        (3, 10, 0.10779126740630102, 0.6032218525388546),
        (48, 50, 0.8653990931249297, 0.9889611156723802),
        (749, 1000, 0.7212080850643916, 0.7748861892098018),
        (37480, 50000, 0.7457834463479567, 0.7533782034735901),
        (1, 50000, 3.530499822832098e-06, 0.00011328970139120264),
    ];
    const MCNEMAR: [(u64, u64, f64); 8] = [
        (0, 1, 1.0),
        (1, 0, 1.0),
        (2, 9, 0.0654296875),
        (10, 10, 1.0),
        (30, 51, 0.02565435797169624),
        (1000, 1100, 0.03072070786424249),
        (0, 40, 1.8189894035458565e-12),
        (12000, 12500, 0.0014321425048026506),
    ];

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * b.abs().max(1e-300) + 1e-15
    }

    /// `scipy.stats.binomtest(some, all).proportion_ci(method="wilson")` of SciPy 1.17.1.
    #[test]
    fn intervals_are_scipys() {
        for (some, all, low, high) in WILSON {
            let share = Share::of(some, all);
            assert!(near(share.low, low) && near(share.high, high), "{some} of {all}: {share:?}");
        }
    }

    /// `scipy.stats.binomtest(a, a + b, 0.5).pvalue` of SciPy 1.17.1.
    #[test]
    fn the_exact_test_is_scipys() {
        for (a, b, p) in MCNEMAR {
            let found = mcnemar(a, b);
            assert!((found - p).abs() <= 1e-9 * p, "{a}, {b}: {found}");
            assert_eq!(found.to_bits(), mcnemar(b, a).to_bits());
        }
        assert!((mcnemar(0, 0) - 1.0).abs() < f64::EPSILON);
    }
}
