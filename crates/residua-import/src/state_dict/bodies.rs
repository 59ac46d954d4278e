//! Networks beside heads: every part of a state dict that is one, whatever lies beside it.
//!
//! Invariant: what is left out of a network is listed as unused with the reason, and noted.

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::Unused;
use residua_resnet::body::recognise_body;
use residua_resnet::recipe::{Head, HeadPool};
use residua_resnet::recognise::{Entry, Recognised};

use super::fastai;
use super::heads::{Modules, are_heads, module_of};
use super::network::{Asked, Failure, Network, Outside, shared};

/// Levels of modules above a network.
const LEVELS: usize = 8;
/// Parts of a state dict that are tried.
const TRIED: usize = 128;
/// Fewer tensors are no network.
const TENSORS: usize = 8;
/// Modules that are named where heads are left out.
const SHOWN: usize = 8;

/// A part of a state dict that is a network.
struct Body {
    /// What stands before its names, with the dot.
    prefix: String,
    recognised: Recognised,
    /// The tensors that [`Recognised::slots`] count.
    entries: Vec<usize>,
    /// Tensors under its prefix that are none of its own.
    left: Vec<usize>,
    /// Channels that it gives.
    features: usize,
}

/// The one network among these tensors, if there is one and all else can be left out.
pub(super) fn network<'a>(
    dict: &'a StateDict,
    named: &[(String, &'a NamedTensor)],
    asked: &Asked,
    root: Option<&str>,
) -> Result<Network<'a>, Failure> {
    let mut bodies = all(named, asked, root);
    let Some(body) = bodies.pop() else { return Err(Failure::default()) };
    if !bodies.is_empty() {
        bodies.push(body);
        let several = bodies.iter().map(|body| {
            let own = body.recognised.slots.values().map(|&index| named[body.entries[index]].0.as_str());
            shared(own)
        });
        return Err(Failure { several: several.collect(), ..Failure::default() });
    }
    let cut = |name: &str| asked.head_from.is_some_and(|head| cuts(name, &body.prefix, head));
    let outside: Vec<usize> = (0..named.len()).filter(|&index| !named[index].0.starts_with(&body.prefix)).collect();
    let foreign: Vec<usize> = outside.iter().copied().filter(|&index| !cut(&named[index].0)).collect();
    let beside = modules(named, &body.prefix, foreign.iter().chain(&body.left).copied());
    // Modules say what takes the classes of the network; of tensors alone nobody can know that they are no other network's.
    let classes = body.recognised.recipe.head.as_ref().and_then(Head::classes).filter(|_| !dict.modules.is_empty());
    let tensors = || named.iter().map(|(name, tensor)| (name.as_str(), *tensor));
    let known = || dict.modules.is_empty() && fastai::head(tensors(), &body.prefix, body.features).is_some();
    if !foreign.is_empty() && !are_heads(&beside, &[Some(body.features), classes]) && !known() {
        let names = foreign.iter().map(|&index| named[index].0.clone()).collect();
        let prefix = body.prefix.trim_end_matches('.').to_owned();
        return Err(Failure { outside: Some(Outside { prefix, names }), ..Failure::default() });
    }
    Ok(taken(dict, named, body, &outside))
}

/// All parts that are networks, none within another.
fn all(named: &[(String, &NamedTensor)], asked: &Asked, root: Option<&str>) -> Vec<Body> {
    let mut bodies: Vec<Body> = Vec::new();
    for prefix in prefixes(named) {
        if !bodies.iter().any(|body| prefix.starts_with(&body.prefix)) {
            bodies.extend(at(named, prefix, asked, root));
        }
    }
    bodies
}

/// What stands before enough names to be a network's, the shortest first.
fn prefixes(named: &[(String, &NamedTensor)]) -> Vec<String> {
    let mut parts: BTreeMap<(usize, &str), (usize, BTreeSet<&str>)> = BTreeMap::new();
    for (name, _) in named {
        let ends = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
        for (level, end) in ends.take(LEVELS).enumerate() {
            let (count, next) = parts.entry((level, &name[..end])).or_default();
            *count += 1;
            next.insert(name[end..].split('.').next().unwrap_or_default());
        }
    }
    let large = parts.into_iter().filter(|(_, (count, next))| *count >= TENSORS && next.len() > 1);
    large.take(TRIED).map(|((_, prefix), _)| prefix.to_owned()).collect()
}

