//! Each module of a tree against what the network has in its place.

use std::collections::BTreeMap;

use residua_formats::torch::{Attribute, Module};
use residua_resnet::recipe::{ConvPadding, Layer, LayerKind, Pool, Projections};
use residua_resnet::recognise::{Choice, Recognised};
use residua_resnet::{Component, Position};

use super::class::{Class, class};
use super::own;
use super::{Tree, pair};
use crate::error::{Error, Result};

/// Holds all modules against the network; what is the same in the usual case only is noted.
pub(super) fn all(tree: &Tree, settled: &Recognised) -> Result<Vec<Choice>> {
    let layers = settled.recipe.layers();
    let by_place: BTreeMap<Position, &Layer> = layers.iter().map(|layer| (layer.position, layer)).collect();
    let mut notes = Vec::new();
    // What is not known at all says more than what it changes elsewhere.
    let unknown = tree.leaves().find(|module| class(module) == Class::Unknown);
    for module in unknown.into_iter().chain(tree.leaves()) {
        let positions = tree.positions(settled, module);
        let position = positions.first().copied();
        let layer = position.and_then(|position| by_place.get(&position).copied());
        notes.extend(leaf(tree, settled, module, position, layer)?);
    }
    for (position, module) in &tree.holders {
        if let Some(layer) = by_place.get(position) {
            holder(module, layer)?;
        }
    }
    sums(tree, &layers)?;
    Ok(notes)
}

/// Whether a module lies in the network and not with its classifier, by the start of its path.
pub(super) fn in_body(tree: &Tree, module: &Module) -> bool {
    let classifier = tree.holders.get(&Position::Dense(0)).and_then(|holder| tree.within(holder));
    let first = |path: &str| path.split('.').next().map(str::to_owned);
    tree.within(module).is_some_and(|path| classifier.is_none_or(|classifier| first(&classifier) != first(&path)))
}

fn error(module: &Module, problem: String) -> Error {
    Error::Layer { layer: module.path.clone().into(), kind: module.class.clone().into(), problem: problem.into() }
}

fn differs(module: &Module, attribute: &str, found: &str, expected: &str) -> Error {
    error(module, format!("`{attribute}` is {found}, the network told from names and shapes has {expected} there"))
}

/// Both paths of a block must give maps of one size, whatever the size is: what they lose at the edges and their strides are the same.
fn sums(tree: &Tree, layers: &[Layer]) -> Result<()> {
    let mut blocks: BTreeMap<(usize, usize), [Vec<&Layer>; 2]> = BTreeMap::new();
    for layer in layers {
        let Position::Block { stage, block, component } = layer.position else { continue };
        if matches!(component, Component::Conv(_) | Component::ShortcutConv | Component::ShortcutPool) {
            let shortcut = usize::from(!matches!(component, Component::Conv(_)));
            blocks.entry((stage, block)).or_default()[shortcut].push(layer);
        }
    }
    for [main, shortcut] in blocks.values() {
        let strides = |layers: &[&Layer]| {
            layers
                .iter()
                .filter_map(|layer| stride(layer))
                .fold([1usize; 2], |[h, w], [y, x]| [h.saturating_mul(y), w.saturating_mul(x)])
        };
        let (has, wants) = (strides(main), strides(shortcut));
        let carrier = main
            .iter()
            .find(|layer| stride(layer) != Some([1; 2]))
            .or(main.get(usize::from(main.len() > 2)))
            .or(main.first());
        let wrong = |problem: String| match carrier.and_then(|layer| tree.holders.get(&layer.position)) {
            Some(module) => Err(error(module, problem)),
            None => Ok(()),
        };
        if has != wants {
            return wrong(format!("the convolutions of its block have stride {has:?}, its shortcut has {wants:?}"));
        }
        if let Some(layer) = main.iter().find(|layer| edges(layer).is_some_and(|edges| edges != [0; 2]))
            && main.iter().filter_map(|layer| edges(layer)).fold([0i64; 2], |[h, w], [y, x]| [h + y, w + x]) != [0; 2]
            && let Some(module) = tree.holders.get(&layer.position)
        {
            let problem =
                "its padding does not make up for its kernel, and the shortcut of its block would not fit".to_owned();
            return Err(error(module, problem));
        }
    }
    Ok(())
}

