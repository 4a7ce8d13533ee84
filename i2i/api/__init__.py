"""What the commands do, as functions: each command parses, calls one of these, and prints."""

from i2i.api.exporting import export, export_triton, outdated
from i2i.api.importing import import_checkpoint
from i2i.api.loading import load, load_generator
from i2i.api.training import configure, resume, train

__all__ = [
    "configure",
    "export",
    "export_triton",
    "import_checkpoint",
    "load",
    "load_generator",
    "outdated",
    "resume",
    "train",
]