/// The network under a prefix.
fn at(named: &[(String, &NamedTensor)], prefix: String, asked: &Asked, root: Option<&str>) -> Option<Body> {
    if root.is_some_and(|root| root != prefix) {
        return None;
    }
    let cut = |name: &str| asked.head_from.is_some_and(|head| cuts(name, &prefix, head));
    if asked.head_from.is_some() && !named.iter().any(|(name, _)| cut(name)) {
        return None;
    }
    let inside = (0..named.len()).filter(|&index| named[index].0.starts_with(&prefix));
    let (cut, entries): (Vec<usize>, Vec<usize>) = inside.partition(|&index| cut(&named[index].0));
    // Some layouts name the module that the network is in (`backbone.`).
    let above = prefix.trim_end_matches('.').rfind('.').map_or("", |dot| &prefix[..=dot]);
    let views = if prefix.is_empty() || root.is_some() { vec![prefix.as_str()] } else { vec![above, &prefix] };
    let features = std::cell::Cell::new(0);
    let body = views.into_iter().find_map(|view| {
        let entry = |&index: &usize| Entry {
            name: named[index].0.strip_prefix(view).unwrap_or(&named[index].0).to_owned(),
            shape: named[index].1.tensor.shape().to_vec(),
        };
        let stripped: Vec<Entry> = entries.iter().map(entry).collect();
        recognise_body(&stripped, asked.given, asked.head_from.is_some(), &|left, gives| {
            features.set(gives);
            let left = left.iter().map(|&index| entries[index]);
            let twice = asked.given.head_pool == Some(HeadPool::Both);
            let takes = if twice { gives.saturating_mul(2) } else { gives };
            asked.head_from.is_some() || are_heads(&modules(named, &prefix, left), &[Some(takes)])
        })
    })?;
    let left = body.left.iter().map(|&index| entries[index]).chain(cut).collect();
    Some(Body { prefix, recognised: body.recognised, entries, left, features: features.get() })
}

/// Whether a tensor is of the head that begins at a module, which is named from the network or from anything around it.
pub(super) fn cuts(name: &str, prefix: &str, head: &str) -> bool {
    let ends = std::iter::once(0).chain(prefix.match_indices('.').map(|(at, _)| at + 1));
    let mut rests = ends.filter_map(|end| name.strip_prefix(&prefix[..end]));
    rests.any(|rest| rest.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn modules(named: &[(String, &NamedTensor)], prefix: &str, indices: impl Iterator<Item = usize>) -> Modules {
    let mut modules = Modules::new();
    for index in indices {
        let (name, tensor) = &named[index];
        modules.entry(module_of(name, prefix)).or_default().push(tensor.tensor.shape().to_vec());
    }
    modules
}

/// The network of a body, with the tensors beside it listed.
fn taken<'a>(dict: &'a StateDict, named: &[(String, &'a NamedTensor)], body: Body, outside: &[usize]) -> Network<'a> {
    let Body { prefix, mut recognised, entries, mut left, .. } = body;
    left.extend(outside);
    left.sort_unstable();
    let mut heads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for &index in &left {
        heads.entry(module_of(&named[index].0, &prefix)).or_default().push(named[index].1.name.clone());
    }
    let unused = left.iter().map(|&index| Unused {
        location: named[index].1.name.clone().into(),
        reason: format!("it is of the head `{}`, which was left out", module_of(&named[index].0, &prefix)),
    });
    let unused = unused.collect();
    // Only the network's own tensors are counted from here on.
    let own: Vec<usize> = (0..entries.len()).filter(|&index| left.binary_search(&entries[index]).is_err()).collect();
    let moved: BTreeMap<usize, usize> = own.iter().enumerate().map(|(now, &before)| (before, now)).collect();
    recognised.slots = std::mem::take(&mut recognised.slots)
        .into_iter()
        .filter_map(|(slot, index)| Some((slot, *moved.get(&index)?)))
        .collect();
    let names = own.iter().map(|&index| named[entries[index]].1).collect();
    Network { dict, recognised, prefix, names, notes: Vec::new(), unused, heads, apart: Vec::new(), part: None }
}

/// Says what was left out of a network, where anything was.
pub(super) fn left_out(heads: &BTreeMap<String, Vec<String>>) -> Option<String> {
    if heads.is_empty() {
        return None;
    }
    let shown = heads.iter().take(SHOWN).map(|(module, tensors)| {
        let plural = if tensors.len() == 1 { "" } else { "s" };
        format!("`{module}` ({} tensor{plural})", tensors.len())
    });
    let shown: Vec<String> = shown.collect();
    let more = if heads.len() > SHOWN { format!(" and {} more", heads.len() - SHOWN) } else { String::new() };
    Some(format!(
        "left out as heads that are none of the network's: {}{more}; their tensors are listed as unused",
        shown.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_named_from_anywhere_around_it() {
        let (name, prefix) = ("module.encoder.fc.0.weight", "module.encoder.");
        for head in ["fc", "encoder.fc", "module.encoder.fc", "fc.0"] {
            assert!(cuts(name, prefix, head), "{head}");
        }
        for head in ["f", "encoder", "0"] {
            assert_eq!(cuts(name, prefix, head), head == "encoder", "{head}");
        }
        assert!(cuts("module.predictor.0.weight", prefix, "predictor"));
        assert!(!cuts("module.encoder.layer1.0.se.fc.weight", prefix, "fc"));
    }
}
