import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from i2i import cli

FIGURES = ["p50 ms", "p95 ms", "images/s", "Mpx/s", "cold s", "MiB"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has an empty folder of its own as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(*arguments: object) -> Result:
    """`i2i bench` as the console script runs it, errors printed and turned into the exit status."""
    through_main = click.Command("i2i", callback=lambda: cli.main(["bench", "--seconds", "0.1", *map(str, arguments)]))
    return CliRunner().invoke(through_main, [])


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_a_table_says_what_its_lines_share_above_it(models: Any) -> None:
    models.build(Path("model.onnx"), operations=1e4)
    models.build(Path("model.int8.onnx"), precision="int8")
    result = bench(".", "--size", "64,48x32", "--batch", "2", "--device", "cpu")
    assert result.exit_code == 0
    assert result.stderr == ""
    machine, device, shared, head, *rows = result.stdout.splitlines()
    assert re.search(r", onnxruntime \d+\.\d+", machine)
    assert re.fullmatch(
        r"cpu: CPUExecutionProvider on cpu, \d+ threads?, float32 matrix products at \d+ GFLOP/s", device
    )
    assert shared == "folder ., device cpu, batch 2"
    assert cells(head) == ["model", "precision", "size", *FIGURES[:4], "of peak", *FIGURES[4:]]
    assert [row.split()[:3] for row in rows] == [
        ["model.onnx", "fp32", "64x64"],
        ["model.int8.onnx", "int8", "64x64"],
        ["model.onnx", "fp32", "48x32"],
        ["model.int8.onnx", "int8", "48x32"],
    ]
    assert re.fullmatch(r"\d+%", rows[0].split()[7])
    assert len(rows[0].split()) == 10
    assert len(rows[1].split()) == 9  # the second does not say how many multiplications it takes
    for row in rows:
        p50, p95, images, _, *_, cold, memory = row.split()[3:]
        assert float(p50) <= float(p95)
        assert float(images) > 0
        assert float(cold) > 0
        assert 10 < int(memory) < 1000


def test_json_is_all_that_is_on_stdout(models: Any) -> None:
    path = models.build(Path("m.onnx"), operations=100, digest="abc")
    models.save(Path("liar.onnx"), models.graph(models.describe(scale=2)), models.describe().properties())
    result = bench(path, "liar.onnx", "--size", "64x32", "--batch", "3", "--device", "cpu", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert set(report) == {"environment", "results"}
    assert set(report["environment"]) == {"i2i", "onnxruntime", "python", "system", "processor"}
    found, liar = report["results"]
    assert "gave uint8" in liar["error"]
    assert found["threads"] >= 1
    assert {key: found[key] for key in ("model", "digest", "precision", "batch", "size", "multiplications")} == {
        "model": "m.onnx",
        "digest": "abc",
        "precision": "fp32",
        "batch": 3,
        "size": [64, 32],
        "multiplications": 100 * 3 * 64 * 32,
    }
    assert (found["device"], found["provider"], found["error"]) == ("cpu", "CPUExecutionProvider", None)
    assert found["images_per_second"] == pytest.approx(3 / found["warm"]["p50"])
    assert found["share_of_peak"] == pytest.approx(100 * 3 * 64 * 32 / found["warm"]["p50"] / found["peak"])
    assert set(found["cold"]) == {"start", "open", "first"}


def test_what_fails_is_in_the_table_and_in_the_exit_status(models: Any) -> None:
    models.save(Path("liar.onnx"), models.graph(models.describe(scale=2)), models.describe().properties())
    models.build(Path("good.onnx"))
    result = bench("liar.onnx", "good.onnx", "liar.onnx", "--size", "8")
    assert result.exit_code == 1
    rows = [line.split() for line in result.stdout.splitlines()[-3:]]
    assert rows[0] == rows[2] == ["liar.onnx", "failed"]
    assert len(rows[1]) == 1 + len(FIGURES)
    said = r"folder \., model liar\.onnx, .*, and 1 more: liar\.onnx: gave uint8 \[1, 16, 16, 3\] .*\n  Export .*\n"
    assert re.fullmatch(said, result.stderr)


@pytest.mark.parametrize(
    ("arguments", "status", "answer"),
    [
        ([], 2, "Missing argument 'MODEL...'"),
        (["m.onnx", "--size", "0"], 2, "'0': give pixels, like 512 or 640x480"),
        (["m.onnx", "--size", "64,"], 2, "'64,': give pixels"),
        (["m.onnx", "--size", "64x65537"], 2, "give pixels"),
        (["m.onnx", "--size", "-64"], 2, "give pixels"),
        (
            ["m.onnx", "--size", "6"],
            1,
            "error: m.onnx: takes no 6 x 6 pixels: its sides are multiples of 4\n  Measure 8x8",
        ),
        (["m.onnx", "--batch", "0"], 2, "'0': give numbers of images from 1 to 4096"),
        (["m.onnx", "--batch", "1,x"], 2, "give numbers of images"),
        (["m.onnx", "--batch", "99999"], 2, "give numbers of images"),
        (["m.onnx", "--seconds", "0"], 2, "0.0 is not in the range"),
        (["m.onnx", "--device", "cpu,tpu"], 1, "error: device 'tpu': unknown"),
        (["n.onnx", "--size", "8"], 1, "error: n.onnx: makes images of 4 x 4 pixels alone\n  Leave out the sizes."),
        (["gone.onnx"], 1, "error: gone.onnx: there is no such file"),
        (["m.onnx", "text"], 1, "error: text: not a whole ONNX model"),
        (["."], 1, "holds no model.onnx"),
    ],
)
def test_mistakes_are_answered_before_anything_is_measured(
    models: Any, arguments: list[object], status: int, answer: str
) -> None:
    models.build(Path("m.onnx"), multiple=4)
    models.build_noise(Path("n.onnx"))
    Path("text").write_text("text")
    result = bench(*arguments)
    assert result.exit_code == status
    assert answer in result.stderr
    assert result.stdout == ""


def test_torch_is_never_imported(models: Any) -> None:
    models.build(Path("m.onnx"))
    code = (
        "import sys, atexit\n"
        "heavy = ('torch', 'torchvision', 'albumentations', 'onnx', 'cv2', 'rich')\n"
        "atexit.register(lambda: print('LOADED', [name for name in heavy if name in sys.modules]))\n"
        "from i2i.cli import main\n"
        "main(['bench', 'm.onnx', '--size', '8', '--seconds', '0.1'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_shows_what_was_measured(models: Any, as_json: bool) -> None:
    models.build(Path("m.onnx"))
    command = ["-m", "i2i", "bench", "m.onnx", "--size", "8,16", "--seconds", "0.1", *["--json"] * as_json]
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - jobs in the background ignore it
    )
    children = Path("/proc", str(process.pid), "task", str(process.pid), "children")
    held = False  # the second measurement, so that it cannot end before the interruption comes
    deadline = time.monotonic() + 60
    while not held and time.monotonic() < deadline:
        time.sleep(0.01)
        with contextlib.suppress(OSError):  # gone already
            for child in children.read_text().split():
                if b'"width":16' in Path("/proc", child, "cmdline").read_bytes():
                    os.kill(int(child), signal.SIGSTOP)
                    held = True
    time.sleep(0.2)  # until the command waits for it
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "interrupted; 1 of 2 measured\n"
    assert stdout == "" if as_json else len(stdout.splitlines()) == 5


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_table_is_drawn_without_columns_that_hold_nothing(models: Any) -> None:
    models.build_noise(Path("m.onnx"))
    ours, its = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", "bench", "m.onnx", "--batch", "1,4", "--seconds", "0.1"],
        stdout=its,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
    )
    os.close(its)
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    assert process.wait(60) == 0
    lines = [line for line in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", said).decode().splitlines() if line.strip()]
    assert lines[2] == "folder ., model m.onnx, precision fp32, device auto, size 4x4"
    assert cells(lines[3]) == ["batch", *FIGURES]
    assert set(lines[4].strip()) == {"─"}
    assert [cells(line)[0] for line in lines[5:]] == ["1", "4"]
