//! What is the same in Rust for every runtime: steps of code, names of values, numbers of parts, the layout of lines.

pub(crate) mod code;
pub(crate) mod config;
pub(crate) mod layout;
pub(crate) mod values;
