//! Attributes of a node, read strictly: what is there and not asked for makes the operator one that is not known.
//!
//! In the body of a function an attribute may stand for one of the call; it is looked up, never copied.

use std::cell::Cell;
use std::collections::HashMap;

use residua_formats::onnx::schema::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorProto};
use residua_ir::tensor::decimal;

use super::unread::{Misused, Unknown, Unread};

/// What the attributes of a function are in one call of it.
pub(super) type Bindings<'a> = HashMap<&'a str, &'a AttributeProto>;

/// See the [module](self).
pub(super) struct Attributes<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: &'a str,
    /// What holds the value; of another name where it is that of the call.
    value: &'a AttributeProto,
    read: Cell<bool>,
}

type Found<T> = Result<Option<T>, Unread>;

impl<'a> Attributes<'a> {
    /// Those of a node. One that stands for an attribute which the call leaves out is left out as well.
    pub(super) fn of(node: &'a NodeProto, bindings: &Bindings<'a>) -> Self {
        let entry = |attribute: &'a AttributeProto| {
            let value = if attribute.ref_attr_name.is_empty() {
                attribute
            } else {
                bindings.get(attribute.ref_attr_name.as_str())?
            };
            Some(Entry { name: &attribute.name, value, read: Cell::new(false) })
        };
        Self { entries: node.attribute.iter().filter_map(entry).collect() }
    }

    /// Names and values, for a call.
    pub(super) fn bindings(&self) -> impl Iterator<Item = (&'a str, &'a AttributeProto)> + '_ {
        self.entries.iter().map(|entry| (entry.name, entry.value))
    }

    fn find(&self, name: &str, kind: AttributeType) -> Found<&'a AttributeProto> {
        let Some(Entry { value: attribute, read, .. }) = self.entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        read.set(true);
        // Files before IR version 2 do not say the type.
        let stated = attribute.r#type;
        if stated == i32::from(kind) || stated == i32::from(AttributeType::Undefined) {
            return Ok(Some(attribute));
        }
        Err(Misused(format!("attribute `{name}` must be of type {kind:?}, found type {stated}")))
    }

    pub(super) fn int(&self, name: &str) -> Found<i64> {
        Ok(self.find(name, AttributeType::Int)?.map(|attribute| attribute.i.unwrap_or_default()))
    }

    pub(super) fn float(&self, name: &str) -> Found<f64> {
        Ok(self.find(name, AttributeType::Float)?.map(|attribute| decimal(attribute.f.unwrap_or_default())))
    }

    pub(super) fn ints(&self, name: &str) -> Found<&'a [i64]> {
        Ok(self.find(name, AttributeType::Ints)?.map(|attribute| &attribute.ints[..]))
    }

    pub(super) fn floats(&self, name: &str) -> Found<&'a [f32]> {
        Ok(self.find(name, AttributeType::Floats)?.map(|attribute| &attribute.floats[..]))
    }

    pub(super) fn text(&self, name: &str) -> Found<&'a str> {
        let Some(attribute) = self.find(name, AttributeType::String)? else { return Ok(None) };
        let bytes = attribute.s.as_deref().unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_| Unknown(format!("attribute `{name}` is no text")))?;
        Ok(Some(text))
    }

    pub(super) fn tensor(&self, name: &str) -> Found<&'a TensorProto> {
        Ok(self.find(name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_ref()))
    }

    pub(super) fn graph(&self, name: &str) -> Found<&'a GraphProto> {
        Ok(self.find(name, AttributeType::Graph)?.and_then(|attribute| attribute.g.as_ref()))
    }

    /// A yes or no.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Unread> {
        Ok(self.int(name)?.map_or(default, |value| value != 0))
    }

    /// Reads what does not matter to the result of inference.
    pub(super) fn skip(&self, names: &[&str]) {
        for entry in &self.entries {
            if names.contains(&entry.name) {
                entry.read.set(true);
            }
        }
    }

    /// An error where an attribute was not asked for.
    pub(super) fn finish(&self) -> Result<(), Unread> {
        match self.entries.iter().find(|entry| !entry.read.get()) {
            Some(entry) => Err(Unknown(format!("attribute `{}` is not known", entry.name))),
            None => Ok(()),
        }
    }
}
