"""The server's connections: slow and rude clients, limits while bodies are read, addresses, and how it stops."""

import asyncio
import io
import socket
import threading
import time
from contextlib import suppress

import httpx
import numpy as np
import pytest
from PIL import Image

from i2i.errors import I2IError
from i2i.serving import connection
from i2i.serving.app import create
from i2i.serving.engine import Engine
from i2i.serving.limits import Limits
from i2i.serving.models import open_models
from i2i.serving.server import listen
from i2i.serving.settings import Settings


def address(client):
    return client.base_url.host, client.base_url.port


def exchange(client, *pieces, pause=0.0):
    """What comes back when the pieces are sent, until the server closes."""
    with socket.create_connection(address(client), 20) as other:
        for piece in pieces:
            other.sendall(piece)
            time.sleep(pause)
        return b"".join(iter(lambda: other.recv(65536), b""))


def head(method, path, *more, length=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *more]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


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


def test_too_many_uploads_at_once_are_told_to_come_back(serving):
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


def test_a_client_that_takes_no_answer_is_given_up(serving, monkeypatch):
    monkeypatch.setattr(connection, "_STALLED", 0.3)
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)).save(buffer, "BMP")
    body = buffer.getvalue()
    with serving() as client, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        other.settimeout(20)
        other.connect(address(client))
        other.sendall(head("POST", "/v1/translate", "Accept: image/bmp", length=len(body)) + body)
        time.sleep(2.5)
        received = 0
        with suppress(ConnectionResetError):
            while piece := other.recv(65536):
                received += len(piece)
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


@pytest.mark.parametrize(
    "rude",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000,
        b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_http_is_refused(client, rude):
    assert exchange(client, rude).startswith(b"HTTP/1.1 400")
    assert client.get("/v2").status_code == 200


def test_a_client_that_goes_away_is_not_waited_for(serving, photo):
    with serving() as client:
        for cut in (20, len(photo)):
            with socket.create_connection(address(client), 20) as other:
                other.sendall(head("POST", "/v1/translate", length=len(photo)) + photo[:cut])
        assert client.post("/v1/translate", content=photo).status_code == 200


def test_what_nobody_waits_for_is_not_computed(serving, photo, monkeypatch):
    began, cancelled = threading.Event(), threading.Event()

    async def wait(*_, **__):
        began.set()
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr(Engine, "translate", wait)
    with serving() as client:
        with socket.create_connection(address(client), 20) as other:
            other.sendall(head("POST", "/v1/translate", length=len(photo)) + photo)
            assert began.wait(10)
            assert not cancelled.is_set()
        assert cancelled.wait(10)
        assert 'status="499"} 1.0' in client.get("/metrics").text


def test_it_is_not_ready_once_it_is_told_to_stop(given):
    app = create(Engine(open_models(given, "cpu"), Limits()), Settings())

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            paths = ("/v2/health/ready", "/v2/models/faces/ready", "/v2/health/live")
            return [(await client.get(path)).status_code for path in paths]

    assert asyncio.run(ask()) == [200, 200, 200]
    app.state.stopping = True
    assert asyncio.run(ask()) == [503, 503, 200]


def test_what_was_accepted_is_finished(serving, photo):
    """The server is told to stop while a request is on its way."""
    answers = []
    with serving() as client:
        other = socket.create_connection(address(client), 20)
        other.sendall(head("POST", "/v1/translate", length=len(photo)) + photo[:20])
        time.sleep(0.2)

        def finish():
            time.sleep(0.5)
            other.sendall(photo[20:])
            answers.append(b"".join(iter(lambda: other.recv(65536), b"")))

        thread = threading.Thread(target=finish)
        thread.start()
        where = client.base_url
    thread.join(20)
    other.close()
    assert answers[0].startswith(b"HTTP/1.1 200")
    with pytest.raises(httpx.ConnectError):
        httpx.get(where)


def test_the_pieces_of_an_answer_do_not_wait_for_each_other(serving, monkeypatch):
    seen = []
    made = connection.Connection.connection_made

    def look(self, transport):
        made(self, transport)
        seen.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(connection.Connection, "connection_made", look)
    with serving() as client:
        client.get("/v2")
    assert seen
    assert all(seen)


def test_a_proxy_may_show_it_below_a_path(serving, photo):
    with serving(root_path="/i2i") as client:
        for root in ("", "/i2i"):  # whether it takes the path away or not
            assert client.get(f"{root}/v2/health/ready").status_code == 200
            assert client.post(f"{root}/v1/translate", content=photo).status_code == 200
        url = client.get("/v1/models").json()["models"][0]["samples"][0]["url"]
        assert url.startswith("/i2i/v1/")
        assert client.get(url).status_code == 200


def test_addresses_of_both_kinds_are_listened_on():
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        try:
            (found,) = listen(host, 0)
        except I2IError:
            assert family == socket.AF_INET6  # which not every machine has
            continue
        assert found.family == family
        found.close()
    both = listen("localhost", 0)
    assert len({each.getsockname()[1] for each in both}) == 1
    for each in both:
        each.close()


def test_an_address_that_cannot_be_had_is_said():
    (taken,) = listen("127.0.0.1", 0)
    with taken:
        with pytest.raises(I2IError, match="already in use") as caught:
            listen("127.0.0.1", taken.getsockname()[1])
        assert "--port" in str(caught.value)
    with pytest.raises(I2IError, match="no such address"):
        listen("no such host", 0)
    with pytest.raises(I2IError):
        listen("192.0.2.1", 0)
