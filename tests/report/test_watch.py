import http.client
import json
import socket

import pytest

from i2i import report
from i2i.report import watch


def ask(address, path="/", method="GET", **headers):
    place = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer


@pytest.fixture
def watched(made):
    run = made(state="running")
    said = []
    with report.watching(run, said.append, port=0) as address:
        assert address in said[0]
        yield run, address


def test_it_shows_what_has_been_recorded_since(watched, monkeypatch):
    monkeypatch.setattr(watch, "_PACE", 0.0)
    run, address = watched
    assert "Nothing has been recorded yet." in ask(address)[1]
    before = ask(address, "/state")[1]
    with run.metrics.open("a") as file:
        for step in (1, 2):
            file.write(json.dumps({"step": step, "kind": "train", "l1": step}) + "\n")
    after = ask(address, "/state")[1]
    assert before != after
    page = ask(address)[1]
    assert "<polyline" in page
    assert f'data-version="{after}"' in page
    assert "connect-src 'self'" in page


def test_it_is_for_this_machine_and_for_nothing_else(watched):
    _, address = watched
    port = address.rstrip("/").rpartition(":")[2]
    for path in ("/../run.json", "/run.json", "/config.yaml", "/state/"):
        assert ask(address, path)[0] == 404
    assert ask(address, "/", "POST")[0] == 501
    assert ask(address, Host=f"evil.example:{port}")[0] == 421
    assert ask(address, Host=f"localhost:{port}")[0] == 200
    status, body, answer = ask(address, method="HEAD")
    assert (status, body) == (200, "")
    assert int(answer.headers["Content-Length"]) > 1000


def test_the_next_port_is_taken_where_one_is_in_use(made):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with report.watching(made(), lambda _: None, port=port) as address:
            assert ask(address)[0] == 200
            assert not address.endswith(f":{port}/")


def test_a_page_that_is_open_gets_the_end(made, monkeypatch):
    monkeypatch.setattr(watch, "_PACE", 0.0)
    run = made(state="running")
    with report.watching(run, lambda _: None, port=0) as address:
        ask(address)
        ask(address, "/state")
        pages = []

        def late():
            pages.append(ask(address)[1])

        import threading

        run.note(state="finished")
        timer = threading.Timer(0.5, late)
        timer.start()
    timer.join()
    assert "finished" in pages[0]


def test_what_cannot_be_read_now_disturbs_nobody(watched):
    run, address = watched
    (run.path / "run.json").write_text("{")
    assert ask(address)[0] == 503
    assert ask(address, "/state")[0] == 200
