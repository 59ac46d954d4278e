//! The classes are the same and in another order.

use crate::error::Result;
use residua_exec::Array;

use super::{Case, Change, Trial};

pub(super) fn trials(case: &Case<'_>) -> Result<Vec<Trial>> {
    let mut found = Vec::new();
    for (a, b) in case.state.outputs(case.settings)? {
        let Some(labels) = b.and_then(|b| same_numbers(&a, &b)) else { continue };
        let moved: Vec<usize> = (0..labels.len()).filter(|&class| labels[class] != class).collect();
        let what = match moved[..] {
            [] => continue,
            [first, second] => format!("classes {first} and {second} are swapped"),
            [..] => format!("{} of {} classes are at other places", moved.len(), labels.len()),
        };
        found.push(Trial { kind: "labels", what, change: Change::Labels(labels) });
    }
    found.truncate(1);
    Ok(found)
}

/// For each column of one array the column of the other that holds nearly the same numbers, each one once.
fn same_numbers(a: &Array, b: &Array) -> Option<Vec<usize>> {
    /// Beyond rounding and well below what tells classes apart.
    const NEAR: f64 = 1e-3;
    let &[_, classes] = a.shape() else { return None };
    if classes < 2 || a.shape() != b.shape() {
        return None;
    }
    let (x, y) = (a.to_f64(), b.to_f64());
    let spread =
        |row: &[f64]| row.iter().copied().fold(f64::MIN, f64::max) - row.iter().copied().fold(f64::MAX, f64::min);
    let first = (x.get(..classes)?, y.get(..classes)?);
    let order = |row: &[f64]| {
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by(|&i, &j| row[i].total_cmp(&row[j]));
        order
    };
    let mut labels: Vec<usize> = (0..classes).collect();
    // Classes that are the same where they are stay there; the rest are paired by rank.
    let same = |i: usize, j: usize| {
        x.chunks(classes).zip(y.chunks(classes)).all(|(x, y)| (x[i] - y[j]).abs() <= NEAR * spread(x))
    };
    let (of_a, of_b): (Vec<usize>, Vec<usize>) = (order(first.0), order(first.1));
    let of_a = of_a.into_iter().filter(|&class| !same(class, class));
    let of_b = of_b.into_iter().filter(|&class| !same(class, class));
    for (i, j) in of_a.zip(of_b) {
        if !same(i, j) {
            return None;
        }
        labels[i] = j;
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_paired_by_what_they_hold_in_every_row() {
        let a = Array::new(vec![2, 4], vec![0.0f32, 1.0, 2.0, 3.0, 9.0, 8.0, 7.0, 6.0]).unwrap();
        let b = Array::new(vec![2, 4], vec![0.0f32, 3.0, 2.0, 1.0, 9.0, 6.0, 7.0, 8.0]).unwrap();
        assert_eq!(same_numbers(&a, &b), Some(vec![0, 3, 2, 1]));
        let other = Array::new(vec![2, 4], vec![0.0f32, 3.0, 2.0, 1.0, 9.0, 8.0, 7.0, 6.0]).unwrap();
        assert_eq!(same_numbers(&a, &other), None);
    }
}
