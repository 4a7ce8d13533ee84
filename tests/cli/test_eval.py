import json
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from i2i import api, cli
from i2i.evaluated import Evaluated

PAGE = Path(__file__).parents[2] / "docs" / "evaluating.md"


def run(*arguments: object) -> Result:
    """`i2i` as the console script runs it, errors printed and turned into the exit status."""
    through_main = click.Command("i2i", callback=lambda: cli.main([*map(str, arguments)]))
    return CliRunner().invoke(through_main, [])


@pytest.fixture
def mine(place: Path) -> Path:
    """A folder of pairs in the working directory, B being A inverted and then some."""
    for number in range(6):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 200, (40, 40, 3), np.uint8)
        for side, shown in (("A", pixels), ("B", np.clip(255 - pixels.astype(int) + 4 * number, 0, 255))):
            (place / "mine" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown.astype(np.uint8)).save(place / "mine" / side / f"{number}.png")
    return place / "mine"


def test_a_table_and_a_folder_are_made(place: Path, mine: Path, model: str) -> None:
    result = run("eval", model, "--data", "mine", "--size", "native")
    assert result.exit_code == 0, result.stderr
    head, columns, psnr, *_, last = result.stdout.splitlines()
    assert head == "m: 6 images, as they are; 6 pairs from the folder 'mine'"
    assert columns.split() == ["model", "copying", "model", "-", "copying"]
    assert re.fullmatch(
        r"psnr, dB +[\d.]+ \([\d.]+ to [\d.]+\) +[\d.]+ \([\d.]+ to [\d.]+\)"
        r" +\+[\d.]+ \(\+[\d.]+ to \+[\d.]+\) +higher is better",
        psnr,
    )
    assert last == "Scores, images, worst and best: m-evaluation"
    assert result.stderr == ""
    assert sorted(path.name for path in (place / "m-evaluation").iterdir()) == [
        "best.png",
        "images.csv",
        "scores.json",
        "worst.png",
    ]
    found = Evaluated.read(place / "m-evaluation")
    assert f"{found.scores['model']['psnr'].value:.4g}" in psnr


def test_an_embedded_set_goes_before_a_folder_of_its_name(place: Path, mine: Path, model: str) -> None:
    mine.rename("digits")
    result = run("eval", model, "--data", "digits", "--kind", "paired")
    assert "digits: has no paired data" in result.stderr
    result = run("eval", model, "--data", "./digits")
    assert result.exit_code == 0, result.stderr


def test_json_is_what_is_kept(place: Path, mine: Path, model: str) -> None:
    result = run("eval", model, "--data", "mine", "--size", 16, "--json", "-o", "here")
    told = json.loads(result.stdout)
    assert told.pop("folder") == "here"
    assert told == json.loads((place / "here" / "scores.json").read_text())
    assert told["size"] == "16 x 16 pixels"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eval", "m.onnx", "--size", "small"], "give pixels from 8 to 65536, or native"),
        (["eval", "m.onnx", "--size", "7"], "give pixels from 8"),
        (["eval", "m.onnx", "--weights", "alexnet.pth"], "give NAME=FILE"),
        (["eval", "m.onnx", "--images", "0"], "--images"),
        (["eval"], "MODEL_OR_RUN"),
        (["compare"], "MODEL_OR_RUN"),
    ],
)
def test_a_wrong_command_line_is_told(place: Path, arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "has no test images of its own"),
        (["--data", "min"], "min: no folder and no embedded set"),
        (["--data", "mine", "--metrics", "psmr"], "no metric 'psmr', did you mean 'psnr'?"),
        (["--data", "mine", "--metrics", "+lpips"], "--weights lpips=FILE"),
        (["--data", "mine", "--metrics", "+lpips", "--weights", "lpips=mine/A/0.png"], "not a file of weights"),
        (["--data", "mine", "--metrics", "+fid"], "--weights inception=FILE"),
        (["--data", "mine", "--metrics", "+ms_ssim", "--size", "16"], "ms_ssim: images of 16 x 16"),
        (["--data", "mine", "--device", "cuda:99"], "cuda:99"),
        (["--data", "mine", "--images", "1", "--metrics", "kid_efficientnet"], "1 image to score"),
        (["--data", "mine", "-o", "mine/A/0.png"], "0.png"),
    ],
)
def test_what_cannot_be_done_is_told_without_a_traceback(
    place: Path, mine: Path, model: str, arguments: list[str], said: str
) -> None:
    result = run("eval", model, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (place / "m-evaluation").exists()


def test_several_are_set_side_by_side(place: Path, mine: Path, model: str) -> None:
    shutil.copytree(mine / "A", place / "others")
    result = run("compare", model, "others", "--data", "mine")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["m", "others", "copying"]
    assert lines[5] == "Minus m:"
    assert lines[7].startswith("others")
    assert lines[7].count("worse") == 3
    assert lines[8] == "Scores, images and a sheet: comparison"
    same = run("compare", model, model, "--data", "mine", "--metrics", "mae", "--json", "-o", "same")
    told = json.loads(same.stdout)
    assert told["verdicts"] == {"m (2)": {"mae": "chance"}}
    assert told["folder"] == "same"
    assert run("compare", model, model, "--data", "mine").stdout.count("the same") == 3


def shown() -> list[str]:
    """The commands of the page, as they stand there."""
    return re.findall(r"^    (i2i (?:eval|compare) [^\n]+)$", PAGE.read_text(), re.M)


@pytest.fixture
def shop(place: Path, mine: Path, finished: Any, models: ModuleType) -> Path:
    """A working directory with everything that the page speaks of, but weights."""
    for name in ("pix2pix-001", "cyclegan-001", "srgan-001", "srgan-001/stages/content"):
        shutil.copytree(finished.path, place / "runs" / name)
    shutil.copy(finished.model, place / "runs" / "pix2pix-001" / "model.int8.onnx")
    models.build(place / "model.onnx")
    for name, side in (("satellite", "A"), ("maps", "B"), ("others", "A")):
        shutil.copytree(mine / side, place / name)
    for name in ("one-evaluation", "two-evaluation"):
        assert run("eval", "model.onnx", "--data", "mine", "-o", name).exit_code == 0
    return place


def test_every_command_of_the_page_runs(shop: Path) -> None:
    commands = shown()
    assert len(commands) > 10
    for line in commands:
        result = run(*shlex.split(line)[1:])
        if "--weights" in line:  # files of hundreds of megabytes, which are not there
            assert "cannot be read: No such file" in result.stderr, line
        else:
            assert result.exit_code == 0, f"{line}: {result.stderr}"


def test_the_program_of_the_page_runs(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    exec(program, {})
    assert (shop / "runs" / "pix2pix-001" / "evaluation-mine-size-256" / "scores.json").is_file()
    assert "content" in capsys.readouterr().out


def test_what_is_kept_of_a_run_is_found_by_its_reader(shop: Path) -> None:
    assert run("eval", "runs/pix2pix-001").exit_code == 0
    found = Evaluated.read(shop / "runs" / "pix2pix-001" / "evaluation")
    assert found.digest == api.load(shop / "runs" / "pix2pix-001").description.digest
