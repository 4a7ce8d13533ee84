"""Hostile images, forms, names and origins sent to a real server: refused by a 4xx, at no cost of memory."""

from __future__ import annotations

import gzip
import runpy
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

SHARED = runpy.run_path(str(Path(__file__).with_name("hostile.py")))
CLIENT, COMPUTING, GOOD, encoded, post = (SHARED[name] for name in ("CLIENT", "COMPUTING", "GOOD", "encoded", "post"))

MOST_BYTES = 2**20


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks, with right checksums, that claims a size."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (header, *chunks, (b"IEND", b""))
    )


ZEROS = zlib.compress(bytes(2**28), 9)  # 256 MiB in 255 KiB
ROWS = zlib.compress(bytes(6 * 16), 9)  # 6 rows of 5 pixels


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "secret.txt").write_text("the secret")
    with SHARED["serving"](folder, "--max-bytes", MOST_BYTES, "--max-pixels", 1_000_000) as started:
        yield started


@pytest.fixture(autouse=True)
def _unharmed(server: Any) -> Iterator[None]:
    with SHARED["unharmed"](server):
        yield


def refused(answer: httpx.Response, *wanted: int) -> None:
    """It is a problem with a reason, and says nothing of the inside."""
    assert answer.status_code in wanted, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    assert "/" not in problem["detail"].replace("/v1/", "").replace("image/", "").replace("application/", "")


def pages(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (9, 9), (number % 256, 0, 0)) for number in range(count)]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", (400, 415)),
        (b"just text", (415,)),
        (GOOD[: len(GOOD) // 2], (415,)),
        (GOOD[:40], (415,)),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", (415,)),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", (415,)),
        (b"https://example.org/image.png", (415,)),
        (bytes(MOST_BYTES + 1), (413,)),
        (png(60_000, 60_000, (b"IDAT", ROWS)), (413,)),
        (png(2**31 - 1, 2**31 - 1, (b"IDAT", ROWS)), (413, 415)),
        (png(0, 0, (b"IDAT", ROWS)), (415,)),
        (png(1001, 1000, (b"IDAT", ROWS)), (413,)),
        (encoded(*pages(3), form="GIF"), (413,)),
        (encoded(*pages(1000), form="TIFF"), (413,)),
        (encoded(*pages(100), form="WEBP"), (413,)),
        (encoded(*pages(3), form="PNG"), (413,)),
    ],
    ids=range(16),
)
def test_what_is_no_image_or_too_much_of_one(server: Any, data: bytes, wanted: tuple[int, ...]) -> None:
    refused(post(server, "/v1/translate?model=m", content=data), *wanted)
    if len(data) < MOST_BYTES:
        refused(post(server, "/v1/translate", files={"image": ("x.png", data)}, data={"model": "m"}), *wanted)


@pytest.mark.parametrize(
    "data",
    [
        png(5, 6, (b"IDAT", ZEROS)),
        png(5, 6, (b"zTXt", b"k\0\0" + ZEROS), (b"IDAT", ROWS)),
        png(5, 6, (b"iTXt", b"k\0\1\0\0\0" + ZEROS), (b"IDAT", ROWS)),
        png(5, 6, (b"iCCP", b"k\0\0" + ZEROS), (b"IDAT", ROWS)),
        png(5, 6, *[(b"tEXt", b"k\0v")] * 40_000, (b"IDAT", ROWS)),
        png(60_000, 60_000, (b"IDAT", ZEROS)),
    ],
    ids=["pixels", "zTXt", "iTXt", "profile", "chunks", "claimed"],
)
def test_an_image_that_inflates_costs_no_memory(server: Any, data: bytes) -> None:
    post(server, "/v1/translate?model=m", content=GOOD)
    before = server.memory("VmHWM")
    assert post(server, "/v1/translate?model=m", content=data).status_code in (200, 413, 415)
    assert server.memory("VmHWM") - before < 2**26


def test_tensors_that_inflate(server: Any) -> None:
    before = server.memory("VmHWM")
    for data in (gzip.compress(bytes(2**28)), gzip.compress(gzip.compress(bytes(2**28)))):
        for path in COMPUTING:
            answer = post(server, path, content=data, headers={"Content-Encoding": "gzip"})
            assert 400 <= answer.status_code < 500, path
    damaged = gzip.compress(b"{}")[:-4]
    assert post(server, COMPUTING[2], content=damaged, headers={"Content-Encoding": "gzip"}).status_code == 400
    assert server.memory("VmHWM") - before < 2**26


