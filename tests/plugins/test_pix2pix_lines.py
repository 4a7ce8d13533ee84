"""pix2pix, written against what i2i makes public and nothing else, is short, and does all that i2i asks of a plugin."""

import sys
from pathlib import Path

import pytest
import torch

from i2i.testing import CHECKS, Subject

SHORT = Path(__file__).parent / "short"
MOST = 60
LONGEST = 120


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """The plugin `short`, in a distribution that lies as pip would have put it there."""
    place = tmp_path_factory.mktemp("site")
    info = place / "i2i_short-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: i2i-short\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[i2i.plugins]\nshort = i2i_short:plugin\n")
    with pytest.MonkeyPatch.context() as patch:
        for path in (place, SHORT):
            patch.syspath_prepend(str(path))
        yield Subject("short")


def test_it_takes_few_lines_beside_its_networks():
    files = [path for path in sorted((SHORT / "i2i_short").glob("*.py")) if path.name != "networks.py"]
    counts = {path.name: len(path.read_text().splitlines()) for path in files}
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    sys.stdout.write(
        f"pix2pix takes {sum(counts.values())} lines beside its networks: {told}\n"
    )  # `pytest -rP` shows it
    assert counts.keys() == {"__init__.py", "game.py"}
    assert sum(counts.values()) <= MOST
    assert max(len(line) for path in files for line in path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_it_does_what_i2i_asks_of_a_plugin(subject, check):
    check(subject)


def test_it_is_pix2pix(subject):
    """From the weights of the built-in one it goes on as that does."""
    settings = {"game": {"filters": 4, "depth": 5, "discriminator_filters": 4, "discriminator_layers": 3}}
    scenes = Subject("pix2pix", settings).plain, subject.plain
    trainers = [scene.trainer() for scene in scenes]
    own, short = (trainer.game for trainer in trainers)
    short.load_state_dict(own.state_dict())
    losses = []
    for scene, trainer in zip(scenes, trainers, strict=True):
        torch.manual_seed(1)  # of the dropout
        losses.append([trainer.play([batch]) for batch in scene.batches(trainer)])
    assert losses[0] == losses[1]
    torch.testing.assert_close(short.state_dict(), own.state_dict(), rtol=0, atol=0)
