"""From an artifact to translated images: torch-free, by onnxruntime."""
