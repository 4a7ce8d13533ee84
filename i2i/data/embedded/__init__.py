"""The embedded sets: data that comes with packages that install by name."""

from i2i.data.embedded.registry import EMBEDDED, Embedded

__all__ = ["EMBEDDED", "Embedded"]
