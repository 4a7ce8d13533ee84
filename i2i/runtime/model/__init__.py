"""Model files: found, checked, read and written in part, all without package onnx."""
