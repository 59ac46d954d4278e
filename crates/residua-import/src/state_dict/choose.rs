//! Which of the state dicts of a checkpoint is the network.

use std::collections::BTreeSet;

use residua_formats::torch::StateDict;
use residua_ir::Unused;
use residua_resnet::recognise::Given;

use super::prefix::{self, Failure, Network};
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

/// What to do where weights do not say what is computed beside them.
pub(super) const EXPORT: &str = "export the model with `torch.onnx.export`, and give the ONNX file";

/// Mismatches that are told.
const TOLD: usize = 4;

/// The network of a checkpoint.
pub(super) fn network<'a>(dicts: &'a [StateDict], which: Option<&str>, given: &Given) -> Result<Network<'a>> {
    let dicts: Vec<&StateDict> = dicts.iter().filter(|dict| !dict.tensors.is_empty()).collect();
    if dicts.is_empty() {
        let problem = "the file holds no tensors under names".to_owned();
        return Err(Error::Weights { problem, tried: Vec::new() });
    }
    if let Some(which) = which {
        return asked_for(&dicts, which, given);
    }
    let mut networks = Vec::new();
    let mut failures = Vec::new();
    for &dict in &dicts {
        match prefix::network(dict, None, given) {
            Ok(network) => networks.push(network),
            Err(failure) => failures.push((dict, failure)),
        }
    }
    networks.sort_by_key(|network| rank(&network.dict.path));
    let Some(mut network) = take_first(&mut networks) else { return Err(no_network(&failures)) };
    for other in &networks {
        let same = names(network.dict) == names(other.dict);
        if !same {
            let tried = std::iter::once(&network).chain(&networks).map(|network| describe(network.dict)).collect();
            let problem = "the file holds several networks; --which takes one of them".to_owned();
            return Err(Error::Weights { problem, tried });
        }
    }
    if !networks.is_empty() {
        let others: Vec<String> = networks.iter().map(|other| describe(other.dict)).collect();
        network.notes.push(format!(
            "taken: {}; the file holds other versions of the network: {} (--which takes one of them)",
            describe(network.dict),
            others.join(", ")
        ));
    } else if !network.dict.path.is_empty() {
        network.notes.push(format!("taken: {}", describe(network.dict)));
    }
    leave(&dicts, &mut network);
    Ok(network)
}

fn take_first<'a>(networks: &mut Vec<Network<'a>>) -> Option<Network<'a>> {
    (!networks.is_empty()).then(|| networks.remove(0))
}

/// The state dict of this path or name, or the part of one under this prefix.
fn asked_for<'a>(dicts: &[&'a StateDict], which: &str, given: &Given) -> Result<Network<'a>> {
    let last = |dict: &StateDict| dict.path.rsplit('.').next() == Some(which);
    let found: Vec<&StateDict> = match dicts.iter().find(|dict| dict.path == which) {
        Some(&dict) => vec![dict],
        None => dicts.iter().copied().filter(|dict| last(dict)).collect(),
    };
    let (found, part) = if found.is_empty() {
        let part = which.trim_end_matches('.');
        let inside = |dict: &&StateDict| {
            dict.tensors.iter().any(|tensor| tensor.name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
        };
        (dicts.iter().copied().filter(inside).collect(), Some(part))
    } else {
        (found, None)
    };
    let mut found: Vec<&StateDict> = found;
    found.sort_by_key(|dict| rank(&dict.path));
    let Some(&dict) = found.first() else {
        let tried = dicts.iter().map(|dict| describe(dict)).collect();
        return Err(Error::Weights { problem: format!("--which {which}: nothing in the file is called that"), tried });
    };
    let mut network = prefix::network(dict, part, given).map_err(|failure| no_network(&[(dict, failure)]))?;
    network.notes.push(match part {
        Some(part) => format!("taken: the tensors under `{part}`, as asked for"),
        None => format!("taken: {}, as asked for", describe(dict)),
    });
    leave(dicts, &mut network);
    Ok(network)
}

