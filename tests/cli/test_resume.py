"""A folder run that is killed, cut short by a full disk, or kept out by another, and how it goes on."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from i2i import cli

RNG = np.random.default_rng(0)
MANIFEST = ".i2i-translate.jsonl"
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and locks")


pytestmark = pytest.mark.usefixtures("place")


def translate(*arguments: object) -> Result:
    through_main = click.Command("i2i", callback=lambda: cli.main(["translate", *map(str, arguments)]))
    return CliRunner().invoke(through_main, [])


def pictures(folder: str, count: int, side: int = 8) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(f"{folder}/{number:04}.png")


def contents(folder: str | Path) -> dict[str, bytes]:
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def statuses(result: Result) -> list[str]:
    return [item["status"] for item in json.loads(result.stdout)["results"]]


def lines(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, MANIFEST).read_text().splitlines()]


def test_the_manifest_says_what_each_output_was_made_from_and_is(model: str) -> None:
    pictures("in", 3)
    assert translate("in", "-m", model, "-o", "out").exit_code == 0
    for line in lines("out"):
        data = Path("out", line["output"]).read_bytes()
        assert (line["size"], line["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        state = Path("in", line["output"]).stat()
        assert (line["input"], line["stamp"]) == (f"../in/{line['output']}", f"{state.st_size} {state.st_mtime_ns}")
    assert sorted(line["output"] for line in lines("out")) == sorted(contents("out"))


def test_what_is_done_is_kept_and_what_is_not_is_made(model: str) -> None:
    pictures("in", 6)
    assert translate("in", "-m", model, "-o", "out").exit_code == 0
    whole = contents("out")
    Path("out/0000.png").unlink()
    Path("out/0001.png").write_bytes(whole["0001.png"][:-20])
    Path("out/0002.png").write_bytes(whole["0003.png"])
    Image.new("RGB", (8, 8), "red").save("in/0004.png")
    result = translate("in", "-m", model, "-o", "out", "--resume", "--json")
    assert statuses(result) == ["translated"] * 3 + ["kept", "translated", "kept"]
    again = contents("out")
    assert again.pop("0004.png") != whole.pop("0004.png")
    assert again == whole
    assert translate("in", "-m", model, "-o", "out", "--resume").stdout.startswith(
        "0 translated, 6 done before, 0 failed"
    )


def test_another_model_or_option_makes_all_again(tmp_path: Path, model: str, models: Any) -> None:
    pictures("in", 2)
    call = ("in", "-o", "out", "--json")
    assert statuses(translate(*call, "-m", model)) == ["translated"] * 2
    mirror = models.build(tmp_path / "mirror.onnx", multiple=4, minimum=8, mirror=True)
    for changed in (("-m", mirror), ("-m", model), ("-m", model, "--flatten"), ("-m", model, "--keep-metadata")):
        assert statuses(translate(*call, *changed, "--resume")) == ["translated"] * 2
        assert statuses(translate(*call, *changed, "--resume")) == ["kept"] * 2
    copied = tmp_path / "copy.onnx"
    copied.write_bytes(Path(model).read_bytes())
    assert statuses(translate(*call, "-m", copied, "--keep-metadata", "--resume")) == ["kept"] * 2
    assert statuses(translate(*call, "-m", model, "--resume", "--format", "jpeg")) == ["translated"] * 2
    assert (
        statuses(translate(*call, "-m", model, "--resume", "--format", "jpeg", "--quality", 50)) == ["translated"] * 2
    )


def test_a_foreign_file_is_not_touched_by_resume(model: str) -> None:
    pictures("in", 2)
    Path("out").mkdir()
    Path("out/0001.png").write_bytes(b"mine")
    result = translate("in", "-m", model, "-o", "out", "--resume")
    assert result.exit_code == 1
    assert "0001.png: already exists" in result.stderr
    assert Path("out/0001.png").read_bytes() == b"mine"
    assert translate("in", "-m", model, "-o", "out", "--resume", "--overwrite").exit_code == 0
    assert Path("out/0001.png").read_bytes() != b"mine"


def test_without_resume_outputs_that_exist_are_refused_and_it_is_named(model: str) -> None:
    pictures("in", 2)
    assert translate("in", "-m", model).exit_code == 0
    result = translate("in", "-m", model)
    assert result.exit_code == 1
    assert result.stderr.count("already exists\n  --resume goes on") == 2


def test_the_folder_of_the_inputs_may_be_that_of_the_outputs(model: str) -> None:
    pictures("in", 2)
    for number in range(2):
        Path(f"in/000{number}.png").rename(f"in/000{number}.bmp")
    for wanted in ("2 translated, 0 failed", "0 translated, 2 done before, 0 failed"):
        result = translate("in", "-m", model, "-o", "in", "--resume")
        assert (result.exit_code, result.stdout.startswith(wanted)) == (0, True)


def test_resume_needs_an_output_folder(model: str) -> None:
    pictures(".", 1)
    for arguments in (("0000.png",), ("0000.png", "-o", "a.png"), ("0000.png", "-o", "-")):
        result = translate(*arguments, "-m", model, "--resume")
        assert result.exit_code == 1
        assert "--resume goes on in an output folder" in result.stderr
    assert translate("0000.png", "-m", model, "-o", "out", "--resume").exit_code == 0


@pytest.mark.parametrize("damage", [b'{"output": "0000.png", "inp', b"\xff\n[1]\n{}\n17\n", b'{"output": ["a"]}\n'])
def test_damaged_lines_are_passed_over(model: str, damage: bytes) -> None:
    pictures("in", 3)
    assert translate("in", "-m", model, "-o", "out").exit_code == 0
    with Path("out", MANIFEST).open("ab") as file:
        file.write(damage)
    Path("out/0002.png").unlink()
    for wanted in (["kept", "kept", "translated"], ["kept"] * 3):
        assert statuses(translate("in", "-m", model, "-o", "out", "--resume", "--json")) == wanted


def test_what_a_killed_writer_left_goes_away_and_nothing_else(model: str) -> None:
    pictures("in/x", 1)
    Path("out/x").mkdir(parents=True)
    Path("out/x/.0000.png.0123abcd.tmp").write_bytes(b"half")
    Path("out/x/.other.0123abcd.tmp").write_bytes(b"mine")
    assert translate("in", "-m", model, "-o", "out", "--resume").exit_code == 0
    assert sorted(contents("out")) == ["x/.other.0123abcd.tmp", "x/0000.png"]


@posix
def test_two_processes_on_one_folder_the_second_is_refused(model: str) -> None:
    import fcntl

    pictures("in", 2)
    Path("out").mkdir()
    with Path("out", MANIFEST).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = translate("in", "-m", model, "-o", "out")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: out: another `i2i translate` is writing to this folder")
        assert not contents("out")
        assert translate("in/0000.png", "-m", model, "-o", "out").exit_code == 0  # a file alone is no folder's business
    assert translate("in", "-m", model, "-o", "out", "--overwrite").exit_code == 0


def test_a_disk_that_fills_up_ends_the_call_and_it_can_go_on(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures("in", 40)
    written = Path.write_bytes

    def filling(path: Path, data: bytes) -> int:
        if len(list(Path("out").glob("*.png"))) >= 10:
            written(path, data[:10])
            raise OSError(28, "No space left on device")
        return written(path, data)

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", filling)
        result = translate("in", "-m", model, "-o", "out")
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 1
    assert "No space left on device; " in result.stderr
    assert "--resume goes on" in result.stderr
    before = contents("out")
    assert len(before) >= 10
    assert all(name.endswith(".png") and not name.startswith(".") for name in before)
    assert translate("in", "-m", model, "-o", "out", "--resume").exit_code == 0
    assert translate("in", "-m", model, "-o", "whole").exit_code == 0
    assert contents("out") == contents("whole")
    assert before.items() <= contents("out").items()


def start(model: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "i2i", "translate", "in", "-m", model, "-o", "out", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@posix
@pytest.mark.parametrize(
    "kills",
    [
        3,
        pytest.param(20, marks=pytest.mark.skipif("I2I_SLOW" not in os.environ, reason="takes a minute: set I2I_SLOW")),
    ],
)
def test_killed_at_random_moments_it_goes_on_to_the_same_files(model: str, kills: int) -> None:
    pictures("in", 40 * kills, side=96)
    moments = random.Random(0)
    for _ in range(kills):
        process = start(model, "--resume")
        before = len(contents("out"))
        deadline = time.monotonic() + 30
        while len(contents("out")) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.communicate()
        for name, data in contents("out").items():
            if not name.endswith(".tmp"):
                with Image.open(Path("out", name)) as image:
                    image.load()
                assert data
    survived = len(contents("out"))
    assert survived > 0
    result = translate("in", "-m", model, "-o", "out", "--resume")
    assert result.exit_code == 0
    assert translate("in", "-m", model, "-o", "whole").exit_code == 0
    assert contents("out") == contents("whole")


@posix
def test_sigterm_ends_it_like_ctrl_c_with_a_status_of_its_own(model: str) -> None:
    pictures("in", 1, side=300)
    for number in range(1, 3000):
        os.link("in/0000.png", f"in/{number:04}.png")
    process = start(model)
    deadline = time.monotonic() + 30
    while not list(Path().glob("out/*.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (143, "")
    assert stderr.startswith("terminated; ")
    assert stderr.count("\n") == 1
    made = contents("out")
    assert 0 < len(made) < 3000
    assert all(not name.startswith(".") for name in made)
