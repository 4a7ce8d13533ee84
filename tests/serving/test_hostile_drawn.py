"""Whatever is sent to a real server is answered, and not by a 5xx."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SHARED = runpy.run_path(str(Path(__file__).with_name("hostile.py")))
GOOD, post = SHARED["GOOD"], SHARED["post"]

ANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with SHARED["serving"](tmp_path_factory.mktemp("served")) as started:
        yield started


@pytest.fixture(autouse=True)
def _unharmed(server: Any) -> Iterator[None]:
    with SHARED["unharmed"](server):
        yield


@ANY
@given(
    data=st.binary(max_size=500), kind=st.sampled_from(["image/png", "multipart/form-data; boundary=b", "text/plain"])
)
def test_any_bytes_as_an_image(server: Any, data: bytes, kind: str) -> None:
    assert post(server, "/v1/translate?model=m", content=data, headers={"Content-Type": kind}).status_code < 500


@ANY
@given(at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_an_image_with_a_changed_byte(server: Any, at: int, byte: int, cut: bool) -> None:
    data = GOOD[:at] + bytes([byte]) + (b"" if cut else GOOD[at + 1 :])
    assert post(server, "/v1/translate?model=m", content=data).status_code in (200, 413, 415)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip)
KEYS = st.sampled_from(["model", "seed", "label", "count", "first"])


@ANY
@given(what=JSON | st.dictionaries(KEYS, JSON | st.sampled_from(["n", "m", "1"]) | st.integers(-9, 2**70)))
def test_any_json_to_generate(server: Any, what: Any) -> None:
    headers = {"Content-Type": "application/json"}
    assert post(server, "/v1/generate", content=json.dumps(what), headers=headers).status_code < 500


@ANY
@given(name=JSON, kind=JSON, shape=JSON | st.lists(st.integers(-2, 9)), data=JSON | st.lists(st.integers(-2, 300)))
def test_any_tensors(server: Any, name: Any, kind: Any, shape: Any, data: Any) -> None:
    for given_ in ((name, kind), ("image", "UINT8")):
        tensor = dict(zip(("name", "datatype", "shape", "data"), (*given_, shape, data), strict=True))
        content = json.dumps({"inputs": [tensor]})
        assert post(server, "/v2/models/m/infer", content=content).status_code < 500


@ANY
@given(query=st.dictionaries(st.sampled_from(["model", "quality", "flatten", "x"]), st.text()), accept=WORDS)
def test_any_words_in_a_request(server: Any, query: dict[str, str], accept: str) -> None:
    headers = {"Accept": accept}
    assert post(server, "/v1/translate", params=query, content=GOOD, headers=headers).status_code < 500
