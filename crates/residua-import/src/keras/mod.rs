//! Keras models with a configuration to a graph.
