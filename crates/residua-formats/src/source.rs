//! What a model is read from: a file, a folder, or bytes in memory, with the files that belong to it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// What a model is read from.
///
/// ```
/// use residua_formats::ModelSource;
///
/// let file = ModelSource::from("resnet50.onnx");
/// let uploaded = ModelSource::bytes("upload.onnx", vec![0; 16]);
/// assert_eq!(file.stem(), "resnet50");
/// assert_eq!(uploaded.name().to_str(), Some("upload.onnx"));
/// ```
#[derive(Debug, Clone)]
pub struct ModelSource {
    /// The path, or the name in messages.
    name: PathBuf,
    memory: Option<Memory>,
}

#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) bytes: Bytes,
    pub(crate) companions: Option<Arc<dyn Companions>>,
}

/// The files that belong to a model in memory: external data of ONNX, shards, `config.json`, `preprocessor_config.json`.
///
/// It is asked for names as the model has them, never for one that leads up or away (`../x`, `/x`).
pub trait Companions: fmt::Debug + Send + Sync {
    /// The bytes of the file of this name, or None where the model has no such file.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    fn open(&self, name: &str) -> io::Result<Option<Bytes>>;
}

impl Companions for BTreeMap<String, Bytes> {
    fn open(&self, name: &str) -> io::Result<Option<Bytes>> {
        Ok(self.get(name).cloned())
    }
}

impl ModelSource {
    /// Bytes in memory. `name` stands where messages name the file; the model is called so where it has no name itself.
    ///
    /// No other file is read. What the model says of other files (external data, shards) is refused.
    #[must_use]
    pub fn bytes(name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), memory: Some(Memory { bytes: bytes.into(), companions: None }) }
    }

    /// The same bytes, with the files that belong to them. A source that is a path has its folder, and stays as it is.
    #[must_use]
    pub fn with_companions(mut self, companions: Arc<dyn Companions>) -> Self {
        if let Some(memory) = &mut self.memory {
            memory.companions = Some(companions);
        }
        self
    }

    /// The path, or what bytes in memory were called.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The path, unless the model lies in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.memory.is_none().then_some(&*self.name)
    }

    /// What a model of no name of its own is called: the name of the file without its ending.
    #[must_use]
    pub fn stem(&self) -> String {
        self.name.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self { name: path, memory: None }
    }
}

impl<T: AsRef<OsStr> + ?Sized> From<&T> for ModelSource {
    fn from(path: &T) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<&Self> for ModelSource {
    fn from(source: &Self) -> Self {
        source.clone()
    }
}
