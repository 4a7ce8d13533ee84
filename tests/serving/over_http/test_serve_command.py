"""`i2i serve` in a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from i2i.cli.serve import command

TOKEN = "0123456789abcdef0123"


class Process:
    def __init__(self, folder, *words, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("I2I_")}
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "i2i", "serve", "--port", "0", *words],
                cwd=folder, stdout=subprocess.PIPE, stderr=log, env={**kept, **environment},
            )  # fmt: skip
        for _ in range(3000):
            found = re.search(r"on (http://\S+)", self.said)
            if found:
                break
            assert self.process.poll() is None, self.said
            time.sleep(0.01)
        self.url = found[1]

    @property
    def said(self):
        return self.log.read_text()

    def end(self, number):
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=30)
        assert out == b""
        return self.process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(tmp_path, given, photo, number):
    server = Process(tmp_path, *given, "--log-format", "json")
    try:
        assert server.said.splitlines()[0] == f"serving inverter, faces on {server.url}"
        request = urllib.request.Request(f"{server.url}/v1/translate", photo)
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.read().startswith(b"\x89PNG")
    finally:
        status = server.end(number)
    assert status == 0
    lines = [json.loads(line) for line in server.said.splitlines()[1:]]
    assert [line["path"] for line in lines] == ["/v1/translate"]


def test_a_second_signal_waits_for_nobody(tmp_path, given):
    """One whose upload does not end holds a stopping server for as long as a request may take, which is a minute."""
    server = Process(tmp_path, *given)
    try:
        where = urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port), 20) as other:
            other.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert server.process.poll() is None
            assert server.end(signal.SIGTERM) == 0
    finally:
        server.process.kill()


def test_the_newest_run_is_served_with_a_token(tmp_path, models):
    run = tmp_path / "runs" / "pix2pix-001"
    run.mkdir(parents=True)
    models.build(run / "model.onnx")
    (run / "run.json").write_text(json.dumps({"state": "finished", "kind": "image", "plugin": "pix2pix"}))
    server = Process(tmp_path, I2I_SERVE_TOKEN=TOKEN)
    try:
        request = urllib.request.Request(f"{server.url}/v1/models", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["models"][0]["name"] == "pix2pix-001"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{server.url}/v1/models", timeout=20)
    finally:
        assert server.end(signal.SIGTERM) == 0
    assert TOKEN not in server.said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", "0.0.0.0"], "--token-file"),
        (["--host", "0.0.0.0", "--token-file", "nix.txt"], "nix.txt"),
        (["--token-file", "short.txt"], "at least 16"),
        (["--allow-origin", "*"], "not an origin"),
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
