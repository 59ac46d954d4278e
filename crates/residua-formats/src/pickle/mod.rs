//! Python pickles as data: a machine that builds values and can call nothing.
//!
//! A pickle is a program. Here a global is its name, and calling one gives an inert [`Object`] that remembers what would have been called
//! with what; whoever reads a format decides which few of these it understands (a tensor, an ordered dictionary). Everything else stays
//! what it is: a record without effect.
//!
//! Invariant: nothing is imported, called or looked up. Values share as the pickle shares them, so that no input grows beyond its own size;
//! they may be cyclic, and whoever walks them has to bound that.

mod danger;
mod escapes;
mod machine;

use bytes::Bytes;
use residua_ir::Shown;

pub(crate) use danger::is_known_constructor;
pub(crate) use machine::run;

/// Where a value is in its [`Pickle`].
pub(crate) type Id = u32;

/// What a pickle built.
#[derive(Debug)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    /// The value that it ends with.
    pub(crate) root: Id,
    /// First byte behind it.
    pub(crate) end: usize,
    /// Calls that could have done harm.
    pub(crate) calls: Vec<Call>,
}

/// A call that was not made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// What stands for its result.
    pub(crate) object: Id,
    /// What would have been called.
    pub(crate) callable: Id,
    /// Byte of its opcode.
    pub(crate) byte: usize,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A longer one, whose value nothing here needs.
    Long,
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes, or a text of Python 2, whose encoding nobody knows.
    Bytes(Bytes),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, in order.
    Dict(Vec<(Id, Id)>),
    /// A set.
    Set(Vec<Id>),
    /// A global, `module.name`.
    Global(String),
    /// What a call would have given.
    Object(Box<Object>),
    /// What lies outside of the pickle under this identifier.
    Persistent(Id),
}

/// What a call would have given.
#[derive(Debug)]
pub(crate) struct Object {
    /// What would have been called: a global, or anything else.
    pub(crate) callable: Id,
    /// With what.
    pub(crate) args: Id,
    /// What `__setstate__` would have been given.
    pub(crate) state: Option<Id>,
    /// Items that would have been set.
    pub(crate) items: Vec<(Id, Id)>,
    /// Items that would have been appended.
    pub(crate) list: Vec<Id>,
}

impl Pickle {
    pub(crate) fn get(&self, id: Id) -> &Value {
        // Identifiers come from the machine alone; the root is always there.
        self.values.get(id as usize).unwrap_or(&Value::None)
    }

    /// A text, or bytes that are one.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(crate) fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(value) => Some(*value),
            Value::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The items of a tuple or list, or of the one that a `torch.Size` is made from; of what else it may be made from there are
    /// chains without end.
    pub(crate) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Object(object) if self.global(object.callable) == Some("torch.Size") => {
                self.items(*self.items(object.args)?.first()?)
            }
            _ => self.items(id),
        }
    }

    fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn object(&self, id: Id) -> Option<&Object> {
        match self.get(id) {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The name of a global, or of the class that a legacy file stores with its source.
    pub(crate) fn global(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Global(name) => Some(name),
            Value::Persistent(id) => match self.get(*id) {
                Value::Tuple(items) => match (items.first().and_then(|&kind| self.text(kind)), items.get(1)) {
                    (Some("module"), Some(&class)) => match self.get(class) {
                        Value::Global(name) => Some(name),
                        _ => None,
                    },
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The name of an object's class, or of what would have been called for it.
    pub(crate) fn class(&self, object: &Object) -> Option<&str> {
        match self.global(object.callable)? {
            // Before protocol 2, the class is the first argument.
            "copy_reg._reconstructor" | "copyreg._reconstructor" | "copyreg.__newobj__" | "copy_reg.__newobj__" => {
                self.global(*self.sequence(object.args)?.first()?)
            }
            name => Some(name),
        }
    }

    /// The attributes that an object would have been given.
    pub(crate) fn state(&self, object: &Object) -> Vec<(Id, Id)> {
        let Some(state) = object.state else { return Vec::new() };
        match self.get(state) {
            // Attributes in a dictionary, and those in slots.
            Value::Tuple(parts) if parts.len() == 2 => {
                parts.iter().filter_map(|&part| self.entries(part)).flatten().collect()
            }
            _ => self.entries(state).unwrap_or_default(),
        }
    }

    /// Whether an object is a dictionary of any kind.
    pub(crate) fn is_dictionary(&self, object: &Object) -> bool {
        self.global(object.callable).is_some_and(danger::is_dictionary)
    }

    /// Entries of a dictionary of any kind, in order; [`None`] for what is none.
    pub(crate) fn entries(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries.clone()),
            Value::Object(object) if self.is_dictionary(object) => {
                // An ordered dictionary of Python 2 is given its items as a list of pairs.
                let pairs = self.sequence(object.args).and_then(|args| self.sequence(*args.first()?));
                let pairs = pairs.into_iter().flatten().filter_map(|&pair| match self.sequence(pair) {
                    Some(&[key, value]) => Some((key, value)),
                    Some(_) | None => None,
                });
                Some(pairs.chain(object.items.iter().copied()).collect())
            }
            _ => None,
        }
    }

    /// The value under a text in a dictionary; the last, as in Python.
    pub(crate) fn at(&self, entries: &[(Id, Id)], key: &str) -> Option<Id> {
        entries.iter().rfind(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// Identifiers of what lies outside of the pickle, in its order, each as often as it is named.
    pub(crate) fn persistent(&self) -> impl Iterator<Item = Id> {
        self.values.iter().filter_map(|value| match value {
            Value::Persistent(id) => Some(*id),
            _ => None,
        })
    }

    /// What a value is, for messages.
    pub(crate) fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a truth value".to_owned(),
            Value::Int(_) | Value::Long => "an integer".to_owned(),
            Value::Float(_) => "a float".to_owned(),
            Value::Text(_) => "a text".to_owned(),
            Value::Bytes(_) => "bytes".to_owned(),
            Value::Tuple(_) => "a tuple".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Dict(_) => "a dictionary".to_owned(),
            Value::Set(_) => "a set".to_owned(),
            Value::Global(name) => format!("the global `{}`", name.shown()),
            Value::Object(object) => match self.global(object.callable) {
                Some(name) => format!("an object of `{}`", name.shown()),
                None => "an object of what a call would give".to_owned(),
            },
            Value::Persistent(_) => "something outside of the pickle".to_owned(),
        }
    }
}
