//! What was saved: the object of a pickle, walked for state dicts, for modules, and for what lies beside them.
//!
//! Invariant: containers are looked into once, so that cycles end and sharing costs nothing; modules are looked into at
//! each place where they stand, as `state_dict()` does, within a budget for names and attributes.

use std::collections::{BTreeMap, HashMap, HashSet};

use residua_ir::budget::Limit;
use residua_ir::{DType, Name, Shown, Tensor, Unused};

use super::rebuilt::Rebuilt;
use super::storage::Storages;
use super::tensor::Rebuild;
use super::{Attribute, Danger, StateDict, TorchFile, TorchKind};
use crate::error::Result;
use crate::pickle::{Id, Object, Pickle, Value, is_known_constructor};
use crate::{FormatError, NamedTensor};

/// Small values beside the tensors of a checkpoint that are listed.
pub(super) const SCALARS: usize = 256;
/// Bytes of a configuration as text that is kept; real ones have some thousand.
const CONFIGURATION: usize = 1 << 18;

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
    let mut walk = Walk {
        pickle,
        rebuild: Rebuild::new(pickle, storages, numbered, file),
        visited: HashSet::new(),
        called: pickle.calls.iter().map(|call| (call.object, String::new())).collect(),
        items: 0,
        text: 0,
        out: TorchFile::empty(kind),
    };
    walk.visit(pickle.root, Place { path: "", depth: 0, named: true, listed: false })?;
    let (mut out, called) = (walk.out, walk.called);
    out.dangers = dangers(pickle, &called, at);
    if out.scalars.len() == SCALARS {
        out.notes.push(format!("only the first {} small values beside the tensors are listed", SCALARS));
    }
    Ok(out)
}

/// What a pickle would have called, each once.
fn dangers(pickle: &Pickle, called: &HashMap<Id, String>, at: &str) -> Vec<Danger> {
    let mut seen = HashSet::new();
    let mut dangers = Vec::new();
    for call in &pickle.calls {
        let name = pickle.global(call.callable);
        if dangers.len() < SCALARS && seen.insert(name) {
            let global = match name {
                Some(name) => name.shown().to_string(),
                None => pickle.describe(call.callable),
            };
            let path = called.get(&call.object).filter(|path| !path.is_empty());
            let path = path.map_or_else(String::new, |path| format!(", at `{}`", path.shown()));
            dangers.push(Danger { global, place: format!("{at} byte {}{path}", call.byte) });
        }
    }
    dangers
}

/// Where the walk is.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    path: &'p str,
    depth: u64,
    /// Whether only texts lead here.
    named: bool,
    /// Whether an object around is listed as unused already.
    listed: bool,
}

pub(super) struct Walk<'a> {
    pub(super) pickle: &'a Pickle,
    pub(super) rebuild: Rebuild<'a>,
    visited: HashSet<Id>,
    /// Objects that calls worth a report would have given, with the first path that leads there.
    called: HashMap<Id, String>,
    /// Tensors and modules so far.
    items: u64,
    /// Bytes of names and attributes so far.
    text: u64,
    pub(super) out: TorchFile,
}

