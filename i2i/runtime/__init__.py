"""From an artifact to translated or generated images: torch-free, by onnxruntime."""
