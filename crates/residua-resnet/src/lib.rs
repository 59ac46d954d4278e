//! What a residual network is: its anatomy, the known forms and their names, recipes, naming layouts.
//!
//! This crate knows graphs and nothing of files or frameworks' containers. [`anatomy`] reads a graph, [`form`] names
//! what it found.

pub mod anatomy;
pub mod form;
#[cfg(test)]
mod testing;

pub use anatomy::{Anatomy, analyse};
pub use form::{Architecture, Family, Form};
