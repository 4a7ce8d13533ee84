"""The server: rude clients and those that go away, addresses, and how it stops."""

import asyncio
import runpy
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from i2i.errors import I2IError
from i2i.serving import connection
from i2i.serving.app import create
from i2i.serving.engine import Engine
from i2i.serving.limits import Limits
from i2i.serving.models import open_models
from i2i.serving.server import listen
from i2i.serving.settings import Settings

RAW = runpy.run_path(str(Path(__file__).with_name("raw.py")))
address, exchange, head = (RAW[name] for name in ("address", "exchange", "head"))


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
