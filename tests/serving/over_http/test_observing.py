"""What the server tells of itself: figures for Prometheus, and a line of log for each request."""

import json
import logging
import re

import numpy as np
import pytest
from PIL import Image

from i2i.serving.logs import LOGGER, Json, Text


def figures(client):
    found = {}
    for line in client.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


@pytest.fixture
def lines(caplog, client):
    """Formats what was logged, one line for each request."""
    caplog.set_level(logging.INFO, LOGGER)
    logging.getLogger(LOGGER).propagate = True

    def format_(formatter):
        client.get("/v2")  # a line is written after its answer, and before the next one
        return [formatter.format(record) for record in caplog.records if record.name == LOGGER]

    return format_


def test_requests_images_and_times_are_counted(serving, photo):
    with serving() as client:
        for _ in range(3):
            client.post("/v1/translate", content=photo)
        client.post("/v1/translate", content=b"text")
        client.post("/v1/generate", json={"count": 5})
        client.get("/v1/models/nix")
        client.request("BREW", "/v1/models")
        client.get("/somewhere/else")
        found = figures(client)
    counted = "i2i_requests_total{{method={},route={},status={}}}"
    for method, route, status, times in (
        ("POST", "/v1/translate", 200, 3),
        ("POST", "/v1/translate", 415, 1),
        ("POST", "/v1/generate", 200, 1),
        ("GET", "/v1/models/{name}", 404, 1),
        ("GET", "other", 404, 1),
    ):
        assert found[counted.format(*(f'"{word}"' for word in (method, route, status)))] == times
    assert any('method="other"' in name and 'status="405"' in name for name in found)
    assert not any("BREW" in name or "/somewhere" in name for name in found)
    assert found['i2i_compute_seconds_count{model="inverter"}'] == 3
    assert found['i2i_batch_images_sum{model="inverter"}'] == 3
    assert found['i2i_batch_images_sum{model="faces"}'] == 5
    assert found['i2i_queue_seconds_count{model="inverter"}'] == 3
    assert found['i2i_waiting_requests{model="inverter"}'] == 0
    assert found["i2i_received_bytes_total"] >= 3 * len(photo)
    assert found["i2i_sent_bytes_total"] > 0
    assert found["process_resident_memory_bytes"] > 2**20


def test_a_request_is_a_line_of_json(client, photo, lines):
    client.post(
        "/v1/translate?secret=query", content=photo, headers={"X-Request-Id": "mine-7", "Authorization": "Bearer x"}
    )
    said = [json.loads(line) for line in lines(Json())]
    (line,) = (each for each in said if each["request"] == "mine-7")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["method"], line["path"], line["status"], line["model"]) == ("POST", "/v1/translate", 200, "inverter")
    assert line["received"] == len(photo)
    assert line["bytes"] > 0
    assert 0 < line["computed"] <= line["seconds"]
    assert line["client"] == "127.0.0.1"
    assert not any(word in json.dumps(said) for word in ("secret", "Bearer"))


def test_a_line_of_text_cannot_be_forged(client, lines):
    client.get("/v1/%0a12:00:00%20forged%1b[31m")
    found = [line for line in lines(Text()) if "forged" in line]
    assert len(found) == 1
    assert "\n" not in found[0]
    assert "\x1b" not in found[0]
    assert " 404 " in found[0]


@pytest.mark.parametrize(("sent", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_an_answer_names_its_request(client, sent, kept):
    answer = client.get("/v2", headers={"X-Request-Id": sent})
    named = answer.headers["x-request-id"]
    assert (named == sent) is kept
    assert re.fullmatch(r"[\w.-]{1,64}", named)


def test_what_nobody_foresaw_is_logged_and_not_told(client, photo, lines, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("the secret of the failure")

    monkeypatch.setattr("i2i.serving.wire.parse", fail)
    answer = client.post("/v2/models/inverter/infer", content=b"{}")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "content-security-policy" in answer.headers
    for formatter in (Text(), Json()):
        (line,) = (each for each in lines(formatter) if "the secret of the failure" in each)
        assert "Traceback" in line
        assert answer.headers["x-request-id"] in line
    inverted = client.post("/v1/translate", content=photo, headers={"Accept": "image/bmp"})
    assert inverted.status_code == 200


def test_images_are_not_logged(client, lines):
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(buffer, "BMP")
    client.post("/v1/translate", files={"image": ("private name.bmp", buffer.getvalue())})
    assert not any("private" in line for formatter in (Text(), Json()) for line in lines(formatter))
