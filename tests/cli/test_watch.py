"""`i2i train --watch`, through the real command."""

import http.client
import re
import signal
import subprocess
import sys
import time

import pytest

from i2i.training.run import Run

SETTINGS = [
    "device=cpu",
    "data.size=32",
    "game.filters=4",
    "game.discriminator_filters=4",
    "game.discriminator_layers=2",
    "trainer.batch=2",
    "trainer.validate_every=5",
    "trainer.log_every=1",
]


def words(pairs, out, *more):
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return [sys.executable, "-m", "i2i", "train", "pix2pix", "--data", str(pairs), "--out", str(out), *settings, *more]


def fetch(address, path="/"):
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_is_watched_while_it_goes_on_and_has_its_report_when_it_is_stopped(pairs, tmp_path, devices):
    out = tmp_path / "run"
    command = words(pairs, out, "--watch", "--steps", "100000", "--devices", str(devices))
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            said = ""
            while (found := re.search(r"http://(127\.0\.0\.1):(\d+)", said)) is None:
                line = process.stderr.readline()
                assert line, said
                said += line
            address = found[1], int(found[2])
            until = time.monotonic() + 60
            while True:
                status, page = fetch(address)
                assert status == 200
                if "psnr" in page and "running" in page:
                    break
                assert time.monotonic() < until, page[:2000]
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    run = Run.open(out)
    report = run.report.read_text(encoding="utf-8")
    assert "interrupted" in report
    typed = run.facts()["command"]
    assert typed.startswith("i2i train pix2pix --data ")
    assert typed.endswith(f"--watch --steps 100000 --devices {devices}")
