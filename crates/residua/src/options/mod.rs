//! What callers choose: values with names, the same in `residua.toml`, on a command line and in code.

mod image;
mod inspect;
mod open;
pub mod parse;

use std::fmt;

use residua_ir::{Code, DType, Level};
use residua_resnet::layouts::{MODEL_LIBRARIES, ModelLibrary};

pub use image::{Aspect, ImageCrop, ImageOptions};
pub use inspect::{Column, Count};
pub use open::{OpenOptions, Pooling, Variant};

/// One of a few values, each with a name.
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// All of them, in the order in which they are listed.
    const ALL: &'static [Self];

    /// The name of this one.
    fn name(self) -> &'static str;

    /// What it means, on a line; empty where the name says it.
    fn about(self) -> &'static str;

    /// The one of this name.
    #[must_use]
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|choice| choice.name() == name)
    }
}

/// Declares an enum of values with names; the documentation of each is what [`Choice::about`] says.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        pub enum $type:ident {
            $($(#[doc = $about:literal])? $variant:ident = $name:literal,)*
        }
    ) => {
        $(#[$meta])*
        pub enum $type {
            $(#[doc = concat!($($about,)? " (`", $name, "`)")] $variant,)*
        }

        impl $crate::options::Choice for $type {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($about)?).trim_ascii(),)*
                }
            }
        }
    };
}

pub(crate) use choices;

choices! {
    /// Float type of written weights.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Dtype {
        F32 = "f32",
        F16 = "f16",
        Bf16 = "bf16",
    }
}

impl Dtype {
    /// As tensors have it.
    #[must_use]
    pub fn of_tensors(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

choices! {
    /// What fails a model.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum FailOn {
        /// Errors
        Error = "error",
        /// Warnings and errors
        Warning = "warning",
        /// Any finding
        Note = "note",
        /// No finding
        Never = "never",
    }
}

#[expect(clippy::derivable_impls, reason = "choices take nothing but documentation")]
impl Default for FailOn {
    fn default() -> Self {
        Self::Error
    }
}

impl FailOn {
    /// Whether a finding of this level fails a model.
    #[must_use]
    pub fn fails(self, level: Level) -> bool {
        match self {
            Self::Error => level >= Level::Error,
            Self::Warning => level >= Level::Warning,
            Self::Note => true,
            Self::Never => false,
        }
    }
}

/// Another level for all findings of a code; none where they are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Override {
    /// The code.
    pub code: &'static Code,
    /// Its level.
    pub level: Option<Level>,
}

impl Override {
    /// Another level for a code.
    ///
    /// # Errors
    /// For codes of models that cannot be run: to lower these would let anything pass.
    pub fn new(code: &'static Code, level: Option<Level>) -> Result<Self, String> {
        let no_graph = residua_ir::validate::CODES.iter().chain(&residua_ir::faults::CODES).any(|&other| other == code);
        let invalid = no_graph && code.level == Level::Error;
        if invalid && level != Some(Level::Error) {
            return Err(format!("{} is about models that no runtime could run; it stays an error", code.id));
        }
        Ok(Self { code, level })
    }
}

/// Sizes for the free dimensions of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputShape {
    /// The input that is meant; the next one in order where it is not named.
    pub name: Option<String>,
    /// Sizes in the axis order of the source.
    pub shape: Vec<usize>,
}

/// Naming layout of a safetensors output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Names of our own by stage and block, kernels OIHW.
    Residua,
    /// The source's own names and axes.
    Source,
    /// The same for what Keras wrote; Keras Applications for all else.
    Keras,
    /// That of a model library, by its name.
    Library(&'static str),
}

impl Layout {
    /// Those of no model library, with what they are.
    const OWN: [(Self, &'static str, &'static str); 3] = [
        (Self::Residua, "residua", "named by stage, block and place (stages.0.blocks.1.conv2.weight), kernels OIHW"),
        (Self::Source, "source", "the source's own names and axes"),
        (Self::Keras, "keras", "source for what Keras wrote, keras-applications for all else"),
    ];

    /// All of them, with their names and what they are.
    pub fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        let libraries = MODEL_LIBRARIES
            .into_iter()
            .map(|library: &ModelLibrary| (Self::Library(library.name), library.name, library.about));
        libraries.chain(Self::OWN)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Residua => "residua",
            Self::Source => "source",
            Self::Keras => "keras",
            Self::Library(name) => name,
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|(_, other, _)| *other == name).map(|(layout, ..)| layout)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_fails_what_is_at_least_as_bad() {
        let fails = |on: FailOn| [Level::Note, Level::Warning, Level::Error].map(|level| on.fails(level));
        assert_eq!(fails(FailOn::Error), [false, false, true]);
        assert_eq!(fails(FailOn::Warning), [false, true, true]);
        assert_eq!(fails(FailOn::Note), [true, true, true]);
        assert_eq!(fails(FailOn::Never), [false, false, false]);
    }

    #[test]
    fn a_choice_is_found_by_its_name() {
        assert_eq!(FailOn::named("never"), Some(FailOn::Never));
        assert_eq!((FailOn::named("Never"), FailOn::Never.about()), (None, "No finding"));
        assert_eq!(Layout::named("torchvision").map(Layout::name), Some("torchvision"));
    }
}
