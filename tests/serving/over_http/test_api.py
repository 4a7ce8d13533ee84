"""`/v1`: the models, images translated and made, and what is said of requests that are wrong."""

import io
import json
import zipfile
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from i2i import noise
from i2i.serving.limits import Limits
from i2i.version import __version__


def opened(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def inverted(photo):
    return 255 - np.asarray(Image.open(io.BytesIO(photo)))


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == status
    assert said["type"] == "about:blank"
    return said


def made(seed, number, label):
    """What the graph of tests/runtime/models.py makes of one row of noise: 4 x 4 x 3 from 5 numbers."""
    z = noise.draw(seed, 1, 5, number)[0]
    flat = 100 + 40 * z[np.arange(48) % 5].astype(np.float64) + 10 * label
    return np.clip(np.round(flat), 0, 255).astype(np.uint8).reshape(4, 4, 3)


def test_the_list_says_what_a_client_needs(client):
    said = client.get("/v1/models").json()
    inverter, faces = said["models"]
    assert (inverter["name"], inverter["kind"], inverter["device"]) == ("inverter", "image", "cpu")
    assert (faces["name"], faces["kind"], faces["size"]) == ("faces", "noise", 4)
    assert faces["classes"] == ["cat", "dog", "bird"]
    assert said["limits"] == {"bytes": 32 * 2**20, "pixels": 2**24, "seconds": 20, "images": 64}
    assert said["version"] == __version__
    assert client.get("/v1/models/faces").json() == faces
    assert [sample["name"] for sample in inverter["samples"]] == ["0", "1"]
    sample = client.get(inverter["samples"][1]["url"])
    assert sample.headers["content-type"] == "image/png"
    assert np.asarray(opened(sample)).max() == 200


@pytest.mark.parametrize("name", ["nix.png", "..%2fmodel.onnx", "%2e%2e", "model.onnx"])
def test_only_samples_are_given_out(client, name):
    problem(client.get(f"/v1/models/inverter/samples/{name}"), 404)


def test_raw_bytes_come_back_translated(client, photo):
    response = client.post("/v1/translate", content=photo)
    assert response.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(opened(response)), inverted(photo))
    assert response.headers["x-i2i-model"] == "inverter"
    timing = response.headers["server-timing"].split(", ")
    assert [part.split(";")[0] for part in timing] == ["queue", "compute"]
    assert all(float(part.partition("dur=")[2]) >= 0 for part in timing)
    assert response.headers["cache-control"] == "no-store"


def test_a_form_says_more(client, photo):
    files, fields = {"image": ("my cät.png", photo)}, {"model": "inverter", "flatten": "true", "quality": "80"}
    response = client.post("/v1/translate", files=files, data=fields, headers={"Accept": "image/jpeg"})
    assert opened(response).format == "JPEG"
    disposition = response.headers["content-disposition"]
    assert unquote(disposition.partition("UTF-8''")[2]) == "my cät.inverter.jpg"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "PNG"),
        ("image/*", "PNG"),
        ("image/webp", "WEBP"),
        ("image/png;q=0.5, image/jpeg", "JPEG"),
        ("image/tiff, image/bmp", "TIFF"),
        ("text/html, image/avif, image/webp, */*;q=0.8", "WEBP"),
        ("image/png;q=0, image/*", "WEBP"),
    ],
)
def test_accept_chooses_the_format(client, photo, accept, form):
    response = client.post("/v1/translate", content=photo, headers={"Accept": accept})
    assert opened(response).format == form
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["text/html", "image/avif", "image/png;q=0", "image/png;q=x"])
def test_a_format_that_cannot_be_made_is_refused(client, photo, accept):
    said = problem(client.post("/v1/translate", content=photo, headers={"Accept": accept}), 406)
    assert "image/webp" in said["hint"]


