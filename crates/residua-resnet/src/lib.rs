//! What a residual network is: its anatomy, the known forms and their names, recipes, naming layouts.
//!
//! This crate knows graphs and nothing of files or frameworks' containers. [`anatomy`] is what is found in a graph
//! (`structure`), named (`architecture`) after the [`form`]s that are known; [`recipe`] goes the other way, from a
//! description to a graph. [`slot`] is the one vocabulary for the tensors of a residual network, [`layouts`] are the names
//! that frameworks give them.

pub mod anatomy;
mod architecture;
pub mod body;
mod conventions;
pub mod form;
pub mod layout_fit;
pub mod layouts;
pub mod naming;
pub mod nearest;
pub mod preprocessing;
pub mod recipe;
pub mod recognise;
pub mod slot;
mod structure;
#[cfg(test)]
mod testing;

pub use anatomy::{Anatomy, analyse};
pub use form::{Architecture, Family, Form};
pub use layout_fit::{Fitted, fit_layout};
pub use naming::slots;
pub use preprocessing::{Preprocessing, preprocessing_for};
pub use recipe::Recipe;
pub use recognise::recognise;
pub use slot::{Component, Field, Position, Slot};
