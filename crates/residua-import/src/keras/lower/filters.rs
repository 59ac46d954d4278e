//! The weights by which TensorFlow makes rows of fewer or more rows: a matrix `[after, before]` for each way.
//!
//! Source: `scale_and_translate_op.cc`, `sampling_kernels.h`, `resize_bicubic_op.cc` and `resize_area_op.cc` of TensorFlow 2.

/// How neighbours count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Filter {
    /// By distance, two of them.
    Triangle,
    /// Keys' cubic of -0.5, with weights from a table of 1024 steps.
    Cubic,
    /// The same, computed where it is needed.
    KeysCubic,
    /// Mitchell and Netravali's cubic.
    MitchellCubic,
    /// Lanczos' windowed sinc of this radius.
    Lanczos(f64),
    /// A bell of radius 1.5.
    Gaussian,
    /// The mean of what lies below.
    Area,
}

impl Filter {
    fn radius(self) -> f64 {
        match self {
            Self::Triangle => 1.0,
            Self::Cubic | Self::KeysCubic | Self::MitchellCubic => 2.0,
            Self::Lanczos(radius) => radius,
            Self::Gaussian => 1.5,
            Self::Area => 0.5,
        }
    }

    /// The weight at a distance.
    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        if x >= self.radius() {
            return 0.0;
        }
        match self {
            Self::Triangle => 1.0 - x,
            Self::Cubic | Self::KeysCubic if x >= 1.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Cubic | Self::KeysCubic => ((1.5 * x - 2.5) * x) * x + 1.0,
            Self::MitchellCubic if x >= 1.0 => (((-7.0 / 18.0) * x + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0,
            Self::MitchellCubic => (((7.0 / 6.0) * x - 2.0) * x) * x + 8.0 / 9.0,
            Self::Lanczos(radius) if x > 1e-3 => {
                let angle = std::f64::consts::PI * x;
                radius * angle.sin() * (angle / radius).sin() / (angle * angle)
            }
            Self::Lanczos(_) | Self::Area => 1.0,
            Self::Gaussian => (-x * x / (2.0 * 0.5 * 0.5)).exp(),
        }
    }

    /// Weights of `before` elements for each of `after`, row by row.
    pub(super) fn matrix(self, before: usize, after: usize, antialias: bool) -> Vec<f64> {
        let mut matrix = vec![0.0; before * after];
        for (to, row) in matrix.chunks_exact_mut(before.max(1)).enumerate() {
            match self {
                Self::Area => self.area(row, to, before as f64 / after as f64),
                Self::Cubic if !antialias => cubic(row, to, before as f64 / after as f64),
                _ => self.spread(row, to, before as f64 / after as f64, antialias),
            }
        }
        matrix
    }

    fn spread(self, row: &mut [f64], to: usize, step: f64, antialias: bool) {
        let wider = if antialias { step.max(1.0) } else { 1.0 };
        let centre = (to as f64 + 0.5) * step;
        for (from, weight) in row.iter_mut().enumerate() {
            *weight = self.at((from as f64 + 0.5 - centre) / wider);
        }
        normalise(row);
    }

    fn area(self, row: &mut [f64], to: usize, step: f64) {
        let (start, end) = (to as f64 * step, (to as f64 + 1.0) * step);
        for (from, weight) in row.iter_mut().enumerate() {
            let covered = end.min(from as f64 + 1.0) - start.max(from as f64);
            *weight = covered.max(0.0) / step;
        }
    }
}

/// Four neighbours; those beyond the ends do not count, and the others count more for it.
#[expect(clippy::cast_possible_truncation, reason = "positions are those of elements")]
fn cubic(row: &mut [f64], to: usize, step: f64) {
    const STEPS: f64 = 1024.0;
    // Positions are f32 there, which decides which step of the table is the nearest.
    let position = (to as f32 + 0.5) * (step as f32) - 0.5;
    let below = position.floor();
    let offset = f64::from((position - below) * STEPS as f32).round_ties_even() / STEPS;
    for (from, weight) in row.iter_mut().enumerate() {
        *weight = match from as i64 - below as i64 {
            -1 => Filter::KeysCubic.at(1.0 + offset),
            0 => Filter::KeysCubic.at(offset),
            1 => Filter::KeysCubic.at(1.0 - offset),
            2 => Filter::KeysCubic.at(2.0 - offset),
            _ => 0.0,
        };
    }
    normalise(row);
}

fn normalise(row: &mut [f64]) {
    let sum: f64 = row.iter().sum();
    if sum.abs() >= 1000.0 * f64::from(f32::MIN_POSITIVE) {
        row.iter_mut().for_each(|weight| *weight /= sum);
    }
}

/// The rows that each of `after` adaptive windows over `before` covers: first, and one past the last.
pub(super) fn windows(before: usize, after: usize) -> Vec<[usize; 2]> {
    let end = |at: usize| ((at + 1) * before).div_ceil(after.max(1));
    (0..after).map(|at| [at * before / after.max(1), end(at)]).collect()
}

/// The means of adaptive windows as a matrix.
pub(super) fn means(before: usize, after: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; before * after];
    for (row, [start, end]) in matrix.chunks_exact_mut(before.max(1)).zip(windows(before, after)) {
        let length = (end - start) as f64;
        row[start..end].iter_mut().for_each(|weight| *weight = 1.0 / length);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_weights_is_a_mean() {
        let filters = [Filter::Triangle, Filter::Cubic, Filter::MitchellCubic, Filter::Lanczos(3.0), Filter::Gaussian];
        for filter in filters.into_iter().chain([Filter::Area, Filter::KeysCubic, Filter::Lanczos(5.0)]) {
            for (before, after, antialias) in [(7, 3, true), (7, 3, false), (4, 9, false), (5, 5, true)] {
                for row in filter.matrix(before, after, antialias).chunks_exact(before) {
                    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{filter:?} {before} {after}: {row:?}");
                }
            }
        }
    }

    #[test]
    fn half_as_many_are_means_of_two_and_windows_overlap_where_sizes_do_not_divide() {
        assert_eq!(Filter::Area.matrix(4, 2, false), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        assert_eq!(windows(16, 5), [[0, 4], [3, 7], [6, 10], [9, 13], [12, 16]]);
        assert_eq!(means(3, 2), [0.5, 0.5, 0.0, 0.0, 0.5, 0.5]);
    }
}
