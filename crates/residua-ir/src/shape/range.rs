//! Which elements a slice takes of an axis.

/// Bounds and step as Python's slices have them; a bound below 0 counts from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First index.
    pub start: i64,
    /// One past the last index, in the direction of the step; `None` is all the way.
    pub end: Option<i64>,
    /// Step, not 0.
    pub step: i64,
}

/// Elements of an axis, evenly spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The first of them; 0 where there is none.
    pub first: usize,
    /// How many.
    pub count: usize,
}

impl Range {
    /// What it takes of an axis of this size. Bounds beyond an end are that end.
    #[must_use]
    pub fn of(self, size: usize) -> Taken {
        let nothing = Taken { first: 0, count: 0 };
        let Ok(len) = i64::try_from(size) else { return nothing };
        if len == 0 {
            return nothing;
        }
        let place = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
        let forwards = self.step > 0;
        let start = place(self.start).clamp(0, if forwards { len } else { len - 1 });
        let end = match (self.end, forwards) {
            (Some(end), true) => place(end).clamp(0, len),
            (Some(end), false) => place(end).clamp(-1, len - 1),
            (None, true) => len,
            (None, false) => -1,
        };
        let span = if forwards { end - start } else { start - end };
        if span <= 0 || self.step == 0 {
            return nothing;
        }
        let count = (span.unsigned_abs() - 1) / self.step.unsigned_abs() + 1;
        match (usize::try_from(start), usize::try_from(count)) {
            (Ok(first), Ok(count)) => Taken { first, count },
            _ => nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_takes_what_python_takes() {
        let list: Vec<i64> = (0..5).collect();
        for (start, end, step, expected) in [
            (0, None, 1, &[0, 1, 2, 3, 4][..]),
            (1, Some(4), 2, &[1, 3]),
            (-2, None, 1, &[3, 4]),
            (0, Some(-1), 1, &[0, 1, 2, 3]),
            (-1, None, -1, &[4, 3, 2, 1, 0]),
            (3, Some(0), -2, &[3, 1]),
            (20, Some(-20), -2, &[4, 2, 0]),
            (9, Some(99), 1, &[]),
            (2, Some(2), 1, &[]),
            (0, Some(i64::MAX), i64::MAX, &[0]),
            (i64::MAX, Some(i64::MIN), i64::MIN, &[4]),
        ] {
            let taken = Range { start, end, step }.of(5);
            let first = i64::try_from(taken.first).unwrap();
            let found: Vec<i64> =
                (0..taken.count).map(|i| list[usize::try_from(first + i as i64 * step.max(-9)).unwrap()]).collect();
            assert_eq!(found, expected, "{start}:{end:?}:{step}");
        }
        assert_eq!(Range { start: 0, end: None, step: 1 }.of(0), Taken { first: 0, count: 0 });
    }
}
