"""How the server is reached, and by whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from i2i.errors import I2IError

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LEAST: Final = 16  # characters of a token: what is shorter can be tried out
_ANY: Final = ("0.0.0.0", "::")
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")
_PLACE: Final = re.compile(rf"({_NAME.pattern}|\[[0-9a-f:.]+\])(:[1-9][0-9]*)?")
_PORTS: Final = {"http": 80, "https": 443}  # that a browser leaves out


@dataclass(frozen=True)
class Settings:
    """What is not the models': address, who may ask, and what is shown.

    token: what `Authorization: Bearer` must hold; None: nothing, which only a loopback address allows.
    hosts: names by which clients call the server, beside the loopback's and `host`. origins: pages of other sites that
    may use it, like `https://example.org`. page: whether `/` has the page. root_path: where a proxy shows the server,
    like `/i2i`. Raises I2IError.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    page: bool = True
    root_path: str = ""

    def __post_init__(self) -> None:
        if not self.host:
            raise I2IError("--host is empty", "Give 127.0.0.1, or 0.0.0.0 for every address of this machine.")
        if self.token is None and not is_loopback(self.host):
            raise I2IError(
                f"--host {self.host}: anyone who reaches this address could use the models",
                "Give a token: `--token-file FILE`, or I2I_SERVE_TOKEN in the environment. "
                "Make one: openssl rand -hex 32",
            )
        if self.token is not None and not re.fullmatch(rf"[!-~]{{{_LEAST},}}", self.token):
            raise I2IError(
                f"the token must be at least {_LEAST} characters of ASCII without spaces",
                "Make one: openssl rand -hex 32",
            )
        object.__setattr__(self, "hosts", tuple(map(_host, self.hosts)))
        object.__setattr__(self, "origins", tuple(map(_origin, self.origins)))
        if self.root_path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self.root_path):
            raise I2IError(f"--root-path {self.root_path}: not a path", "Give one like /i2i")

    def knows(self, host: str) -> bool:
        """Whether a request may call the server by this name, without port: others come from a rebound DNS name.

        Where the server listens on every address, any number of one will do: a rebound name is a name.
        """
        host = host.lower().rstrip(".")
        if host in LOOPBACK or host == self.host.lower() or host in self.hosts:
            return True
        return self.host in _ANY and _is_address(host)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ip_address(host).is_loopback


def _host(given: str) -> str:
    """A name or an address as requests have it; raises I2IError for what is none."""
    host = given.lower().rstrip(".").removeprefix("[").removesuffix("]")
    if not _is_address(host) and not _NAME.fullmatch(host):
        raise I2IError(
            f"--allow-host {given}: not a name",
            "Give the name alone, without https:// and port, like images.example.org; beyond ASCII as xn--...",
        )
    return host


def _origin(given: str) -> str:
    """An origin as browsers send it; raises I2IError for what is none."""
    text = given.lower()
    try:
        parts = urlsplit(text)
        scheme, netloc, port = parts.scheme, parts.netloc, parts.port
    except ValueError:  # brackets without an address, or a port that is none
        scheme, netloc, port = "", "", None
    if scheme not in _PORTS or text != f"{scheme}://{netloc}" or not _PLACE.fullmatch(netloc):
        raise I2IError(f"--allow-origin {given}: not an origin", "Give one like https://example.org")
    return f"{scheme}://{netloc.removesuffix(f':{port}') if port == _PORTS[scheme] else netloc}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
