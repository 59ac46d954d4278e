//! Which of the state dicts of a checkpoint is the network.

use std::collections::BTreeSet;

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::{Hint, Shown, Unused};

use super::network::{self, Asked, Failure, Network, Outside};
use super::prefix;
use super::{faults, modules, refused};
use crate::error::{Error, Result};

/// Names of state dicts in the order in which they are preferred: averaged weights first, as timm's loader does.
const PREFERRED: [&str; 14] = [
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "ema_model",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
];

/// Mismatches that are told.
const TOLD: usize = 4;

/// The network of a checkpoint.
pub(super) fn network<'a>(dicts: &'a [StateDict], which: Option<&str>, asked: &Asked) -> Result<Network<'a>> {
    let dicts: Vec<&StateDict> = dicts.iter().filter(|dict| !dict.tensors.is_empty()).collect();
    if dicts.is_empty() {
        return Err(refused::nothing(asked));
    }
    let found = Found::among(&parts(&dicts, which)?, asked);
    let mut network = match which {
        Some(which) => found.only(&dicts, which, asked)?,
        None => found.preferred(&dicts, asked)?,
    };
    network.unused.extend(of_others(&dicts, network.dict));
    Ok(network)
}

/// A state dict, or what lies under a path in it.
pub(super) struct Part<'a> {
    pub(super) dict: &'a StateDict,
    pub(super) path: Option<String>,
}

/// The parts of a checkpoint that may be the network: those that are asked for, or all.
pub(super) fn parts<'a>(dicts: &[&'a StateDict], which: Option<&str>) -> Result<Vec<Part<'a>>> {
    match which {
        Some(which) => asked_for(dicts, which),
        None => Ok(dicts.iter().map(|&dict| Part { dict, path: None }).collect()),
    }
}

/// The parts of a checkpoint that are called so: by their full paths, or, where there are none, by the ends of the state dicts' paths.
fn asked_for<'a>(dicts: &[&'a StateDict], which: &str) -> Result<Vec<Part<'a>>> {
    let which = which.trim_end_matches('.');
    let called = |name: &str, dict: &'a StateDict| -> Option<Part<'a>> {
        if name == which || name.strip_prefix(which).is_some_and(|rest| rest.starts_with('.')) {
            return Some(Part { dict, path: None });
        }
        let path = if name.is_empty() { which } else { which.strip_prefix(name)?.strip_prefix('.')? };
        let holds = dict.tensors.iter().any(|tensor| prefix::lies_in(tensor, path));
        holds.then(|| Part { dict, path: Some(path.to_owned()) })
    };
    let mut parts: Vec<Part> = dicts.iter().filter_map(|&dict| called(&dict.path, dict)).collect();
    if parts.is_empty() {
        let ends = |dict: &&'a StateDict| {
            let dict = *dict;
            let ends = dict.path.match_indices('.').map(|(at, _)| at + 1).chain([dict.path.len()]);
            ends.filter_map(|end| called(&dict.path[end..], dict)).next()
        };
        parts = dicts.iter().filter_map(ends).collect();
    }
    if parts.is_empty() {
        let tried = dicts.iter().map(|dict| describe(dict).into()).collect();
        return Err(Error::Weights {
            problem: format!("{} {which}: nothing in the file is called that", Hint::Which).into(),
            tried,
        });
    }
    Ok(parts)
}

/// What the parts of a checkpoint are.
struct Found<'a> {
    networks: Vec<Network<'a>>,
    failures: Vec<(&'a StateDict, Failure)>,
}