impl Walk<'_> {
    // ---- budgets

    pub(super) fn count(&mut self, at: &str) -> Result<()> {
        self.items += 1;
        FormatError::check(at, Limit::Tensors, self.items)
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.text = self.text.saturating_add(bytes as u64);
        FormatError::check("", Limit::TextBytes, self.text)
    }

    /// The path of something within something.
    pub(super) fn join(&mut self, path: &str, key: &str) -> Result<String> {
        self.charge(path.len() + key.len() + 1)?;
        Ok(if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") })
    }

    /// The tensor that a value is.
    pub(super) fn tensor(&mut self, id: Id, path: &str) -> Result<Option<Rebuilt>> {
        let rebuilt = self.rebuild.tensor(id, path)?;
        if let Some(Rebuilt::Tensor(_, location)) = &rebuilt {
            self.charge(location.len())?;
        }
        Ok(rebuilt)
    }

    pub(super) fn unused(&mut self, location: impl Into<Name>, reason: impl Into<String>) {
        self.out.unused.push(Unused { location: location.into(), reason: reason.into() });
    }

    // ---- values

    fn visit(&mut self, id: Id, at: Place<'_>) -> Result<()> {
        FormatError::check(at.path, Limit::Nesting, at.depth)?;
        if let Some(path) = self.called.get_mut(&id).filter(|path| path.is_empty()) {
            at.path.clone_into(path);
        }
        match self.pickle.get(id) {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => self.sequence(id, items, at),
            Value::Dict(_) => self.dictionary(id, at),
            Value::Object(object) if self.pickle.is_dictionary(object) => self.dictionary(id, at),
            Value::Object(object) => self.object(id, object, at),
            Value::Persistent(_) => match self.tensor(id, at.path)? {
                Some(rebuilt) => self.nameless(rebuilt, at.path),
                None => {
                    self.unused(at.path, "a storage that no tensor is on, or a tensor of a type that is not read");
                    Ok(())
                }
            },
            Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Long
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Global(_) => self.scalar(id, at),
        }
    }

    fn sequence(&mut self, id: Id, items: &[Id], at: Place<'_>) -> Result<()> {
        if !self.visited.insert(id) {
            return Ok(());
        }
        if items.iter().all(|&item| self.is_plain(item)) {
            return self.scalar(id, at);
        }
        for (index, &item) in items.iter().enumerate() {
            if !self.is_plain(item) {
                let path = self.join(at.path, &index.to_string())?;
                self.visit(item, Place { path: &path, depth: at.depth + 1, ..at })?;
            }
        }
        Ok(())
    }

    fn is_plain(&self, id: Id) -> bool {
        match self.pickle.get(id) {
            Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Long
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Global(_) => true,
            Value::Tuple(_)
            | Value::List(_)
            | Value::Dict(_)
            | Value::Set(_)
            | Value::Object(_)
            | Value::Persistent(_) => false,
        }
    }

    fn object(&mut self, id: Id, object: &Object, at: Place<'_>) -> Result<()> {
        if !self.visited.insert(id) {
            return Ok(());
        }
        if let Some(rebuilt) = self.tensor(id, at.path)? {
            return self.nameless(rebuilt, at.path);
        }
        let pickle = self.pickle;
        let class = pickle.class(object);
        if class.is_some_and(|class| class.starts_with("__torch__")) && object.state.is_some() {
            return self.script(object, at.path);
        }
        let state = pickle.state(object);
        self.charge(state.len() + class.map_or(0, str::len))?;
        if ["_modules", "_parameters"].iter().all(|key| pickle.at(&state, key).is_some()) {
            return self.tree(id, at.path);
        }
        let known = class.is_some_and(is_known_constructor);
        if known && state.is_empty() {
            self.scalar(id, at)?;
        } else if !known && !at.listed {
            let class = class.unwrap_or("what a call would give").shown().to_string();
            self.unused(at.path, format!("an object of `{class}`, which is not read"));
        }
        let inside = Place { depth: at.depth + 1, listed: true, ..at };
        let entries: Vec<(Id, Id)> = state.into_iter().chain(object.items.iter().copied()).collect();
        self.entries(&entries, Place { listed: at.listed || !known, ..at })?;
        // What it was made from may hold tensors too, but no names for them.
        for id in [object.args].into_iter().chain(object.list.iter().copied()) {
            if !self.is_plain(id) {
                self.visit(id, Place { named: false, ..inside })?;
            }
        }
        Ok(())
    }

    fn nameless(&mut self, rebuilt: Rebuilt, path: &str) -> Result<()> {
        self.count(path)?;
        let reason = match rebuilt {
            Rebuilt::Tensor(..) => "a tensor without a name".to_owned(),
            Rebuilt::Not(reason) => reason,
        };
        self.unused(path, reason);
        Ok(())
    }

    fn scalar(&mut self, id: Id, at: Place<'_>) -> Result<()> {
        const DEEP: u64 = 4;
        if at.named && at.depth <= DEEP && !at.path.is_empty() && self.out.scalars.len() < SCALARS {
            let value = match self.pickle.get(id) {
                // mmengine's own configuration, as a program in Python that is not run.
                Value::Text(text) if at.path.ends_with("meta.cfg") && text.len() <= CONFIGURATION => {
                    self.charge(text.len())?;
                    Attribute::Text(text.clone())
                }
                _ => self.attribute(id)?,
            };
            self.out.scalars.push((at.path.to_owned(), value));
        }
        Ok(())
    }

    // ---- dictionaries

    fn dictionary(&mut self, id: Id, at: Place<'_>) -> Result<()> {
        if !self.visited.insert(id) {
            return Ok(());
        }
        let Some(entries) = self.pickle.entries(id) else { return Ok(()) };
        self.charge(entries.len())?;
        let has = |key| self.pickle.at(&entries, key).is_some();
        if has("state") && has("param_groups") {
            let tensors = self.tensors_below(&entries);
            self.unused(at.path, format!("the state of an optimizer ({tensors} tensors)"));
            return Ok(());
        }
        self.entries(&entries, at)
    }

    fn entries(&mut self, entries: &[(Id, Id)], at: Place<'_>) -> Result<()> {
        let mut tensors: Vec<NamedTensor> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut rest = Vec::new();
        for &(key, value) in entries {
            let (name, by_text) = match (self.pickle.text(key), self.pickle.int(key)) {
                (Some(text), _) => (text.to_owned(), true),
                (None, Some(number)) => (number.to_string(), false),
                (None, None) => (self.pickle.describe(key), false),
            };
            let path = self.join(at.path, &name)?;
            let named = at.named && by_text;
            match self.tensor(value, &path)? {
                Some(Rebuilt::Tensor(tensor, location)) if named => {
                    self.count(&path)?;
                    // As in a dictionary, what comes later replaces what was there.
                    match index.get(&name).and_then(|&index| tensors.get_mut(index)) {
                        Some(earlier) => *earlier = NamedTensor { name, location, tensor },
                        None => {
                            index.insert(name.clone(), tensors.len());
                            tensors.push(NamedTensor { name, location, tensor });
                        }
                    }
                }
                Some(rebuilt) => self.nameless(rebuilt, &path)?,
                None => rest.push((value, path, named)),
            }
        }
        self.state_dict(tensors, at.path)?;
        for (value, path, named) in rest {
            self.visit(value, Place { path: &path, depth: at.depth + 1, named, ..at })?;
        }
        Ok(())
    }

    /// Tensors of one dictionary: a state dict, unless all of them are numbers that training keeps.
    fn state_dict(&mut self, tensors: Vec<NamedTensor>, path: &str) -> Result<()> {
        let reason = |named: &NamedTensor| match (named.tensor.shape().len(), named.tensor.dtype()) {
            (0, _) => Some("a single number beside the weights"),
            (1, DType::U8) => Some("bytes, as the state of a random number generator has"),
            _ => None,
        };
        if tensors.iter().any(|named| reason(named).is_none()) {
            self.out.state_dicts.push(StateDict { path: path.to_owned(), tensors, modules: Vec::new() });
            return Ok(());
        }
        for named in &tensors {
            let location = self.join(path, &named.name)?;
            self.unused(location, reason(named).unwrap_or_default());
        }
        Ok(())
    }

    /// How many tensors a dictionary leads to.
    fn tensors_below(&mut self, entries: &[(Id, Id)]) -> usize {
        let mut left: Vec<Id> = entries.iter().map(|&(_, value)| value).collect();
        let mut tensors = 0;
        while let Some(id) = left.pop() {
            if self.is_plain(id) || !self.visited.insert(id) {
                continue;
            }
            match self.pickle.get(id) {
                Value::List(items) | Value::Tuple(items) | Value::Set(items) => left.extend(items),
                Value::Dict(entries) => left.extend(entries.iter().map(|&(_, value)| value)),
                Value::Object(object) if self.rebuild.is_tensor(object) => tensors += 1,
                Value::Object(object) => {
                    left.extend(object.items.iter().map(|&(_, value)| value));
                    left.extend(object.state.into_iter().chain(object.list.iter().copied()).chain([object.args]));
                }
                Value::None
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Long
                | Value::Float(_)
                | Value::Text(_)
                | Value::Bytes(_)
                | Value::Global(_)
                | Value::Persistent(_) => {}
            }
        }
        tensors
    }

    // ---- plain values

    /// A value as a plain one, within bounds.
    pub(super) fn attribute(&mut self, id: Id) -> Result<Attribute> {
        let mut left = 256;
        let value = self.plain(id, 3, &mut left);
        self.charge((256 - left) * size_of::<Attribute>())?;
        Ok(value)
    }

    fn plain(&self, id: Id, levels: usize, left: &mut usize) -> Attribute {
        *left = left.saturating_sub(1);
        match self.pickle.get(id) {
            Value::None => Attribute::None,
            Value::Bool(value) => Attribute::Bool(*value),
            Value::Int(value) => Attribute::Int(*value),
            Value::Float(value) => Attribute::Float(*value),
            Value::Text(text) if text.len() <= 1024 => Attribute::Text(text.clone()),
            Value::Bytes(bytes) if bytes.len() <= 1024 && std::str::from_utf8(bytes).is_ok() => {
                Attribute::Text(String::from_utf8_lossy(bytes).into_owned())
            }
            Value::Tuple(items) | Value::List(items) if levels > 0 && items.len() <= *left => {
                Attribute::List(items.iter().map(|&item| self.plain(item, levels - 1, left)).collect())
            }
            Value::Object(object) if self.rebuild.is_tensor(object) => Attribute::Other("a tensor".to_owned()),
            Value::Object(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Tuple(_)
            | Value::List(_)
            | Value::Long
            | Value::Dict(_)
            | Value::Set(_)
            | Value::Global(_)
            | Value::Persistent(_) => Attribute::Other(self.pickle.describe(id)),
        }
    }
}
