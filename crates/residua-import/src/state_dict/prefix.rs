//! Prefixes that wrappers put before the names of a network.
//!
//! `module.` of DataParallel, `_orig_mod.` of torch.compile, the attribute of whatever module holds the network. Nothing is assumed about their names:
//! a prefix is what all names share, or what most of them share while the rest is one dense layer, the classifier. Where more than that lies beside a
//! network, its parts are looked through for it ([`bodies`]).

use std::collections::BTreeMap;

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::Unused;
use residua_resnet::nearest::{Nearest, nearest};
use residua_resnet::recognise;
use residua_resnet::recognise::{Entry, Given, Mismatch, Recognised};

use super::bodies;
use super::network::{Asked, Failure, Near, Network, uncompiled};
use crate::preparation::says_values;

/// More levels of wrappers than anybody has.
const LEVELS: usize = 16;

/// Classes of whole networks, whose own names begin at their module.
const NETWORKS: [&str; 3] =
    ["torchvision.models.resnet.ResNet", "timm.models.resnet.ResNet", "timm.models.resnetv2.ResNetV2"];

/// What stands before the names of the only module that is a network by its class, with the dot.
pub(super) fn root(dict: &StateDict, part: Option<&str>) -> Option<String> {
    let inside = |path: &str| part.is_none_or(|part| format!("{path}.").starts_with(&format!("{part}.")));
    let mut roots = dict.modules.iter().filter(|module| NETWORKS.contains(&module.class.as_str()));
    let mut roots = roots.by_ref().map(|module| uncompiled(&module.path)).filter(|path| inside(path));
    match (roots.next(), roots.next()) {
        (Some(root), None) if root.is_empty() => Some(root),
        (Some(root), None) => Some(format!("{root}.")),
        _ => None,
    }
}

/// What tools leave beside weights, and no function reads.
pub(super) fn by_product(name: &str, shape: &[usize]) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if says_values(name, shape) {
        return Some("what images are scaled by, which is told beside the network");
    }
    match last {
        "total_ops" | "total_params" => Some("a count that a profiler left"),
        "n_averaged" => Some("how many models were averaged"),
        "queue_ptr" if shape.len() <= 1 => Some("where training was in its queue"),
        "_extra_state" => Some("extra state of a module"),
        _ => None,
    }
}

/// Tells the network of a state dict. With `part`, only of the tensors under this prefix.
pub(super) fn network<'a>(dict: &'a StateDict, part: Option<&str>, asked: &Asked) -> Result<Network<'a>, Failure> {
    let (named, unused) = inside(dict, part);
    let mut mismatches = Vec::new();
    let part = part.map(uncompiled);
    let root = root(dict, part.as_deref());
    if asked.head_from.is_none() {
        match whole(dict, &named, asked.given, root.as_deref()) {
            Ok(network) => return Ok(Network { unused, part, ..network }),
            Err(why) => mismatches = why,
        }
    }
    match bodies::network(dict, &named, asked, root.as_deref()) {
        Ok(mut network) => {
            network.unused.extend(unused);
            Ok(Network { part, ..network })
        }
        Err(failure) => Err(Failure { mismatches, nearest: near(&named, asked.given), ..failure }),
    }
}

/// The model class that the tensors come nearest to, behind whichever prefix.
fn near(named: &[(String, &NamedTensor)], given: &Given) -> Option<Box<Near>> {
    let mut best: Option<(String, Nearest)> = None;
    let mut prefix = Some(String::new());
    for _ in 0..LEVELS {
        let Some(now) = prefix else { break };
        prefix = next_prefix(named, &now);
        let Some(nearest) = nearest(&entries(named, &now), given) else { continue };
        if best.as_ref().is_none_or(|(_, best)| nearest.placed > best.placed) {
            best = Some((now, nearest));
        }
    }
    let (prefix, nearest) = best?;
    let names = named.iter().map(|(_, tensor)| tensor.name.clone()).collect();
    Some(Box::new(Near { prefix, names, nearest }))
}

