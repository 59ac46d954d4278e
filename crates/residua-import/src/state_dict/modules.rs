//! Whole modules: their hyper-parameters settle what names and shapes leave open, and are all held against the network.
//!
//! A pickled module says what each layer is, but not how they are joined: that is its class's code, which a pickle does not hold. So the network is
//! told from names and shapes as ever, and each module of the tree must then be what the network has in its place.

use std::collections::BTreeMap;

use residua_formats::NamedTensor;
use residua_formats::torch::{Attribute, Module, StateDict};
use residua_ir::{Activation, Pads};
use residua_resnet::recipe::{ConvPadding, Layer, LayerKind};
use residua_resnet::recognise::{Entry, Given, Recognised};
use residua_resnet::{Part, Place, recognise};

use crate::error::{Error, Result};

/// The network with what its modules say.
pub(super) fn settle(
    dict: &StateDict,
    names: &[&NamedTensor],
    told: Recognised,
    mut given: Given,
) -> Result<Recognised> {
    let by_path: BTreeMap<&str, &Module> = dict.modules.iter().map(|module| (module.path.as_str(), module)).collect();
    // The module of a place is the one that holds its tensors.
    let place_of = |place: Place| {
        let slot = told.slots.iter().find(|(slot, _)| slot.place == place)?;
        let (path, _) = names.get(*slot.1)?.name.rsplit_once('.')?;
        by_path.get(path).copied()
    };
    let mut places: BTreeMap<Place, &Module> = BTreeMap::new();
    for slot in told.slots.keys() {
        places.extend(place_of(slot.place).map(|module| (slot.place, module)));
    }
    let stride = |stage: usize, n: usize| {
        let module = places.get(&Place::Block { stage, block: 0, part: Part::Conv(n) })?;
        pair(module.attributes.get("stride")?).map(|[stride, _]| stride)
    };
    if told.recipe.form.stages.len() > 1 && told.recipe.form.block == residua_resnet::anatomy::BlockKind::Bottleneck {
        let on = (1..=3).find(|&n| stride(1, n).is_some_and(|stride| stride > 1));
        given.stride_on = given.stride_on.or(on);
    }
    let first = (1..=3).filter_map(|n| stride(0, n)).max();
    given.first_stride = given.first_stride.or(first);
    for (place, module) in &places {
        if let Some(Attribute::Float(epsilon)) = module.attributes.get("eps")
            && let Some(layer) = told.kin.layout().layer(*place)
        {
            given.epsilons.push((layer, *epsilon));
        }
        if let Some(Attribute::Int(groups)) = module.attributes.get("num_groups") {
            given.norm_groups = given.norm_groups.or(usize::try_from(*groups).ok());
        }
    }
    let entries: Vec<Entry> = entries_of(&told, names);
    let mut settled = recognise(&entries, &given).map_err(|mismatches| Error::Weights {
        problem: "the tree of the module says otherwise than names and shapes".to_owned(),
        tried: mismatches.into_iter().map(|m| format!("{}: {}", m.class, m.reason)).collect(),
    })?;
    settled.choices.retain(|choice| choice.option.is_none());
    for layer in settled.recipe.layers() {
        if let Some(module) = places.get(&layer.place) {
            hold(module, &layer)?;
        }
    }
    for module in &dict.modules {
        hold_leaf(module, dict, &settled)?;
    }
    Ok(settled)
}

/// The entries that a network was told from, under the names of its layout.
fn entries_of(told: &Recognised, names: &[&NamedTensor]) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        names.iter().map(|named| Entry { name: named.name.clone(), shape: named.tensor.shape().to_vec() }).collect();
    for (slot, &index) in &told.slots {
        if let (Some(name), Some(entry)) = (told.kin.layout().tensor(*slot), entries.get_mut(index)) {
            entry.name = name;
        }
    }
    entries
}

fn number(attribute: &Attribute) -> Option<usize> {
    match attribute {
        Attribute::Int(value) => usize::try_from(*value).ok(),
        _ => None,
    }
}

/// One number for both axes, or one for each.
fn pair(attribute: &Attribute) -> Option<[usize; 2]> {
    match attribute {
        Attribute::List(items) => match &items[..] {
            [a, b] => Some([number(a)?, number(b)?]),
            [a] => number(a).map(|n| [n; 2]),
            _ => None,
        },
        other => number(other).map(|n| [n; 2]),
    }
}

fn differs(module: &Module, attribute: &str, found: &str, expected: String) -> Error {
    Error::Layer {
        layer: module.path.clone(),
        kind: module.class.clone(),
        problem: format!("`{attribute}` is {found}, the network told from names and shapes has {expected} there"),
    }
}

