//! Tensors from what a pickle would have called to rebuild them. (Source: torch's `_utils.py`, `_tensor.py`.)

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use residua_ir::budget::Limit;
use residua_ir::{Shown, Tensor};

use super::described::storage_key;
use super::rebuilt::{Rebuilt, place};
use super::storage::{Storage, Storages, dtype_of_class, dtype_of_name};
use super::{numpy, stream};
use crate::FormatError;
use crate::decoded::Decoded;
use crate::error::Result;
use crate::pickle::{Id, Object, Pickle, Value};

/// Rebuilds the tensors of a pickle.
pub(super) struct Rebuild<'a> {
    pickle: &'a Pickle,
    storages: &'a Storages,
    /// Tensors that the pickle refers to by number, in the oldest form.
    numbered: &'a BTreeMap<String, (Tensor, String)>,
    /// Bytes that all tensors come to.
    decoded: Decoded,
    /// Storages whose streams lie in the pickle, by its values.
    pickled: RefCell<HashMap<Id, Storage>>,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(
        pickle: &'a Pickle,
        storages: &'a Storages,
        numbered: &'a BTreeMap<String, (Tensor, String)>,
        file: usize,
    ) -> Self {
        Self { pickle, storages, numbered, decoded: Decoded::of(file), pickled: RefCell::default() }
    }

    /// Whether an object is a tensor by its class, whatever is wrong with it.
    pub(super) fn is_tensor(&self, object: &Object) -> bool {
        self.pickle.global(object.callable).is_some_and(|name| {
            REBUILDS.iter().any(|start| name.starts_with(start)) || PARAMETERS.contains(&name) || numpy::is_array(name)
        })
    }

    /// The tensor that a value is; [`None`] for what is no tensor at all. `at` is its path in the object.
    pub(super) fn tensor(&self, id: Id, at: &str) -> Result<Option<Rebuilt>> {
        // A parameter holds a tensor, which may be of a class of its own: few levels, however hostile the file.
        self.nested(id, at, 4)
    }

    fn nested(&self, id: Id, at: &str, levels: usize) -> Result<Option<Rebuilt>> {
        let pickle = self.pickle;
        if let Value::Persistent(key) = pickle.get(id) {
            let numbered = storage_key(pickle, *key).and_then(|key| self.numbered.get(&key));
            return Ok(numbered.map(|(tensor, location)| Rebuilt::Tensor(tensor.clone(), location.clone())));
        }
        let Some(object) = pickle.object(id) else { return Ok(None) };
        let Some(name) = pickle.global(object.callable) else { return Ok(None) };
        let Some(args) = pickle.sequence(object.args) else { return Ok(None) };
        self.by_name(name, args, object, at, levels)
    }

    fn by_name(&self, name: &str, args: &[Id], object: &Object, at: &str, levels: usize) -> Result<Option<Rebuilt>> {
        let pickle = self.pickle;
        let not = |what: &str| Ok(Some(Rebuilt::Not(what.to_owned())));
        match name {
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" if self.is_negated(args.get(6)) => {
                not("a view whose elements are negated or conjugated when they are read")
            }
            "torch._utils._rebuild_tensor_v3" if self.is_negated(args.get(7)) => {
                not("a view whose elements are negated or conjugated when they are read")
            }
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
                self.strided(args, None, at).map(Some)
            }
            "torch._utils._rebuild_tensor_v3" => {
                let dtype = args.get(6).and_then(|&id| pickle.global(id)).unwrap_or("a type that is not named");
                self.strided(args, Some(dtype), at).map(Some)
            }
            name if PARAMETERS.contains(&name) => match (args.first(), levels.checked_sub(1)) {
                (Some(&inner), Some(levels)) => self.nested(inner, at, levels),
                _ => not("a parameter of nothing"),
            },
            "torch._tensor._rebuild_from_type_v2" | "torch._tensor._rebuild_from_type" => {
                let inner = args.first().and_then(|&function| pickle.global(function));
                let inner_args = args.get(2).and_then(|&inner| pickle.sequence(inner));
                match (inner, inner_args, levels.checked_sub(1)) {
                    (Some(inner), Some(inner_args), Some(levels)) => {
                        self.by_name(inner, inner_args, object, at, levels)
                    }
                    _ => not("a tensor of a class of its own that nothing says how to rebuild"),
                }
            }
            "torch._utils._rebuild_meta_tensor_no_storage" => not("a tensor without elements (on the device `meta`)"),
            "torch._utils._rebuild_sparse_tensor" | "torch._utils._rebuild_sparse_csr_tensor" => not("a sparse tensor"),
            "torch._utils._rebuild_qtensor" => not("a quantised tensor"),
            "torch._utils._rebuild_nested_tensor" => not("a nested tensor"),
            other if other.starts_with("torch._utils._rebuild_") => {
                Ok(Some(Rebuilt::Not(format!("a tensor of another kind (`{}`)", other.shown()))))
            }
            _ => numpy::array(pickle, object, at, &|bytes| self.decoded.spend(&place(at), bytes)),
        }
    }

    /// Whether the metadata of a tensor says that its elements are to be changed: `{"neg": True}`.
    fn is_negated(&self, metadata: Option<&Id>) -> bool {
        const BITS: usize = 16;
        match metadata.map(|&id| self.pickle.get(id)) {
            Some(Value::Dict(entries)) if entries.len() <= BITS => ["neg", "conj"].iter().any(|key| {
                let bit = self.pickle.at(entries, key).map(|id| self.pickle.get(id));
                matches!(bit, Some(Value::Bool(true)))
            }),
            _ => false,
        }
    }

    /// `(storage, offset, size, stride, …)`; with `dtype` where it does not follow from the storage.
    fn strided(&self, args: &[Id], dtype: Option<&str>, at: &str) -> Result<Rebuilt> {
        let pickle = self.pickle;
        let malformed = |found: &str| {
            FormatError::malformed(place(at), "a storage, an offset, sizes and strides", found.to_owned())
        };
        let &[storage, offset, size, stride, ..] = args else { return Err(malformed("fewer arguments")) };
        let storage = self.storage(storage, at)?;
        let numbers = |id: Id| -> Option<Vec<usize>> {
            let items = pickle.sequence(id).filter(|items| items.len() <= Limit::Rank.most_here())?;
            items.iter().map(|&item| usize::try_from(pickle.int(item)?).ok()).collect()
        };
        let offset = pickle.int(offset).and_then(|offset| usize::try_from(offset).ok());
        let (Some(offset), Some(size), Some(stride)) = (offset, numbers(size), numbers(stride)) else {
            return Err(malformed("something that is no size, is negative, or has too many axes"));
        };
        let known = match dtype {
            Some(name) => dtype_of_name(name),
            None => dtype_of_class(&storage.class),
        };
        let Some(known) = known else {
            let name = dtype.map_or_else(|| storage.class.trim_end_matches("Storage").to_owned(), str::to_owned);
            return Ok(Rebuilt::Not(format!("its elements are of the type {name}, which is not read")));
        };
        let tensor = Tensor::from_strided(known, storage.endian, size, &stride, offset, &storage.bytes)
            .map_err(|error| FormatError::malformed(place(at), "a view on its storage", error.to_string()))?;
        let tensor = self.decoded.take(&place(at), tensor)?;
        let whole = tensor.byte_len() == storage.bytes.len() && in_a_row(tensor.shape(), &stride);
        let location = match whole {
            true => storage.location.clone(),
            false => format!("{}[{offset}; {:?} by {stride:?}]", storage.location, tensor.shape()),
        };
        Ok(Rebuilt::Tensor(tensor, location))
    }

    /// The stream of a storage that `pickle.dump`, and not torch, put into the pickle.
    fn pickled_storage(&self, id: Id) -> Option<&'a Bytes> {
        let object = self.pickle.object(id)?;
        let loaded = self.pickle.global(object.callable) == Some("torch.storage._load_from_bytes");
        match self.pickle.get(*self.pickle.sequence(object.args).filter(|_| loaded)?.first()?) {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn storage(&self, id: Id, at: &str) -> Result<Storage> {
        if let Some(bytes) = self.pickled_storage(id) {
            if let Some(storage) = self.pickled.borrow().get(&id) {
                return Ok(storage.clone());
            }
            let storage = stream::read_storage(bytes).map_err(|error| error.within(&place(at)))?;
            // The stream has a key of its own, which others have too; the value in the pickle is shared as it is.
            let storage = Storage { location: format!("storage in value {id}"), ..storage };
            self.pickled.borrow_mut().insert(id, storage.clone());
            return Ok(storage);
        }
        let key = match self.pickle.get(id) {
            Value::Persistent(id) => storage_key(self.pickle, *id),
            _ => None,
        };
        let Some(key) = key else {
            return Err(FormatError::malformed(place(at), "a storage", self.pickle.describe(id)));
        };
        self.storages
            .get(&key)
            .cloned()
            .ok_or_else(|| FormatError::malformed(place(at), format!("storage `{}` in the file", key.shown()), "none"))
    }
}

/// Starts of the names of what rebuilds tensors.
const REBUILDS: [&str; 2] = ["torch._utils._rebuild_", "torch._tensor._rebuild_"];

/// What is given a tensor first, and adds nothing to its elements.
const PARAMETERS: [&str; 8] = [
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.autograd.variable.Variable",
    "torch.nn.parameter.Buffer",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.UninitializedParameter",
];

/// Whether the elements of a view follow each other.
fn in_a_row(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = Some(1usize);
    for (&dim, &stride) in shape.iter().zip(strides).rev() {
        if dim != 1 && Some(stride) != step {
            return false;
        }
        step = step.and_then(|step| step.checked_mul(dim));
    }
    true
}
