//! Whole modules: their hyper-parameters settle what names and shapes leave open, and are all held against the network.
//!
//! A pickled module says what each layer is, but not how they are joined: that is its class's code, which a pickle does not hold. So the network is
//! told from names and shapes as ever, and each module of the tree must then be what the network has in its place ([`hold`]). Classes of the program that
//! saved it, whose code nobody has, are named.

mod class;
pub(super) mod head;
mod hold;
mod own;

use std::collections::{BTreeMap, BTreeSet};

use residua_formats::NamedTensor;
use residua_formats::torch::{Attribute, Module, StateDict};
use residua_ir::{Activation, Shown};
use residua_resnet::anatomy::BlockKind;
use residua_resnet::layouts::{Headless, ModelLibrary};
use residua_resnet::recipe::HeadPool;
use residua_resnet::recognise::{Choice, Entry, Given, GivenStem, Recognised};
use residua_resnet::{Component, Position, recognise};

use super::network::{self, Network};
use crate::error::{Error, Result};
pub(super) use class::{Class, class};
pub(super) use own::pool as own_pool;

/// A tree of modules beside the network that was told from its tensors.
struct Tree<'a> {
    modules: &'a [Module],
    /// The modules that hold the tensors of a place.
    holders: BTreeMap<Position, &'a Module>,
    /// Paths below which there are other modules, or tensors.
    inner: BTreeSet<&'a str>,
    /// Stage and block of the modules that are blocks.
    blocks: BTreeMap<&'a str, (usize, usize)>,
    /// What stands before the paths of the network's modules.
    prefix: &'a str,
}

impl<'a> Tree<'a> {
    fn of(network: &'a Network<'a>) -> Self {
        let modules = &network.dict.modules;
        let by_path: BTreeMap<&str, &Module> = modules.iter().map(|module| (module.path.as_str(), module)).collect();
        let mut holders = BTreeMap::new();
        for (slot, &index) in &network.recognised.slots {
            let path = network.names.get(index).and_then(|named| named.name.rsplit_once('.')).map(|(path, _)| path);
            if let Some(&module) = path.and_then(|path| by_path.get(path)) {
                holders.entry(slot.position).or_insert(module);
            }
        }
        let mut inner = BTreeSet::new();
        let tensors = network.dict.tensors.iter().map(|tensor| tensor.name.as_str());
        for mut path in modules.iter().map(|module| module.path.as_str()).chain(tensors) {
            // What is in the set already has its own ancestors there.
            while let Some((above, _)) = path.rsplit_once('.').filter(|(above, _)| inner.insert(*above)) {
                path = above;
            }
        }
        let blocks = blocks(&holders);
        Self { modules, holders, inner, blocks, prefix: &network.prefix }
    }

    /// Modules that hold neither others nor tensors: functions without weights.
    fn leaves(&self) -> impl Iterator<Item = &'a Module> {
        self.modules.iter().filter(|module| !module.path.is_empty() && !self.inner.contains(module.path.as_str()))
    }

    /// The path of a module in the network; [`None`] for what lies outside of it.
    fn within(&self, module: &Module) -> Option<String> {
        network::uncompiled(&module.path).strip_prefix(self.prefix).map(str::to_owned)
    }

    /// The place of a module, where the layout has a name for it.
    fn position(&self, told: &Recognised, module: &Module) -> Option<Position> {
        let path = self.within(module)?;
        told.position(&path).or_else(|| {
            // timm's pool of the head is a module of two.
            let (above, last) = path.rsplit_once('.')?;
            match (told.position(above)?, last) {
                (Position::HeadPool, "pool") => Some(Position::HeadPool),
                (Position::HeadPool, "flatten") => Some(Position::Flatten),
                _ => None,
            }
        })
    }

    /// The places of a module without tensors, whether the layout names them or not.
    fn positions(&self, told: &Recognised, module: &Module) -> Vec<Position> {
        own::positions(self, told, module)
    }

    fn attribute(&self, position: Position, key: &str) -> Option<&'a Attribute> {
        self.holders.get(&position)?.attributes.get(key)
    }
}

