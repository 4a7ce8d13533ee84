"""What a check is, and what it says where a plugin does not pass it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from i2i.errors import I2IError
from i2i.testing.settings import kept
from i2i.testing.subject import Subject


class ConformanceError(I2IError):
    """A plugin does not do what i2i asks of it."""


@dataclass(frozen=True)
class Check:
    """One thing that i2i asks of every plugin.

    name: one word. says: what holds where it is passed. needs: names of the checks without which this one means
    nothing.
    """

    name: str
    says: str
    run: Callable[[Subject], None]
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    def __call__(self, subject: Subject) -> None:
        """Raises ConformanceError where the plugin does not pass; what its own code raises goes through.

        Torch's settings are afterwards what they were before.
        """
        with kept():
            self.run(subject)


def some(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
