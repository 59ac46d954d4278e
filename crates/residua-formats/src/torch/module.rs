//! Pickled modules: their parameters and buffers under the names that `state_dict()` gives them, in its order.
//!
//! (Source: torch's `nn/modules/module.py`, `_save_to_state_dict`.) Modules of TorchScript have their tensors and modules
//! as attributes, without a word on which is which.

use std::collections::HashSet;

use residua_ir::Shown;
use residua_ir::budget::Limit;

use super::rebuilt::Rebuilt;
use super::walk::{SCALARS, Walk};
use super::{Module, StateDict};
use crate::error::Result;
use crate::pickle::{Id, Object, Value};
use crate::{FormatError, NamedTensor};

/// Attributes of modules whose entries say how images are prepared: timm's.
const SETTINGS: [&str; 1] = ["pretrained_cfg"];

impl<'a> Walk<'a> {
    /// A module and those in it.
    pub(super) fn tree(&mut self, id: Id, path: &str) -> Result<()> {
        let mut tree = StateDict { path: path.to_owned(), ..StateDict::default() };
        self.module(id, "", &mut tree, 0)?;
        self.out.state_dicts.push(tree);
        let pickle = self.pickle;
        let state = pickle.object(id).map(|object| pickle.state(object)).unwrap_or_default();
        let training = pickle.at(&state, "training").map(|id| pickle.get(id));
        if matches!(training, Some(Value::Bool(true))) {
            let at = if path.is_empty() { String::new() } else { format!(" `{}`", path.shown()) };
            self.out.notes.push(format!(
                "the module{at} was saved in training mode; it is read as `model.eval()` has it: norms with their stored statistics, no dropout"
            ));
        }
        Ok(())
    }

    fn module(&mut self, id: Id, prefix: &str, tree: &mut StateDict, depth: u64) -> Result<()> {
        self.count(prefix)?;
        FormatError::check(prefix, Limit::Nesting, depth)?;
        let pickle = self.pickle;
        let Some(object) = pickle.object(id) else { return Ok(()) };
        let state = pickle.state(object);
        self.charge(state.len() * size_of::<(Id, Id)>())?;
        self.described(object, &state, prefix, tree)?;
        let of = |key: &str| pickle.at(&state, key).and_then(|id| pickle.entries(id)).unwrap_or_default();
        let (parameters, buffers, modules) = (of("_parameters"), of("_buffers"), of("_modules"));
        let passing = self.passing_buffers(&state);
        self.charge((parameters.len() + buffers.len() + modules.len() + passing.len()) * size_of::<(Id, Id)>())?;
        for (kind, entries) in [("parameter", parameters), ("buffer", buffers)] {
            for (key, value) in entries {
                let key = pickle.text(key).unwrap_or_default();
                let name = self.join(prefix, key)?;
                let Some(rebuilt) = self.tensor(value, &name)? else { continue };
                self.count(&name)?;
                match rebuilt {
                    Rebuilt::Tensor(..) if kind == "buffer" && passing.contains(key) => {
                        self.unused_in(tree, &name, "a buffer that state dicts leave out")?;
                    }
                    Rebuilt::Tensor(tensor, location) => tree.tensors.push(NamedTensor { name, location, tensor }),
                    Rebuilt::Not(reason) => self.unused_in(tree, &name, &reason)?,
                }
            }
        }
        for (key, child) in modules {
            let name = self.join(prefix, pickle.text(key).unwrap_or_default())?;
            if pickle.object(child).is_some() {
                self.module(child, &name, tree, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Lists a module with its class and its public attributes.
    fn described(&mut self, object: &Object, state: &[(Id, Id)], prefix: &str, tree: &mut StateDict) -> Result<()> {
        let class = self.pickle.class(object).unwrap_or("a class that is computed").to_owned();
        self.charge(class.len() + size_of::<Module>())?;
        let mut module = Module { path: prefix.to_owned(), class, attributes: std::collections::BTreeMap::new() };
        for &(key, value) in state {
            let Some(key) = self.pickle.text(key).filter(|key| !key.starts_with('_') && *key != "training") else {
                continue;
            };
            if self.pickle.object(value).is_some_and(|object| self.rebuild.is_tensor(object)) {
                let name = self.join(prefix, key)?;
                self.count(&name)?;
                self.unused_in(tree, &name, "an attribute that is neither a parameter nor a buffer")?;
            }
            if SETTINGS.contains(&key) {
                let at = self.join(&tree.path, prefix)?;
                let at = self.join(&at, key)?;
                self.settings(value, &at)?;
            }
            self.charge(key.len() + size_of::<String>())?;
            module.attributes.insert(key.to_owned(), self.attribute(value)?);
        }
        tree.modules.push(module);
        Ok(())
    }

    /// Lists the plain values of a dictionary that is an attribute of a module.
    fn settings(&mut self, id: Id, at: &str) -> Result<()> {
        for (key, value) in self.pickle.entries(id).unwrap_or_default() {
            if let (Some(key), true) = (self.pickle.text(key), self.out.scalars.len() < SCALARS) {
                let path = self.join(at.trim_start_matches('.'), key)?;
                let value = self.attribute(value)?;
                self.out.scalars.push((path, value));
            }
        }
        Ok(())
    }

    fn unused_in(&mut self, tree: &StateDict, name: &str, reason: &str) -> Result<()> {
        let location = self.join(&tree.path, name)?;
        self.unused(location, reason);
        Ok(())
    }

    /// Buffers that are no part of a state dict.
    fn passing_buffers(&self, state: &[(Id, Id)]) -> HashSet<&'a str> {
        let pickle = self.pickle;
        let set = pickle.at(state, "_non_persistent_buffers_set").map(|id| match pickle.get(id) {
            Value::Set(items) => items.as_slice(),
            // `set([…])`, as protocols before 4 have it.
            Value::Object(set) => {
                let first = pickle.sequence(set.args).and_then(|args| pickle.sequence(*args.first()?));
                first.unwrap_or_default()
            }
            _ => &[],
        });
        set.unwrap_or_default().iter().filter_map(|&item| pickle.text(item)).collect()
    }

    // ---- TorchScript

    /// A module of TorchScript and those in it.
    pub(super) fn script(&mut self, object: &Object, path: &str) -> Result<()> {
        let mut tree = StateDict { path: path.to_owned(), ..StateDict::default() };
        self.script_module(object, "", &mut tree, 0)?;
        self.out.state_dicts.push(tree);
        Ok(())
    }

    fn script_module(&mut self, object: &Object, prefix: &str, tree: &mut StateDict, depth: u64) -> Result<()> {
        FormatError::check(prefix, Limit::Nesting, depth)?;
        self.count(prefix)?;
        let state = self.pickle.state(object);
        self.charge(state.len() * size_of::<(Id, Id)>())?;
        for (key, value) in state {
            let name = self.join(prefix, self.pickle.text(key).unwrap_or_default())?;
            match self.tensor(value, &name)? {
                Some(Rebuilt::Tensor(tensor, location)) => {
                    self.count(&name)?;
                    tree.tensors.push(NamedTensor { name, location, tensor });
                }
                Some(Rebuilt::Not(reason)) => self.unused_in(tree, &name, &reason)?,
                None => {
                    if let Some(inner) = self.pickle.object(value).filter(|inner| inner.state.is_some()) {
                        self.script_module(inner, &name, tree, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }
}
