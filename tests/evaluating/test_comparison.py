import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from i2i import images
from i2i.errors import I2IError
from i2i.evaluating import compare, evaluate

Noisy = Callable[..., Path]


@pytest.fixture
def worse(tmp_path: Path, noisy: Noisy) -> Path:
    """What `inverting` makes of the inputs of `noisy(12)`, and 25 levels more: a folder of finished images."""
    place = tmp_path / "worse"
    place.mkdir()
    for path in sorted((noisy(12) / "A").iterdir()):
        Image.fromarray(255 - images.to_pixels(Image.open(path), 3) + 25).save(place / path.name)
    return place


def test_each_is_scored_as_it_is_alone(inverting: Path, noisy: Noisy, worse: Path) -> None:
    folder = noisy(12)
    found = compare([inverting, worse], folder).compared
    assert found.models == ("inverting", "worse")
    assert [*found.scores] == ["inverting", "worse", "copying"]
    for model, path in (("inverting", inverting), ("worse", worse)):
        alone = evaluate(path, folder, size=16).evaluated
        assert found.scores[model] == alone.scores["model"]
        assert found.scores["copying"] == alone.scores["copying"]


def test_differences_are_of_the_same_images(inverting: Path, noisy: Noisy, worse: Path) -> None:
    folder = noisy(12)
    found = compare([inverting, worse], folder)
    each = {model: [line["psnr"] for line in lines.values()] for model, lines in found.each.items()}
    difference = found.compared.differences["worse"]["psnr"]
    apart = np.subtract(each["worse"], each["inverting"])
    assert difference.value == pytest.approx(apart.mean())
    assert difference.low is not None
    assert difference.high is not None
    assert apart.min() <= difference.low < difference.high <= apart.max()
    assert found.compared.verdicts["worse"]["psnr"] == "worse"
    back = compare([worse, inverting], folder).compared
    assert back.verdicts["inverting"]["psnr"] == "better"
    assert back.verdicts["inverting"]["mae"] == "better"


def test_what_may_be_chance_is_told(inverting: Path, noisy: Noisy, tmp_path: Path) -> None:
    folder, other = noisy(12), tmp_path / "other"
    other.mkdir()
    for path in (folder / "A").iterdir():  # on one half better, on the other half worse
        exact, source = (images.to_pixels(Image.open(folder / side / path.name), 3) for side in "BA")
        Image.fromarray(exact if int(path.stem) % 2 == 0 else 255 - source + 22).save(other / path.name)
    found = compare([inverting, other], folder, metrics=["mae"]).compared
    assert found.verdicts["other"]["mae"] == "chance"
    low, high = found.differences["other"]["mae"].low, found.differences["other"]["mae"].high
    assert low is not None
    assert high is not None
    assert low < 0 < high


def test_a_sheet_shows_input_outputs_and_target(inverting: Path, noisy: Noisy, worse: Path, tmp_path: Path) -> None:
    folder = noisy(12)
    found = compare([inverting, worse], folder)
    assert found.write(tmp_path / "out") == tmp_path / "out"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["comparison.json", "images.csv", "sheet.png"]
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    source = images.to_pixels(Image.open(folder / "A" / "0.png"), 3)
    target = images.to_pixels(Image.open(folder / "B" / "0.png"), 3)
    shown = [np.argwhere((windows(sheet) == each).all((2, 3, 4))) for each in (source, 255 - source + 25, target)]
    inputs, others, first_and_target = (sorted(column for _, column in places) for places in shown)
    assert len(first_and_target) == 2  # of this image the first output is the target
    assert inputs[0] < first_and_target[0] < others[0] < first_and_target[1]
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert told["verdicts"]["worse"]["psnr"] == "worse"
    with (tmp_path / "out" / "images.csv").open(newline="") as lines:
        head, first, *_ = csv.reader(lines)
    assert head[:2] == ["image", "inverting psnr"]
    assert head[4:] == ["worse psnr", "worse ssim", "worse mae"]
    assert float(first[4]) == found.each["worse"][first[0]]["psnr"]


def windows(sheet: np.ndarray) -> np.ndarray:
    """Every square of 16 pixels, `[H, W, 16, 16, 3]`."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(sheet, (16, 16), axis=(0, 1)), 2, -1)


def test_evaluations_are_compared_without_scoring_again(
    inverting: Path, noisy: Noisy, worse: Path, tmp_path: Path
) -> None:
    folder = noisy(12)
    for path in (inverting, worse):
        evaluate(path, folder, size=16).write(tmp_path / f"{path.stem}-evaluation")
    found = compare([tmp_path / "inverting-evaluation", tmp_path / "worse-evaluation"])
    scored = compare([inverting, worse], folder)
    assert found.compared.differences == scored.compared.differences
    assert found.compared.verdicts == scored.compared.verdicts
    assert found.each == scored.each
    assert found.sheet is None


def test_models_of_one_name_are_told_apart(inverting: Path, noisy: Noisy) -> None:
    found = compare([inverting, inverting], noisy(3)).compared
    assert found.models == ("inverting", "inverting (2)")
    assert found.differences["inverting (2)"]["psnr"].value == 0
    assert found.verdicts["inverting (2)"]["psnr"] == "chance"


def test_what_cannot_be_compared_is_named(
    inverting: Path, noisy: Noisy, worse: Path, tmp_path: Path, models: ModuleType
) -> None:
    folder = noisy(12)
    with pytest.raises(I2IError, match="nothing to be compared with"):
        compare([inverting], folder)
    grey = models.build(tmp_path / "grey.onnx", channels_in=1, trained_size=16)
    with pytest.raises(I2IError, match=r"grey\.onnx: takes 1 channels"):
        compare([inverting, grey], folder)
    noise = models.build_noise(tmp_path / "noise.onnx")
    with pytest.raises(I2IError, match=r"noise\.onnx: makes images from noise"):
        compare([inverting, noise], folder)
    evaluate(inverting, folder).write(tmp_path / "one")
    with pytest.raises(I2IError, match=r"an evaluation, and .* is none"):
        compare([tmp_path / "one", inverting])
    evaluate(inverting, folder, images=3).write(tmp_path / "few")
    with pytest.raises(I2IError, match="few: scored on other images than"):
        compare([tmp_path / "one", tmp_path / "few"])
    evaluate(inverting, folder, metrics=["psnr_y"]).write(tmp_path / "luma")
    with pytest.raises(I2IError, match="no metric that both were scored by"):
        compare([tmp_path / "one", tmp_path / "luma"])
    with pytest.raises(I2IError, match="an evaluation, which is scored already"):
        evaluate(tmp_path / "one", folder)


def test_where_one_knows_no_classes_all_are_scored_without(tmp_path: Path, models: ModuleType) -> None:
    for label in ("nought", "one"):
        for number in range(4):
            place = tmp_path / "digits" / label / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)).save(place)
    digits = tmp_path / "digits"
    classed = models.build_noise(tmp_path / "classed.onnx", channels_out=1, size=8, classes=("nought", "one"))
    plain = models.build_noise(tmp_path / "plain.onnx", channels_out=1, size=8)
    found = compare([classed, plain], digits).compared
    assert found.scores["classed"] == evaluate(classed, digits, kind="images").evaluated.scores["model"]
    assert found.scores["plain"] == evaluate(plain, digits, kind="images").evaluated.scores["model"]
    assert found.scores["classed"] != evaluate(classed, digits).evaluated.scores["model"]