impl<'a> Found<'a> {
    fn among(parts: &[Part<'a>], asked: &Asked) -> Self {
        let mut found = Self { networks: Vec::new(), failures: Vec::new() };
        for Part { dict, path } in parts {
            match prefix::network(dict, path.as_deref(), asked) {
                Ok(mut network) => {
                    if let Some(path) = path {
                        network.notes.push(format!("taken: the tensors under `{path}`{}, as asked for", of(dict)));
                    }
                    found.networks.push(network);
                }
                Err(failure) => found.failures.push((dict, failure)),
            }
        }
        found
    }

    /// The only network under a name that was asked for.
    fn only(mut self, dicts: &[&StateDict], which: &str, asked: &Asked) -> Result<Network<'a>> {
        let candidates = self.candidates(dicts);
        match (self.networks.pop(), candidates.len()) {
            (Some(mut network), 1) => {
                if network.part.is_none() {
                    network.notes.push(format!("taken: {}, as asked for", describe(network.dict)));
                }
                Ok(network)
            }
            (None, 0) => Err(no_network(dicts, &self.failures, asked)),
            _ => Err(several(&format!("`{which}` fits several networks"), &candidates)),
        }
    }

    /// The network, where there is one, or the averaged version of it.
    fn preferred(mut self, dicts: &[&StateDict], asked: &Asked) -> Result<Network<'a>> {
        let candidates = self.candidates(dicts);
        self.networks.sort_by_key(|network| rank(&network.dict.path));
        let mut networks = self.networks.into_iter();
        let Some(mut network) = networks.next() else {
            return Err(match candidates.is_empty() {
                true => no_network(dicts, &self.failures, asked),
                false => several("the file holds several networks", &candidates),
            });
        };
        let others: Vec<Network> = networks.collect();
        let own = rank(&network.dict.path);
        let version = |other: &Network| own < rank(&other.dict.path) && names(&network) == names(other);
        if !others.iter().all(version) {
            return Err(several("the file holds several networks", &candidates));
        }
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(|other| describe(other.dict)).collect();
            network.notes.push(format!(
                "taken: {}; the file holds other versions of the network: {} ({} takes one of them)",
                describe(network.dict),
                others.join(", "),
                Hint::Which
            ));
        } else if !network.dict.path.is_empty() {
            network.notes.push(format!("taken: {}", describe(network.dict)));
        }
        Ok(network)
    }

    /// All networks, by the paths under which they can be asked for.
    fn candidates(&self, dicts: &[&StateDict]) -> Vec<String> {
        let networks = self.networks.iter().map(|network| {
            let names: Vec<String> = network.names.iter().map(|tensor| network::uncompiled(&tensor.name)).collect();
            path(dicts, network.dict, &network::shared(names.iter().map(String::as_str)))
        });
        let parts = self
            .failures
            .iter()
            .flat_map(|(dict, failure)| failure.several.iter().map(|within| path(dicts, dict, within)));
        networks.chain(parts).collect()
    }
}

/// The path of a module in a checkpoint, as [`crate::LoadOptions::which`] takes it: without that of the state dict, where there is no other.
pub(super) fn path(dicts: &[&StateDict], dict: &StateDict, within: &str) -> String {
    match (dict.path.as_str(), within) {
        (path, "") => path.to_owned(),
        (path, within) if dicts.len() == 1 || path.is_empty() => within.to_owned(),
        (path, within) => format!("{path}.{within}"),
    }
}

pub(super) fn several(what: &str, candidates: &[String]) -> Error {
    const LISTED: usize = 16;
    let shown: Vec<String> = candidates.iter().take(LISTED).map(|path| option(path)).collect();
    let more = candidates.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" or one of {more} more") } else { String::new() };
    let problem = format!("{what}, and nothing says which is meant; give {}{more}", shown.join(" or "));
    Error::Weights { problem: problem.into(), tried: Vec::new() }
}

/// [`Hint::Which`] with a path, as a shell takes it.
fn option(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    match !path.is_empty() && path.chars().all(plain) {
        true => format!("{} {path}", Hint::Which),
        false => format!("{} '{}'", Hint::Which, path.replace('\'', "'\\''")),
    }
}

