//! The document: its form, and reading it.

use std::path::Path;

use crate::error::{Context, Result, bail};
use residua_ir::budget::Limit;
use residua_ir::{DType, Shown, Tensor, files};
use serde::{Deserialize, Serialize};

use super::hash::Sha256Hex;

/// Name and version of the form.
pub(super) const SCHEMA: &str = "residua.manifest/1";

/// Most transforms of one tensor.
const MAX_TRANSFORMS: usize = 64;

/// A manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(super) schema: String,
    pub(super) tool: Tool,
    pub(super) source: ModelFiles,
    pub(super) output: ModelFiles,
    /// What became what, in the output's order.
    pub(super) tensors: Vec<Pair>,
    /// Tensors of the source that no tensor of the output was made of.
    pub(super) unused: Vec<Single>,
    /// Tensors of the output that were made of none of the source.
    pub(super) added: Vec<Single>,
}

/// What wrote the manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) version: String,
}

/// One of the two models.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFiles {
    /// From the folder of the manifest, with `/`.
    pub(super) path: String,
    pub(super) format: String,
    pub(super) framework: Option<String>,
    pub(super) files: Vec<FileHash>,
}

/// A file of a model.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileHash {
    /// Its name, without a folder.
    pub(super) name: String,
    pub(super) sha256: Sha256Hex,
}

/// A tensor of the output and what it was made of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    /// None where the source leaves the tensor out and it is what that means, such as a factor of 1.
    pub(super) sources: Vec<Entry>,
    pub(super) target: Entry,
    /// What was done to the source's elements, in order.
    pub(super) transforms: Vec<String>,
}

/// A tensor that is no half of a pair.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Single {
    /// What it is called.
    pub(super) name: String,
    /// Its place in the file, where no other tensor is; often its name.
    pub(super) location: String,
    /// What is stored; nothing where it is of a kind that is not read.
    pub(super) stored: Option<Stored>,
    pub(super) reason: String,
}

/// A tensor of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// What it is called.
    pub(super) name: String,
    /// Its place in the file, where no other tensor is; often its name.
    pub(super) location: String,
    #[serde(flatten)]
    pub(super) stored: Stored,
}

/// What is stored: elements row-major, little-endian, of the stored type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DType,
    pub(super) sha256: Sha256Hex,
}

impl Stored {
    /// Shape and type, as a message has them.
    pub(super) fn form(&self) -> String {
        form(self.dtype, &self.shape)
    }

    /// Whether a tensor has this shape and type.
    pub(super) fn fits(&self, tensor: &Tensor) -> bool {
        tensor.dtype() == self.dtype && tensor.shape() == self.shape
    }
}

/// Shape and type, as a message has them.
pub(super) fn form(dtype: DType, shape: &[usize]) -> String {
    format!("{dtype} {shape:?}")
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none, or larger than any that is written here.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let named = || format!("manifest {}", path.shown());
        let text = files::read(path, Limit::SettingsBytes).with_context(named)?;
        let manifest: Self = serde_json::from_slice(&text).with_context(named)?;
        manifest.check().with_context(named)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        if self.schema != SCHEMA {
            bail!("expected the schema {SCHEMA}, found `{}`", self.schema);
        }
        for pair in &self.tensors {
            let found = pair.transforms.len();
            if found > MAX_TRANSFORMS {
                bail!("tensor `{}`: expected at most {MAX_TRANSFORMS} transforms, found {found}", pair.target.name);
            }
        }
        for model in [&self.source, &self.output] {
            for file in &model.files {
                if Path::new(&file.name).file_name().is_none_or(|name| *name != *file.name) {
                    bail!("`{}` in the files of `{}`: expected a name without a folder", file.name, model.path);
                }
            }
        }
        Ok(())
    }
}
