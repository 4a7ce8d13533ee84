import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i import images
from i2i.data.splits import open_splits
from i2i.errors import ArtifactError, DataError, I2IError
from i2i.evaluated import Evaluated
from i2i.evaluating import evaluate
from i2i.runtime.translator import Translator

Noisy = Callable[..., Path]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.float64)


def psnr(output: np.ndarray, target: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((output - target) ** 2).mean()))


def values(found: Evaluated, scored: str = "model") -> dict[str, float]:
    return {name: figure.value for name, figure in found.scores[scored].items()}


def test_scores_are_those_of_outputs_and_targets(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(6, first=1)
    found = evaluate(inverting, folder).evaluated
    pairs = {f"{n}": (pixels(folder / "A" / f"{n}.png"), pixels(folder / "B" / f"{n}.png")) for n in range(1, 7)}
    own = {name: psnr(255 - a, b) for name, (a, b) in pairs.items()}
    copied = {name: psnr(a, b) for name, (a, b) in pairs.items()}
    assert {name: line["psnr"] for name, line in found.each.items()} == pytest.approx(own, rel=1e-6)
    assert values(found)["psnr"] == pytest.approx(np.mean([*own.values()]), rel=1e-6)
    assert values(found, "copying")["psnr"] == pytest.approx(np.mean([*copied.values()]), rel=1e-6)
    assert values(found)["mae"] == pytest.approx(np.mean([abs(255 - a - b).mean() for a, b in pairs.values()]))
    gain = found.gains["copying"]["psnr"]
    assert gain.value == pytest.approx(np.mean([own[name] - copied[name] for name in own]), rel=1e-6)
    assert gain.low is not None
    assert gain.high is not None
    assert min(own[n] - copied[n] for n in own) - 10 < gain.low < gain.value < gain.high
    assert (found.images, found.split, found.size) == (6, "all", "16 x 16 pixels")
    assert found.by == "psnr"
    assert found.worst == ("6", "5", "4")
    assert found.best == ("1", "2", "3")


def test_worst_and_best_are_shown_by_input_output_and_target(inverting: Path, noisy: Noisy, tmp_path: Path) -> None:
    folder = noisy(2, first=1)
    found = evaluate(inverting, folder)
    source = images.to_pixels(Image.open(folder / "A" / "2.png"), 3)
    target = images.to_pixels(Image.open(folder / "B" / "2.png"), 3)
    assert found.evaluated.worst == ("2",)
    for shown, wanted in zip(found.pictures["2"], (source, 255 - source, target), strict=True):
        np.testing.assert_array_equal(shown, wanted)
    assert found.write(tmp_path / "out") == tmp_path / "out"
    assert Evaluated.read(tmp_path / "out") == found.evaluated


def test_of_a_folder_with_a_test_split_that_is_scored(inverting: Path, noisy: Noisy) -> None:
    noisy(3, place="data/train")
    folder = noisy(2, place="data/test", first=7).parent
    found = evaluate(inverting, folder).evaluated
    assert (found.split, sorted(found.each)) == ("test", ["7", "8"])
    shutil.rmtree(folder / "train")
    assert sorted(evaluate(inverting, folder).evaluated.each) == ["7", "8"]


def test_images_are_evenly_spaced(inverting: Path, noisy: Noisy) -> None:
    assert sorted(evaluate(inverting, noisy(6), images=3).evaluated.each) == ["0", "2", "4"]


def test_images_as_they_are_come_through_as_in_translating(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(2, side=19, first=1)
    noisy(1, side=30, first=9)
    found = evaluate(inverting, folder, size="native").evaluated
    translator = Translator.load(inverting)
    for name in ("1", "9"):
        made = translator(images.to_pixels(Image.open(folder / "A" / f"{name}.png"), 3)).astype(float)
        assert found.each[name]["psnr"] == pytest.approx(psnr(made, pixels(folder / "B" / f"{name}.png")), rel=1e-6)
    assert found.size == "as they are"


def test_images_are_brought_to_a_size_as_in_training(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(1, side=40, first=3)
    small = [images.resize(pixels(folder / side / "3.png").astype(np.uint8), 24, 24) for side in "AB"]
    found = evaluate(inverting, folder, size=24).evaluated
    assert values(found)["psnr"] == pytest.approx(psnr(255.0 - small[0], small[1].astype(float)), rel=1e-6)
    assert evaluate(inverting, folder).evaluated.size == "16 x 16 pixels"


def test_metrics_are_chosen_or_added(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(4, first=1)
    assert [*evaluate(inverting, folder, metrics=["mae"]).evaluated.scores["model"]] == ["mae"]
    found = evaluate(inverting, folder, metrics=["+psnr_y", "+mae"]).evaluated
    assert (
        [*found.metrics] == [*found.scores["copying"]] == [*found.gains["copying"]] == ["psnr", "ssim", "mae", "psnr_y"]
    )
    least = evaluate(inverting, folder, metrics=["mae", "psnr"]).evaluated
    assert (least.by, least.worst) == ("mae", ("4", "3"))


def test_direction_says_which_side_is_the_input(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(1, first=2)
    found = evaluate(inverting, folder, direction="BtoA").evaluated
    assert values(found)["psnr"] == pytest.approx(
        psnr(255 - pixels(folder / "B" / "2.png"), pixels(folder / "A" / "2.png")), rel=1e-6
    )


def test_a_model_that_enlarges_is_scored_beside_bicubic(tmp_path: Path, models: ModuleType) -> None:
    model = models.build(tmp_path / "large.onnx", scale=2)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        coarse = rng.integers(0, 255, (30, 41, 3), np.uint8).repeat(3, 0).repeat(3, 1)
        Image.fromarray(coarse).save(tmp_path / "photos" / f"{number}.png")
    found = evaluate(model, tmp_path / "photos").evaluated
    assert [*found.scores] == ["model", "bicubic"]
    assert found.size == "whole images"
    whole = images.to_pixels(Image.open(tmp_path / "photos" / "1.png"), 3)[:, :122]  # cut to a multiple in the middle
    small = images.resize(whole, 45, 61)
    luma = np.array([65.481, 128.553, 24.966]) / 255
    enlarged = [(255 - small).repeat(2, 0).repeat(2, 1), images.resize(small, 90, 122)]
    wanted = [psnr((each[2:-2, 2:-2] @ luma), (whole[2:-2, 2:-2] @ luma)) for each in enlarged]
    assert found.each["1"]["psnr_y"] == pytest.approx(wanted[0], abs=0.01)
    one = evaluate(model, tmp_path / "photos", size=60).evaluated
    assert one.size == "the middle 60 x 60 pixels"
    with pytest.raises(DataError, match="no multiple of 2"):
        evaluate(model, tmp_path / "photos", size=61)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    for name in ("nought", "two"):
        for number in range(6):
            pixels = np.random.default_rng(number).integers(0, 255, (20, 20), np.uint8)
            place = tmp_path / "digits" / name / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place)
    return tmp_path / "digits"


def test_what_is_made_from_noise_has_the_class_of_its_target(tmp_path: Path, models: ModuleType, digits: Path) -> None:
    classes = ("nought", "one", "two")
    model = models.build_noise(tmp_path / "c.onnx", plugin="cgan", size=20, channels_out=1, classes=classes)
    found = evaluate(model, digits)
    assert found.evaluated.images == 12
    assert [*found.evaluated.scores] == ["model"]
    assert found.evaluated.by == "nearest_efficientnet"
    assert [*found.evaluated.each][5:7] == ["00005 nought", "00006 two"]
    noise = images_of(model, 0)
    assert len(found.pictures) == 12
    for name, (shown,) in found.pictures.items():
        number, label = name.split()
        np.testing.assert_array_equal(shown, noise(int(number), classes.index(label)))
    assert evaluate(model, digits, seed=1).evaluated.scores != found.evaluated.scores


def images_of(model: Path, seed: int) -> Callable[[int, int], np.ndarray]:
    from i2i.runtime.generator import Generator

    generator = Generator.load(model)
    return lambda at, label: generator(1, seed, label=label, first=at)[0]


def test_classes_that_the_model_does_not_know_are_named(tmp_path: Path, models: ModuleType, digits: Path) -> None:
    model = models.build_noise(tmp_path / "c.onnx", plugin="cgan", size=20, channels_out=1, classes=("nought", "twoo"))
    with pytest.raises(DataError, match="does not know, 'two', did you mean 'twoo'"):
        evaluate(model, digits)


def test_two_folders_are_unpaired(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(4)
    found = evaluate(inverting, [folder / "A", folder / "B"]).evaluated
    assert [*found.scores] == ["model", "copying"]
    assert [*found.metrics] == ["kid_efficientnet"]
    assert found.scores["model"]["kid_efficientnet"].value < found.scores["copying"]["kid_efficientnet"].value
    back = evaluate(inverting, [folder / "B", folder / "A"], direction="BtoA").evaluated
    assert values(back) == pytest.approx(values(found))


def test_unpaired_images_as_they_are_may_be_of_any_size(inverting: Path, noisy: Noisy) -> None:
    small, large = noisy(3), noisy(3, side=24, place="more")
    found = evaluate(inverting, [small / "A", large / "B"], size="native").evaluated
    assert [*found.scores] == ["model"]  # an input of another size than its target is no output
    assert found.images == 3


@pytest.fixture
def run(finished: Any, tmp_path: Path) -> Path:
    """A copy of a finished run that may be written into."""
    copy = tmp_path / "pix2pix-001"
    shutil.copytree(finished.path, copy)
    return copy


def test_a_run_is_scored_on_what_it_has_set_aside(run: Path, pairs: Path) -> None:
    from i2i.config import DataConfig

    found = evaluate(run)
    aside = open_splits(DataConfig(source=str(pairs), size=32)).validation
    assert (found.evaluated.split, [*found.evaluated.each]) == ("validation", aside.names)
    translator = Translator.load(run)
    for index, name in enumerate(aside.names):
        sample = aside.evaluating(index)
        made = translator(sample["input"].astype(np.uint8)).astype(float)
        assert found.evaluated.each[name]["psnr"] == pytest.approx(psnr(made, sample["target"]), rel=1e-6)
    assert found.folder == run / "evaluation"
    assert found.evaluated.size == "32 x 32 pixels"
    assert found.evaluated.model == "pix2pix-001"
    assert evaluate(run / "model.onnx").evaluated == found.evaluated


def test_a_run_keeps_each_evaluation_in_a_folder_of_its_own(run: Path, noisy: Noisy) -> None:
    folder = noisy(2, place="others")
    assert evaluate(run, folder).folder == run / "evaluation-others"
    assert evaluate(run, size=64, images=2).folder == run / "evaluation-size-64-images-2"
    shutil.copy(run / "model.onnx", run / "model.int8.onnx")
    assert evaluate(run / "model.int8.onnx").folder == run / "evaluation-int8"
    shutil.copy(run / "model.onnx", run.parent / "alone.onnx")
    assert evaluate(run.parent / "alone.onnx", folder).folder == Path("alone-evaluation")


def test_images_that_a_run_was_trained_on_are_told(run: Path, pairs: Path, noisy: Noisy) -> None:
    assert any("was trained on" in note for note in evaluate(run, pairs).notes)
    assert not any("was trained on" in note for note in evaluate(run, noisy(2)).notes)


def test_an_imported_run_has_no_images_of_its_own(run: Path, noisy: Noisy) -> None:
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "imported": {"examples": 0}}))
    with pytest.raises(I2IError, match="has no test images of its own"):
        evaluate(run)
    assert evaluate(run, noisy(2)).evaluated.size == "32 x 32 pixels"


def test_a_run_of_a_plugin_that_is_gone_is_scored_as_a_model(run: Path, noisy: Noisy) -> None:
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "plugin": "gone"}))
    found = evaluate(run, noisy(2))
    assert any("no plugin is called 'gone'" in note for note in found.notes)
    assert [*found.evaluated.metrics] == ["psnr", "ssim", "mae"]


