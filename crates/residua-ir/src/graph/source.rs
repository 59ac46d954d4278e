//! Where a model comes from: container, framework, and what was found out on the way.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::OnnxHeader;
use crate::preparation::{self, Stated};
use crate::tensor::DType;

/// Where a model comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The container.
    pub format: Format,
    /// What wrote it.
    pub framework: Framework,
    /// Version of the framework, where the file says it.
    pub version: Option<String>,
    /// How the graph was found, where the file does not hold it; printed to the user.
    pub notes: Vec<String>,
    /// What in the file would have run code where it is loaded by its own framework; printed as a security finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dangers: Vec<String>,
    /// How images are prepared, as each place that says so has it; an earlier one counts before a later one.
    #[serde(default, deserialize_with = "preparation::stated", skip_serializing_if = "Vec::is_empty")]
    pub preprocessing: Vec<Stated>,
    /// Names of the classes, in the order of the output; empty where nothing names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The standard architecture it was built from, where that is known for certain (a recipe, metadata of ours).
    pub architecture: Option<String>,
    /// The type that layers compute in by their own policy, by their names; empty where none is narrower than f32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub computes: BTreeMap<String, DType>,
    /// What an ONNX file says of itself.
    #[serde(skip)]
    pub onnx: Option<OnnxHeader>,
    /// For a file of ours that holds its graph, the container that this was read from before.
    #[serde(skip)]
    pub written_from: Option<Format>,
}

impl Source {
    /// Whether the file holds the graph, so that nothing was told from names and shapes.
    #[must_use]
    pub fn holds_graph(&self) -> bool {
        self.format == Format::Onnx || self.written_from.is_some()
    }
}

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A container of models. It shows as the name that it has on the command line and in JSON.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Format {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Format {
            /// Its name: `keras-h5`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

formats! {
    /// No file: a graph that was built.
    #[default]
    None = "",
    /// Keras: `model.save("m.h5")`.
    KerasH5 = "keras-h5",
    /// Keras 2: `save_weights("w.h5")`.
    KerasLegacyWeightsH5 = "keras-legacy-weights-h5",
    /// Keras 3: `save_weights("w.weights.h5")`.
    KerasWeightsH5 = "keras-weights-h5",
    /// Keras: `model.save("m.keras")`.
    KerasZip = "keras-zip",
    /// The same, not zipped.
    KerasFolder = "keras-folder",
    /// ONNX.
    Onnx = "onnx",
    /// safetensors.
    Safetensors = "safetensors",
    /// `torch.save` since 1.6.
    PytorchZip = "pytorch-zip",
    /// `torch.save` before 1.6.
    PytorchLegacy = "pytorch-legacy",
    /// `torch.save` before 0.1.10.
    PytorchTar = "pytorch-tar",
    /// `torch.jit.save`.
    Torchscript = "torchscript",
    /// `torch.export.save`.
    PytorchExported = "pytorch-exported",
    /// A pickle of arrays.
    Pickle = "pickle",
    /// Arrays under the names of tensors: `numpy.savez`, tch.
    Npz = "npz",
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What wrote a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framework {
    /// Nothing says it.
    #[default]
    Unknown,
    /// Keras.
    Keras,
    /// PyTorch, or its exporter of ONNX.
    Pytorch,
    /// Another producer of ONNX, by the name that the file gives: as it is there, not to be shown without care.
    Other(String),
}

impl Framework {
    /// Its name: `keras`; empty where nothing says it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown => "",
            Self::Keras => "keras",
            Self::Pytorch => "pytorch",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Framework {
    fn from(name: &str) -> Self {
        match name {
            "" => Self::Unknown,
            "keras" => Self::Keras,
            "pytorch" => Self::Pytorch,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Serialize for Framework {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Framework {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| name.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn formats_and_frameworks_are_their_names_in_texts() {
        for format in [Format::None, Format::KerasLegacyWeightsH5, Format::PytorchExported] {
            let text = serde_json::to_string(&format).unwrap();
            assert_eq!(text, format!("\"{}\"", format.name()));
            assert_eq!(serde_json::from_str::<Format>(&text).unwrap(), format);
        }
        assert!(serde_json::from_str::<Format>("\"keras-h6\"").is_err());
        for name in ["", "keras", "pytorch", "tf2onnx"] {
            let framework = Framework::from(name);
            assert_eq!(serde_json::to_string(&framework).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Framework>(&format!("\"{name}\"")).unwrap(), framework);
        }
        assert_eq!(Framework::from("pytorch"), Framework::Pytorch);
    }
}
