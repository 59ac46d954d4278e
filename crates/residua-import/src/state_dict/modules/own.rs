//! What modules say of their layers: strides, dilations, padding, groups, pools, epsilons, activations.
//!
//! Of a layer with tensors that is what its attributes say. An activation without tensors is found by where it lies in its
//! block: under the layout's name for it, under a number (`act2`), or as the only one, which the block's code uses everywhere.

use std::collections::BTreeMap;

use residua_formats::torch::{Attribute, Module};
use residua_ir::Pads;
use residua_resnet::recipe::{Own, Pool};
use residua_resnet::recognise::Recognised;
use residua_resnet::{Component, Position};

use super::class::{Class, class};
use super::{Tree, pair};

/// What all modules say of their layers, by the places of these.
pub(super) fn of(tree: &Tree, told: &Recognised) -> BTreeMap<Position, Own> {
    let mut all: BTreeMap<Position, Own> = BTreeMap::new();
    for (&position, module) in &tree.holders {
        let own = holder(position, module);
        if own != Own::default() {
            all.insert(position, own);
        }
    }
    for leaf in tree.leaves() {
        for position in positions(tree, told, leaf) {
            let own = function(position, leaf);
            if own != Own::default() {
                all.insert(position, own);
            }
        }
    }
    all
}

/// What a module without tensors says of an activation or a pool in its place.
fn function(position: Position, leaf: &Module) -> Own {
    let what = class(leaf);
    let pooled = match position {
        Position::Pool => what == Class::MaxPool,
        Position::Block { component: Component::ShortcutPool, .. } => what == Class::AvgPool,
        _ if is_activation(position) => {
            return match what {
                Class::Activation(activation) => Own { activation: Some(Some(activation)), ..Own::default() },
                Class::Nothing => Own { activation: Some(None), ..Own::default() },
                Class::MaxPool
                | Class::AvgPool
                | Class::GlobalPool
                | Class::GlobalMaxPool
                | Class::GlobalMeanOfBoth
                | Class::GlobalBoth
                | Class::Softmax { .. }
                | Class::Flatten
                | Class::Pad
                | Class::Function
                | Class::Beside
                | Class::Unknown => Own::default(),
            };
        }
        _ => return Own::default(),
    };
    match (pooled, what == Class::Nothing) {
        (true, _) => Own { pool: pool(leaf).map(Some), ..Own::default() },
        (false, true) => Own { pool: Some(None), ..Own::default() },
        (false, false) => Own::default(),
    }
}

/// Whether a layer in this place is an activation.
pub(super) fn is_activation(position: Position) -> bool {
    match position {
        Position::FinalActivation => true,
        Position::Stem(component) | Position::Block { component, .. } => {
            matches!(component, Component::Activation(_) | Component::GateActivation(_) | Component::Output)
        }
        Position::Input
        | Position::PoolPad
        | Position::Pool
        | Position::FinalNorm
        | Position::HeadPool
        | Position::Flatten
        | Position::Dense(_)
        | Position::Head(_)
        | Position::OneHeadPool(_) => false,
    }
}

/// What a convolution or a norm says of itself.
fn holder(position: Position, module: &Module) -> Own {
    let epsilon = || match module.attributes.get("eps")? {
        Attribute::Float(epsilon) => Some(*epsilon),
        Attribute::Int(0) => Some(0.0),
        _ => None,
    };
    match position {
        Position::Stem(component) | Position::Block { component, .. } => match component {
            Component::Conv(_) | Component::ShortcutConv => convolution(module),
            Component::Norm(_) | Component::ShortcutNorm => Own { epsilon: epsilon(), ..Own::default() },
            Component::Gate(_)
            | Component::Activation(_)
            | Component::Pad(_)
            | Component::ShortcutPool
            | Component::ShortcutPad
            | Component::GatePool
            | Component::GateActivation(_)
            | Component::GateProduct
            | Component::Add
            | Component::Output => Own::default(),
        },
        Position::FinalNorm => Own { epsilon: epsilon(), ..Own::default() },
        Position::Input
        | Position::PoolPad
        | Position::Pool
        | Position::FinalActivation
        | Position::HeadPool
        | Position::Flatten
        | Position::Dense(_)
        | Position::Head(_)
        | Position::OneHeadPool(_) => Own::default(),
    }
}

fn convolution(module: &Module) -> Own {
    let of = |key: &str| module.attributes.get(key).and_then(pair);
    Own {
        stride: of("stride").filter(|stride| !stride.contains(&0)),
        dilation: of("dilation").filter(|dilation| !dilation.contains(&0)),
        pads: padding(module),
        groups: of("groups").map(|[groups, _]| groups),
        ..Own::default()
    }
}