/// The tensors that may be the network's, under their names as the class has them, and those that are not.
fn inside<'a>(dict: &'a StateDict, part: Option<&str>) -> (Vec<(String, &'a NamedTensor)>, Vec<Unused>) {
    let mut unused = Vec::new();
    let mut named: Vec<(String, &NamedTensor)> = Vec::new();
    for tensor in &dict.tensors {
        let name = uncompiled(&tensor.name);
        let reason = match (part.filter(|part| !lies_in(tensor, part)), by_product(&name, tensor.tensor.shape())) {
            (Some(part), _) => Some(format!("it lies outside of `{part}`, which was asked for")),
            (None, Some(reason)) => Some(reason.to_owned()),
            (None, None) => None,
        };
        match reason {
            Some(reason) => unused.push(Unused { location: tensor.name.clone().into(), reason }),
            None => named.push((name, tensor)),
        }
    }
    (named, unused)
}

/// Whether a tensor's name starts with a path, with or without what torch.compile puts into it.
pub(super) fn lies_in(tensor: &NamedTensor, path: &str) -> bool {
    let within = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    within(&tensor.name) || within(&uncompiled(&tensor.name))
}

/// The network that all of these tensors are.
fn whole<'a>(
    dict: &'a StateDict,
    named: &[(String, &'a NamedTensor)],
    given: &Given,
    root: Option<&str>,
) -> Result<Network<'a>, Vec<Mismatch>> {
    let mut mismatches: Vec<Mismatch> = Vec::new();
    let mut prefix = String::new();
    let mut nearly = None;
    for _ in 0..LEVELS {
        let attempt = match root.is_none_or(|root| root == prefix) {
            true => attempt(named, &prefix, given),
            false => Err(Vec::new()),
        };
        match attempt {
            Ok(recognised) if recognised.exact => return Ok(stripped(dict, named, prefix, recognised)),
            // Behind a longer prefix the classifier may have the name that the layout gives it.
            Ok(recognised) => nearly = Some((prefix.clone(), recognised)),
            Err(why) => mismatches.extend(why),
        }
        match next_prefix(named, &prefix) {
            Some(longer) => prefix = longer,
            None => break,
        }
    }
    if let Some((prefix, recognised)) = nearly {
        return Ok(stripped(dict, named, prefix, recognised));
    }
    mismatches.sort_by_key(|mismatch| std::cmp::Reverse(mismatch.named));
    mismatches.dedup_by(|a, b| a.class == b.class);
    Err(mismatches)
}

fn stripped<'a>(
    dict: &'a StateDict,
    named: &[(String, &'a NamedTensor)],
    prefix: String,
    recognised: Recognised,
) -> Network<'a> {
    let compiled = dict.tensors.iter().any(|tensor| tensor.name.contains("_orig_mod."));
    let parts = [compiled.then(|| "`_orig_mod.`".to_owned()), (!prefix.is_empty()).then(|| format!("`{prefix}`"))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let notes = match parts.is_empty() {
        true => Vec::new(),
        false => vec![format!("stripped from the names of tensors: {}", parts.join(" and "))],
    };
    let names = named.iter().map(|(_, tensor)| *tensor).collect();
    Network {
        dict,
        recognised,
        prefix,
        names,
        notes,
        unused: Vec::new(),
        heads: BTreeMap::new(),
        apart: Vec::new(),
        part: None,
    }
}

/// The entries of a state dict with a prefix stripped; names outside of it stay as they are.
fn entries(named: &[(String, &NamedTensor)], prefix: &str) -> Vec<Entry> {
    named
        .iter()
        .map(|(name, tensor)| Entry {
            name: name.strip_prefix(prefix).unwrap_or(name).to_owned(),
            shape: tensor.tensor.shape().to_vec(),
        })
        .collect()
}

fn attempt(named: &[(String, &NamedTensor)], prefix: &str, given: &Given) -> Result<Recognised, Vec<Mismatch>> {
    recognise(&entries(named, prefix), given)
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