/// Holds the attributes of a module against a layer of the network.
fn hold(module: &Module, layer: &Layer) -> Result<()> {
    let mut expected: Vec<(&str, [usize; 2])> = Vec::new();
    match layer.kind {
        LayerKind::Conv { stride, groups, padding, .. } => {
            expected.extend([("stride", [stride; 2]), ("dilation", [1; 2]), ("groups", [groups; 2])]);
            if let ConvPadding::Amounts(Pads { top, left, .. }) = padding {
                expected.push(("padding", [top, left]));
            }
            if let Some(Attribute::Text(mode)) =
                module.attributes.get("padding_mode").filter(|mode| **mode != Attribute::Text("zeros".to_owned()))
            {
                return Err(differs(module, "padding_mode", mode, "zeros".to_owned()));
            }
        }
        LayerKind::BatchNorm { epsilon } | LayerKind::GroupNorm { epsilon, .. } => {
            if let Some(Attribute::Float(found)) = module.attributes.get("eps")
                && found.to_bits() != epsilon.to_bits()
            {
                return Err(differs(module, "eps", &format!("{found:e}"), format!("{epsilon:e}")));
            }
            if module.attributes.get("track_running_stats") == Some(&Attribute::Bool(false)) {
                return Err(differs(module, "track_running_stats", "false", "stored statistics".to_owned()));
            }
        }
        LayerKind::Input
        | LayerKind::Pad(_)
        | LayerKind::PadChannels(_)
        | LayerKind::Activation(_)
        | LayerKind::MaxPool { .. }
        | LayerKind::Add
        | LayerKind::Mul
        | LayerKind::AvgPool { .. }
        | LayerKind::GlobalPool { .. }
        | LayerKind::Flatten
        | LayerKind::Dense { .. } => {}
    }
    for (key, wanted) in expected {
        match module.attributes.get(key) {
            Some(found) if pair(found).is_none() => {
                return Err(differs(module, key, &format!("{found:?}"), format!("{wanted:?}")));
            }
            Some(found) if pair(found) != Some(wanted) => {
                let found = pair(found).unwrap_or_default();
                return Err(differs(module, key, &format!("{found:?}"), format!("{wanted:?}")));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Holds a module without tensors against the network: it must be of a class that is known, and do what the network does.
fn hold_leaf(module: &Module, dict: &StateDict, settled: &Recognised) -> Result<()> {
    let inner = format!("{}.", module.path);
    let is_leaf = !module.path.is_empty() && !dict.modules.iter().any(|other| other.path.starts_with(&inner));
    let has_tensors = dict.tensors.iter().any(|tensor| tensor.name.starts_with(&inner));
    if !is_leaf || has_tensors {
        return Ok(());
    }
    let class = module.class.rsplit('.').next().unwrap_or(&module.class);
    let unknown = |problem: String| Error::Layer { layer: module.path.clone(), kind: module.class.clone(), problem };
    let wanted = settled.recipe.conventions.activation;
    let activation = match class {
        "ReLU" => Some(Activation::RELU),
        "ReLU6" => Some(Activation::RELU6),
        "SiLU" | "Swish" => Some(Activation::Silu),
        "GELU" | "GELUActivation" => Some(Activation::Gelu { tanh_approximation: false }),
        "LeakyReLU" => Some(Activation::leaky_relu(0.01)),
        "Hardswish" => Some(Activation::HardSwish),
        "ELU" => Some(Activation::Elu { alpha: 1.0 }),
        "Mish" => Some(Activation::Mish),
        "Tanh" => Some(Activation::Tanh),
        _ => None,
    };
    if let Some(activation) = activation {
        // The gates of squeeze-and-excite have a ReLU whatever the blocks have.
        let fits = activation == wanted || (activation == Activation::RELU && module.path.contains(".se."));
        return if fits { Ok(()) } else { Err(unknown(format!("the network has {} there", wanted.name()))) };
    }
    match class {
        "Identity"
        | "Dropout"
        | "Dropout2d"
        | "DropPath"
        | "StochasticDepth"
        | "Flatten"
        | "AdaptiveAvgPool2d"
        | "SelectAdaptivePool2d"
        | "FastAdaptiveAvgPool"
        | "Sequential"
        | "ModuleList"
        | "Linear"
        | "Sigmoid"
        | "ConstantPad2d"
        | "ZeroPad2d"
        | "LambdaLayer"
        | "BatchNorm2d" => Ok(()),
        "MaxPool2d" => hold_pool(module, [("kernel_size", 3), ("stride", 2)]),
        "AvgPool2d" => hold_pool(module, [("kernel_size", 2), ("stride", 2)]),
        _ => Err(unknown("what it computes is not known here".to_owned())),
    }
}

fn hold_pool(module: &Module, expected: [(&str, usize); 2]) -> Result<()> {
    for (key, wanted) in expected {
        match module.attributes.get(key).map(pair) {
            Some(Some(found)) if found != [wanted; 2] => {
                return Err(differs(module, key, &format!("{found:?}"), format!("{wanted}")));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}