fn stride(layer: &Layer) -> Option<[usize; 2]> {
    match layer.kind {
        LayerKind::Conv { stride, .. } => Some(stride),
        LayerKind::AvgPool(pool) | LayerKind::MaxPool(pool) => Some(pool.stride),
        _ => None,
    }
}

/// Rows and columns that a convolution with stride 1 adds.
fn edges(layer: &Layer) -> Option<[i64; 2]> {
    let LayerKind::Conv { kernel, dilation, padding: ConvPadding::Amounts(pads), .. } = layer.kind else { return None };
    let size = |n: usize| i64::try_from(n).unwrap_or(i64::MAX / 8);
    let lost = |dilation: usize| size(kernel.saturating_sub(1).saturating_mul(dilation));
    Some([size(pads.top + pads.bottom) - lost(dilation[0]), size(pads.left + pads.right) - lost(dilation[1])])
}

// ---- functions without weights

fn leaf(
    tree: &Tree,
    settled: &Recognised,
    module: &Module,
    position: Option<Position>,
    layer: Option<&Layer>,
) -> Result<Option<Choice>> {
    let kind = layer.map(|layer| layer.kind);
    let otherwise = || {
        let has = match kind {
            Some(LayerKind::Activation(activation)) => activation.name(),
            _ => layer.map_or("nothing of the kind", |layer| layer.class),
        };
        error(module, format!("the network told from names and shapes has {has} there"))
    };
    match (class(module), kind) {
        (Class::Beside, _) | (Class::Flatten, None | Some(LayerKind::Flatten)) => Ok(None),
        // Where the classifier has another name, nothing may stand in its place.
        (Class::Nothing, None | Some(LayerKind::Flatten | LayerKind::Dense { .. })) => {
            not_an_activation(module, position)
        }
        (Class::Activation(has), Some(LayerKind::Activation(wants))) if has == wants => Ok(None),
        // Where the layout leaves their names to the code, all activations of a body are the same.
        (Class::Activation(has), None) if position.is_none() && in_body(tree, module) => {
            let wants = settled.recipe.conventions.activation;
            let problem = || format!("the network told from names and shapes has {} there", wants.name());
            if has == wants { Ok(None) } else { Err(error(module, problem())) }
        }
        (Class::MaxPool, Some(LayerKind::MaxPool(wants))) | (Class::AvgPool, Some(LayerKind::AvgPool(wants))) => {
            pool(module, wants)
        }
        (Class::AvgPool, Some(LayerKind::GlobalPool { max: false, .. })) => windowed(module),
        (Class::GlobalPool, Some(LayerKind::GlobalPool { max: false, .. }))
        | (Class::GlobalMaxPool, Some(LayerKind::GlobalPool { max: true, .. }))
        | (Class::GlobalMeanOfBoth, Some(LayerKind::Mean))
        | (Class::GlobalBoth, Some(LayerKind::Concat)) => match module.attributes.get("output_size").map(pair) {
            None | Some(Some([1, 1])) => Ok(None),
            Some(size) => Err(differs(module, "output_size", &format!("{:?}", size.unwrap_or_default()), "1")),
        },
        // Code that gives the map of the last block has a pool all the same.
        (Class::GlobalPool | Class::GlobalMaxPool, None)
            if position == Some(Position::HeadPool) && settled.recipe.head.is_none() =>
        {
            Ok(None)
        }
        (Class::Pad, Some(LayerKind::Pad(amount))) => padding(module, amount),
        (Class::Function, None) if settled.recipe.conventions.projections == Projections::Pad => Ok(None),
        (Class::Unknown | Class::Function, _) => Err(error(module, "what it computes is not known here".to_owned())),
        (
            Class::Nothing
            | Class::Activation(_)
            | Class::MaxPool
            | Class::AvgPool
            | Class::GlobalPool
            | Class::GlobalMaxPool
            | Class::GlobalMeanOfBoth
            | Class::GlobalBoth
            | Class::Softmax { .. }
            | Class::Flatten
            | Class::Pad,
            _,
        ) => Err(otherwise()),
    }
}

