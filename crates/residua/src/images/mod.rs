//! Images of files and folders: which there are, and each decoded while earlier ones are worked on.
//!
//! What is found is in an order that depends on names alone, as Python's `sorted` has it: by code point.

mod ahead;
mod batches;
mod list;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use ahead::ahead;
pub(crate) use batches::{Batches, Done};
pub use list::{Found, find};
pub(crate) use list::{Walk, entries, is_image};