/// The tensors of all other state dicts.
pub(super) fn of_others(dicts: &[&StateDict], own: &StateDict) -> Vec<Unused> {
    let others = dicts.iter().filter(|dict| !std::ptr::eq(**dict, own));
    let unused = others.flat_map(|dict| {
        let reason = format!("it is of {}, which was not taken", describe(dict));
        dict.tensors.iter().map(move |tensor| {
            let location =
                if dict.path.is_empty() { tensor.name.clone() } else { format!("{}.{}", dict.path, tensor.name) };
            Unused { location: location.into(), reason: reason.clone() }
        })
    });
    unused.collect()
}

/// How far behind others a state dict comes.
pub(super) fn rank(path: &str) -> usize {
    let segments: Vec<&str> = path.split('.').collect();
    PREFERRED.iter().position(|name| segments.contains(name)).unwrap_or(PREFERRED.len())
}

/// Names without wrappers, to tell versions of one network from two networks.
fn names(network: &Network) -> BTreeSet<String> {
    let bare = |name: &str| {
        let kept = name.split('.').filter(|segment| !matches!(*segment, "module" | "_orig_mod" | "ema" | "model"));
        kept.collect::<Vec<_>>().join(".")
    };
    network.names.iter().map(|tensor| bare(&tensor.name)).collect()
}

/// Of which state dict, where that has a path.
fn of(dict: &StateDict) -> String {
    if dict.path.is_empty() { String::new() } else { format!(" of `{}`", dict.path) }
}

fn describe(dict: &StateDict) -> String {
    match dict.path.as_str() {
        "" => format!("the file's own {} tensors", dict.tensors.len()),
        path => format!("`{path}` ({} tensors)", dict.tensors.len()),
    }
}

/// Why none of these is a network.
fn no_network(dicts: &[&StateDict], failures: &[(&StateDict, Failure)], asked: &Asked) -> Error {
    // The state dict whose names come nearest to a layout's.
    let nearest = failures.iter().max_by_key(|(dict, failure)| {
        (failure.outside.is_some(), failure.mismatches.first().map_or(0, |mismatch| mismatch.named), dict.tensors.len())
    });
    let Some((dict, failure)) = nearest else { return refused::nothing(asked) };
    if let Some(Outside { prefix, names }) = &failure.outside {
        let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
        let problem = format!(
            "under `{prefix}.` lies a residual network, and {} tensors lie outside of it ({}{}); {} takes the network alone",
            names.len(),
            shown.join(", "),
            if names.len() > 3 { ", …" } else { "" },
            option(&path(dicts, dict, prefix))
        );
        return Error::Weights { problem: problem.into(), tried: Vec::new() };
    }
    if let Some(head) = asked.head_from.filter(|head| !dict.tensors.iter().any(|tensor| is_called(tensor, head))) {
        let problem = format!("{} {head}: nothing in {} is called that", Hint::HeadFrom, describe(dict));
        return Error::Weights { problem: problem.into(), tried: Vec::new() };
    }
    if let Some(error) = refused::known(dict, asked.unused) {
        return error;
    }
    let first = dict.tensors.first().map_or("", |tensor| &tensor.name).shown();
    let none =
        format!("{}, the first is `{first}`, are those of no residual network that is known here", describe(dict));
    let none = match modules::unknown_pool(dict) {
        Some(pool) => format!("{none}; {pool}"),
        None => none,
    };
    match &failure.nearest {
        Some(near) => Error::Weights { problem: format!("{none}; {}", faults::told(near)).into(), tried: Vec::new() },
        None => {
            let tried =
                failure.mismatches.iter().take(TOLD).map(|m| format!("{}: {}", m.class, m.reason).into()).collect();
            Error::Weights { problem: none.into(), tried }
        }
    }
}

/// Whether a module on the path of a tensor has this name or path.
fn is_called(tensor: &NamedTensor, path: &str) -> bool {
    format!(".{}.", network::uncompiled(&tensor.name)).contains(&format!(".{path}."))
}
