//! Prefixes that wrappers put before the names of a network.
//!
//! `module.` of DataParallel, `_orig_mod.` of torch.compile, the attribute of whatever module holds the network. Nothing is assumed about their names:
//! a prefix is what all names share, or what most of them share while the rest is one dense layer, the classifier.

use std::collections::BTreeMap;

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::Unused;
use residua_resnet::recognise;
use residua_resnet::recognise::{Entry, Given, Mismatch, Recognised};

/// More levels of wrappers than anybody has.
const LEVELS: usize = 16;

/// A network that was told from a state dict.
pub(super) struct Network<'a> {
    pub(super) dict: &'a StateDict,
    pub(super) recognised: Recognised,
    /// What was stripped from the start of all names.
    pub(super) prefix: String,
    /// The tensors that [`Recognised::slots`] count.
    pub(super) names: Vec<&'a NamedTensor>,
    pub(super) notes: Vec<String>,
    pub(super) unused: Vec<Unused>,
}

/// Why a state dict is no network.
#[derive(Debug, Default)]
pub(super) struct Failure {
    pub(super) mismatches: Vec<Mismatch>,
    /// Prefix under which a network was found, and names that lie outside of it.
    pub(super) outside: Option<(String, Vec<String>)>,
}

/// What tools leave beside weights, and no function reads.
fn by_product(name: &str, shape: &[usize]) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or(name);
    match last {
        "total_ops" | "total_params" => Some("a count that a profiler left"),
        "n_averaged" => Some("how many models were averaged"),
        "queue_ptr" if shape.len() <= 1 => Some("where training was in its queue"),
        "_extra_state" => Some("extra state of a module"),
        _ => None,
    }
}

/// A name without the segments that torch.compile puts anywhere.
pub(super) fn uncompiled(name: &str) -> String {
    name.split('.').filter(|segment| *segment != "_orig_mod").collect::<Vec<_>>().join(".")
}

/// Tells the network of a state dict. With `part`, only of the tensors under this prefix.
pub(super) fn network<'a>(dict: &'a StateDict, part: Option<&str>, given: &Given) -> Result<Network<'a>, Failure> {
    let mut unused = Vec::new();
    let mut named: Vec<(String, &NamedTensor)> = Vec::new();
    for tensor in &dict.tensors {
        let name = uncompiled(&tensor.name);
        let inside = part.is_none_or(|part| {
            tensor.name.strip_prefix(part).or(name.strip_prefix(part)).is_some_and(|rest| rest.starts_with('.'))
        });
        let reason = match (inside, by_product(&name, tensor.tensor.shape())) {
            (false, _) => Some(format!("it lies outside of `{}`, which was asked for", part.unwrap_or_default())),
            (true, Some(reason)) => Some(reason.to_owned()),
            (true, None) => None,
        };
        match reason {
            Some(reason) => unused.push(Unused { location: tensor.name.clone(), reason }),
            None => named.push((name, tensor)),
        }
    }
    let mut failure = Failure::default();
    let mut prefix = String::new();
    let mut nearly = None;
    for _ in 0..LEVELS {
        match attempt(&named, &prefix, given) {
            Ok(recognised) if recognised.exact => return Ok(stripped(dict, &named, prefix, recognised, unused)),
            // Behind a longer prefix the classifier may have the name that the layout gives it.
            Ok(recognised) => nearly = Some((prefix.clone(), recognised)),
            Err(mismatches) => failure.mismatches.extend(mismatches),
        }
        match next_prefix(&named, &prefix) {
            Some(longer) => prefix = longer,
            None => break,
        }
    }
    if let Some((prefix, recognised)) = nearly {
        return Ok(stripped(dict, &named, prefix, recognised, unused));
    }
    failure.mismatches.sort_by_key(|mismatch| std::cmp::Reverse(mismatch.named));
    failure.mismatches.dedup_by(|a, b| a.class == b.class);
    failure.outside = outside(&named, given);
    Err(failure)
}

fn stripped<'a>(
    dict: &'a StateDict,
    named: &[(String, &'a NamedTensor)],
    prefix: String,
    recognised: Recognised,
    unused: Vec<Unused>,
) -> Network<'a> {
    let compiled = dict.tensors.iter().any(|tensor| tensor.name.contains("_orig_mod."));
    let parts = [compiled.then(|| "`_orig_mod.`".to_owned()), (!prefix.is_empty()).then(|| format!("`{prefix}`"))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let notes = match parts.is_empty() {
        true => Vec::new(),
        false => vec![format!("stripped from the names of tensors: {}", parts.join(" and "))],
    };
    let names = named.iter().map(|(_, tensor)| *tensor).collect();
    Network { dict, recognised, prefix, names, notes, unused }
}

/// The entries of a state dict with a prefix stripped; names outside of it stay as they are.
fn attempt(named: &[(String, &NamedTensor)], prefix: &str, given: &Given) -> Result<Recognised, Vec<Mismatch>> {
    let entries: Vec<Entry> = named
        .iter()
        .map(|(name, tensor)| Entry {
            name: name.strip_prefix(prefix).unwrap_or(name).to_owned(),
            shape: tensor.tensor.shape().to_vec(),
        })
        .collect();
    recognise(&entries, given)
}

/// A prefix longer by the segment that most names behind this one have next.
fn next_prefix(named: &[(String, &NamedTensor)], prefix: &str) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let inside: Vec<&str> = named.iter().filter_map(|(name, _)| name.strip_prefix(prefix)).collect();
    for name in &inside {
        if let Some((segment, _)) = name.split_once('.') {
            *counts.entry(segment).or_default() += 1;
        }
    }
    let (segment, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    // Stages of a network are segments too; none of them has most of the tensors beside the others.
    (count * 2 > inside.len()).then(|| format!("{prefix}{segment}."))
}

/// Where a part of the names is a network and the rest is not: the prefix of that part, and the rest.
fn outside(named: &[(String, &NamedTensor)], given: &Given) -> Option<(String, Vec<String>)> {
    let mut prefixes: Vec<String> = Vec::new();
    for (name, _) in named {
        let mut end = 0;
        for (at, _) in name.match_indices('.').take(4) {
            end = at + 1;
            let prefix = name[..end].to_owned();
            if !prefixes.contains(&prefix) && prefixes.len() < 64 {
                prefixes.push(prefix);
            }
        }
        debug_assert!(end <= name.len());
    }
    prefixes.into_iter().find_map(|prefix| {
        let (inside, rest): (Vec<_>, Vec<_>) = named.iter().cloned().partition(|(name, _)| name.starts_with(&prefix));
        let found = inside.len() > 4 && !rest.is_empty() && attempt(&inside, &prefix, given).is_ok();
        found.then(|| (prefix.trim_end_matches('.').to_owned(), rest.into_iter().map(|(name, _)| name).collect()))
    })
}
