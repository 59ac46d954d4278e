//! Where an output is written: beside its place on disk, or into memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use residua_emit::safetensors::checkpoint::CONFIG;
use residua_emit::{Emitted, InMemory, MemoryFile, Staged};
use residua_import::{LoadOptions, ModelSource};
use residua_ir::{Checked, Graph};

use super::target::Target;
use crate::error::Result;

/// An output that can be read back: [`Staged`] on disk, [`InMemory`] in bytes.
pub trait Written: Sized {
    /// Writes a model for a target; `file` is its place, or its name.
    #[doc(hidden)]
    fn write(resolved: &Resolved<'_>, model: &Checked, file: &Path) -> Result<Self>;

    /// Lets the disk store it while it is read back; nothing, where there is no disk.
    #[doc(hidden)]
    fn start_sync(&mut self);

    /// What was written.
    fn emitted(&self) -> &Emitted;

    /// Reads it as anybody would read it: by its names, its shapes and the configuration beside it.
    #[doc(hidden)]
    fn read_back(&self) -> Result<Graph>;
}

/// A target, for [`Written`] alone.
#[derive(Debug)]
pub struct Resolved<'a> {
    pub(super) target: &'a Target,
    /// Whether weights are rounded to the type that was asked for.
    pub(super) rounded: bool,
}

impl Written for Staged {
    fn write(resolved: &Resolved<'_>, model: &Checked, file: &Path) -> Result<Self> {
        resolved.target.stage(model, file, resolved.rounded)
    }

    fn start_sync(&mut self) {
        self.start_sync();
    }

    fn emitted(&self) -> &Emitted {
        self.emitted()
    }

    fn read_back(&self) -> Result<Graph> {
        let path = self.path();
        let config = Some(path.with_file_name(CONFIG)).filter(|config| config.exists());
        Ok(residua_import::load_with(&path, &LoadOptions { config, ..LoadOptions::default() })?)
    }
}

impl Written for InMemory {
    fn write(resolved: &Resolved<'_>, model: &Checked, file: &Path) -> Result<Self> {
        resolved.target.to_memory(model, &file.to_string_lossy(), resolved.rounded)
    }

    fn start_sync(&mut self) {}

    fn emitted(&self) -> &Emitted {
        &self.emitted
    }

    fn read_back(&self) -> Result<Graph> {
        let name = self.emitted.files.first().cloned().unwrap_or_default();
        let beside = |file: &MemoryFile| (file.name.clone(), Bytes::copy_from_slice(&file.bytes));
        let companions: BTreeMap<String, Bytes> = self.beside.iter().map(beside).collect();
        let source =
            ModelSource::bytes(name, Bytes::copy_from_slice(&self.bytes)).with_companions(Arc::new(companions));
        Ok(residua_import::load_with(source, &LoadOptions::default())?)
    }
}