/// What a convolution adds on each side; [`None`] where that depends on the image.
fn padding(module: &Module) -> Option<Pads> {
    let of = |key: &str| module.attributes.get(key).and_then(pair);
    match module.attributes.get("padding")? {
        Attribute::Text(text) if text == "valid" => Some(Pads::default()),
        // torch allows this with stride 1 alone, and adds the odd one behind.
        Attribute::Text(text) if text == "same" => {
            let (kernel, dilation) = (of("kernel_size")?, of("dilation")?);
            let [rows, columns] = [0, 1].map(|axis| kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]));
            let (top, left) = (rows / 2, columns / 2);
            Some(Pads { top, left, bottom: rows - top, right: columns - left })
        }
        other => pair(other).map(|[rows, columns]| Pads { top: rows, bottom: rows, left: columns, right: columns }),
    }
}

/// The pool that a module is; [`None`] where its window is not told.
pub(in super::super) fn pool(module: &Module) -> Option<Pool> {
    let of = |key: &str| module.attributes.get(key).and_then(pair);
    let flag = |key: &str, default: bool| match module.attributes.get(key) {
        Some(Attribute::Bool(flag)) => *flag,
        _ => default,
    };
    let kernel = of("kernel_size")?;
    let stride = of("stride").unwrap_or(kernel);
    let dilation = of("dilation").unwrap_or([1; 2]);
    let name = module.class.rsplit('.').next().unwrap_or(&module.class);
    let same = name.ends_with("Same");
    let pads = if same {
        // timm's: with stride 1 as much is added as keeps the size; with others that depends on the image.
        let [rows, columns] = [0, 1].map(|axis| kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]));
        if stride != [1, 1] {
            return None;
        }
        Pads { top: rows / 2, left: columns / 2, bottom: rows - rows / 2, right: columns - columns / 2 }
    } else {
        let [rows, columns] = of("padding").unwrap_or_default();
        Pads { top: rows, bottom: rows, left: columns, right: columns }
    };
    // timm's adds its zeros before the pool, which counts them whatever it says; with stride 1 there is nothing to round.
    let counts = (same || flag("count_include_pad", true)) && class(module) == Class::AvgPool;
    let ceil = flag("ceil_mode", false) && !same;
    Some(Pool { kernel, stride, dilation, pads, ceil, counts_pads: counts && !pads.is_zero() })
}

/// The places of a module without tensors.
pub(super) fn positions(tree: &Tree, told: &Recognised, leaf: &Module) -> Vec<Position> {
    if let Some(position) = tree.position(told, leaf) {
        return vec![position];
    }
    let Some((above, last)) = leaf.path.rsplit_once('.') else { return Vec::new() };
    // What a norm activates by itself, as timm's do.
    if let Some(norm) = tree.holders.iter().find(|(_, module)| module.path == above).map(|(position, _)| *position) {
        return if last == "act" { activation_of(norm).into_iter().collect() } else { Vec::new() };
    }
    let Some(&(stage, block)) = tree.blocks.get(above) else { return Vec::new() };
    in_block(told, stage, block, last)
}

fn activation_of(norm: Position) -> Option<Position> {
    match norm {
        Position::Stem(Component::Norm(n)) => Some(Position::Stem(Component::Activation(n))),
        Position::Block { stage, block, component: Component::Norm(n) } => {
            Some(Position::Block { stage, block, component: Component::Activation(n) })
        }
        Position::FinalNorm => Some(Position::FinalActivation),
        _ => None,
    }
}

/// The activations of a block that a module of this name is.
fn in_block(told: &Recognised, stage: usize, block: usize, name: &str) -> Vec<Position> {
    use residua_resnet::anatomy::{ActivationOrder, BlockKind};
    let form = &told.recipe.form;
    let convs = if form.block == BlockKind::Basic { 2 } else { 3 };
    let post = form.order == ActivationOrder::Post;
    let position = |component: Component| Position::Block { stage, block, component };
    let numbered = |n: usize| if post && n == convs { Component::Output } else { Component::Activation(n) };
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if !matches!(stem, "relu" | "act" | "activation" | "nonlinearity" | "non_linearity" | "prelu") {
        return Vec::new();
    }
    match name[stem.len()..].parse::<usize>() {
        Ok(n) if (1..=convs).contains(&n) => vec![position(numbered(n))],
        Ok(_) => Vec::new(),
        Err(_) => (1..=convs).map(|n| position(numbered(n))).collect(),
    }
}
