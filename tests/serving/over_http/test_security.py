"""Who may use the server, and what an answer lets a browser do."""

import re

import pytest

from i2i.errors import I2IError
from i2i.serving.settings import Settings

TOKEN = "0123456789abcdef0123"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:80", "LOCALHOST"])
def test_the_names_of_the_loopback_are_known(client, host):
    assert client.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8000", "10.0.0.1", "localhost.evil.example", ""]
)
def test_a_rebound_name_is_refused(client, host):
    for path in ("/", "/v1/models", "/v2/health/live", "/metrics"):
        assert client.get(path, headers={"Host": host}).status_code == 421
    assert client.post("/v1/translate", headers={"Host": host}).status_code == 421


def test_names_can_be_allowed(serving):
    with serving(hosts=("images.example.org",)) as client:
        assert client.get("/v1/models", headers={"Host": "Images.Example.org"}).status_code == 200
        assert client.get("/v1/models", headers={"Host": "example.org"}).status_code == 421


def test_on_every_address_any_number_is_a_name():
    everywhere = Settings(host="0.0.0.0", token=TOKEN)
    assert everywhere.knows("10.1.2.3")
    assert everywhere.knows("fe80::1")
    assert everywhere.knows("localhost")
    assert not everywhere.knows("evil.example")
    assert not Settings().knows("10.1.2.3")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
        {"Origin": "https://[evil"},
    ],
)
def test_pages_of_other_sites_cannot_compute(client, photo, headers):
    host = client.base_url.netloc.decode()
    sent = {name: value.replace("{host}", host) for name, value in headers.items()}
    for path in ("/v1/translate", "/v1/generate", "/v2/models/inverter/infer"):
        response = client.post(path, content=photo, headers={**sent, "Content-Type": "text/plain"})
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


def test_the_own_page_and_programs_can(client, photo):
    host = client.base_url.netloc.decode()
    for headers in ({}, {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert client.post("/v1/translate", content=photo, headers=headers).status_code == 200
    behind_a_proxy = {"Host": "localhost", "Origin": "https://localhost:8443", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/translate", content=photo, headers=behind_a_proxy).status_code == 200


def test_an_allowed_site_can_and_no_other(serving, photo):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with serving(origins=("https://good.example",), token=TOKEN) as client:
        good, bad = {"Origin": "https://good.example"}, {"Origin": "https://bad.example"}
        before = client.options("/v1/translate", headers={**good, **asks})
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == "https://good.example"
        assert client.options("/v1/translate", headers={**bad, **asks}).status_code >= 400
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        answer = client.post("/v1/translate", content=photo, headers={**good, **bearer, "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://good.example"
        assert "access-control-allow-credentials" not in answer.headers
        assert client.post("/v1/translate", content=photo, headers={**bad, **bearer}).status_code == 403


def test_the_token_opens_what_is_not_the_page_or_health(serving, photo):
    with serving(token=TOKEN) as client:
        for path in ("/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200, path
        closed = ("/v1/models", "/metrics", "/v2", "/v2/models/inverter", "/v1/models/inverter/samples/0.png", "/nix")
        for path in closed:
            assert client.get(path).status_code == 401, path
        for given in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN):
            refused = client.post("/v1/translate", content=photo, headers={"Authorization": given})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Bearer")
        for path in closed[:-1]:
            assert client.get(path, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200, path
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/v1/translate", content=photo, headers=right).status_code == 200
        assert "securitySchemes" in client.get("/openapi.json").json()["components"]


def test_every_answer_has_the_headers(client, photo):
    answers = [
        client.get("/"),
        client.get("/docs"),
        client.get("/nix"),
        client.get("/v1/models", headers={"Host": "evil.example"}),
        client.post("/v1/translate", content=photo),
        client.post("/v1/translate", content=b"x"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["permissions-policy"]
        assert "cache-control" in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_other_addresses_need_a_token(host):
    with pytest.raises(I2IError, match="--token-file"):
        Settings(host=host)
    Settings(host=host, token=TOKEN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "short"},
        {"token": "with spaces in between it"},
        {"origins": ("example.org",)},
        {"origins": ("https://example.org/",)},
        {"origins": ("*",)},
        {"origins": ("https://[evil",)},
        {"origins": ("https://example.org:port",)},
        {"origins": ("https://me@example.org",)},
        {"origins": ("https://b\u00fccher.example",)},
        {"hosts": ("https://example.org",)},
        {"hosts": ("example.org:443",)},
        {"hosts": ("",)},
        {"host": ""},
        {"host": "", "token": TOKEN},
        {"root_path": "i2i"},
        {"root_path": "/i2i/"},
    ],
)
def test_settings_that_would_not_work_are_refused(wrong):
    with pytest.raises(I2IError):
        Settings(**wrong)


def test_the_token_is_not_shown():
    assert not re.search(TOKEN, repr(Settings(token=TOKEN)))


def test_names_in_headers_cannot_end_them(client, photo):
    name = 'a"\r\nX-Evil: 1;\u2028.png'
    answer = client.post("/v1/translate", files={"image": (name, photo)})
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    assert answer.headers["content-disposition"].isascii()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://Good.Example", "https://good.example"),
        ("HTTPS://good.example:443", "https://good.example"),
        ("http://good.example:80", "http://good.example"),
        ("http://good.example:443", "http://good.example:443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_is_known_as_browsers_write_it(given, sent):
    assert Settings(origins=(given,)).origins == (sent,)


@pytest.mark.parametrize("given", ["Images.Example.org", "images.example.org."])
def test_a_name_is_known_however_it_was_given(given):
    assert Settings(hosts=(given,)).knows("images.example.org")


def test_an_address_is_a_name_with_and_without_brackets():
    assert Settings(hosts=("[fe80::1]",)).knows("fe80::1")
