from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from i2i.config import DataConfig
from i2i.data import evaluation, open_splits
from i2i.data.embedded import rendered
from i2i.data.embedded.likeness import groups

PARTS = ("train", "validation", "test")
COUNTS = [1329, 99, 95]
DIGEST = "23efc7d5ff404afa"  # of the names in their splits: changes with the release, never with the machine


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache_folder, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(cache_folder))


def moji(size=32, **settings):
    return open_splits(DataConfig(size=size, load_size=size, **settings))


@pytest.fixture(scope="module")
def splits(cache_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_CACHE", str(cache_folder))
        return moji()


def pixels(pairs, side):
    return np.stack([pairs.read(index)[side] for index in range(len(pairs))])


def test_the_choice_is_that_of_the_release(splits):
    names = [(part, name) for part in PARTS for name in getattr(splits, part).names]
    assert [len(getattr(splits, part)) for part in PARTS] == COUNTS
    assert len({name for _, name in names}) == sum(COUNTS)
    assert sha256(repr(names).encode()).hexdigest()[:16] == DIGEST
    assert not [name for _, name in names if "1F3FB" in name or name.startswith("1F1E6")]


def test_line_art_is_black_on_white_and_the_target_keeps_its_lines(splits):
    line, whole = (pixels(splits.train, side).astype(int) for side in (0, 1))
    assert np.ptp(line, axis=3).max() == 0
    assert (line[:, 0, 0] == 255).mean() > 0.95
    assert (np.ptp(whole, axis=3) > 16).mean(axis=(1, 2)).min() > 0.01
    lines = line.max(axis=3) < 30
    kept = (lines & (whole.max(axis=3) < 90)).sum(axis=(1, 2)) / np.maximum(1, lines.sum(axis=(1, 2)))
    assert (kept[lines.any(axis=(1, 2))] > 0.9).mean() > 0.9  # lettered tiles turn their letters white


def test_no_line_art_of_training_is_in_another_split(splits):
    """Compared in another way than the splits are made: by ink that the two have not in common."""
    ink = {part: 255.0 - pixels(getattr(splits, part), 0).mean(axis=3) for part in PARTS}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        for flipped in (ink[other], ink[other][:, :, ::-1]):
            for drawing in flipped:
                apart = np.abs(ink[one] - drawing).sum(axis=(1, 2)) / (ink[one].sum(axis=(1, 2)) + drawing.sum())
                assert apart.min() > 0.15


def test_another_size_has_the_same_pairs_and_what_is_kept_is_read_back_or_remade_when_broken(splits, cache_folder):
    (kept,) = cache_folder.glob("*-32-32.zip")
    whole = kept.read_bytes()
    broken = kept.with_name(kept.name.replace("-32-32", "-16-16"))
    broken.write_bytes(whole[:5000] + bytes(100) + whole[5100:])
    seen = []
    for remade in (True, False):
        steps = []
        config = DataConfig(size=16, load_size=16)
        other = open_splits(config, progress=lambda *step, to=steps: to.append(step))
        assert bool(steps) == remade
        assert all(getattr(other, part).names == getattr(splits, part).names for part in PARTS)
        seen.append(other.train.read(5))
    assert seen[0][0].shape == (16, 16, 3)
    assert np.array_equal(seen[0], seen[1])


def test_the_licence_is_in_the_description(splits):
    assert "OpenMoji 17.0.0" in splits.description
    assert "CC BY-SA 4.0" in splits.description
    assert str(COUNTS[0]) in splits.description


def test_validation_is_rendered_at_its_own_size(splits):
    (batch,) = evaluation(splits.test, batch=1000, threads=2)
    assert batch["input"].shape == (len(splits.test), 32, 32, 3)


PICTURES = {("train", "x-1"): (b"line", b"colour"), ("test", "y"): (b"l", b"c")}


@pytest.mark.parametrize(
    "spoil", [lambda whole: b"", lambda whole: whole[:-30], lambda whole: whole.replace(b"co", b"oc")]
)
def test_kept_pictures_are_whole_or_none(tmp_path, spoil):
    place = tmp_path / "new" / "kept.zip"
    rendered.write(place, PICTURES)
    assert rendered.read(place) == PICTURES
    place.write_bytes(spoil(place.read_bytes()))
    assert rendered.read(place) == {}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    rendered.write(tmp_path / "file" / "kept.zip", PICTURES)
    assert rendered.read(tmp_path / "file" / "kept.zip") == {}


def test_the_place_is_the_one_that_the_environment_names(tmp_path, monkeypatch):
    assert rendered.place("x") == Path(os.environ["I2I_CACHE"]) / "x"
    monkeypatch.delenv("I2I_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert rendered.place("x") == tmp_path / "i2i" / "x"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert rendered.place("x") == tmp_path / ".cache" / "i2i" / "x"


def test_groups_are_chains_of_likes_and_mirror_images():
    rng = np.random.default_rng(0)
    face, house = (rng.integers(0, 256, (16, 16)) for _ in range(2))
    near = face.copy()
    near[0, :2] = 0
    assert groups(np.stack([house, face, near, face[:, ::-1], 255 - house])) == [0, 1, 1, 1, 4]
