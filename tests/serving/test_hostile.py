"""Connections of hostile and broken clients to a real server: each ends, and good requests beside it are answered."""

from __future__ import annotations

import contextlib
import io
import runpy
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SHARED = runpy.run_path(str(Path(__file__).with_name("hostile.py")))
GOOD, answers, serving, unharmed = (SHARED[name] for name in ("GOOD", "answers", "serving", "unharmed"))

TIMEOUT = 3  # seconds that a request may take
MOST_BYTES = 2**18
HEAD = "POST /v1/translate?model=m HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    limits = ["--timeout", TIMEOUT, "--max-bytes", MOST_BYTES, "--max-pixels", 10_000, "--queue", 8]
    with serving(tmp_path_factory.mktemp("served"), *limits) as started:
        yield started


@pytest.fixture(autouse=True)
def _unharmed(server: Any) -> Iterator[None]:
    with unharmed(server):
        yield


def rest(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection, by an end or by a reset."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received


def sent(server: Any, data: bytes, *, ended: bool = False) -> bytes:
    """What first comes back for bytes; or all, after the client has said that no more will come, if `ended`."""
    with server.connect() as connection:
        with contextlib.suppress(OSError):  # the server had enough, and the connection is gone
            connection.sendall(data)
            if ended:
                connection.shutdown(socket.SHUT_WR)
        return rest(connection) if ended else connection.recv(65536)


def statuses(received: bytes) -> list[int]:
    return [int(part.split()[0]) for part in received.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]


def large() -> bytes:
    """A small image in a file of more than 64 KiB, for the text that it holds."""
    said = PngInfo()
    said.add_text("Comment", "x" * 70_000)
    file = io.BytesIO()
    Image.new("RGB", (6, 5)).save(file, "PNG", pnginfo=said)
    return file.getvalue()


def drip(server: Any, beginning: str) -> tuple[list[int], float]:
    """Sends the beginning of a request and then a byte now and then: the statuses, and after how many seconds."""
    begun = time.monotonic()
    with server.connect() as connection:
        connection.sendall(beginning.encode())
        connection.settimeout(0.1)
        received = b""
        while time.monotonic() - begun < 10 * TIMEOUT:
            try:
                connection.sendall(b"x")
                part = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not part:
                break
            received += part
        return statuses(received), time.monotonic() - begun


SLOW = {
    "body": HEAD + "Content-Length: 1000\r\n\r\n",
    "JSON": HEAD.replace("translate", "generate") + "Content-Length: 1000\r\n\r\n",
    "form": HEAD.replace("image/png", "multipart/form-data; boundary=b") + "Content-Length: 1000\r\n\r\n--b\r\n",
    "tensors": HEAD.replace("v1/translate?model=m", "v2/models/m/infer") + "Content-Length: 1000\r\n\r\n{",
    "chunk": HEAD + "Transfer-Encoding: chunked\r\n\r\nFFFF\r\n",
}


def test_a_slow_request_is_ended_at_the_time_limit(server: Any) -> None:
    with ThreadPoolExecutor(len(SLOW)) as pool:
        slow = {name: pool.submit(drip, server, beginning) for name, beginning in SLOW.items()}
        answers(server)
        found = {name: each.result() for name, each in slow.items()}
    for name, (status, seconds) in found.items():
        assert status == [408], name
        assert seconds < 3 * TIMEOUT, name


def test_stalled_requests_hold_up_nobody_else(server: Any) -> None:
    with ExitStack() as stack:
        for _ in range(40):
            stalled = stack.enter_context(server.connect())
            stalled.sendall((HEAD + "Content-Length: 1000\r\n\r\nx").encode())
        begun = time.monotonic()
        answers(server)
        assert time.monotonic() - begun < TIMEOUT


def test_large_uploads_that_stall_leave_places_for_others(server: Any) -> None:
    """As many as are read at once, each with as much as makes it count; one gives way to each that comes."""
    length = f"Content-Length: {MOST_BYTES}\r\n\r\n"
    with ExitStack() as stack:
        many = [stack.enter_context(server.connect()) for _ in range(64)]
        for stalled in many:
            stalled.sendall((HEAD + length).encode() + bytes(65_537))
        time.sleep(1.5)  # until it shows
        answer = SHARED["post"](server, "/v1/translate?model=m", content=large())
        assert answer.status_code == 200, answer.text
        assert len(select.select(many, [], [], 0)[0]) < len(many) / 2  # the time limit ended the others later


def test_a_body_that_breaks_off_is_dropped(server: Any) -> None:
    for framing in ("Content-Length: 1000\r\n\r\nxxxx", "Transfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n"):
        for ended in (True, False):
            with server.connect() as connection:
                connection.sendall((HEAD + framing).encode())
                if ended:
                    connection.shutdown(socket.SHUT_WR)
                    assert statuses(rest(connection)) in ([], [400])  # the client is gone, for all that is known


def test_clients_that_do_not_wait_for_the_answer(server: Any) -> None:
    whole = (HEAD + f"Content-Length: {len(GOOD)}\r\n\r\n").encode() + GOOD
    for _ in range(100):
        with server.connect() as connection:
            connection.sendall(whole)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: -1\r\n\r\n",
        "Content-Length: x\r\n\r\n",
        "Content-Length: 1e3\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-5\r\nxxxxx\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\r\nxxxxx",
        "Transfer-Encoding: chunked\r\n\r\n5;" + "x" * 100_000 + "\r\nxxxxx\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Encoding: br\r\n\r\n",
        "Content-Length: 0\r\nHost: example.org\r\n\r\n",
        "Content-Length: 0\r\nX-" + "y" * 200_000 + ": 1\r\n\r\n",
        "Content-Length: 0\r\n" + "X-Y: 1\r\n" * 20_000 + "\r\n",
        "Content-Length: 0\r\nX-Y : 1\r\n\r\n",
        "Content-Length: 0\r\nX-Y: 1\0\r\n\r\n",
    ],
    ids=range(16),
)
def test_a_malformed_request_is_refused(server: Any, framing: str) -> None:
    (status,) = statuses(sent(server, (HEAD + framing).encode()))
    assert 400 <= status < 500


