//! What was saved: state dicts, modules, and what lies beside them.

use std::collections::{BTreeMap, HashSet};

use residua_ir::{Tensor, Unused};

use super::storage::Storages;
use super::tensor::{Rebuild, Rebuilt};
use super::{Attribute, Danger, Module, StateDict, TorchFile, TorchKind};
use crate::error::Result;
use crate::pickle::{Id, Pickle, Value};
use crate::{FormatError, NamedTensor, limits};

/// Reads the object of a pickle; `at` is what the pickle is called, `file` the size of the file.
pub(super) fn read(kind: TorchKind, pickle: &Pickle, storages: &Storages, file: usize, at: &str) -> Result<TorchFile> {
    read_numbered(kind, pickle, storages, &BTreeMap::new(), file, at)
}

/// As [`read`], with tensors that the pickle refers to by number.
pub(super) fn read_numbered(
    kind: TorchKind,
    pickle: &Pickle,
    storages: &Storages,
    numbered: &BTreeMap<String, (Tensor, String)>,
    file: usize,
    at: &str,
) -> Result<TorchFile> {
    let out = TorchFile {
        kind,
        state_dicts: Vec::new(),
        scalars: Vec::new(),
        unused: Vec::new(),
        dangers: dangers(pickle, at),
        notes: Vec::new(),
        config: None,
    };
    let rebuild = Rebuild { pickle, storages, numbered, file };
    let mut walk = Walk { pickle, rebuild, visited: HashSet::new(), items: 0, out };
    walk.visit(pickle.root, "", 0, true)?;
    Ok(walk.out)
}

/// What a pickle would have called, each once.
fn dangers(pickle: &Pickle, at: &str) -> Vec<Danger> {
    let mut seen = HashSet::new();
    let mut dangers = Vec::new();
    for &(callable, byte) in &pickle.calls {
        let global = match pickle.global(callable) {
            Some(name) => name.escape_debug().to_string(),
            None => pickle.describe(callable),
        };
        if seen.insert(global.clone()) && dangers.len() < limits::TORCH_SCALARS {
            dangers.push(Danger { global, place: format!("{at}, byte {byte}") });
        }
    }
    dangers
}

