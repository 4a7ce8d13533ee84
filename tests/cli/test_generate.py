import itertools
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
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from i2i import cli
from i2i.runtime.generator import Generator

CLASSES = ("nought", "one", "two")


pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def model(tmp_path: Path, models: Any) -> str:
    return str(models.build_noise(tmp_path / "m.onnx"))


@pytest.fixture
def classed(tmp_path: Path, models: Any) -> str:
    return str(models.build_noise(tmp_path / "c.onnx", plugin="cgan", size=20, channels_out=1, classes=CLASSES))


def generate(*arguments: object) -> Result:
    """`i2i generate` as the console script runs it, errors printed and turned into the exit status."""
    through_main = click.Command("i2i", callback=lambda: cli.main(["generate", *map(str, arguments)]))
    return CliRunner().invoke(through_main, [])


def pixels_of(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_images_and_a_sheet_of_them_are_written(place: Path, model: str) -> None:
    result = generate(model, "-n", 3, "--seed", 7)
    assert result.exit_code == 0
    assert result.stdout.startswith("3 images of 4 x 4 -> generated.dcgan (")
    assert result.stdout.splitlines()[1:] == [str(Path("generated.dcgan/seed7-sheet.png"))]
    assert result.stderr == ""
    names = [f"seed7-0000{index}.png" for index in range(3)]
    assert tree(place) == [f"generated.dcgan/{name}" for name in (*names, "seed7-sheet.png")]
    images = Generator.load(model)(3, seed=7)
    for name, image in zip(names, images, strict=True):
        np.testing.assert_array_equal(pixels_of(Path("generated.dcgan", name)), image)
    sheet = pixels_of("generated.dcgan/seed7-sheet.png")
    assert sheet.shape == (8, 20, 3)
    np.testing.assert_array_equal(sheet[2:6, 8:12], images[1])


def test_ten_images_of_seed_nought_are_the_default(place: Path, model: str) -> None:
    assert generate(model, "-o", "a/b").exit_code == 0
    assert tree(place / "a/b") == [*(f"seed0-{index:05d}.png" for index in range(10)), "seed0-sheet.png"]


def test_classes_are_made_in_turn_and_the_sheet_has_a_column_for_each(place: Path, classed: str) -> None:
    assert generate(classed, "-n", 7, "-o", "out").exit_code == 0
    assert tree(place / "out") == [
        "seed0-00000-nought.png",
        "seed0-00001-one.png",
        "seed0-00002-two.png",
        "seed0-00003-nought.png",
        "seed0-00004-one.png",
        "seed0-00005-two.png",
        "seed0-00006-nought.png",
        "seed0-sheet.png",
    ]
    images = Generator.load(classed)(7)
    np.testing.assert_array_equal(pixels_of("out/seed0-00004-one.png"), images[4, ..., 0])
    sheet = pixels_of("out/seed0-sheet.png")
    found = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (20, 20))
    places = [np.argwhere((found == image[..., 0]).all(axis=(2, 3)))[0] for image in images]
    assert [top for top, _ in places] == [places[0][0] + 22 * (index // 3) for index in range(7)]
    assert [left for _, left in places[3:6]] == [left for _, left in places[:3]]
    assert (sheet[: places[0][0]] < 128).any()  # the names of the classes


@pytest.mark.parametrize("label", ["two", "2"])
def test_one_class_is_asked_for_by_name_or_number(place: Path, classed: str, label: str) -> None:
    assert generate(classed, "-n", 2, "--label", label, "--seed", 1, "-o", "out").exit_code == 0
    assert tree(place / "out") == ["seed1-00000-two.png", "seed1-00001-two.png", "seed1-two-sheet.png"]
    np.testing.assert_array_equal(
        pixels_of("out/seed1-00001-two.png"), Generator.load(classed)(2, seed=1, label="two")[1, ..., 0]
    )


def test_names_of_classes_cannot_leave_the_folder_or_clash(place: Path, tmp_path: Path, models: Any) -> None:
    path = models.build_noise(tmp_path / "m.onnx", classes=("../a", "A b", "a/b", "a b"))
    assert generate(path, "-n", 4, "-o", "out", "--no-sheet").exit_code == 0
    assert tree(place) == [
        "out/seed0-00000-0-..-a.png",
        "out/seed0-00001-1-A-b.png",
        "out/seed0-00002-2-a-b.png",
        "out/seed0-00003-3-a-b.png",
    ]


def test_more_images_than_a_sheet_shows_are_all_written(place: Path, model: str) -> None:
    assert generate(model, "-n", 230, "-o", "out").exit_code == 0
    assert len(tree(place / "out")) == 231
    assert pixels_of("out/seed0-sheet.png").shape == (20 * 6 + 2, 10 * 6 + 2, 3)
    np.testing.assert_array_equal(pixels_of("out/seed0-00229.png"), Generator.load(model)(1, first=229)[0])


def test_the_way_between_two_seeds(place: Path, model: str) -> None:
    result = generate(model, "--between", 1, 2, "--frames", 5, "-o", "out")
    assert result.exit_code == 0
    names = [f"seed1-to-2-0000{frame}.png" for frame in range(5)]
    assert result.stdout.splitlines()[1:] == [str(Path("out", f"seed1-to-2{end}")) for end in ("-sheet.png", ".gif")]
    assert tree(place / "out") == sorted([*names, "seed1-to-2-sheet.png", "seed1-to-2.gif"])
    generator = Generator.load(model)
    np.testing.assert_array_equal(pixels_of(f"out/{names[0]}"), generator(1, seed=1)[0])
    np.testing.assert_array_equal(pixels_of(f"out/{names[4]}"), generator(1, seed=2)[0])
    frames = [pixels_of(f"out/{name}").astype(float) for name in names]
    steps = [np.abs(second - first).mean() for first, second in itertools.pairwise(frames)]
    assert 0 < max(steps) < 0.5 * np.abs(frames[-1] - frames[0]).mean()
    assert pixels_of("out/seed1-to-2-sheet.png").shape == (8, 5 * 6 + 2, 3)
    with Image.open("out/seed1-to-2.gif") as animation:
        assert (animation.n_frames, animation.size) == (5, (8, 8))
        animation.seek(4)
        shown = np.asarray(animation.convert("RGB"))[2:6, 2:6]
    assert np.abs(shown - frames[4]).mean() < 8  # of 256 colours


def test_the_way_between_is_made_for_one_class_or_for_each(place: Path, classed: str) -> None:
    assert generate(classed, "--between", 1, 2, "--frames", 2, "--label", "one", "-o", "one").exit_code == 0
    assert tree(place / "one") == [
        "seed1-to-2-00000-one.png",
        "seed1-to-2-00001-one.png",
        "seed1-to-2-one-sheet.png",
        "seed1-to-2-one.gif",
    ]
    assert generate(classed, "--between", 1, 2, "--frames", 2, "-o", "all").exit_code == 0
    assert len(tree(place / "all")) == 8
    generator = Generator.load(classed)
    for label in CLASSES:
        made = pixels_of(f"all/seed1-to-2-00001-{label}.png")
        np.testing.assert_array_equal(made, generator(1, seed=2, label=label)[0, ..., 0])
    with Image.open("all/seed1-to-2.gif") as animation:
        assert animation.size == (3 * 22 + 2, 24)


def test_files_that_exist_stay_unless_told(place: Path, model: str) -> None:
    assert generate(model, "-n", 2).exit_code == 0
    kept = Path("generated.dcgan/seed0-00001.png")
    kept.write_bytes(b"mine")
    result = generate(model, "-n", 3)
    assert result.exit_code == 1
    assert "seed0-00000.png: already exists, and 2 more; nothing was written\n" in result.stderr
    assert "--overwrite" in result.stderr
    assert kept.read_bytes() == b"mine"
    assert len(tree(place)) == 3
    assert generate(model, "-n", 3, "--seed", 1).exit_code == 0
    assert generate(model, "-n", 3, "--overwrite").exit_code == 0
    assert pixels_of(kept).shape == (4, 4, 3)


def test_json_is_all_that_is_on_stdout(place: Path, classed: str) -> None:
    report = json.loads(generate(classed, "-n", 2, "--json").stdout)
    assert report.pop("seconds") >= 0
    folder = Path("generated.cgan")
    assert report == {
        "model": classed,
        "plugin": "cgan",
        "device": "cpu",
        "provider": "CPUExecutionProvider",
        "results": [
            {"output": str(folder / "seed0-00000-nought.png"), "label": "nought"},
            {"output": str(folder / "seed0-00001-one.png"), "label": "one"},
        ],
        "sheet": str(folder / "seed0-sheet.png"),
        "animation": None,
        "size": [20, 20],
    }
    report = json.loads(generate(classed, "--between", 1, 2, "--frames", 2, "--label", 0, "--json").stdout)
    assert report["animation"] == str(folder / "seed1-to-2-nought.gif")


def test_the_newest_run_that_makes_images_from_noise_is_the_default(place: Path, models: Any) -> None:
    result = generate()
    assert result.exit_code == 1
    assert "error: no finished run under runs/ makes images from noise\n" in result.stderr
    assert "i2i train dcgan" in result.stderr
    for name, kind, ended in (("a", "noise", "2026-01-01"), ("b", "noise", "2026-01-02"), ("c", "image", "2026-01-03")):
        run = Path("runs", name)
        run.mkdir(parents=True)
        (models.build_noise if kind == "noise" else models.build)(run / "model.onnx", plugin=name)
        facts = {"plugin": name, "state": "finished", "ended": ended, **({"kind": kind} if kind == "noise" else {})}
        (run / "run.json").write_text(json.dumps(facts))
    result = generate("-n", 1)
    assert result.exit_code == 0
    assert result.stderr == f"model: {Path('runs/b/model.onnx')}\n"
    assert result.stdout.startswith("1 image of 4 x 4 -> generated.b (")
    assert generate("runs/a", "-n", 1).exit_code == 0
    assert Path("generated.a/seed0-00000.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "answer"),
    [
        (["MODEL", "-n", 0], 2, "0 is not in the range"),
        (["MODEL", "--seed", -1], 2, "-1 is not in the range"),
        (["MODEL", "--seed", 2**32], 2, "is not in the range"),
        (["MODEL", "--between", 1], 2, "'--between' requires 2 arguments"),
        (["MODEL", "--between", 1, 2, "--frames", 1], 2, "1 is not in the range"),
        (["MODEL", "--frames", 5], 2, "--frames goes with --between"),
        (["MODEL", "--between", 1, 2, "-n", 5], 2, "leave out -n and --seed"),
        (["MODEL", "--between", 1, 2, "--seed", 0], 2, "leave out -n and --seed"),
        (
            ["MODEL", "--label", "on"],
            1,
            "error: label 'on': unknown, did you mean 'one'?\n  The model knows: nought, one,",
        ),
        (["MODEL", "--label", "3"], 1, "error: label '3': unknown"),
        (["MODEL", "--device", "tpu"], 1, "error: device 'tpu': unknown"),
        (["MODEL", "-o", "taken"], 1, "error: taken: is a file, and the images need a folder\n"),
        (["MODEL", "-o", "taken/deeper"], 1, "error: taken/deeper"),
        (["MODEL", "-o", "x" * 300], 1, "cannot be written"),
        (["gone.onnx"], 1, "error: gone.onnx: there is no such file"),
        (["taken"], 1, "error: taken: not a whole ONNX model"),
        (["IMAGE"], 1, "image.onnx: translates images, and makes none from noise\n  Use: i2i translate IMAGE -m "),
    ],
)
def test_mistakes_are_answered_and_leave_nothing(
    place: Path, tmp_path: Path, models: Any, classed: str, arguments: list[object], status: int, answer: str
) -> None:
    Path("taken").write_text("text")
    meant = {"MODEL": classed, "IMAGE": models.build(tmp_path / "image.onnx")}
    result = generate(*(meant.get(str(argument), argument) for argument in arguments))
    assert result.exit_code == status
    assert answer in result.stderr
    assert result.stdout == ""
    assert tree(place) == ["taken"]


def test_a_full_disk_is_reported_and_leaves_nothing(place: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = generate(model)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert tree(place) == []


def test_torch_is_never_imported(place: Path, model: str) -> None:
    code = (
        "import sys, atexit\n"
        "heavy = ('torch', 'torchvision', 'albumentations', 'onnx', 'cv2', 'rich')\n"
        "atexit.register(lambda: print('LOADED', [name for name in heavy if name in sys.modules]))\n"
        "from i2i.cli import main\n"
        f"main(['generate', {model!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert done.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_leaves_whole_files_only(place: Path, model: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", "generate", model, "-n", "4000", "-o", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - jobs in the background ignore it
    )
    deadline = time.monotonic() + 30
    while not list(place.glob("out/*.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert re.fullmatch(r"interrupted; \d+ files written before, and none is half-written\n", stderr)
    written = tree(place / "out")
    assert 0 < len(written) < 4000
    for name in written:
        assert pixels_of(place / "out" / name).shape == (4, 4, 3)


def test_the_programs_of_the_page_run(place: Path, models: Any) -> None:
    Path("runs/cgan-001").mkdir(parents=True)
    models.build_noise(Path("runs/cgan-001/model.onnx"), classes=tuple("0123456789"))
    page = Path(__file__).parents[2] / "docs/generating.md"
    shapes = []
    for program in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        names: dict[str, Any] = {}
        exec(program, names)
        shapes.append(names["images"].shape)
    assert shapes == [(10, 4, 4, 3), (30, 4, 4, 3)]