/// What computes nothing must not stand where the code of all layouts has an activation.
fn not_an_activation(module: &Module, position: Option<Position>) -> Result<Option<Choice>> {
    let last = module.path.rsplit('.').next().unwrap_or_default();
    match position.is_none() && matches!(last, "relu" | "relu1" | "relu2" | "relu3" | "act1" | "act2" | "act3") {
        true => Err(error(module, "the network told from names and shapes has an activation there".to_owned())),
        false => Ok(None),
    }
}

fn pool(module: &Module, wants: Pool) -> Result<Option<Choice>> {
    match own::pool(module) {
        Some(has) if has == wants => Ok(None),
        Some(has) => Err(error(
            module,
            format!("its windows are {}, the network told from names and shapes has {}", text(has), text(wants)),
        )),
        None => Err(error(module, "how it pads depends on the size of what it is given".to_owned())),
    }
}

fn text(pool: Pool) -> String {
    let Pool { kernel, stride, dilation, pads, ceil, counts_pads } = pool;
    let rounding = if ceil { "up" } else { "down" };
    let counts = if counts_pads { ", counting it" } else { "" };
    format!(
        "{kernel:?} with stride {stride:?} and dilation {dilation:?}, padded by {}, {}, {}, {}{counts}, rounding {rounding}",
        pads.top, pads.left, pads.bottom, pads.right
    )
}

/// A pool of windows behind the last block, as the first torchvision had it: the mean over all pixels where one window holds them.
fn windowed(module: &Module) -> Result<Option<Choice>> {
    let pads = module.attributes.get("padding").and_then(pair).unwrap_or_default();
    let kernel = module.attributes.get("kernel_size").and_then(pair);
    let Some([height, width]) = kernel.filter(|_| pads == [0; 2]) else {
        return Err(error(module, "it is not the mean over all pixels".to_owned()));
    };
    let taken = format!("the mean over all pixels for `{}`, which takes {height}x{width} of them", module.path);
    Ok(Some(Choice { taken, hints: Vec::new() }))
}

fn padding(module: &Module, amount: usize) -> Result<Option<Choice>> {
    let sides = match module.attributes.get("padding") {
        Some(Attribute::List(sides)) => sides.clone(),
        Some(other) => vec![other.clone()],
        None => Vec::new(),
    };
    let wanted = i64::try_from(amount).map(Attribute::Int);
    if !sides.iter().all(|side| Ok(side) == wanted.as_ref()) {
        return Err(differs(module, "padding", &format!("{sides:?}"), &amount.to_string()));
    }
    match module.attributes.get("value") {
        None | Some(Attribute::Float(0.0) | Attribute::Int(0)) => Ok(None),
        Some(value) => Err(differs(module, "value", &format!("{value:?}"), "0")),
    }
}

// ---- layers with weights

/// Classes of modules with tensors, whatever library they are of.
const CONVOLUTIONS: [&str; 5] = ["Conv2d", "Conv2dSame", "StdConv2d", "StdConv2dSame", "WeightStandardizedConv2d"];
const NORMS: [&str; 10] = [
    "BatchNorm2d",
    "BatchNormAct2d",
    "BitGroupNormActivation",
    "FrozenBatchNorm2d",
    "GroupNorm",
    "GroupNormAct",
    // With stored statistics, which it has where its tensors are a batch norm's, it is one.
    "InstanceNorm2d",
    "NaiveSyncBatchNorm",
    "SyncBatchNorm",
    "SyncBatchNormAct",
];
const DENSE: [&str; 3] = ["Linear", "NonDynamicallyQuantizableLinear", "Conv2d"];

