//! What beside a network reads what it gives: vectors, or maps.
//!
//! A network whose classifier was taken away gives the mean of its last map where whatever stands behind takes that, and the map where
//! convolutions do. Some tensors tell which: a norm with a number for each channel is one of vectors, unless it lies between
//! convolutions; what stands in the network's own module is where its code pools; a convolution that takes the last map's channels reads
//! the map. A feature pyramid reads the maps of several stages, none of which is what the network gives. Matrices tell nothing: they stand
//! behind the pools of some networks and have pools of their own in others. What a module is called plays no part.

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::NamedTensor;
use residua_ir::Hint;
use residua_resnet::layouts::Headless;
use residua_resnet::recognise::{Choice, Given};

use super::heads::module_of;
use super::network::{Network, shared, uncompiled};

/// So many stages read are a pyramid's.
const PYRAMID: usize = 3;

/// What is known of the form of a network's result, and how that is said; [`None`] where it has a classifier, where the form was
/// given, and where nothing beside the network tells it.
pub(super) fn form(chosen: &Network, given: &Given) -> Option<(Headless, Choice)> {
    let recipe = &chosen.recognised.recipe;
    if given.headless.is_some() || recipe.head.as_ref().is_some_and(|head| head.classes().is_some()) {
        return None;
    }
    let widths: Vec<usize> = recipe.form.stages.iter().map(|stage| stage.outputs).collect();
    let &features = widths.last()?;
    let root = root(chosen);
    let mut vectors = None;
    let (mut maps, mut read) = (None, BTreeSet::new());
    for (module, shapes) in beside(chosen, &root) {
        let kernels: Vec<&&[usize]> = shapes.iter().filter(|shape| shape.len() == 4).collect();
        // Another network that takes images reads nothing of this one.
        if kernels.iter().any(|kernel| kernel[1] == recipe.input.channels) {
            continue;
        }
        read.extend(kernels.iter().map(|kernel| kernel[1]).filter(|width| widths.contains(width)));
        if kernels.iter().any(|kernel| kernel[1] == features) {
            maps = maps.or(Some(module.clone()));
        }
        let neck = shapes.iter().all(|shape| shape.len() < 2) && shapes.iter().any(|shape| **shape == [features]);
        let inside = kernels.is_empty() && module.starts_with(&root);
        if neck || inside {
            vectors = vectors.or(Some(module));
        }
    }
    let said = |gives: &str, module: &str, reads: &str| Choice {
        taken: format!("no classifier: the network gives {gives}, which `{}` {reads}", module.escape_debug()),
        hints: vec![Hint::Pooling],
    };
    match (vectors, maps.filter(|_| read.len() < PYRAMID)) {
        (Some(module), None) => Some((Headless::Features, said("the mean of the last map", &module, "takes"))),
        (None, Some(module)) => Some((Headless::Map, said("the map of the last block", &module, "reads"))),
        (None, None) | (Some(_), Some(_)) => None,
    }
}

/// The path of the module that all tensors of a network lie in, with its dot.
fn root(chosen: &Network) -> String {
    let bound = chosen.recognised.slots.values().filter_map(|&index| chosen.names.get(index));
    let names: Vec<String> = bound.map(|named| uncompiled(&named.name)).collect();
    match shared(names.iter().map(String::as_str)) {
        root if root.is_empty() => root,
        root => format!("{root}."),
    }
}

/// The shapes of what lies beside a network in its state dict, by the modules.
fn beside<'a>(chosen: &Network<'a>, root: &str) -> BTreeMap<String, Vec<&'a [usize]>> {
    let own: BTreeSet<*const NamedTensor> = {
        let slots = chosen.recognised.slots.values();
        slots.filter_map(|&index| chosen.names.get(index)).map(|named| std::ptr::from_ref(*named)).collect()
    };
    let mut modules: BTreeMap<String, Vec<&[usize]>> = BTreeMap::new();
    for tensor in chosen.dict.tensors.iter().filter(|tensor| !own.contains(&std::ptr::from_ref(*tensor))) {
        let module = module_of(&uncompiled(&tensor.name), root);
        modules.entry(module).or_default().push(tensor.tensor.shape());
    }
    modules
}