def test_progress_is_told_to_the_last_image(inverting: Path, noisy: Noisy) -> None:
    heard: list[tuple[int, int, str]] = []
    evaluate(inverting, noisy(10), progress=lambda *told: heard.append(told))
    assert [told for told in heard if told[2] == "scoring"] == [(8, 10, "scoring"), (10, 10, "scoring")]
    assert [told[:2] for told in heard if told[2].startswith("resampling")] == [(0, 1), (1, 1)]


def test_an_image_that_is_broken_is_left_out_and_named(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(21)
    (folder / "A" / "3.png").write_bytes(b"no image")
    found = evaluate(inverting, folder)
    assert found.evaluated.images == 20
    assert any("3.png" in note and "left out" in note for note in found.notes)
    for number in range(4, 8):
        (folder / "A" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="more than 1 in 20"):
        evaluate(inverting, folder)


def test_what_cannot_be_scored_is_named(inverting: Path, noisy: Noisy, tmp_path: Path, models: ModuleType) -> None:
    folder = noisy(2)
    with pytest.raises(I2IError, match="has no test images of its own"):
        evaluate(inverting)
    with pytest.raises(ArtifactError, match="there is no such file"):
        evaluate(tmp_path / "nothing")
    with pytest.raises(DataError, match="no folder and no embedded set"):
        evaluate(inverting, tmp_path / "nothing")
    with pytest.raises(I2IError, match="did you mean 'psnr'"):
        evaluate(inverting, folder, metrics=["+psmr"])
    with pytest.raises(I2IError, match="did you mean 'lpips'"):
        evaluate(inverting, folder, weights={"lpip": "x"})
    with pytest.raises(DataError, match="images data has no inputs"):
        evaluate(inverting, folder / "A")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        evaluate(inverting, tmp_path / "empty", kind="paired")
    with pytest.raises(I2IError, match="neither a run, nor a folder with images"):
        evaluate(tmp_path / "empty", folder)
    noise = models.build_noise(tmp_path / "n.onnx", size=16)
    with pytest.raises(I2IError, match="makes images from noise"):
        evaluate(noise, folder, kind="paired")
    with pytest.raises(DataError, match="2 images to score"):
        evaluate(noise, folder / "A")
    with pytest.raises(I2IError, match="has one size"):
        evaluate(noise, folder / "A", size="native")
    with pytest.raises(I2IError, match="has one size"):
        evaluate(noise, folder / "A", size=32)
    with pytest.raises(I2IError, match="3 folders of images"):
        evaluate(inverting, [folder / "A", folder / "B", folder])
    large = models.build(tmp_path / "large.onnx", scale=2, trained_size=16)
    with pytest.raises(DataError, match="32 x 32 pixels, and its target is 16 x 16"):
        evaluate(large, folder, kind="paired")


def test_pairs_of_two_sizes_need_one_to_which_both_are_brought(inverting: Path, noisy: Noisy) -> None:
    folder = noisy(3)
    larger = noisy(3, side=32, place="larger")
    shutil.rmtree(folder / "B")
    (larger / "B").rename(folder / "B")
    with pytest.raises(DataError, match="input of 16 x 16 and target of 32 x 32 pixels") as raised:
        evaluate(inverting, folder, size="native")
    assert "--size" in str(raised.value)
    assert evaluate(inverting, folder).evaluated.images == 3


def test_memory_that_does_not_suffice_is_named(inverting: Path, noisy: Noisy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(self: object, images: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Translator, "__call__", refusing)
    with pytest.raises(I2IError, match="0: memory does not suffice"):
        evaluate(inverting, noisy(2))


def test_label_maps_keep_their_colours(inverting: Path, tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    for number in range(3):
        classes = np.random.default_rng(number).integers(0, 2, (40, 40))
        for side, shown in (("A", colours[classes]), ("B", 255 - colours[classes])):
            (tmp_path / "maps" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown).save(tmp_path / "maps" / side / f"{number}.png")
    found = evaluate(inverting, tmp_path / "maps", kind="semantic", size=20)
    assert [*found.evaluated.metrics] == ["kid_efficientnet", "psnr", "ssim", "mae"]
    assert [*found.evaluated.scores] == ["model"]
    assert found.evaluated.by == "psnr"
    source, output, _ = next(iter(found.pictures.values()))
    assert {tuple(colour) for colour in source.reshape(-1, 3).tolist()} == {(255, 0, 0), (0, 0, 255)}
    np.testing.assert_array_equal(output, 255 - source)
