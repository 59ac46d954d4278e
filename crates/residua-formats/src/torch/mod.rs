//! PyTorch's files: whatever `torch.save`, `torch.jit.save` and `torch.export.save` wrote, as mappings of names to tensors.
//!
//! A file is a pickle, which describes an object, and storages, which hold its elements. The pickle becomes inert data
//! (`crate::pickle`); here that data is walked for what holds tensors. Tensors are views on the storages where these
//! lie uncompressed in the file.
//!
//! Invariant: nothing that a pickle names is looked up or called. What it wants called that could do harm is listed
//! ([`TorchFile::dangers`]), and the rest of the file is read all the same.
//! Invariant: each tensor of the object is in a [`StateDict`] or in what [`TorchFile::unused`] lists.
//!
//! Not done here: telling which state dict is the model's, stripping prefixes of wrappers, reading the code of
//! TorchScript.

mod described;
mod exported;
mod legacy;
mod module;
mod npz;
mod numpy;
mod rebuilt;
mod shards;
mod storage;
mod stream;
mod tar;
mod tensor;
mod walk;
mod zip;

use std::collections::BTreeMap;

use residua_ir::{Format, Unused};

use crate::NamedTensor;

pub(crate) use legacy::{is_legacy, is_pickle, read_legacy, read_pickle};
pub(crate) use npz::read_npz;
pub(crate) use shards::read_shards;
pub(crate) use tar::{is_tar, read_tar};
pub(crate) use zip::{is_torch_zip, read_zip};

/// What a PyTorch file holds.
#[derive(Debug, Clone)]
pub struct TorchFile {
    /// Which of the containers it is.
    pub kind: TorchKind,
    /// Every mapping of names to tensors in the object, in the file's order.
    pub state_dicts: Vec<StateDict>,
    /// Small texts and numbers beside them, by path: `arch`, `epoch`, `hyper_parameters.lr`. Bounded in number.
    pub scalars: Vec<(String, Scalar)>,
    /// What is not taken: states of optimizers, opaque objects, storages that nothing refers to.
    pub unused: Vec<Unused>,
    /// What the pickle wants called that could do harm. It was not called.
    pub dangers: Vec<Danger>,
    /// What else is to be known about the file.
    pub notes: Vec<String>,
    /// `config.json` beside a `pytorch_model.bin`, as Hugging Face has it. Where it is no JSON, a note says so.
    pub config: Option<serde_json::Value>,
}

impl TorchFile {
    fn empty(kind: TorchKind) -> Self {
        Self {
            kind,
            state_dicts: Vec::new(),
            scalars: Vec::new(),
            unused: Vec::new(),
            dangers: Vec::new(),
            notes: Vec::new(),
            config: None,
        }
    }
}

/// Which container of PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TorchKind {
    /// `torch.save` since 1.6: a ZIP archive.
    Zip,
    /// `torch.save` before 1.6: pickles and storages one after the other.
    Legacy,
    /// `torch.save` before 0.1.10: a tar archive.
    Tar,
    /// `torch.jit.save`: a TorchScript program.
    Script,
    /// `torch.export.save`: a `.pt2` archive.
    Exported,
    /// A pickle that holds its arrays itself, as detectron2's model zoo has them.
    Pickle,
    /// Arrays under the names of tensors (`.npz`), as tch stores them.
    Npz,
}

impl TorchKind {
    /// The same among all containers.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            TorchKind::Zip => Format::PytorchZip,
            TorchKind::Legacy => Format::PytorchLegacy,
            TorchKind::Tar => Format::PytorchTar,
            TorchKind::Script => Format::Torchscript,
            TorchKind::Exported => Format::PytorchExported,
            TorchKind::Pickle => Format::Pickle,
            TorchKind::Npz => Format::Npz,
        }
    }
}

/// A mapping of names to tensors, or the tensors of a module.
#[derive(Debug, Clone, Default)]
pub struct StateDict {
    /// Where it stands in the object: empty for the object itself, `state_dict`, `model_ema.module`.
    pub path: String,
    /// Its tensors under their dotted names, in the file's order.
    ///
    /// Two with the same location share their bytes: the location names the storage, and the view on it where that is
    /// not all of it in order.
    pub tensors: Vec<NamedTensor>,
    /// For a pickled module: every module of its tree, in order, the root first. Empty for a plain mapping.
    pub modules: Vec<Module>,
}

/// A module of a pickled model.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// Its path in the model, `layer1.0.conv1`; empty for the root.
    pub path: String,
    /// Its class: `torch.nn.modules.conv.Conv2d`.
    pub class: String,
    /// Its public attributes that are no parameters, buffers, modules or hooks.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A plain value of Python.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// A list or tuple.
    List(Vec<Attribute>),
    /// Something else, by what it is: `a tensor`, `an object of class a.B`.
    Other(String),
}

/// A plain value beside the tensors.
pub type Scalar = Attribute;

/// Something that the pickle wants called and that could do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Danger {
    /// Its name: `posix.system`.
    pub global: String,
    /// Where it would have been called: ``data.pkl byte 57, at `state_dict` ``.
    pub place: String,
}
