"""The files of docs/serving.md for proxies work, in front of a real server."""

from __future__ import annotations

import contextlib
import os
import runpy
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = runpy.run_path(str(Path(__file__).with_name("deployed.py")))
PIXELS, block, free_port, pixels, run, served = (
    SHARED[name] for name in ("PIXELS", "block", "free_port", "pixels", "run", "served")
)

pytestmark = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")
needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
needs_caddy = pytest.mark.skipif(shutil.which("caddy") is None, reason="needs caddy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SHARED["prepare"](tmp_path)
    return tmp_path


def through(
    port: int, folder: Path, *words: str, path: str = "/v1/translate?model=pix2pix-001", origin: str | None = None
) -> str:
    """The status by way of a proxy, asked for as a browser on the proxy's name does."""
    name = "images.example.org"
    asked = ["-sk", "-o", "output.png", "-w", "%{http_code}"]
    there = ["--resolve", f"{name}:{port}:127.0.0.1", "-H", f"Authorization: Bearer {SHARED['TOKEN']}"]
    there += ["-H", f"Origin: {origin or f'https://{name}:{port}'}"]
    (folder / "output.png").unlink(missing_ok=True)
    command = ["curl", *asked, *there, *words, f"https://{name}:{port}{path}"]
    # Not whether it succeeds: to be answered before all was sent counts as an error.
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=120).stdout


def wait_for(port: int, proxy: subprocess.Popen[bytes]) -> None:
    """Until a proxy listens."""
    while proxy.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)


@pytest.fixture
def proxied(folder: Path) -> Iterator[Any]:
    with served(folder, "--token-file", "token", "--allow-host", "images.example.org") as started:
        yield started


def check_proxy(port: int, folder: Path) -> None:
    body = ["--data-binary", "@input.png"]
    assert through(port, folder, *body) == "200"
    assert np.array_equal(pixels(folder / "output.png"), 255 - PIXELS)
    assert through(port, folder, *body, origin="https://evil.example") == "403"
    (folder / "large").write_bytes(bytes(33 * 2**20))
    assert through(port, folder, "--data-binary", "@large") == "413"
    assert through(port, folder, path="/v1/models") == "200"
    assert through(port, folder, path="/") == "200"


def serve_by_nginx(server_block: str, port: int, folder: Path, check: Any) -> None:
    """Runs nginx on a file with these blocks and what its own main file has around them."""
    words = ["rsa:2048", "-nodes", "-subj", "/CN=images.example.org", "-keyout", "key.pem", "-out", "cert.pem"]
    run(["openssl", "req", "-x509", "-newkey", *words], folder)
    places = "".join(f"{kind}_temp_path {folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = f"events {{}}\npid {folder}/pid;\nhttp {{\naccess_log off;\n{places}{server_block}}}\n"
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"]
    run([*command, "-t"], folder)
    proxy = subprocess.Popen([*command, "-g", "daemon off; master_process off;"])
    try:
        wait_for(port, proxy)
        check()
    finally:
        proxy.terminate()
        proxy.wait()


def at_ports(text: str, port: int, server: Any, folder: Path) -> str:
    """The page's file with ports that are free here, and our certificate; the second replica is not there."""
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("127.0.0.1:8001", f"127.0.0.1:{server.port}")
    text = text.replace("127.0.0.1:8002", f"127.0.0.1:{free_port()}").replace("$host;", "$http_host;")
    text = text.replace("/etc/ssl/images.example.org.pem", f"{folder}/cert.pem")
    return text.replace("/etc/ssl/private/images.example.org.key", f"{folder}/key.pem")


@needs_nginx
def test_nginx(proxied: Any, folder: Path) -> None:
    port = free_port()
    text = at_ports(block("nginx", "upstream"), port, proxied, folder)
    serve_by_nginx(text, port, folder, lambda: check_proxy(port, folder))


@needs_nginx
def test_nginx_below_a_path(folder: Path) -> None:
    port = free_port()
    words = ["--token-file", "token", "--allow-host", "images.example.org", "--root-path", "/i2i"]

    def check() -> None:
        for path in ("/i2i/", "/i2i/page/style.css", "/i2i/docs", "/i2i/openapi.json", "/i2i/v1/models"):
            assert through(port, folder, path=path) == "200", path
        translate = "/i2i/v1/translate?model=pix2pix-001"
        assert through(port, folder, "--data-binary", "@input.png", path=translate) == "200"

    with served(folder, *words) as server:
        whole = block("nginx", "upstream").replace("http://i2i;", f"http://127.0.0.1:{server.port};")
        start, _, end = whole.partition("    location / {")
        text = start + block("nginx", "location /i2i/") + end.partition("    }\n")[2]
        serve_by_nginx(at_ports(text, port, server, folder), port, folder, check)


@needs_caddy
def test_caddy(proxied: Any, folder: Path) -> None:
    port = free_port()
    text = block("caddyfile", "reverse_proxy").replace("8001", str(proxied.port)).replace("8002", str(free_port()))
    text = text.replace("images.example.org {", f"https://images.example.org:{port} {{\n    tls internal")
    own = "{\n    admin off\n    skip_install_trust\n    auto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(own + text)
    places = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"]
    log = (folder / "caddy.log").open("wb")
    with log, subprocess.Popen(command, cwd=folder, env={**os.environ, **places}, stderr=log, stdout=log) as proxy:
        try:
            wait_for(port, proxy)
            check_proxy(port, folder)
        finally:
            proxy.terminate()
