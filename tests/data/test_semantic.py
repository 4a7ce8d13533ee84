"""Label maps: which colours are classes, and that nothing but these ever arrives in a batch."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from PIL import Image

from i2i.data import Loader, evaluation
from i2i.data.show import contact_sheet
from i2i.data.survey import survey
from i2i.errors import ConfigError, DataError

COLOURS = ["#0000ff", "#00a000", "#ff8000", "#ffffff"]
PLAIN = {"flip": False, "validation": 0.0}


def levels(colour):
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def regions(seed, width=40, height=36, count=4):
    """Numbers of classes in blocks of 4 x 4 pixels, all of them there."""
    rng = np.random.default_rng(seed)
    small = rng.permuted(np.arange(-(-height // 4) * -(-width // 4)) % count).reshape(-(-height // 4), -1)
    return small.repeat(4, axis=0).repeat(4, axis=1)[:height, :width].astype(np.uint8)


def painted(numbers, colours=COLOURS):
    return np.array([levels(colour) for colour in colours], np.uint8)[numbers]


def as_palette(numbers):
    made = Image.fromarray(numbers)
    made.putpalette([value for colour in COLOURS for value in levels(colour)])
    return made


FORMS = {
    "palette": as_palette,
    "colours": lambda numbers: Image.fromarray(painted(numbers)),
    "colours and alpha": lambda numbers: Image.fromarray(painted(numbers)).convert("RGBA"),
    "grey": lambda numbers: Image.fromarray(numbers),
}


@pytest.fixture
def mapped(tmp_path):
    """Writes pairs of a label map in A and the same in colours in B; says what the maps look like."""

    def write(count=6, form="palette", suffix=".png", maps="A", images="B", **size):
        known = {}
        for side in (maps, images):
            (tmp_path / side).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            numbers = regions(n, **size)
            made = FORMS[form](numbers)
            (made if suffix == ".png" else made.convert("RGB")).save(tmp_path / maps / f"{n}{suffix}")
            Image.fromarray(painted(numbers)).save(tmp_path / images / f"{n}.png")
            known[str(n)] = np.asarray(Image.fromarray(np.asarray(made.convert("RGB"))))
        return known

    return write


def colours_in(picture):
    return {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.asarray(picture).reshape(-1, 3).tolist()}


def first_batches(samples, count, threads=2, seed=0):
    with Loader(samples, batch=3, seed=seed, threads=threads).read() as batches:
        return list(islice(batches, count))


@pytest.mark.parametrize("form", FORMS)
def test_the_classes_are_the_colours_that_occur_whatever_the_form_of_the_file(mapped, opened, form):
    known = mapped(form=form, width=16, height=16)
    splits = opened("semantic", **PLAIN)
    expected = ["#000000", "#010101", "#020202", "#030303"] if form == "grey" else COLOURS
    assert splits.classes == tuple(expected)
    for index, name in enumerate(splits.train.names):
        sample = splits.train.evaluating(index)
        assert np.array_equal(sample["input"], known[name])
        assert sample["target"].shape == (16, 16, 3)
    assert "6 pairs of label map, of 4 classes, and image" in splits.description


@pytest.mark.parametrize("fit", ["stretch", "scale", "none"])
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_nothing_but_classes_arrives_however_images_are_augmented(mapped, opened, fit, direction):
    mapped(maps=direction[0], images=direction[-1])
    splits = opened("semantic", fit=fit, direction=direction, rotate=30.0, zoom=0.5, validation=0.4)
    assert len(splits.validation)
    batches = first_batches(splits.train, 8) + list(evaluation(splits.validation, batch=2, threads=0))
    assert all(batch["input"].shape[1:] == (16, 16, 3) for batch in batches)
    assert set().union(*(colours_in(batch["input"]) for batch in batches)) == set(COLOURS)
    assert len(set().union(*(colours_in(batch["target"]) for batch in batches))) > len(COLOURS)  # turned by a filter


def test_map_and_image_stay_upon_each_other(mapped, opened):
    """The image shows the map itself: but for the edges of regions both are the same, turned and zoomed too."""
    mapped(count=8, width=96, height=96)
    for settings in ({"fit": "none"}, {"fit": "stretch", "load_size": 72}):
        train = opened("semantic", size=64, rotate=20.0, zoom=0.4, validation=0.0, **settings).train
        for batch in first_batches(train, 4):
            difference = np.abs(batch["input"].astype(int) - batch["target"]).max(3)
            assert (difference < 40).mean() > 0.5
            shifted = np.abs(batch["input"].astype(int)[:, 3:, 3:] - batch["target"][:, :-3, :-3]).max(3)
            assert (shifted < 40).mean() < (difference < 40).mean() - 0.1


def test_batches_depend_on_seed_and_number_alone(mapped, opened):
    mapped()
    one, other = (
        first_batches(opened("semantic", rotate=10.0, cache=cache).train, 5, threads=threads)
        for cache, threads in ((0.0, 0), (1.0, 3))
    )
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[key], b[key]) for key in a)
    few = opened("semantic", rotate=10.0).train.spread(2)
    assert colours_in(first_batches(few, 1)[0]["input"]) <= set(COLOURS)


def test_given_classes_keep_their_order_and_may_be_more(mapped, opened):
    mapped()
    wanted = ("#FFFFFF", "#0000ff", "#123456", "#00a000", "#ff8000")
    splits = opened("semantic", classes=wanted, **PLAIN)
    assert splits.classes == tuple(colour.lower() for colour in wanted)
    assert splits.warnings == []


def test_a_few_maps_of_other_colours_are_left_out(mapped, opened, tmp_path):
    mapped(count=30)
    Image.new("RGB", (40, 36), "#123456").save(tmp_path / "A" / "7.png")
    splits = opened("semantic", classes=COLOURS, **PLAIN)
    assert len(splits.train) == 29
    assert splits.warnings == [
        "7: colours in its label map that are no class: 1: #123456; the pair is left out",
    ]


def test_a_colour_that_only_a_held_out_map_has_is_no_class(mapped, opened, tmp_path):
    for part, count in (("train", 24), ("val", 4)):
        mapped(count=count, maps=f"{part}/A", images=f"{part}/B")
    Image.new("RGB", (40, 36), "#123456").save(tmp_path / "val" / "A" / "3.png")
    splits = opened("semantic")
    assert splits.classes == tuple(COLOURS)
    assert (len(splits.train), len(splits.validation)) == (24, 3)
    assert "3: colours in its label map that are no class: 1: #123456" in splits.warnings[0]


def test_jpeg_files_are_refused_unless_the_colours_are_named(mapped, opened):
    known = mapped(suffix=".jpg", width=16, height=16)
    with pytest.raises(DataError, match=r"0: a label map in a JPEG file, which blurs colours.*\n.*data\.classes"):
        opened("semantic", **PLAIN)
    splits = opened("semantic", classes=COLOURS, **PLAIN)
    assert splits.warnings == ["label maps in JPEG files: each pixel is taken as the nearest of 4 colours"]
    for index, name in enumerate(splits.train.names):
        made = splits.train.evaluating(index)["input"]
        assert colours_in(made) <= set(COLOURS)
        assert (made == known[name]).all(2).mean() > 0.8


def test_halves_of_one_image_do_as_well(opened, tmp_path):
    (tmp_path / "train").mkdir()
    for n in range(3):
        both = painted(np.concatenate([regions(n, 16, 16), regions(n, 16, 16)], axis=1))
        Image.fromarray(both).save(tmp_path / "train" / f"{n}.png")
    splits = opened("semantic", **PLAIN)
    assert splits.classes == tuple(COLOURS)
    assert splits.train.evaluating(0)["input"].shape == (16, 16, 3)


def test_photographs_are_no_label_maps(mapped, opened, save):
    mapped(maps="B", images="A")
    for n in range(6):
        save(f"A/{n}.png", 40, 36)
    with pytest.raises(DataError, match=r"0: more than 256 colours: no label map\n  .*data\.direction=BtoA"):
        opened("semantic")
    assert opened("semantic", direction="BtoA").classes == tuple(COLOURS)


def test_more_than_256_colours_in_all_are_refused(mapped, opened, tmp_path):
    mapped(count=2)
    for n in range(2):
        values = np.arange(160, dtype=np.uint8).reshape(10, 16)
        Image.fromarray(np.stack([values, 0 * values + n, values], 2)).resize((40, 36), 0).save(
            tmp_path / "A" / f"{n}.png"
        )
    with pytest.raises(DataError, match="more than 256 colours in its label maps"):
        opened("semantic", **PLAIN)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"input_channels": 1}, DataError, r"data\.input_channels 1: a label map comes as its RGB picture"),
        ({"classes": ["road", "sky"]}, ConfigError, r"data\.classes: 'road' is no colour"),
        ({"classes": ["#000000", "#000001"]}, DataError, r"no class: 4: #0000ff, #00a000, #ff8000, #ffffff"),
    ],
)
def test_what_cannot_be_is_said(mapped, opened, settings, error, said):
    mapped()
    with pytest.raises(error, match=said):
        opened("semantic", **settings)


def test_maps_of_one_colour_or_of_16_bits_are_refused(mapped, opened, tmp_path):
    mapped(count=3)
    for n in range(3):
        Image.fromarray((regions(n).astype(np.uint16)) * 300).save(tmp_path / "A" / f"{n}.png")
    with pytest.raises(DataError, match="a label map of 16 bits a channel"):
        opened("semantic", **PLAIN)
    for n in range(3):
        Image.new("L", (40, 36), 7).save(tmp_path / "A" / f"{n}.png")
    with pytest.raises(DataError, match="all of one colour, #070707"):
        opened("semantic", **PLAIN)


def test_no_embedded_set_has_label_maps(opened):
    with pytest.raises(DataError, match=r"earth: has no semantic data.*\n  No embedded set has label maps\."):
        opened("semantic", source="earth")


def test_a_look_before_training_counts_the_maps_of_each_class(mapped, opened, tmp_path):
    mapped(count=10)
    Image.new("RGB", (40, 36), COLOURS[0]).save(tmp_path / "A" / "3.png")
    trained = opened("semantic").train.names
    assert "3" in trained
    seen = survey(tmp_path, kind="semantic")
    assert (seen.kind, seen.problems) == ("semantic", [])
    assert seen.classes == {colour: len(trained) - (colour != COLOURS[0]) for colour in COLOURS}


def test_a_look_before_training_says_what_it_would_refuse(mapped, save, tmp_path):
    mapped(suffix=".jpg")
    for n in range(6):
        save(f"B/{n}.png", 40, 36)
    seen = survey(tmp_path, kind="semantic")
    assert "a label map in a JPEG file" in seen.problems[0]


def test_a_look_before_training_finds_the_side_of_the_maps(mapped, save, tmp_path):
    mapped(maps="B", images="A")
    for n in range(6):
        save(f"A/{n}.png", 40, 36)
    seen = survey(tmp_path, kind="semantic")
    assert seen.problems == []
    assert seen.warnings[0] == "the label maps are in B: set data.direction=BtoA"
    assert set(seen.classes) == set(COLOURS)


def test_a_contact_sheet_shows_map_and_image(mapped, tmp_path):
    mapped(count=4)
    sheet, splits = contact_sheet(str(tmp_path), "semantic")
    assert splits.classes == tuple(COLOURS)
    assert set(COLOURS) <= colours_in(sheet)
    assert sheet.shape[0] >= 2 * 96
