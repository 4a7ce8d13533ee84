"""`i2i serve` in a process of its own."""

import json
import runpy
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from i2i.cli.serve import command

Command = runpy.run_path(str(Path(__file__).parents[1] / "command.py"))["Command"]

TOKEN = "0123456789abcdef0123"
SLOW = """
import time
from i2i.cli import main
from i2i.runtime.translator import Translator
Translator.pictures = lambda *images, **how: time.sleep(300)
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(tmp_path, given, photo, number):
    with Command(tmp_path, *given, "--log-format", "json") as server:
        assert server.said.splitlines()[0] == f"serving inverter, faces on {server.url}"
        request = urllib.request.Request(f"{server.url}/v1/translate", photo)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.read().startswith(b"\x89PNG")
        assert server.stop(number) == 0
        lines = [json.loads(line) for line in server.said.splitlines()[1:]]
        assert [line["path"] for line in lines] == ["/v2/health/ready", "/v1/translate"]
        assert server.printed == ""


def test_it_says_that_it_is_not_ready_before_it_stops(tmp_path, given):
    """So that a balancer sends its next requests elsewhere before connections are refused."""
    with Command(tmp_path, *given) as server:
        server.terminate()
        found = []
        while (status := server.get("/v2/health/ready")) is not None:
            found.append(status)
            time.sleep(0.02)
        assert found.count(503) > 1  # not one alone that was under way
        assert server.stop() == 0


def test_a_second_signal_waits_for_no_upload(tmp_path, given):
    """One that does not end holds a stopping server for as long as a request may take, which is a minute."""
    with Command(tmp_path, *given) as server, server.connect() as other:
        other.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        time.sleep(0.3)
        server.terminate()
        time.sleep(0.3)
        assert server.alive
        assert server.stop() == 0


def test_a_second_signal_waits_for_no_computation(tmp_path, given, photo):
    with Command(tmp_path, *given, program=("-c", SLOW)) as server, server.connect() as other:
        head = f"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
        other.sendall(head.encode() + photo)
        time.sleep(0.3)
        server.terminate()
        time.sleep(0.3)
        assert server.alive
        assert server.stop() == 0


def test_what_nobody_waits_for_any_more_does_not_keep_it_from_stopping(tmp_path, given, photo):
    with Command(tmp_path, *given, "--timeout", "0.5", program=("-c", SLOW)) as server:
        with pytest.raises(urllib.error.HTTPError, match="504"):
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/translate", photo), timeout=20)
        assert server.stop() == 0


def test_the_newest_run_is_served_with_a_token(tmp_path, models):
    run = tmp_path / "runs" / "pix2pix-001"
    run.mkdir(parents=True)
    models.build(run / "model.onnx")
    (run / "run.json").write_text(json.dumps({"state": "finished", "kind": "image", "plugin": "pix2pix"}))
    with Command(tmp_path, env={"I2I_SERVE_TOKEN": TOKEN}) as server:
        request = urllib.request.Request(f"{server.url}/v1/models", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["models"][0]["name"] == "pix2pix-001"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{server.url}/v1/models", timeout=20)
        assert server.stop() == 0
        assert TOKEN not in server.said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", "0.0.0.0"], "--token-file"),
        (["--host", "0.0.0.0", "--token-file", "nix.txt"], "nix.txt"),
        (["--token-file", "short.txt"], "at least 16"),
        (["--allow-origin", "*"], "not an origin"),
        (["--allow-origin", "https://[evil"], "not an origin"),
        (["--allow-host", "https://example.org"], "the name alone"),
        (["--host", ""], "empty"),
        (["nix.onnx"], "nix.onnx"),
        ([], "no finished run"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("I2I_SERVE_TOKEN", raising=False)
    (tmp_path / "short.txt").write_text("short\n")
    result = CliRunner().invoke(command, ["--port", "0", *words])
    assert result.exit_code == 1
    assert says in str(result.exception)
