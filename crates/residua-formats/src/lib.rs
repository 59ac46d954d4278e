//! Untrusted bytes to containers of named tensors: Keras HDF5 and .keras, ONNX, safetensors.