@pytest.mark.parametrize(
    "tensors",
    [
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [2**20, 2**20, 2**20, 3], "data": [1]}]},
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, -1, 1, 3], "data": [1, 2, 3]}]},
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [300, -1, 1e99]}]},
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 0, 0, 3], "data": []}]},
        {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["file:///etc/passwd"]}]},
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 3],
                     "parameters": {"binary_data_size": 2**60}}]},
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 1, 3],
                     "parameters": {"shared_memory_region": "x"}}]},
        {"inputs": []}, {"inputs": {}}, [], None, 1, "",
    ],
    ids=range(13),
)  # fmt: skip
def test_tensors_that_cannot_be(server: Any, tensors: Any) -> None:
    assert 400 <= post(server, "/v2/models/m/infer", json=tensors).status_code < 500


def test_json_that_is_nested_without_end(server: Any) -> None:
    for path in ("/v1/generate", "/v2/models/m/infer"):
        for deep in (b"[" * 500_000, b'{"a":' * 100_000, b"9" * 500_000):
            answer = post(server, path, content=deep, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500


def form(*parts: bytes) -> dict[str, Any]:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=b"}}


def test_forms_that_are_none(server: Any) -> None:
    field = b'Content-Disposition: form-data; name="x"\r\n\r\ny'
    file = b'Content-Disposition: form-data; name="image"; filename="a"\r\n\r\ny'
    for given_ in (
        form(*[field] * 10_000),
        form(*[file] * 5_000),
        form(field),
        form(b"X-Y: " + b"y" * 500_000 + b"\r\n\r\ny"),
        form(b"\r\n\r\n"),
        {"content": b"--b", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=" + "b" * 5000}},
        {"content": b"--\xff\r\n", "headers": {"Content-Type": b"multipart/form-data; boundary=\xff"}},
    ):
        assert 400 <= post(server, "/v1/translate?model=m", **given_).status_code < 500


OUTSIDE = ["../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "..\\secret.txt", "/secret.txt", "%00", "....//x"]


@pytest.mark.parametrize("name", [*OUTSIDE, "../" * 30 + "etc/passwd", "%2e%2e%2f" * 30 + "etc%2fpasswd", "x" * 20_000])
def test_names_lead_nowhere(server: Any, name: str) -> None:
    for path in ("/page/", "/v1/models/", "/v1/models/m/samples/", "/v2/models/", "/docs/", "/"):
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            connection.sendall(f"GET {path}{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            received = b""
            while part := connection.recv(65536):
                received += part
        assert received.startswith(b"HTTP/1.1 4")
        assert b"the secret" not in received
        assert b"root:" not in received
    assert 400 <= post(server, f"/v1/translate?model={name}", content=GOOD).status_code < 500


@pytest.mark.parametrize(
    "name", ['a"; x="\r\nX-Evil: 1\r\n\r\n.png', "a\nX-Evil: 1", "\u202egnp.exe", "é" * 500, "../../x.png"]
)
def test_names_put_nothing_into_headers(server: Any, name: str) -> None:
    answers = [
        post(server, "/v1/translate", files={"image": (name, GOOD)}, data={"model": "m"}),
        post(server, f"/v1/translate?model={quote(name)}", content=GOOD),
        post(server, "/v1/translate?model=m", content=GOOD, headers={"X-Request-Id": quote(name)}),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 200]
    for answer in answers:
        assert "X-Evil" not in answer.headers
        assert "/" not in answer.headers.get("Content-Disposition", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=range(6),
)
def test_pages_of_other_sites_are_refused(server: Any, headers: dict[str, str]) -> None:
    for path in COMPUTING:
        answer = post(server, path, content=GOOD, headers=headers)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    asked = CLIENT.options(f"{server.url}/v1/translate", headers={**headers, "Access-Control-Request-Method": "POST"})
    assert 400 <= asked.status_code < 500
    assert "Access-Control-Allow-Origin" not in asked.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "evil.example#127.0.0.1", "[::2]", ""]
)
def test_other_names_for_this_machine_are_refused(server: Any, host: str) -> None:
    for path in ("/", "/v1/models", "/metrics", "/docs", "/openapi.json", "/v2/models/m"):
        assert CLIENT.get(server.url + path, headers={"Host": host}).status_code in (400, 421)
    for path in COMPUTING:
        assert post(server, path, content=GOOD, headers={"Host": host}).status_code in (400, 421)


def test_nothing_is_fetched(server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
        for what in ({"data": {"model": "m", "image": url}}, {"json": {"url": url}}, {"content": url.encode()}):
            assert 400 <= post(server, "/v1/translate?model=m", **what).status_code < 500
        assert 400 <= post(server, f"/v1/translate?model={quote(url)}", content=GOOD).status_code < 500
        assert 400 <= post(server, "/v1/generate", json={"model": url, "image": url}).status_code < 500
        with pytest.raises(TimeoutError):
            listener.accept()