def test_a_body_that_is_longer_than_it_says_is_no_second_request(server: Any) -> None:
    length = f"Content-Length: {len(GOOD)}\r\n\r\n"
    with server.connect() as connection:
        connection.sendall((HEAD + length).encode() + GOOD + b"GARBAGE\r\n\r\n")
        assert statuses(rest(connection)) == [200, 400]


def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(server: Any) -> None:
    with server.connect(timeout=TIMEOUT / 2) as connection:
        connection.sendall((HEAD + "Content-Length: 10000000000\r\n\r\n").encode())
        assert statuses(connection.recv(65536)) == [413]


def test_a_body_without_end_is_refused_at_the_limit(server: Any) -> None:
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    taken = 0
    with server.connect() as connection:
        connection.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(chunk)
            taken += 0x8000
        assert statuses(connection.recv(65536)) == [413]
    assert taken < 2**25  # the limit, and what lies in the buffers of both sides


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"\r\n" * 5000,
        b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ],
    ids=range(10),
)
def test_what_is_no_request_for_us_is_refused(server: Any, data: bytes) -> None:
    found = statuses(sent(server, data))
    assert found
    assert all(status == 200 or 400 <= status < 500 for status in found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=300), begun=st.sampled_from([b"", b"GET / ", b"POST /v1/translate HTTP/1.1\r\n", b"PUT "])
)
def test_any_bytes_are_refused_or_answered(server: Any, data: bytes, begun: bytes) -> None:
    assert all(status < 500 for status in statuses(sent(server, begun + data, ended=True)))


def test_more_requests_than_it_takes_are_told_when_to_come_back(server: Any) -> None:
    def ask(_: int) -> tuple[int, str | None]:
        answer = SHARED["post"](server, "/v1/translate?model=m", content=GOOD)
        return answer.status_code, answer.headers.get("Retry-After")

    with ThreadPoolExecutor(32) as pool:
        answered = list(pool.map(ask, range(200)))
    assert {status for status, _ in answered} <= {200, 429}
    assert (200, None) in answered
    assert all(int(after or 0) >= 1 for status, after in answered if status == 429)


def test_a_stalled_client_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout", TIMEOUT) as server, server.connect() as stalled:
        stalled.sendall((HEAD + "Content-Length: 1000\r\n\r\nx").encode())
        time.sleep(0.2)
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 5 * TIMEOUT
