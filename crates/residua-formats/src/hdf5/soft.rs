//! Soft links, put into the tree when all else is listed: each leads to a path, and may lead through others.
//!
//! Invariant: what a link leads to is complete, without links that are still open, before it is copied to the link's place.
//! Each link is looked at twice at most for each that it waits for, so that a chain of links takes time in proportion to it.

use std::collections::{BTreeMap, BTreeSet};

use residua_ir::budget::Limit;

use super::{Group, Tally, join};
use crate::FormatError;
use crate::error::Result;

/// Links that are not in the tree yet: where each stands, and the path that it leads to.
#[derive(Default)]
pub(super) struct SoftLinks(BTreeMap<String, String>);

/// What became of a link that was looked at.
enum Step {
    /// It is in the tree.
    Placed,
    /// The link at this place has to be in the tree first.
    WaitsFor(String),
}

impl SoftLinks {
    /// Remembers a link.
    pub(super) fn add(&mut self, place: String, path: String) -> Result<()> {
        let again = self.0.contains_key(&place);
        if again {
            return Err(FormatError::malformed(place, "a name of its own for each link", "a second one"));
        }
        self.0.insert(place, path);
        Ok(())
    }

    /// Puts what the links lead to in their places.
    pub(super) fn follow(mut self, root: &mut Group, tally: &mut Tally) -> Result<()> {
        while let Some(place) = self.0.keys().next().cloned() {
            let (mut waiting, mut on_the_way) = (vec![place.clone()], BTreeSet::from([place]));
            while let Some(place) = waiting.last() {
                match self.step(root, tally, place)? {
                    Step::Placed => {
                        self.0.remove(place);
                        waiting.pop();
                    }
                    Step::WaitsFor(other) if on_the_way.insert(other.clone()) => waiting.push(other),
                    Step::WaitsFor(_) => return Err(self.refused(place, "which leads back to it")),
                }
            }
        }
        Ok(())
    }

    fn path(&self, place: &str) -> &str {
        self.0.get(place).map_or("", String::as_str)
    }

    fn refused(&self, place: &str, why: &str) -> FormatError {
        let found = format!("a soft link to `{}`, {why}", self.path(place));
        FormatError::malformed(place, "a group or a dataset", found)
    }

    fn step(&self, root: &mut Group, tally: &mut Tally, place: &str) -> Result<Step> {
        let path = self.path(place);
        let holder = place.rsplit_once('/').map_or("", |(holder, _)| holder);
        let start = if path.starts_with('/') { "" } else { holder };
        let names = start.split('/').chain(path.split('/')).filter(|name| !matches!(*name, "" | "."));
        let to = names.collect::<Vec<_>>().join("/");
        if to.is_empty() || format!("{place}/").starts_with(&format!("{to}/")) {
            return Err(self.refused(place, "which holds it"));
        }
        if let Some(dataset) = root.dataset(&to).cloned() {
            tally.count(place, 1, dataset.path.len())?;
            tally.dataset(&dataset)?;
            return self.put(root, place, |holder, name| holder.datasets.insert(name, dataset).is_none());
        }
        let Some(group) = root.group(&to) else { return self.missing(root, place, &to) };
        let within = format!("{to}/");
        if let Some((inner, _)) = self.0.range(within.clone()..).next().filter(|(inner, _)| inner.starts_with(&within))
        {
            return Ok(Step::WaitsFor(inner.clone()));
        }
        let (objects, text) = group.size();
        tally.count(place, objects, text)?;
        group.all_datasets().into_iter().try_for_each(|dataset| tally.dataset(dataset))?;
        FormatError::check(place, Limit::Nesting, (place.split('/').count() + group.depth() - 1) as u64)?;
        let group = group.clone();
        self.put(root, place, |holder, name| holder.groups.insert(name, group).is_none())
    }

    fn put(&self, root: &mut Group, place: &str, insert: impl FnOnce(&mut Group, String) -> bool) -> Result<Step> {
        let (holder, name) = place.rsplit_once('/').unwrap_or(("", place));
        // The group that a link stands in was listed before the link was.
        let Some(holder) = root.group_mut(holder) else { return Err(self.refused(place, "in no group")) };
        let taken = holder.groups.contains_key(name) || holder.datasets.contains_key(name);
        if taken || !insert(holder, name.to_owned()) {
            return Err(FormatError::malformed(place, "a name of its own for each link", "a second one"));
        }
        Ok(Step::Placed)
    }

    /// The first link on the way to a path where there is nothing yet.
    fn missing(&self, root: &Group, place: &str, to: &str) -> Result<Step> {
        let mut above = String::new();
        for name in to.split('/') {
            above = join(&above, name);
            if root.group(&above).is_some() {
                continue;
            }
            return match self.0.contains_key(&above) {
                true => Ok(Step::WaitsFor(above)),
                false => Err(self.refused(place, "where there is nothing")),
            };
        }
        Err(self.refused(place, "where there is nothing"))
    }
}

#[cfg(test)]
mod tests {
    use residua_tests::{Object, hdf5};

    use super::super::open;

    #[test]
    fn links_are_followed_through_each_other_whatever_their_order() {
        let group = |name: &str, links: Vec<(String, Object)>| (name.to_owned(), Object::group(links));
        let soft = |name: &str, to: &str| (name.to_owned(), Object::Soft(to.to_owned()));
        // Through another link, into a group with a link in it that comes later, by `.`, and beside the link itself.
        let links = vec![
            soft("a", "/b/dense"),
            soft("b", "./real"),
            group("real", vec![group("dense", vec![soft("vars", "/zz/vars"), soft("again", "vars/0")])]),
            group("zz", vec![group("vars", vec![("0".to_owned(), Object::Dataset(vec![3, 2]))])]),
        ];
        let root = open(hdf5(&Object::group(links)).into()).unwrap();
        for path in ["a/vars/0", "b/dense/vars/0", "real/dense/vars/0", "a/again", "b/dense/again", "zz/vars/0"] {
            assert_eq!(root.dataset(path).map(|dataset| dataset.path.as_str()), Some("zz/vars/0"), "{path}");
        }
    }
}
