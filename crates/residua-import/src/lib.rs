//! Containers to graphs: Keras, ONNX, safetensors, and networks known from their weights alone.