struct Walk<'a> {
    pickle: &'a Pickle,
    rebuild: Rebuild<'a>,
    /// Containers that were looked into: what is referred to twice is listed once, and cycles end.
    visited: HashSet<Id>,
    /// Tensors and modules so far.
    items: u64,
    out: TorchFile,
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Walk<'_> {
    fn count(&mut self, at: &str) -> Result<()> {
        self.items += 1;
        FormatError::check(at, "tensors and modules of a checkpoint", limits::TORCH_TENSORS, self.items)
    }

    fn unused(&mut self, location: String, reason: impl Into<String>) {
        self.out.unused.push(Unused { location, reason: reason.into() });
    }

    /// Looks into a value. `named` is whether only texts lead to it: what lies under numbers is the state of an optimizer.
    fn visit(&mut self, id: Id, path: &str, depth: u64, named: bool) -> Result<()> {
        FormatError::check(path, "levels of nested objects", limits::TORCH_DEPTH, depth)?;
        let pickle = self.pickle;
        if let Some(entries) = pickle.entries(id) {
            return if self.visited.insert(id) { self.dictionary(&entries, path, depth, named) } else { Ok(()) };
        }
        match pickle.get(id) {
            Value::Object(object) => {
                if !self.visited.insert(id) {
                    return Ok(());
                }
                if let Some(rebuilt) = self.rebuild.tensor(id, path)? {
                    self.count(path)?;
                    let reason = match rebuilt {
                        Rebuilt::Tensor(..) => "a tensor that has no name of its own".to_owned(),
                        Rebuilt::Not(reason) => reason,
                    };
                    self.unused(path.to_owned(), reason);
                    return Ok(());
                }
                let state = object.state.and_then(|state| pickle.entries(state));
                match state {
                    Some(state) if self.is_module(&state) => self.tree(id, path),
                    Some(state) if self.is_script(object.callable) => self.script(&state, path),
                    Some(state) => {
                        let items: Vec<(Id, Id)> = state.into_iter().chain(object.items.iter().copied()).collect();
                        self.dictionary(&items, path, depth, named)
                    }
                    None => {
                        self.scalar(id, path, depth, named);
                        Ok(())
                    }
                }
            }
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
                if self.visited.insert(id) {
                    for (index, &item) in items.iter().enumerate() {
                        self.visit(item, &join(path, &index.to_string()), depth + 1, named)?;
                    }
                }
                Ok(())
            }
            Value::Persistent(_) => match self.rebuild.tensor(id, path)? {
                Some(Rebuilt::Tensor(..)) => {
                    self.unused(path.to_owned(), "a tensor that has no name of its own");
                    Ok(())
                }
                Some(Rebuilt::Not(_)) | None => Ok(()),
            },
            Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Long
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Dict(_)
            | Value::Global(_) => {
                self.scalar(id, path, depth, named);
                Ok(())
            }
        }
    }

    fn scalar(&mut self, id: Id, path: &str, depth: u64, named: bool) {
        const DEEP: u64 = 3;
        if named && depth <= DEEP && !path.is_empty() && self.out.scalars.len() < limits::TORCH_SCALARS {
            let value = self.attribute(id, 2);
            self.out.scalars.push((path.to_owned(), value));
        }
    }

    fn dictionary(&mut self, entries: &[(Id, Id)], path: &str, depth: u64, named: bool) -> Result<()> {
        let mut tensors = Vec::new();
        let mut rest = Vec::new();
        for &(key, value) in entries {
            let (name, by_text) = match (self.pickle.text(key), self.pickle.int(key)) {
                (Some(text), _) => (text.to_owned(), true),
                (None, Some(number)) => (number.to_string(), false),
                (None, None) => (self.pickle.describe(key), false),
            };
            let at = join(path, &name);
            match self.rebuild.tensor(value, &at)? {
                Some(Rebuilt::Tensor(tensor, location)) => {
                    self.count(&at)?;
                    if named && by_text {
                        tensors.push(NamedTensor { name, location, tensor });
                    } else {
                        self.unused(at, "it lies under a number, as the state of an optimizer does");
                    }
                }
                Some(Rebuilt::Not(reason)) => {
                    self.count(&at)?;
                    self.unused(at, reason);
                }
                None => rest.push((value, at, named && by_text)),
            }
        }
        if !tensors.is_empty() {
            let modules = Vec::new();
            self.out.state_dicts.push(StateDict { path: path.to_owned(), tensors, modules });
        }
        for (value, at, named) in rest {
            self.visit(value, &at, depth + 1, named)?;
        }
        Ok(())
    }

    // ---- modules

    fn is_module(&self, state: &[(Id, Id)]) -> bool {
        ["_modules", "_parameters"].iter().all(|key| self.pickle.at(state, key).is_some())
    }

    fn is_script(&self, class: Id) -> bool {
        self.pickle.global(class).is_some_and(|name| name.starts_with("__torch__"))
    }

    /// A module and those in it.
    fn tree(&mut self, id: Id, path: &str) -> Result<()> {
        let mut tree = StateDict { path: path.to_owned(), ..StateDict::default() };
        self.module(id, "", &mut tree, 0)?;
        self.out.state_dicts.push(tree);
        Ok(())
    }

    fn module(&mut self, id: Id, prefix: &str, tree: &mut StateDict, depth: u64) -> Result<()> {
        self.count(prefix)?;
        FormatError::check(prefix, "levels of nested modules", limits::TORCH_DEPTH, depth)?;
        let pickle = self.pickle;
        let Some(object) = pickle.object(id) else { return Ok(()) };
        let state = object.state.and_then(|state| pickle.entries(state)).unwrap_or_default();
        let of = |key: &str| pickle.at(&state, key).and_then(|id| pickle.entries(id)).unwrap_or_default();
        let class = pickle.global(object.callable).unwrap_or("a class that is computed").to_owned();
        let plain = state.iter().filter_map(|&(key, value)| Some((pickle.text(key)?, value)));
        let plain = plain.filter(|(key, _)| !key.starts_with('_') && *key != "training");
        let attributes = plain.map(|(key, value)| (key.to_owned(), self.attribute(value, 3))).collect();
        tree.modules.push(Module { path: prefix.to_owned(), class, attributes });
        let passing = self.passing_buffers(&state);
        let buffers =
            of("_buffers").into_iter().filter(|(key, _)| !passing.contains(pickle.text(*key).unwrap_or_default()));
        for (key, value) in of("_parameters").into_iter().chain(buffers) {
            let name = join(prefix, pickle.text(key).unwrap_or_default());
            match self.rebuild.tensor(value, &name)? {
                Some(Rebuilt::Tensor(tensor, location)) => {
                    self.count(&name)?;
                    tree.tensors.push(NamedTensor { name, location, tensor });
                }
                Some(Rebuilt::Not(reason)) => self.unused(name, reason),
                None => {}
            }
        }
        for (key, child) in of("_modules") {
            let name = join(prefix, pickle.text(key).unwrap_or_default());
            if pickle.object(child).is_some() {
                self.module(child, &name, tree, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Buffers that are no part of a state dict.
    fn passing_buffers(&self, state: &[(Id, Id)]) -> HashSet<String> {
        let pickle = self.pickle;
        let set = pickle.at(state, "_non_persistent_buffers_set").map(|id| match pickle.get(id) {
            Value::Set(items) => items.clone(),
            Value::Object(set) => {
                let first = pickle.sequence(set.args).and_then(|args| pickle.sequence(*args.first()?));
                first.unwrap_or_default().to_vec()
            }
            _ => Vec::new(),
        });
        set.unwrap_or_default().into_iter().filter_map(|item| pickle.text(item).map(str::to_owned)).collect()
    }

    /// A module of TorchScript, whose attributes are its tensors and modules.
    fn script(&mut self, state: &[(Id, Id)], path: &str) -> Result<()> {
        let mut tree = StateDict { path: path.to_owned(), ..StateDict::default() };
        self.script_module(state, "", &mut tree, 0)?;
        self.out.state_dicts.push(tree);
        Ok(())
    }

    fn script_module(&mut self, state: &[(Id, Id)], prefix: &str, tree: &mut StateDict, depth: u64) -> Result<()> {
        FormatError::check(prefix, "levels of nested modules", limits::TORCH_DEPTH, depth)?;
        for &(key, value) in state {
            self.count(prefix)?;
            let name = join(prefix, self.pickle.text(key).unwrap_or_default());
            match self.rebuild.tensor(value, &name)? {
                Some(Rebuilt::Tensor(tensor, location)) => tree.tensors.push(NamedTensor { name, location, tensor }),
                Some(Rebuilt::Not(reason)) => self.unused(name, reason),
                None => {
                    let inner = self.pickle.object(value).and_then(|object| object.state);
                    if let Some(inner) = inner.and_then(|state| self.pickle.entries(state)) {
                        self.script_module(&inner, &name, tree, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A value as a plain one, lists to so many levels.
    fn attribute(&self, id: Id, levels: usize) -> Attribute {
        const ITEMS: usize = 64;
        let pickle = self.pickle;
        match pickle.get(id) {
            Value::None => Attribute::None,
            Value::Bool(value) => Attribute::Bool(*value),
            Value::Int(value) => Attribute::Int(*value),
            Value::Float(value) => Attribute::Float(*value),
            Value::Text(text) if text.len() <= 1024 => Attribute::Text(text.clone()),
            Value::Tuple(items) | Value::List(items) if levels > 0 && items.len() <= ITEMS => {
                Attribute::List(items.iter().map(|&item| self.attribute(item, levels - 1)).collect())
            }
            _ => Attribute::Other(pickle.describe(id)),
        }
    }
}
