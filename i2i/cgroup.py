"""The limits of the control groups that this process is in, of Linux's versions 1 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def folders(controller: str, root: Path) -> Iterator[Path]:
    """The folder of each control group of this process that may hold it back in `controller`, like `memory` or `cpu`.

    From the process's own group up to the mounted root, since every one above limits it too. A container sees its own
    group as the root, under a path that may say otherwise: folders that are not there are left out.
    """
    mounted = root / "sys/fs/cgroup"
    for line in text(root / "proc/self/cgroup").splitlines() or ["0::/"]:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            top = mounted if (mounted / "cgroup.controllers").exists() else mounted / "unified"
        elif controller in controllers.split(","):
            top = mounted / controllers if (mounted / controllers).exists() else mounted / controller
        else:
            continue
        own = top.joinpath(*(part for part in path.split("/") if part not in ("", "..")))
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(top) and folder.is_dir())


def text(path: Path) -> str:
    """What a small file of the kernel says; empty where it is not there."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
