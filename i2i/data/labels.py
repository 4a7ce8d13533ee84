"""Classes: which there are, in which order, and which of them are used."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from i2i.data.layouts import natural
from i2i.data.sources import Found
from i2i.errors import DataError, did_you_mean


def choose(found: Found, wanted: Sequence[str] | None) -> tuple[Found, tuple[str, ...]]:
    """What is found of the classes that are `wanted`, or of all; and their names, in that order or sorted as people do.

    Raises DataError for a class that is not there or is named twice.
    """
    if not found.classes:
        return found, ()
    known = sorted(set(found.classes.values()), key=natural)
    if wanted is None:
        return found, tuple(known)
    for name in wanted:
        if name not in known:
            raise DataError(
                f"data.classes: no class is called '{name}'{did_you_mean(name, known)}",
                f"There are: {', '.join(known)}.",
            )
        if list(wanted).count(name) > 1:
            raise DataError(f"data.classes: '{name}' stands there twice", "Name each class once.")
    sides = [
        {part: [source for source in listed if found.classes[source] in wanted] for part, listed in parts.items()}
        for parts in found.sides
    ]
    return replace(found, sides=sides), tuple(wanted)


def check_classes(trained: Collection[str], classes: Sequence[str]) -> None:
    """Raises DataError where there is a single one of `classes`, or one without an image that is `trained` on."""
    if len(classes) == 1:
        raise DataError(
            f"a single class, '{classes[0]}': nothing to tell apart",
            "Have a folder for each of two or more classes, or train an architecture that needs no classes.",
        )
    if empty := [name for name in classes if name not in trained]:
        raise DataError(f"no image is left to train on of: {', '.join(empty)}", "Restore or add images of it.")