/// Lists the tensors of all other state dicts.
fn leave(dicts: &[&StateDict], network: &mut Network) {
    for dict in dicts.iter().filter(|dict| !std::ptr::eq(**dict, network.dict)) {
        let reason = format!("it is of {}, which was not taken", describe(dict));
        network.unused.extend(dict.tensors.iter().map(|tensor| {
            let location =
                if dict.path.is_empty() { tensor.name.clone() } else { format!("{}.{}", dict.path, tensor.name) };
            Unused { location, reason: reason.clone() }
        }));
    }
}

fn rank(path: &str) -> usize {
    let segments: Vec<&str> = path.split('.').collect();
    PREFERRED.iter().position(|name| segments.contains(name)).unwrap_or(PREFERRED.len())
}

/// Names without wrappers, to tell versions of one network from two networks.
fn names(dict: &StateDict) -> BTreeSet<String> {
    let bare = |name: &str| {
        let kept = name.split('.').filter(|segment| !matches!(*segment, "module" | "_orig_mod" | "ema" | "model"));
        kept.collect::<Vec<_>>().join(".")
    };
    let read = dict.tensors.iter().filter(|tensor| !tensor.name.ends_with("n_averaged"));
    read.map(|tensor| bare(&tensor.name)).collect()
}

fn describe(dict: &StateDict) -> String {
    match dict.path.as_str() {
        "" => format!("the file's own {} tensors", dict.tensors.len()),
        path => format!("`{path}` ({} tensors)", dict.tensors.len()),
    }
}

/// Parts of networks that are near to those that are read, by what their names hold.
const FOREIGN: [(&str, &str); 5] = [
    (".se.conv.", "efficient channel attention (ECA, as in timm's ecaresnet)"),
    (".attn.fc_reduce.", "selective kernels (as in timm's skresnet)"),
    (".conv2.fc1.", "split attention (as in timm's resnest)"),
    (".convs.0.", "convolutions over parts of the channels (as in timm's res2net)"),
    ("maxpool.0.", "a convolution in place of the stem's pool (as in timm's resnetrs)"),
];

/// What stands in the way of a state dict whose names are nearly those of a layout, where that is known.
fn foreign(dict: &StateDict) -> Option<Error> {
    let computed = ["parametrizations.", "weight_orig", "weight_g"];
    dict.tensors.iter().map(|tensor| &tensor.name).find_map(|name| {
        if computed.iter().any(|part| name.contains(part)) {
            return Some(Error::Unsupported {
                what: format!("a weight that is computed from other tensors (`{name}`)"),
                help: "remove the parametrisation (weight or spectral norm) in Python, and save the model again"
                    .to_owned(),
            });
        }
        let (_, what) = FOREIGN.iter().find(|(part, _)| name.contains(part))?;
        Some(Error::Unsupported { what: format!("{what}: `{name}`"), help: EXPORT.to_owned() })
    })
}

/// Why none of these is a network.
fn no_network(failures: &[(&StateDict, Failure)]) -> Error {
    // The state dict whose names come nearest to a layout's.
    let nearest = failures.iter().max_by_key(|(dict, failure)| {
        (failure.outside.is_some(), failure.mismatches.first().map_or(0, |mismatch| mismatch.named), dict.tensors.len())
    });
    let Some((dict, failure)) = nearest else {
        return Error::Weights { problem: "the file holds no tensors under names".to_owned(), tried: Vec::new() };
    };
    if let Some((prefix, rest)) = &failure.outside {
        let shown: Vec<String> = rest.iter().take(3).map(|name| format!("`{name}`")).collect();
        let problem = format!(
            "under `{prefix}.` lies a residual network, and {} tensors lie outside of it ({}{}); --which {prefix} takes the network alone",
            rest.len(),
            shown.join(", "),
            if rest.len() > 3 { ", …" } else { "" }
        );
        return Error::Weights { problem, tried: Vec::new() };
    }
    if let Some(error) = foreign(dict) {
        return error;
    }
    let tried = failure.mismatches.iter().take(TOLD).map(|m| format!("{}: {}", m.class, m.reason)).collect();
    let first = dict.tensors.first().map_or("", |tensor| &tensor.name);
    let problem =
        format!("{}, the first is `{first}`, are those of no residual network that is known here", describe(dict));
    Error::Weights { problem, tried }
}
