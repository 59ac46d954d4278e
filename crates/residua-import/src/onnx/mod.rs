//! ONNX messages to a graph.
