//! Converts and inspects residual networks across Keras, ONNX and safetensors.
