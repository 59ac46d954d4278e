//! Runs a validated graph: the f64 reference, the f32 engine, and the comparison of two runs.
