"""The Open Inference Protocol, by its own words and by an ordinary client of it."""

import gzip
import json
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from i2i import noise
from i2i.serving import wire
from i2i.serving.limits import Limits
from i2i.serving.problems import ProblemError
from i2i.serving.wire import Tensor

LENGTH = "Inference-Header-Content-Length"
IMAGE = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
INFER = "/v2/models/inverter/infer"


def asked(**changes):
    tensor = {"name": "image", "shape": [2, 3, 4, 3], "datatype": "UINT8", "data": IMAGE.ravel().tolist()}
    return {"inputs": [{**tensor, **changes}]}


def refused(response, status=400):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    return response.json()["error"]


def test_the_server_and_its_models_say_what_they_are(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/faces/versions/1/ready").json() == {"name": "faces", "ready": True}
    said = client.get("/v2/models/faces").json()
    assert said == client.get("/v2/models/faces/versions/1").json()
    assert said["versions"] == ["1"]
    assert said["inputs"] == [
        {"name": "noise", "datatype": "FP32", "shape": [-1, 5]},
        {"name": "label", "datatype": "INT64", "shape": [-1]},
    ]
    assert said["outputs"] == [{"name": "output", "datatype": "UINT8", "shape": [-1, 4, 4, 3]}]
    assert client.get("/v2/models/inverter").json()["inputs"] == [
        {"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}
    ]


@pytest.mark.parametrize("path", ["models/nix", "models/nix/ready", "models/inverter/versions/2", "nix"])
def test_what_is_not_there_is_said(client, path):
    refused(client.get(f"/v2/{path}"), 404)


@pytest.mark.parametrize("nested", [False, True])
def test_lists_flat_or_nested_are_inferred(client, nested):
    request = {
        **asked(data=(IMAGE if nested else IMAGE.ravel()).tolist()),
        "id": "seven",
        "outputs": [{"name": "output"}],
    }
    said = client.post(INFER, json=request).json()
    assert (said["id"], said["model_name"], said["model_version"]) == ("seven", "inverter", "1")
    (output,) = said["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("output", "UINT8", [2, 3, 4, 3])
    assert output["data"] == (255 - IMAGE).ravel().tolist()


@pytest.mark.parametrize("by_output", [True, False])
def test_bytes_behind_the_json_are_inferred(client, by_output):
    head = asked(parameters={"binary_data_size": IMAGE.size})
    del head["inputs"][0]["data"]
    if by_output:
        head["outputs"] = [{"name": "output", "parameters": {"binary_data": True}}]
    else:
        head["parameters"] = {"binary_data_output": True}
    text = json.dumps(head).encode()
    response = client.post(INFER, content=text + IMAGE.tobytes(), headers={LENGTH: str(len(text))})
    end = int(response.headers[LENGTH])
    assert response.headers["content-type"] == "application/octet-stream"
    (output,) = json.loads(response.content[:end])["outputs"]
    assert output["parameters"] == {"binary_data_size": IMAGE.size}
    assert response.content[end:] == (255 - IMAGE).tobytes()


def test_a_body_may_be_packed_and_not_beyond_the_limit(client, serving):
    text = json.dumps(asked()).encode()
    for coding, packed in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text))):
        response = client.post(INFER, content=packed, headers={"Content-Encoding": coding})
        assert response.json()["outputs"][0]["data"] == (255 - IMAGE).ravel().tolist()
        refused(client.post(INFER, content=packed[:-9], headers={"Content-Encoding": coding}))
        refused(client.post(INFER, content=b"no " + packed, headers={"Content-Encoding": coding}))
    refused(client.post(INFER, content=text, headers={"Content-Encoding": "br"}), 415)
    with serving(Limits(bytes=2**16, seconds=20)) as small:
        bomb = gzip.compress(bytes(2**24))
        assert len(bomb) < 2**16
        assert "65536" in refused(small.post(INFER, content=bomb, headers={"Content-Encoding": "gzip"}), 413)


@pytest.mark.parametrize(
    "request_",
    [
        [],
        {},
        {"inputs": {}},
        {"inputs": []},
        {"inputs": [3]},
        {"inputs": [{"name": ["image"]}]},
        {"inputs": asked()["inputs"] * 2},
        asked(name="nix"),
        asked(datatype="FP32"),
        asked(datatype=None),
        asked(shape=[2, 3, 4]),
        asked(shape=[2, 3, 4, 1]),
        asked(shape=[2, 3, -4, 3]),
        asked(shape=[2, 3, 4.0, 3]),
        asked(shape=[0, 3, 4, 3]),
        asked(shape=[2**31, 2**31, 2**31, 3]),
        asked(shape="x"),
        asked(shape=[2, 3, 5, 3]),
        asked(data=None),
        asked(data=[[1, 2], [3]]),
        asked(data=["a"] * 72),
        asked(data=[1] * 71 + [[1]]),
        asked(data=[[1] * 3] * 24),
        asked(data={"0": 1}),
        asked(data=[1.5] * 72),
        asked(data=[True] * 72),
        asked(data=[256] * 72),
        asked(data=[-1] * 72),
        asked(data=[10**30] * 72),
        asked(data=IMAGE.reshape(3, 2, 4, 3).tolist()),
        asked(parameters={"binary_data_size": 72}),
        asked(parameters={"binary_data_size": -1}),
        asked(parameters={"binary_data_size": "x"}),
        {**asked(), "id": 3},
        {**asked(), "outputs": [{"name": "nix"}]},
        {**asked(), "outputs": [{"name": "output"}, {"name": "output"}]},
        {**asked(), "outputs": "output"},
    ],
)
def test_a_wrong_request_is_refused(client, request_):
    assert refused(client.post(INFER, json=request_))


