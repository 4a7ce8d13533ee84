"""The limits on connections: on their number, and on the time that headers, bodies and answers take."""

import asyncio
import io
import runpy
import select
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from i2i.serving import connection
from i2i.serving.app import create
from i2i.serving.engine import Engine
from i2i.serving.errors import LateError
from i2i.serving.limits import Limits
from i2i.serving.models import open_models
from i2i.serving.settings import Settings

RAW = runpy.run_path(str(Path(__file__).with_name("raw.py")))
address, exchange, head = (RAW[name] for name in ("address", "exchange", "head"))


def test_headers_that_never_end_are_given_up(serving, monkeypatch):
    monkeypatch.setattr(connection, "_HEADERS", 0.3)
    with serving() as client:
        assert exchange(client, b"GET / HTTP/1.1\r\nHost: local") == b""
        assert exchange(client) == b""
        with socket.create_connection(address(client), 20) as other:  # on a connection that was used before
            other.sendall(head("GET", "/v2"))
            assert other.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.1)
            other.sendall(b"GET /v2 HT")
            for _ in range(3):  # the rest of the answer, if it came in pieces, and then the end
                rest = other.recv(65536)
            assert rest == b""
        assert client.get("/v2").status_code == 200


def test_a_body_that_comes_too_slowly_is_given_up(serving, monkeypatch):
    monkeypatch.setattr("i2i.serving.body._PATIENCE", 0.3)
    with serving() as client:
        answer = exchange(client, head("POST", "/v1/translate", length=10_000), b"x" * 10)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in answer.lower()


def test_the_time_of_a_request_begins_with_it(serving):
    with serving(Limits(seconds=0.3)) as client:
        assert exchange(client, head("POST", "/v1/translate", length=10_000), b"x" * 10).startswith(b"HTTP/1.1 408")


def test_what_is_refused_is_not_read_for_ever(serving, monkeypatch):
    monkeypatch.setattr(connection, "_LINGER", 0.3)
    with serving(Limits(bytes=1000, seconds=20)) as client:
        with socket.create_connection(address(client), 20) as other:
            other.sendall(head("POST", "/v1/translate", "Transfer-Encoding: chunked"))
            began = time.monotonic()
            with pytest.raises(OSError):  # noqa: PT011  (whether the pipe breaks or the connection is reset)
                while time.monotonic() - began < 15:
                    other.sendall(b"400\r\n" + bytes(0x400) + b"\r\n")
        assert client.get("/v2").status_code == 200


def test_a_connection_goes_on_after_a_refused_body(serving, photo, monkeypatch):
    monkeypatch.setattr(connection, "_LINGER", 0.3)
    with serving(Limits(bytes=1000, seconds=20)) as client, socket.create_connection(address(client), 20) as other:
        other.sendall(head("POST", "/v1/translate", length=2000) + bytes(500))
        assert other.recv(65536).startswith(b"HTTP/1.1 413")
        other.sendall(bytes(1500))
        time.sleep(0.6)
        other.sendall(head("POST", "/v1/translate", "Connection: close", length=len(photo)) + photo)
        assert b"HTTP/1.1 200" in b"".join(iter(lambda: other.recv(65536), b""))


def test_a_length_that_is_too_large_is_refused_before_the_body_is_sent(serving):
    with serving(Limits(bytes=1000, seconds=20)) as client, socket.create_connection(address(client), 20) as other:
        other.sendall(head("POST", "/v1/translate", "Expect: 100-continue", length=10**12))
        assert other.recv(65536).startswith(b"HTTP/1.1 413")


def test_too_many_uploads_at_once_are_told_to_come_back(serving, monkeypatch):
    monkeypatch.setattr("i2i.serving.body._STALLED", 20)
    with serving(Limits(uploads=1, seconds=20)) as client, socket.create_connection(address(client), 20) as other:
        other.sendall(head("POST", "/v1/translate", length=10**6) + bytes(10**5))
        answer = None
        for _ in range(200):  # until the server has read so much of it
            answer = client.post("/v1/translate", content=bytes(10**5))
            if answer.status_code == 429:
                break
            time.sleep(0.02)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert client.post("/v1/translate", content=b"small").status_code == 415


