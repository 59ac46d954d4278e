//! What most of a network's parts have, and whether the rest are few enough to be exceptions.

use std::collections::BTreeMap;

/// Fewer blocks than this have nothing in common that would mean something.
pub(crate) const LEAST: usize = 3;

/// Whether so many of so many can be taken for exceptions.
pub(crate) fn few(count: usize, total: usize) -> bool {
    total > LEAST && count <= (total / 8).max(1)
}

/// What most have.
#[derive(Debug)]
pub(crate) struct Usual<T> {
    pub(crate) value: T,
    /// How many have it.
    pub(crate) count: usize,
    /// Of how many.
    pub(crate) total: usize,
}

/// What most of these are; of equals the least.
pub(crate) fn usual<T: Ord>(values: impl IntoIterator<Item = T>) -> Option<Usual<T>> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let total = counts.values().sum();
    let (value, count) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    Some(Usual { value, count, total })
}
