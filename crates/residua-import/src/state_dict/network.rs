//! What is asked for in a state dict, the network that was told from it, or why there is none.

use std::collections::BTreeMap;

use residua_formats::NamedTensor;
use residua_formats::torch::StateDict;
use residua_ir::Unused;
use residua_resnet::nearest::Nearest;
use residua_resnet::recognise::{Given, Mismatch, Recognised};

/// What is known and wanted of a network besides its tensors.
pub(super) struct Asked<'a> {
    pub(super) given: &'a Given,
    /// The module at which the head begins.
    pub(super) head_from: Option<&'a str>,
    /// What the file holds beside its state dicts.
    pub(super) unused: &'a [Unused],
    /// What its pickle wants called that could do harm.
    pub(super) dangers: &'a [String],
}

/// A network that was told from a state dict.
pub(super) struct Network<'a> {
    pub(super) dict: &'a StateDict,
    pub(super) recognised: Recognised,
    /// What stands before its names, with the dot.
    pub(super) prefix: String,
    /// The tensors that [`Recognised::slots`] count.
    pub(super) names: Vec<&'a NamedTensor>,
    pub(super) notes: Vec<String>,
    pub(super) unused: Vec<Unused>,
    /// Modules that were left out, by their paths, with the names of their tensors.
    pub(super) heads: BTreeMap<String, Vec<String>>,
    /// Modules of a head that is put behind the network when that was held against its own.
    pub(super) apart: Vec<String>,
    /// The module that was asked for, where it is not all of the state dict.
    pub(super) part: Option<String>,
}

impl Network<'_> {
    /// Whether the state dict has modules that are none of the network's.
    pub(super) fn is_part(&self) -> bool {
        self.part.is_some() || !self.heads.is_empty() || !self.apart.is_empty()
    }

    /// The state dict without the modules and tensors that were left out.
    pub(super) fn alone(&self) -> StateDict {
        let within = |path: &str, module: &str| {
            path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let kept = |path: &str| {
            let path = uncompiled(path);
            let part = self.part.as_deref();
            // Modules around a part stay: they hold nothing but others.
            part.is_none_or(|part| within(&path, part) || path.is_empty() || within(part, &path))
                && !self.heads.keys().chain(&self.apart).any(|head| within(&path, head))
        };
        let mut dict = self.dict.clone();
        dict.tensors.retain(|tensor| kept(&tensor.name));
        dict.modules.retain(|module| kept(&module.path));
        dict
    }
}

/// Why a state dict is no network.
#[derive(Debug, Default)]
pub(super) struct Failure {
    pub(super) mismatches: Vec<Mismatch>,
    /// A network that was found, and what lies outside of it.
    pub(super) outside: Option<Outside>,
    /// The paths of several networks, where there are several.
    pub(super) several: Vec<String>,
    /// The model class that they come nearest to.
    pub(super) nearest: Option<Box<Near>>,
}

/// How near tensors come to a model class.
#[derive(Debug)]
pub(super) struct Near {
    /// What stands before the names that the class has.
    pub(super) prefix: String,
    /// The tensors by the names that [`Nearest`] counts.
    pub(super) names: Vec<String>,
    pub(super) nearest: Nearest,
}

/// A network that is not all that there is.
#[derive(Debug)]
pub(super) struct Outside {
    /// What stands before its names, without the dot.
    pub(super) prefix: String,
    /// Names that lie outside of it.
    pub(super) names: Vec<String>,
}

/// A name without the segments that torch.compile puts anywhere.
pub(super) fn uncompiled(name: &str) -> String {
    name.split('.').filter(|segment| *segment != "_orig_mod").collect::<Vec<_>>().join(".")
}

/// The path of the module that all these names lie in.
pub(super) fn shared<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let module = |name: &'a str| name.rsplit_once('.').map_or("", |(module, _)| module);
    let first = names.next().map(module).unwrap_or_default();
    let shared = names.fold(first, |shared, name| {
        let alike = shared.split('.').zip(module(name).split('.')).take_while(|(a, b)| a == b);
        let length: usize = alike.map(|(segment, _)| segment.len() + 1).sum();
        shared.get(..length.saturating_sub(1)).unwrap_or_default()
    });
    shared.to_owned()
}