/// The modules that hold all of a block, and nothing else.
fn blocks<'a>(holders: &BTreeMap<Position, &'a Module>) -> BTreeMap<&'a str, (usize, usize)> {
    let mut paths: BTreeMap<(usize, usize), &'a str> = BTreeMap::new();
    for (position, module) in holders {
        let Position::Block { stage, block, .. } = *position else { continue };
        let path = paths.entry((stage, block)).or_insert(module.path.as_str());
        while !module.path.strip_prefix(*path).is_some_and(|rest| rest.starts_with('.')) {
            match path.rsplit_once('.') {
                Some((above, _)) => *path = above,
                None => break,
            }
        }
    }
    paths.into_iter().map(|(at, path)| (path, at)).collect()
}

/// The network with what its modules say.
pub(super) fn settle(network: &Network, given: Given) -> Result<Recognised> {
    let tree = Tree::of(network);
    let again = by_class(&tree, network, &given);
    let told = again.as_ref().unwrap_or(&network.recognised);
    let given = complete(&tree, told, given);
    let mut settled = recognise(&entries_of(told, &network.names), &given).map_err(|mismatches| Error::Weights {
        problem: "the tree of the module says otherwise than names and shapes".into(),
        tried: mismatches.into_iter().map(|m| format!("{}: {}", m.class, m.reason).into()).collect(),
    })?;
    settled.choices.retain(|choice| choice.hints.is_empty());
    let notes = hold::all(&tree, &settled)?;
    settled.choices.extend(notes.into_iter().chain(unknown_code(&tree, &settled)));
    Ok(settled)
}

/// Libraries by the start of their classes, and their layouts.
const LIBRARIES: [(&str, &str); 6] = [
    ("torchvision.", "torchvision"),
    ("timm.", "timm"),
    ("transformers.", "huggingface"),
    ("mmpretrain.", "mmpretrain"),
    ("mmcls.", "mmpretrain"),
    ("detectron2.", "detectron2"),
];

/// The network in the layout of the library that its class is of, where its names fit those of others too.
fn by_class(tree: &Tree, network: &Network, given: &Given) -> Option<Recognised> {
    let root = tree
        .modules
        .iter()
        .find(|module| format!("{}.", network::uncompiled(&module.path)).trim_start_matches('.') == tree.prefix)?;
    let (_, library) = LIBRARIES.iter().find(|(start, _)| root.class.starts_with(start))?;
    let library = given
        .library
        .or_else(|| ModelLibrary::named(library))
        .filter(|library| library.name != network.recognised.library.name)?;
    recognise(&entries_of(&network.recognised, &network.names), &Given { library: Some(library), ..given.clone() }).ok()
}

/// What names and shapes leave open and no option says, from the modules.
fn complete(tree: &Tree, told: &Recognised, mut given: Given) -> Given {
    let stride = |stage: usize, n: usize| {
        let position = Position::Block { stage, block: 0, component: Component::Conv(n) };
        pair(tree.attribute(position, "stride")?).map(|[stride, _]| stride)
    };
    if told.recipe.form.stages.len() > 1 && told.recipe.form.block == BlockKind::Bottleneck {
        let on = (1..=3).find(|&n| stride(1, n).is_some_and(|stride| stride > 1));
        given.stride_on = given.stride_on.or(on);
    }
    let first = (1..=3).filter_map(|n| stride(0, n)).max();
    given.first_stride = given.first_stride.or(first);
    let groups = tree.holders.values().find_map(|module| number(module.attributes.get("num_groups")?));
    given.norm_groups = given.norm_groups.or(groups);
    // Modules say how the network walks over pixels; options that say otherwise change nothing, and are refused for that.
    (given.strides, given.dilations, given.output_stride) = (None, None, None);
    given.stem = GivenStem::default();
    given.own = own::of(tree, told);
    let functions: BTreeMap<Position, Class> =
        tree.leaves().filter_map(|leaf| Some((tree.position(told, leaf)?, class(leaf)))).collect();
    given.activation = given.activation.or_else(|| activation(tree, told, &functions));
    let nothing = |position: Position| functions.get(&position) == Some(&Class::Nothing);
    if nothing(Position::HeadPool) && nothing(Position::Flatten) {
        given.headless = given.headless.or(Some(Headless::Map));
    }
    given.head_pool = functions.get(&Position::HeadPool).and_then(|class| pooled(*class)).or(given.head_pool);
    let own = if told.recipe.head.is_some() { Headless::Features } else { Headless::Map };
    given.headless = given.headless.or(Some(own));
    given.library = Some(told.library);
    given
}

