from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i import api, images
from i2i.errors import DataError, I2IError
from i2i.evaluating import evaluate

Noisy = Callable[..., Path]


def finish(model: Path, folder: Path, place: Path, ending: str = "", suffix: str = ".png") -> Path:
    """A folder of what the model makes of the images in another."""
    translate = api.load(model)
    place.mkdir()
    for path in sorted(folder.iterdir()):
        translate(Image.open(path)).save(place / f"{path.stem}{ending}{suffix}")
    return place


@pytest.mark.parametrize("ending", ["", "_fake_B", ".out"])
def test_finished_images_get_the_scores_of_what_made_them(
    inverting: Path, noisy: Noisy, tmp_path: Path, ending: str
) -> None:
    folder = noisy(5, side=20)
    others = finish(inverting, folder / "A", tmp_path / "others", ending)
    own = evaluate(inverting, folder, size="native").evaluated
    found = evaluate(others, folder).evaluated
    assert (found.scores, found.each, found.worst) == (own.scores, own.each, own.worst)
    assert (found.model, found.digest, found.size) == ("others", "", "as they are")


def test_outputs_beside_inputs_and_targets_are_found_by_their_ending(
    inverting: Path, noisy: Noisy, tmp_path: Path
) -> None:
    folder = noisy(3)
    others = finish(inverting, folder / "A", tmp_path / "others", "_fake_B")
    for number in range(3):
        for name, side in (("_real_A", "A"), ("_real_B", "B")):
            (others / f"{number}{name}.png").write_bytes((folder / side / f"{number}.png").read_bytes())
    wanted = evaluate(inverting, folder, size="native").evaluated.scores
    assert evaluate(others, folder).evaluated.scores == wanted


def test_finished_images_are_brought_to_a_size_as_targets_are(inverting: Path, noisy: Noisy, tmp_path: Path) -> None:
    folder = noisy(1, side=40, first=2)
    others = finish(inverting, folder / "A", tmp_path / "others")
    made, target = (
        images.resize(images.to_pixels(Image.open(at / "2.png"), 3), 24, 24) for at in (others, folder / "B")
    )
    error = ((made.astype(float) - target.astype(float)) ** 2).mean()
    found = evaluate(others, folder, size=24).evaluated
    assert found.scores["model"]["psnr"].value == pytest.approx(10 * np.log10(255**2 / error), rel=1e-6)


def test_names_that_do_not_match_are_told(inverting: Path, noisy: Noisy, tmp_path: Path) -> None:
    folder = noisy(4)
    others = finish(inverting, folder / "A", tmp_path / "others")
    (others / "2.png").rename(others / "22.png")
    with pytest.raises(DataError, match=r"no images for 1 of the 4 targets, among them 1: 2, did you mean '22'"):
        evaluate(others, folder)


def test_a_size_that_does_not_match_is_told(inverting: Path, noisy: Noisy, tmp_path: Path) -> None:
    folder = noisy(2)
    others = finish(inverting, noisy(2, side=24, place="larger") / "A", tmp_path / "others")
    with pytest.raises(DataError, match=r"0\.png: 24 x 24 pixels, and its target is 16 x 16"):
        evaluate(others, folder)
    assert evaluate(others, folder, size=16).evaluated.images == 2


def test_grey_outputs_are_scored_against_coloured_targets(noisy: Noisy, tmp_path: Path) -> None:
    folder = noisy(1)
    (tmp_path / "others").mkdir()
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "others" / "0.png")
    target = images.to_pixels(Image.open(folder / "B" / "0.png"), 3).astype(float)
    found = evaluate(tmp_path / "others", folder).evaluated
    assert found.scores["model"]["mae"].value == pytest.approx(abs(target - grey[..., None]).mean())


def test_enlarged_images_need_their_scale(noisy: Noisy, tmp_path: Path) -> None:
    photos, others = tmp_path / "photos", tmp_path / "others"
    for place in (photos, others):
        place.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 81, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
        Image.fromarray(pixels).save(others / f"{number}.png")
    with pytest.raises(I2IError, match="how much larger"):
        evaluate(others, photos, kind="upscaled")
    found = evaluate(others, photos, scale=2).evaluated
    assert found.scores["model"]["ssim_y"].value == pytest.approx(1)
    assert [*found.scores] == ["model", "bicubic"]


def test_images_of_no_target_are_scored_as_a_set(noisy: Noisy, tmp_path: Path) -> None:
    real, made = noisy(6), noisy(5, first=10, place="made")
    with pytest.raises(DataError, match="5 images, and 6 targets"):
        evaluate(made / "A", real / "A", kind="images")
    found = evaluate(made / "A", real / "A", kind="images", images=5).evaluated
    assert found.images == 5
    assert found.size == "16 x 16 pixels"
    same = evaluate(real / "A", real / "A", kind="images").evaluated
    assert same.scores["model"]["deviation"].value == pytest.approx(1)
