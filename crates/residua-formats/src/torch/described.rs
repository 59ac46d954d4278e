//! Storages as the persistent identifiers of a pickle describe them: key, class, size.

use std::collections::HashSet;

use residua_ir::budget::Limit;

use super::storage::element_size;
use crate::FormatError;
use crate::error::Result;
use crate::pickle::{Id, Pickle};

/// Key of a storage that a persistent identifier names: `("storage", class, key, device, elements, …)`, or a number.
pub(super) fn storage_key(pickle: &Pickle, id: Id) -> Option<String> {
    let name = |id| pickle.text(id).filter(|key| key.len() <= Limit::PickleNameBytes.most_here()).map(str::to_owned);
    if let Some(items) = pickle.sequence(id) {
        return match items {
            [kind, _, key, rest @ ..] if pickle.text(*kind) == Some("storage") => {
                // A storage that is part of another one has a key of its own.
                let view = rest.get(2).and_then(|&view| pickle.sequence(view)).and_then(|view| view.first());
                name(*view.unwrap_or(key))
            }
            _ => None,
        };
    }
    pickle.int(id).map(|key| key.to_string()).or_else(|| name(id))
}

/// A storage as a persistent identifier describes it.
pub(super) struct Described {
    pub(super) key: String,
    /// Class without its module.
    pub(super) class: String,
    /// Elements.
    pub(super) count: u64,
    /// For a view on another storage: that storage's key, first element and number of elements.
    pub(super) view: Option<(String, u64, u64)>,
}

impl Described {
    /// Bytes, where the class is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.count.checked_mul(element_size(&self.class)? as u64)
    }
}

/// All storages that a pickle's persistent identifiers describe, in their order.
pub(super) fn described(pickle: &Pickle, at: &str) -> Result<Vec<Described>> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for id in pickle.persistent() {
        if !seen.insert(id) {
            continue;
        }
        let Some(items) = pickle.sequence(id) else { continue };
        let kind = items.first().and_then(|&kind| pickle.text(kind));
        match (kind, items) {
            (Some("storage"), &[_, class, key, _, count, ..]) => {
                let malformed = |expected: &str, id| FormatError::malformed(at, expected, pickle.describe(id));
                let name = pickle.global(class).or_else(|| pickle.text(class));
                let name = name.ok_or_else(|| malformed("the class of a storage", class))?;
                let short = pickle.text(key).filter(|key| key.len() <= Limit::PickleNameBytes.most_here());
                let key = short.ok_or_else(|| malformed("the key of a storage", key))?.to_owned();
                let number = |id: Id| pickle.int(id).and_then(|n| u64::try_from(n).ok());
                let count = number(count).ok_or_else(|| malformed("the size of a storage", count))?;
                let view = items.get(5).and_then(|&view| match pickle.sequence(view) {
                    Some(&[key, offset, size]) => Some((pickle.text(key)?.to_owned(), number(offset)?, number(size)?)),
                    Some(_) | None => None,
                });
                let class = name.rsplit('.').next().unwrap_or(name).to_owned();
                all.push(Described { key, class, count, view });
            }
            // A class with its source, which is not looked at.
            (Some("module"), _) => {}
            _ => return Err(FormatError::malformed(at, "a storage", "a reference to something else")),
        }
    }
    Ok(all)
}