def test_transparency_is_kept_or_laid_on_white(client):
    values = np.zeros((4, 6, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    assert opened(client.post("/v1/translate", content=buffer.getvalue())).mode == "RGBA"
    assert opened(client.post("/v1/translate?flatten=true", content=buffer.getvalue())).mode == "RGB"


def test_quality_makes_files_smaller(client):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    sizes = [
        len(
            client.post(
                f"/v1/translate?quality={q}", content=buffer.getvalue(), headers={"Accept": "image/jpeg"}
            ).content
        )
        for q in (10, 90)
    ]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("query", ["quality=0", "quality=x", "flatten=maybe"])
def test_a_wrong_setting_is_named(client, photo, query):
    assert query.partition("=")[0] in problem(client.post(f"/v1/translate?{query}", content=photo), 422)["detail"]


@pytest.mark.parametrize("fields", [{"quality": "101"}, {"quality": "-1"}, {"flatten": "maybe"}])
def test_a_wrong_field_is_named(client, photo, fields):
    said = problem(client.post("/v1/translate", files={"image": photo}, data=fields), 422)
    assert next(iter(fields)) in said["detail"]


def test_an_unknown_model_is_named_with_the_nearest(client, photo):
    said = problem(client.post("/v1/translate?model=invertor", content=photo), 404)
    assert "did you mean 'inverter'" in said["detail"]
    assert "faces" in said["hint"]
    problem(client.get("/v1/models/nix"), 404)


def test_a_model_of_the_other_kind_is_refused(client, photo):
    problem(client.post("/v1/translate?model=faces", content=photo), 422)
    problem(client.post("/v1/generate", json={"model": "inverter"}), 422)


@pytest.mark.parametrize("data", [b"", b"just text", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20)])
def test_what_is_no_image_is_said(client, data):
    assert problem(client.post("/v1/translate", content=data), 415)["hint"]


def test_a_truncated_image_fails_and_the_next_does_not(client, photo):
    problem(client.post("/v1/translate", content=photo[:-30]), 415)
    opened(client.post("/v1/translate", content=photo))


def test_bytes_and_pixels_are_limited(serving, photo):
    with serving(Limits(bytes=10_000, pixels=20, seconds=20)) as client:
        assert "pixels" in problem(client.post("/v1/translate", content=photo), 413)["detail"]
        assert "10000 bytes" in problem(client.post("/v1/translate", content=bytes(10_001)), 413)["detail"]
        pieces = iter([bytes(6000)] * 2)  # chunked: no length is said
        assert "10000 bytes" in problem(client.post("/v1/translate", content=pieces), 413)["detail"]
        problem(client.post("/v1/translate", files={"image": bytes(90_000)}), 413)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"--x\r\n", "multipart/form-data", "boundary"),
        (b"nothing", "multipart/form-data; boundary=x", "cannot be read"),
        (b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nhalf',
         "multipart/form-data; boundary=x", "middle"),
        (b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\na\r\n--x--\r\n',
         "multipart/form-data; boundary=x", "no fields 'image'"),
        (b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"a" * 2000 + b"\r\n--x--\r\n",
         "multipart/form-data; boundary=x", "longer than"),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 100 + b"--x--\r\n",
         "multipart/form-data; boundary=x", "more than 16 parts"),
        (b"--x\r\nX: " + b"a" * 3000 + b"\r\n\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x", "headers"),
    ],
)  # fmt: skip
def test_a_wrong_form_is_said(client, body, kind, says):
    assert says in problem(client.post("/v1/translate", content=body, headers={"Content-Type": kind}), 400)["detail"]


def test_an_image_is_made_of_seed_and_label(client):
    response = client.post("/v1/generate", json={"seed": 7, "label": "dog"})
    assert np.array_equal(np.asarray(opened(response)), made(7, 0, 1))
    by_number = client.post("/v1/generate", json={"seed": 7, "label": 1})
    assert by_number.content == response.content
    assert "faces-seed7.png" in response.headers["content-disposition"]


def test_several_come_as_a_sheet_or_as_files(client):
    order = {"seed": 3, "count": 4, "first": 2}
    width, height = opened(client.post("/v1/generate", json=order)).size
    assert width * height > 4 * 16
    response = client.post("/v1/generate", json=order, headers={"Accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = archive.namelist()
        found = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    assert names == [f"faces-seed3-{number:05d}.png" for number in range(2, 6)]
    for number, image in enumerate(found, 2):
        assert np.array_equal(image, made(3, number, number % 3))


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ('{"seed": -1}', 422),
        ('{"seed": 4294967296}', 422),
        ('{"seed": 1.5}', 422),
        ('{"label": "cow"}', 422),
        ('{"count": 0}', 422),
        ('{"count": 65}', 422),
        ('{"first": -1}', 422),
        ('{"sead": 1}', 422),
        ("[]", 422),
        ("{", 400),
        ("\x00\xff", 400),
        ("[" * 10_000, 400),
        (json.dumps({"label": "x" * 70_000}), 413),
    ],
)
def test_a_wrong_order_is_refused(client, order, status):
    assert problem(client.post("/v1/generate", content=order.encode("latin-1")), status)["detail"]


def test_an_order_of_nothing_is_one_image(client):
    assert np.array_equal(np.asarray(opened(client.post("/v1/generate"))), made(0, 0, 0))


def test_paths_and_methods_that_are_not_there_are_said(client):
    assert "/docs" in problem(client.get("/v1/nix"), 404)["hint"]
    response = client.get("/v1/translate")
    assert "GET" in problem(response, 405)["detail"]
    assert response.headers["allow"] == "POST"


def test_the_reference_shows_every_route_without_files_from_elsewhere(client):
    page = client.get("/docs")
    assert "//" not in page.text
    assert "<script>" not in page.text
    for part in ("docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js", "docs/favicon-32x32.png"):
        assert part in page.text
        assert client.get(f"/{part}").status_code == 200
    problem(client.get("/docs/swagger-ui.js.map"), 404)
    said = client.get("/openapi.json").json()
    assert said["openapi"].startswith("3.0")
    assert {"/v1/translate", "/v1/generate", "/v1/models", "/v2/models/{model}/infer", "/metrics"} <= set(said["paths"])
    assert '"null"' not in json.dumps(said)  # which OpenAPI 3.0 does not know
    assert "HTTPValidationError" not in json.dumps(said)


def test_the_page_and_its_files_are_there(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert client.head("/").status_code == 200
    problem(client.get("/page/..%2fapp.py"), 404)
    problem(client.get("/page/app.py"), 404)


def test_a_file_that_the_browser_has_is_not_sent_again(client):
    style = client.get("/docs/swagger-ui.css")
    assert style.headers["cache-control"] == "no-cache"
    again = client.get("/docs/swagger-ui.css", headers={"If-None-Match": style.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


def test_the_page_can_be_left_out(serving):
    with serving(page=False) as client:
        problem(client.get("/"), 404)
        assert client.get("/v1/models").status_code == 200