def test_an_upload_that_stalls_loses_its_place_to_one_that_comes(serving, monkeypatch):
    monkeypatch.setattr("i2i.serving.body._STALLED", 0.1)
    with serving(Limits(uploads=2, seconds=20)) as client:
        others = [socket.create_connection(address(client), 20) for _ in range(2)]
        for other in others:
            other.sendall(head("POST", "/v1/translate", length=10**6) + bytes(10**5))
        time.sleep(0.4)
        assert client.post("/v1/translate", content=bytes(10**5)).status_code == 415
        ended = select.select(others, [], [], 20)[0]
        assert len(ended) == 1  # the other's place was not wanted
        assert ended[0].recv(65536).startswith(b"HTTP/1.1 408")
        for other in others:
            other.close()


@pytest.mark.parametrize("length", ["0" * 30 + "2000", "9" * 19])
def test_a_length_in_other_words_hides_nothing(given, length):
    """A client is told before it sends what is too long, also where a proxy wrote the length."""
    app = create(Engine(open_models(given, "cpu"), Limits(bytes=1000)), Settings())

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/v1/translate", content=b"", headers={"Content-Length": length})

    assert asyncio.run(ask()).status_code == 413


@pytest.mark.parametrize("piece", [0, 2**14], ids=["nothing", "slowly"])
def test_a_client_that_does_not_take_its_answer_is_given_up(serving, monkeypatch, piece):
    monkeypatch.setattr(connection, "_STALLED", 0.3)
    monkeypatch.setattr(connection, "_SLOWEST", 2**22)
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)).save(buffer, "BMP")
    body = buffer.getvalue()
    with serving() as client, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        other.settimeout(20)
        other.connect(address(client))
        other.sendall(head("POST", "/v1/translate", "Accept: image/bmp", length=len(body)) + body)
        received = 0
        with suppress(ConnectionResetError):
            for _ in range(25):
                received += len(other.recv(piece)) if piece else 0
                time.sleep(0.1)
            while part := other.recv(65536):
                received += len(part)
        assert received < len(body)
        assert client.get("/v2").status_code == 200


def test_one_that_waits_makes_room_where_connections_are_many(serving, monkeypatch):
    monkeypatch.setattr(connection, "_MOST", 3)
    with serving() as client:
        others = [socket.create_connection(address(client), 20) for _ in range(6)]
        assert client.get("/v2").status_code == 200
        assert others[0].recv(10) == b""
        for other in others:
            other.close()


def test_no_client_has_more_connections_than_there_may_be(serving, monkeypatch):
    """Not those that upload either, and not those that are refused for want of a token."""
    monkeypatch.setattr(connection, "_MOST", 3)
    with serving(token="0123456789abcdef0123") as client:
        others = []
        for _ in range(8):
            others.append(socket.create_connection(address(client), 20))
            others[-1].sendall(head("POST", "/v1/translate", length=10**6) + b"x")
        assert client.get("/v2/health/live").status_code == 200
        for other in others[:5]:
            with suppress(ConnectionError):
                while other.recv(65536):
                    pass
        for other in others:
            other.close()


def test_a_refused_stranger_is_not_read_for_long(serving, monkeypatch):
    monkeypatch.setattr(connection, "_LINGER", 60)
    with serving(token="0123456789abcdef0123") as client:
        answer = exchange(client, head("POST", "/v1/translate", length=10**6), b"x")
        assert answer.startswith(b"HTTP/1.1 401")


def test_where_all_are_computed_for_the_newest_is_closed(serving, photo, monkeypatch):
    go = threading.Event()

    async def wait(*_, **__):
        await asyncio.to_thread(go.wait, 20)
        raise LateError("late")

    monkeypatch.setattr(connection, "_MOST", 2)
    monkeypatch.setattr(Engine, "translate", wait)
    with serving() as client, ExitStack() as stack:
        others = [stack.enter_context(socket.create_connection(address(client), 20)) for _ in range(2)]
        for other in others:
            other.sendall(head("POST", "/v1/translate", "Connection: close", length=len(photo)) + photo)
        try:
            time.sleep(0.3)
            with pytest.raises(httpx.TransportError):
                client.get("/v2")
        finally:
            go.set()
        for other in others:
            assert other.recv(65536).startswith(b"HTTP/1.1 504")
