//! Attributes of a node, read strictly: what is there and not asked for makes the operator one that is not known.

use std::cell::Cell;

use residua_formats::onnx::schema::{AttributeProto, AttributeType, NodeProto, TensorProto};
use residua_ir::tensor::decimal;

use super::Unknown;

/// See the [module](self).
pub(super) struct Attributes<'a> {
    entries: Vec<(&'a AttributeProto, Cell<bool>)>,
}

type Found<T> = Result<Option<T>, Unknown>;

impl<'a> Attributes<'a> {
    pub(super) fn of(node: &'a NodeProto) -> Self {
        Self { entries: node.attribute.iter().map(|attribute| (attribute, Cell::new(false))).collect() }
    }

    fn find(&self, name: &str, kind: AttributeType) -> Found<&'a AttributeProto> {
        let Some((attribute, read)) = self.entries.iter().find(|(attribute, _)| attribute.name == name) else {
            return Ok(None);
        };
        read.set(true);
        // Files before IR version 2 do not say the type.
        let stated = attribute.r#type;
        if stated == i32::from(kind) || stated == i32::from(AttributeType::Undefined) {
            return Ok(Some(attribute));
        }
        Err(Unknown(format!("attribute `{name}` must be of type {kind:?}, found type {stated}")))
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

    /// A yes or no.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Unknown> {
        Ok(self.int(name)?.map_or(default, |value| value != 0))
    }

    /// Two sizes, (vertical, horizontal).
    pub(super) fn pair(&self, name: &str, default: Option<[usize; 2]>) -> Result<[usize; 2], Unknown> {
        let Some(values) = self.ints(name)? else {
            return default.ok_or_else(|| Unknown(format!("attribute `{name}` is missing")));
        };
        let sizes: Option<Vec<usize>> = values.iter().map(|&value| usize::try_from(value).ok()).collect();
        sizes
            .and_then(|sizes| sizes.try_into().ok())
            .ok_or_else(|| Unknown(format!("attribute `{name}` must be two sizes, found {values:?}")))
    }

    /// Reads what does not matter to the result of inference.
    pub(super) fn skip(&self, names: &[&str]) {
        for (attribute, read) in &self.entries {
            if names.contains(&attribute.name.as_str()) {
                read.set(true);
            }
        }
    }

    /// An error where an attribute was not asked for, or refers to a function's.
    pub(super) fn finish(&self) -> Result<(), Unknown> {
        for (attribute, read) in &self.entries {
            if !read.get() {
                return Err(Unknown(format!("attribute `{}` is not known", attribute.name)));
            }
            if !attribute.ref_attr_name.is_empty() {
                return Err(Unknown(format!("attribute `{}` refers to one of a function", attribute.name)));
            }
        }
        Ok(())
    }
}