/// How a head pools by what is in the place of its pool.
fn pooled(class: Class) -> Option<HeadPool> {
    match class {
        Class::GlobalMaxPool => Some(HeadPool::Max),
        Class::GlobalMeanOfBoth => Some(HeadPool::MeanOfBoth),
        Class::GlobalBoth => Some(HeadPool::Both),
        Class::GlobalPool | Class::AvgPool => Some(HeadPool::Global),
        Class::Nothing
        | Class::Activation(_)
        | Class::MaxPool
        | Class::Softmax { .. }
        | Class::Flatten
        | Class::Pad
        | Class::Function
        | Class::Beside
        | Class::Unknown => None,
    }
}

/// The activation of stem and blocks: that of a place that always has it, or the first in a block.
fn activation(tree: &Tree, told: &Recognised, functions: &BTreeMap<Position, Class>) -> Option<Activation> {
    let function = |class: &Class| match class {
        Class::Activation(activation) => Some(*activation),
        _ => None,
    };
    let outer = functions.iter().filter(|(position, _)| {
        matches!(position, Position::Stem(Component::Activation(_)) | Position::FinalActivation)
            || matches!(position, Position::Block { component: Component::Output, .. })
    });
    let of_blocks = tree.leaves().filter(|leaf| tree.position(told, leaf).is_none() && hold::in_body(tree, leaf));
    outer.map(|(_, class)| class).find_map(function).or_else(|| of_blocks.map(class).find_map(|class| function(&class)))
}

/// The entries that a network was told from, under the names of its layout.
pub(super) fn entries_of(told: &Recognised, names: &[&NamedTensor]) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        names.iter().map(|named| Entry { name: named.name.clone(), shape: named.tensor.shape().to_vec() }).collect();
    for (slot, &index) in &told.slots {
        if let (Some(name), Some(entry)) = (told.class.layout().tensor(*slot), entries.get_mut(index)) {
            entry.name = name;
        }
    }
    entries
}

/// Classes that join modules in code that is not in the file, where it is of no library that is known here.
fn unknown_code(tree: &Tree, settled: &Recognised) -> Option<Choice> {
    const SHOWN: usize = 3;
    let joins = tree.modules.iter().filter(|module| module.path.is_empty() || tree.inner.contains(&*module.path));
    let classes = joins.map(|module| module.class.as_str());
    let known = |class: &str| LIBRARIES.iter().any(|(start, _)| class.starts_with(start));
    let unknown = classes.filter(|class| !class.starts_with("torch.") && !known(class));
    let unknown: BTreeSet<&str> = unknown.collect();
    let shown: Vec<String> = unknown.iter().take(SHOWN).map(|class| format!("`{}`", class.shown())).collect();
    let more = if unknown.len() > SHOWN { ", …" } else { "" };
    (!unknown.is_empty()).then(|| Choice {
        taken: format!(
            "that the code of {}{more} joins its modules as {} does",
            shown.join(", "),
            settled.class.describe
        ),
        hints: Vec::new(),
    })
}

/// Pools behind the last block, as the classes of the layouts call them.
const POOLS: [&str; 5] = ["avgpool", "global_pool", "pooler", "pool", "gap"];

/// Says that a pool is of a class whose code is in no file, where one is.
pub(super) fn unknown_pool(dict: &StateDict) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().map(|last| POOLS.contains(&last)) == Some(true);
    let known =
        |class: &str| class.starts_with("torch.") || LIBRARIES.iter().any(|(start, _)| class.starts_with(start));
    let module = dict.modules.iter().find(|module| last(&module.path) && !known(&module.class))?;
    Some(format!("`{}` is of class `{}`, and how that pools is in no file", module.path.shown(), module.class.shown()))
}

fn number(attribute: &Attribute) -> Option<usize> {
    match attribute {
        // More than any layer has would only overflow what is computed of it.
        Attribute::Int(value) => usize::try_from(*value).ok().filter(|&value| value <= 1 << 16),
        _ => None,
    }
}

/// One number for both axes, or one for each.
pub(super) fn pair(attribute: &Attribute) -> Option<[usize; 2]> {
    match attribute {
        Attribute::List(items) => match &items[..] {
            [a, b] => Some([number(a)?, number(b)?]),
            [a] => number(a).map(|n| [n; 2]),
            _ => None,
        },
        other => number(other).map(|n| [n; 2]),
    }
}
