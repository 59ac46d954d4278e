//! Codes of findings about two files and the manifest of the conversion between them.
//!
//! They are kept here, beside those of the rules, so that `explain` knows them; what finds them is the command line.

use residua_ir::{Code, Level};

/// What to do about tensors that are not those of the conversion.
pub const OTHER_FILES: &str = "give the files of this conversion, or convert again";

/// A file is not byte for byte the one of the conversion.
pub static CHANGED_FILE: Code = Code {
    id: "R500",
    name: "changed-file",
    level: Level::Warning,
    explanation: "A file is not byte for byte the one that the manifest was made with. Tensors are compared one by one \
besides: where all of them hold, what changed is something else in the file, such as metadata, or the order of things.",
};

/// A tensor of the manifest is not in its file.
pub static MISSING_TENSOR: Code = Code {
    id: "R501",
    name: "missing-from-file",
    level: Level::Error,
    explanation: "The manifest knows a tensor that the file does not have: it was removed or renamed, or the manifest \
belongs to other files.",
};

/// A tensor of a file is not in the manifest.
pub static EXTRA_TENSOR: Code = Code {
    id: "R502",
    name: "unknown-to-manifest",
    level: Level::Error,
    explanation: "A file has a tensor that its manifest does not know. A manifest accounts for every tensor of both \
files, so this one was added or renamed after the conversion, or the manifest belongs to other files.",
};

/// A tensor has another shape or element type.
pub static CHANGED_SHAPE: Code = Code {
    id: "R503",
    name: "changed-shape",
    level: Level::Error,
    explanation: "A tensor of the file has another shape or element type than the manifest says.",
};

/// A tensor has other bytes.
pub static CHANGED_VALUES: Code = Code {
    id: "R504",
    name: "changed-values",
    level: Level::Error,
    explanation: "The SHA-256 of a tensor's elements is not the one in the manifest: its values were changed, or it \
stands under the name of another tensor. In the source this often means that the model was trained further, or that the \
manifest belongs to another checkpoint.",
};

/// The recorded transforms do not lead from the source's tensor to the output's.
pub static BROKEN_TRANSFORM: Code = Code {
    id: "R505",
    name: "broken-transform",
    level: Level::Error,
    explanation: "Both tensors are those of the manifest, but what it says was done to the one does not give the other. \
The manifest was changed after it was written.\n\nTensors that were computed, such as folded batch norms, are compared \
by hash alone: how they were computed is told, not repeated.",
};

/// All of them, ascending.
pub static CODES: [&Code; 6] =
    [&CHANGED_FILE, &MISSING_TENSOR, &EXTRA_TENSOR, &CHANGED_SHAPE, &CHANGED_VALUES, &BROKEN_TRANSFORM];
