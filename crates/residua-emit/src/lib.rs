//! Writes ONNX and safetensors from a validated graph.
