"""Image-to-image translation: train a conditional GAN, get one ONNX file that is the whole translator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i2i.version import __version__

if TYPE_CHECKING:
    from i2i.api import export, import_checkpoint, load, load_generator, resume, train

__all__ = ["__version__", "export", "import_checkpoint", "load", "load_generator", "resume", "train"]


def __getattr__(name: str) -> object:
    """Finds the functions of `i2i.api` on first use, so that `import i2i` costs nothing."""
    if name in __all__:
        from i2i import api

        return getattr(api, name)
    raise AttributeError(f"module 'i2i' has no attribute {name!r}")