/// Holds the class and the attributes of a module with tensors against its layer.
fn holder(module: &Module, layer: &Layer) -> Result<()> {
    let name = module.class.rsplit('.').next().unwrap_or(&module.class);
    let known: &[&str] = match layer.kind {
        LayerKind::Conv { .. } => &CONVOLUTIONS,
        LayerKind::BatchNorm { .. } | LayerKind::GroupNorm { .. } => &NORMS,
        LayerKind::Dense { .. } => &DENSE,
        LayerKind::Input
        | LayerKind::Pad(_)
        | LayerKind::PadChannels(_)
        | LayerKind::LayerNorm { .. }
        | LayerKind::PRelu(_)
        | LayerKind::Softmax { .. }
        | LayerKind::Activation(_)
        | LayerKind::MaxPool(_)
        | LayerKind::Add
        | LayerKind::Mul
        | LayerKind::Mean
        | LayerKind::Concat
        | LayerKind::AvgPool(_)
        | LayerKind::GlobalPool { .. }
        | LayerKind::Flatten => return Ok(()),
    };
    if !known.contains(&name) {
        return Err(error(module, "what it computes is not known here".to_owned()));
    }
    match layer.kind {
        LayerKind::Conv { stride, dilation, groups, padding, standardised, .. } => {
            let mut expected = vec![("stride", stride), ("dilation", dilation), ("groups", [groups; 2])];
            if let (ConvPadding::Amounts(pads), false) = (padding, padded_by_name(module)) {
                expected.push(("padding", [pads.top, pads.left]));
            }
            for (key, wanted) in expected {
                let Some(found) = module.attributes.get(key) else { continue };
                if pair(found) != Some(wanted) {
                    let found = pair(found).map_or_else(|| format!("{found:?}"), |found| format!("{found:?}"));
                    return Err(differs(module, key, &found, &format!("{wanted:?}")));
                }
            }
            standardises(module, standardised)?;
            match module.attributes.get("padding_mode") {
                Some(Attribute::Text(mode)) if mode != "zeros" => Err(differs(module, "padding_mode", mode, "zeros")),
                Some(_) | None => Ok(()),
            }
        }
        LayerKind::BatchNorm { epsilon, .. } | LayerKind::GroupNorm { epsilon, .. } => {
            if let Some(Attribute::Float(found)) = module.attributes.get("eps")
                && found.to_bits() != epsilon.to_bits()
            {
                return Err(differs(module, "eps", &format!("{found:e}"), &format!("{epsilon:e}")));
            }
            match module.attributes.get("track_running_stats") {
                Some(Attribute::Bool(false)) => {
                    Err(differs(module, "track_running_stats", "false", "stored statistics"))
                }
                Some(_) | None => Ok(()),
            }
        }
        LayerKind::Input
        | LayerKind::Pad(_)
        | LayerKind::PadChannels(_)
        | LayerKind::LayerNorm { .. }
        | LayerKind::PRelu(_)
        | LayerKind::Softmax { .. }
        | LayerKind::Activation(_)
        | LayerKind::MaxPool(_)
        | LayerKind::Add
        | LayerKind::Mul
        | LayerKind::Mean
        | LayerKind::Concat
        | LayerKind::AvgPool(_)
        | LayerKind::GlobalPool { .. }
        | LayerKind::Flatten
        | LayerKind::Dense { .. } => Ok(()),
    }
}

/// Whether a convolution says how it pads by a word, which was read already.
fn padded_by_name(module: &Module) -> bool {
    matches!(module.attributes.get("padding"), Some(Attribute::Text(text)) if ["same", "valid"].contains(&text.as_str()))
}

/// Whether a convolution standardises its kernel when it runs shows in its class alone.
fn standardises(module: &Module, wanted: Option<f64>) -> Result<()> {
    let name = module.class.rsplit('.').next().unwrap_or(&module.class);
    let does = ["StdConv2d", "StdConv2dSame", "WeightStandardizedConv2d"].contains(&name);
    if does != wanted.is_some() {
        let (its, theirs) = if does { ("does", "does not") } else { ("does not", "does") };
        let problem =
            format!("it {its} standardise its kernel when it runs, the network told from names and shapes {theirs}");
        return Err(error(module, problem));
    }
    match (module.attributes.get("eps"), wanted) {
        (Some(Attribute::Float(found)), Some(wanted)) if found.to_bits() != wanted.to_bits() => {
            Err(differs(module, "eps", &format!("{found:e}"), &format!("{wanted:e}")))
        }
        _ => Ok(()),
    }
}
