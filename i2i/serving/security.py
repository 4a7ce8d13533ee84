"""What every request must pass, and the headers that every answer carries.

A page of another site that is open in the same browser must neither use the server nor read from it: the Host header
must be one of the server's names (against DNS rebinding), and a request that computes must not come from another site
(Fetch Metadata, RFC 6454). Then the token, compared in constant time.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders

from i2i.serving.exchange import header, path
from i2i.serving.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from i2i.serving.settings import Settings

_READING: Final = ("GET", "HEAD", "OPTIONS")
_OPEN: Final = ("/", "/docs", "/openapi.json", "/favicon.ico", "/v2/health/live", "/v2/health/ready")
_OPEN_BELOW: Final = ("/page/", "/docs/")
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        *(f"{name} 'none'" for name in ("manifest-src", "form-action", "base-uri", "frame-ancestors")),
    )
)
_ALWAYS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}
_SECRET: Final = "no-store"  # what a request made is nobody else's


class Headers:
    """Middleware that adds the headers of security to every answer, those that refuse too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", _SECRET)
            await send(message)

        await self._app(scope, receive, adding if scope["type"] == "http" else send)


class Site:
    """Middleware that refuses requests under a foreign name (421), and from pages of other sites (403)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        host = header(scope["headers"], b"host")
        if not self._settings.knows(_name(host)):
            refused = problem(
                421, f"this server is not known as '{host[:100]}'", "Start it with --allow-host NAME.", path(scope)
            )
            await refused(scope, receive, send)
            return
        if scope["method"] not in _READING and not self._from_here(scope, host):
            refused = problem(
                403,
                "the request comes from a page of another site",
                "Start the server with --allow-origin ORIGIN for a page that may use it.",
                path(scope),
            )
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _from_here(self, scope: Scope, host: str) -> bool:
        """Browsers say where a page's request comes from; what is no browser says nothing, and runs no foreign page.

        What they say of the site is about the address that they show, before a proxy changed the Host.
        """
        origin, site = (header(scope["headers"], name) for name in (b"origin", b"sec-fetch-site"))
        if site and origin not in self._settings.origins:
            return site in ("same-origin", "none")
        return not origin or origin in self._settings.origins or _place(origin.partition("://")[2]) == _place(host)


class Token:
    """Middleware that asks for the token (401), except for the page's files, the reference and the server's health."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        asked = path(scope)
        kind, _, given = header(scope["headers"], b"authorization").partition(" ")
        open_to_all = scope["method"] in _READING and (asked in _OPEN or asked.startswith(_OPEN_BELOW))
        right = kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        if open_to_all or right:
            await self._app(scope, receive, send)
            return
        refused = problem(
            401,
            "this server wants a token" if not given else "this is not the server's token",
            "Send it as `Authorization: Bearer TOKEN`.",
            asked,
            {"WWW-Authenticate": 'Bearer realm="i2i"'},
        )
        await refused(scope, receive, send)


def _name(host: str) -> str:
    """A Host header's name, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _place(netloc: str) -> str:
    """Name and port of an origin or a Host header, without the ports that browsers leave out."""
    return netloc.lower().removesuffix(":80").removesuffix(":443")