@pytest.mark.parametrize("length", ["-1", "x", "99999999", "9" * 30, "0" * 5000, "1e3", ""])
def test_a_wrong_length_is_refused(client, length):
    refused(client.post(INFER, content=json.dumps(asked()), headers={LENGTH: length}))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"inputs": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_is_refused(client, body):
    refused(client.post(INFER, content=body))


def test_a_long_word_among_short_ones_takes_no_more_memory_than_it_has():
    """NumPy would give each of them the room of the longest."""
    tensor = Tensor("image", "UINT8", (-1, -1, -1, 3))
    body = json.dumps(asked(shape=[1, 100, 100, 3], data=["a" * 20_000] + ["b"] * 29_999)).encode()
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError, match="no number of UINT8"):
            wire.parse(body, None, [tensor], "output")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20 * len(body)


def test_more_numbers_than_json_is_for_are_sent_as_bytes(client):
    side = 600
    values = np.full((1, side, side, 3), 7, np.uint8)
    as_json = asked(shape=list(values.shape), data=values.ravel().tolist())
    assert "binary" in refused(client.post(INFER, json=as_json), 413)
    head = asked(shape=list(values.shape), parameters={"binary_data_size": values.size})
    del head["inputs"][0]["data"]
    for binary in (False, True):
        text = json.dumps({**head, "parameters": {"binary_data_output": binary}}).encode()
        response = client.post(INFER, content=text + values.tobytes(), headers={LENGTH: str(len(text))})
        if binary:
            assert response.content.endswith((255 - values).tobytes())
        else:
            assert "binary" in refused(response, 413)


def test_a_request_keeps_its_place_until_its_answer_is_ready(serving, monkeypatch):
    """However small it comes, packed bodies become large."""
    began, go = threading.Event(), threading.Event()
    parse = wire.parse

    def held(*inputs):
        began.set()
        assert go.wait(20)
        return parse(*inputs)

    packed, headers = gzip.compress(json.dumps(asked()).encode()), {"Content-Encoding": "gzip"}
    monkeypatch.setattr(wire, "parse", held)
    with serving(Limits(uploads=1, seconds=20)) as client, ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(client.post, INFER, content=packed, headers=headers)
            assert began.wait(20)
            second = client.post(INFER, content=packed, headers=headers)
        finally:
            go.set()
        assert "uploads" in refused(second, 429)
        assert first.result().status_code == 200
        assert client.post(INFER, content=packed, headers=headers).status_code == 200


def test_reading_tensors_counts_as_the_requests_time(serving, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(wire, "parse", lambda *inputs: go.wait(20))
    with serving(Limits(seconds=0.3)) as client:
        try:
            assert "in time" in refused(client.post(INFER, json=asked()), 504)
        finally:
            go.set()


def test_bytes_left_over_are_refused(client):
    text = json.dumps(asked()).encode()
    assert "left over" in refused(client.post(INFER, content=text + b"more", headers={LENGTH: str(len(text))}))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e300"])
def test_noise_must_be_finite(client, value):
    text = '{"inputs": [{"name": "noise", "shape": [1, 5], "datatype": "FP32", "data": [0, 0, 0, 0, %s]},'
    text += '{"name": "label", "shape": [1], "datatype": "INT64", "data": [0]}]}'
    assert "finite" in refused(client.post("/v2/models/faces/infer", content=text % value))


def test_labels_that_are_not_the_models_are_refused(client):
    tensors = [
        {"name": "noise", "shape": [1, 5], "datatype": "FP32", "data": [0] * 5},
        {"name": "label", "shape": [1], "datatype": "INT64", "data": [3]},
    ]
    assert "3" in refused(client.post("/v2/models/faces/infer", json={"inputs": tensors}), 422)
    assert "label" in refused(client.post("/v2/models/faces/infer", json={"inputs": tensors[:1]}))


def test_an_ordinary_client_works(client):
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    other = triton.InferenceServerClient(client.base_url.netloc.decode())
    try:
        assert other.is_server_live()
        assert other.is_server_ready()
        assert other.is_model_ready("inverter")
        assert other.get_server_metadata()["name"] == "i2i"
        assert other.get_model_metadata("inverter", "1")["name"] == "inverter"
        for binary in (True, False):
            for packing in (None, "gzip", "deflate"):
                given = triton.InferInput("image", [2, 3, 4, 3], "UINT8")
                given.set_data_from_numpy(IMAGE, binary_data=binary)
                wanted = [triton.InferRequestedOutput("output", binary_data=binary)]
                answer = other.infer(
                    "inverter", [given], outputs=wanted, request_id="a",
                    request_compression_algorithm=packing, response_compression_algorithm=packing,
                )  # fmt: skip
                assert np.array_equal(answer.as_numpy("output"), 255 - IMAGE)
                assert answer.get_response()["id"] == "a"
        z, labels = noise.draw(1, 2, 5), np.array([2, 0])
        inputs = [triton.InferInput("noise", [2, 5], "FP32"), triton.InferInput("label", [2], "INT64")]
        for tensor, values in zip(inputs, (z, labels), strict=True):
            tensor.set_data_from_numpy(values)
        made = other.infer("faces", inputs).as_numpy("output")
        by_us = client.post("/v1/generate", json={"seed": 1, "label": "bird"}, headers={"Accept": "image/bmp"})
        assert made[0].tobytes() == _rgb(by_us.content)
        with pytest.raises(triton.InferenceServerException, match="nix"):
            other.infer("nix", inputs)
    finally:
        other.close()


def _rgb(bmp):
    import io

    from PIL import Image

    return Image.open(io.BytesIO(bmp)).tobytes()
