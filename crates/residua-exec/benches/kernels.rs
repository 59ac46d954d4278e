//! Placeholder until the kernels are there.
fn main() {}
