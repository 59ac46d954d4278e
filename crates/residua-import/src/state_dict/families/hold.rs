//! What the modules of a pickled network state of themselves, held against what was written down.
//!
//! A module that states another stride, epsilon or activation than the code of its family has, or that computes something that is not known,
//! is an error. What modules that hold others compute is taken from the family.

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::torch::{Attribute, Module, StateDict};
use residua_ir::{Activation, AvgPool, Graph, MaxPool, NodeId, Op, Padding, Pads};
use residua_resnet::recipe::Pool;

use super::super::modules::{Class, class, own_pool, pair};
use super::super::network::uncompiled;
use crate::error::{Error, Result};

/// Functions of families that have no tensors and are no functions of torch.
const KNOWN: [&str; 1] = ["RadixSoftmax"];

fn error(module: &Module, problem: String) -> Error {
    Error::Layer { layer: module.path.clone().into(), kind: module.class.clone().into(), problem: problem.into() }
}

/// Holds all modules behind a prefix against the layers of a graph, which have the paths of the modules as names.
pub(super) fn all(dict: &StateDict, prefix: &str, graph: &Graph, usual: Activation) -> Result<()> {
    let nodes: BTreeMap<&str, NodeId> =
        graph.node_ids().map(|node| (graph.layer(graph.node(node).layer).name.raw(), node)).collect();
    let modules = dict.modules.iter().map(|module| module.path.as_str());
    let inside: BTreeSet<&str> = modules.chain(dict.tensors.iter().map(|tensor| tensor.name.as_str())).collect();
    for module in &dict.modules {
        let path = uncompiled(&module.path);
        let Some(path) = path.strip_prefix(prefix) else { continue };
        let op = nodes.get(path).map(|&node| &graph.node(node).op);
        match op {
            Some(Op::Conv(_)) => convolution(module, op)?,
            Some(Op::BatchNorm(_) | Op::GroupNorm(_)) => norm(module, op)?,
            Some(_) | None => leaf(&inside, module, op, usual)?,
        }
    }
    Ok(())
}

fn differs(module: &Module, key: &str, found: &str, expected: &str) -> Error {
    error(module, format!("`{key}` is {found}, the network told from its names has {expected} there"))
}

fn convolution(module: &Module, op: Option<&Op>) -> Result<()> {
    let Some(Op::Conv(conv)) = op else { return Ok(()) };
    let pads = match conv.padding {
        Padding::Explicit(Pads { top, left, .. }) => [top, left],
        _ => [0; 2],
    };
    let one_way = module.class.ends_with("Conv1d");
    let expected =
        [("stride", conv.strides), ("dilation", conv.dilations), ("groups", [conv.groups; 2]), ("padding", pads)];
    for (key, wanted) in expected {
        let wanted = if one_way { [wanted[0]; 2] } else { wanted };
        let Some(found) = module.attributes.get(key).and_then(pair_or_single) else { continue };
        if found != wanted {
            return Err(differs(module, key, &format!("{found:?}"), &format!("{wanted:?}")));
        }
    }
    match module.attributes.get("padding_mode") {
        Some(Attribute::Text(mode)) if mode != "zeros" => Err(differs(module, "padding_mode", mode, "zeros")),
        Some(_) | None => Ok(()),
    }
}

/// Two numbers, one for both, or a list of one.
fn pair_or_single(attribute: &Attribute) -> Option<[usize; 2]> {
    match attribute {
        Attribute::List(items) if items.len() == 1 => items.first().and_then(pair),
        other => pair(other),
    }
}

fn norm(module: &Module, op: Option<&Op>) -> Result<()> {
    let wanted = match op {
        Some(Op::BatchNorm(norm)) => norm.epsilon,
        Some(Op::GroupNorm(norm)) => norm.epsilon,
        _ => return Ok(()),
    };
    match module.attributes.get("eps") {
        Some(Attribute::Float(found)) if found.to_bits() != wanted.to_bits() => {
            Err(differs(module, "eps", &format!("{found:e}"), &format!("{wanted:e}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// What holds no layer with tensors of the graph; `inside` are the paths of all modules and tensors.
fn leaf(inside: &BTreeSet<&str>, module: &Module, op: Option<&Op>, usual: Activation) -> Result<()> {
    match class(module) {
        Class::Activation(has) => {
            let wants = match op {
                Some(Op::Activation(wants)) => *wants,
                Some(_) | None => usual,
            };
            // Gates of code that names no module for them have a sigmoid.
            let gate = op.is_none() && has == Activation::Sigmoid;
            let problem = || format!("the network told from its names has {} there", wants.name());
            if has == wants || gate { Ok(()) } else { Err(error(module, problem())) }
        }
        Class::MaxPool | Class::AvgPool => {
            let wants = op.and_then(windows);
            match (own_pool(module), wants) {
                (Some(has), Some(wants)) if has == wants => Ok(()),
                // The mean over all pixels in one window.
                (Some(_), None) if class(module) == Class::AvgPool && matches!(op, Some(Op::GlobalPool(_))) => Ok(()),
                _ => Err(error(
                    module,
                    "its windows are others than those of the network told from its names".to_owned(),
                )),
            }
        }
        Class::Nothing | Class::Flatten | Class::Beside | Class::GlobalPool => Ok(()),
        Class::Unknown => {
            let name = module.class.rsplit('.').next().unwrap_or(&module.class);
            let start = format!("{}.", module.path);
            let first = inside.range(start.as_str()..).next();
            let holds = module.path.is_empty() || first.is_some_and(|path| path.starts_with(&start));
            match holds || KNOWN.contains(&name) {
                true => Ok(()),
                false => Err(error(module, "what it computes is not known here".to_owned())),
            }
        }
        Class::GlobalMaxPool
        | Class::GlobalMeanOfBoth
        | Class::GlobalBoth
        | Class::Softmax { .. }
        | Class::Pad
        | Class::Function => {
            Err(error(module, "the network told from its names has nothing of the kind there".to_owned()))
        }
    }
}

/// The windows of a pool.
fn windows(op: &Op) -> Option<Pool> {
    let explicit = |padding: Padding| if let Padding::Explicit(pads) = padding { Some(pads) } else { None };
    Some(match *op {
        Op::MaxPool(MaxPool { kernel, strides, padding, dilations, ceil_mode }) => Pool {
            kernel,
            stride: strides,
            dilation: dilations,
            pads: explicit(padding)?,
            ceil: ceil_mode,
            counts_pads: false,
        },
        Op::AvgPool(AvgPool { kernel, strides, padding, dilations, ceil_mode, count_include_pad }) => Pool {
            kernel,
            stride: strides,
            dilation: dilations,
            pads: explicit(padding)?,
            ceil: ceil_mode,
            counts_pads: count_include_pad,
        },
        _ => return None,
    })
}
