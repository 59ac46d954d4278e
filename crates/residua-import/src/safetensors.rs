//! safetensors files to a graph.
