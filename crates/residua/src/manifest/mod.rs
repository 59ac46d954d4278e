//! Mapping manifests: which tensor of a source became which tensor of an output, with a hash of each in both files.
//!
//! [`write`] makes one after a conversion, from both files as they lie there; [`check`] holds two files against one.
//! Invariant: every tensor of both files is in the manifest, as half of a pair or in a list that says why it is none.
//!
//! A manifest is read as untrusted text: bounded in size and numbers, and what it says of paths counts only within its
//! own folder.

mod document;
mod hash;
mod replay;
mod report;
mod stored;
mod transforms;
mod write;

pub use report::{Held, check};
pub use write::{Conversion, stage};
