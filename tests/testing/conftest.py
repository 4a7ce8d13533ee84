"""A plugin that does all that is asked of it, in a distribution that lies as pip would have put it there."""

import itertools
import textwrap

import pytest
import torch

MANIFEST = """
from i2i.plugin import Plugin
from PACKAGE.config import DemoConfig

plugin = Plugin(
    name="demo",
    summary="A demonstration",
    paper="",
    kind="paired",
    config=DemoConfig,
    game="PACKAGE.game:build",
    presets={"cpu": {"trainer": {"steps": 100}}},
    example={"data": {"source": "openmoji"}},
    small={"game": {"filters": 4}},
)
"""

CONFIG = """
from pydantic import Field, model_validator

from i2i.config import Positive, RunConfig, Section


class DemoGame(Section):
    filters: Positive = Field(16, description="of the generator")


class DemoConfig(RunConfig):
    plugin: str = Field("demo", description="which architecture")
    game: DemoGame = Field(default_factory=DemoGame, description="networks")

    @model_validator(mode="after")
    def _can_be_halved(self):
        if self.data.size % 32:
            raise ValueError("data.size: choose a multiple of 32")
        return self
"""

GAME = """
import torch
from torch import nn
from torch.nn import functional as F

from i2i.games.game import Export, Game, Match


class Painter(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(channels[0], filters, 4, 2, 1), nn.BatchNorm2d(filters), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.up = nn.ConvTranspose2d(filters, channels[1], 4, 2, 1)

    def forward(self, image):
        return torch.tanh(self.up(self.drop(self.down(image))))


class Judge(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(channels, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 2, 1))

    def forward(self, image, condition):
        return self.net(torch.cat([condition, image], 1))


class Demo(Game):
    def __init__(self, config):
        super().__init__()
        self.channels = config.data.input_channels, config.data.target_channels
        self.generators = nn.ModuleDict({"G": Painter(self.channels, config.game.filters)})
        self.discriminators = nn.ModuleDict({"D": Judge(sum(self.channels))})

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], condition=batch["input"])

    def terms(self, batch, outputs):
        return {"l1": 10 * F.l1_loss(outputs["fake"], batch["target"])}

    def previews(self, batch):
        return {"input": batch["input"], "output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self):
        return {"G": Export(self.generators["G"], *self.channels, multiple=2)}


def build(config):
    return Demo(config)
"""

FILES = {"__init__.py": MANIFEST, "config.py": CONFIG, "game.py": GAME}
numbers = itertools.count()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """From replacements, each of a file, a text and another, to the installed plugin `demo` with them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(*replacements):
        package = f"i2i_demo_{next(numbers)}"  # modules stay imported between tests
        files = dict(FILES)
        for name, text, other in replacements:
            assert files[name].count(text) == 1, text
            files[name] = files[name].replace(text, other)
        (tmp_path / package).mkdir()
        for name, code in files.items():
            (tmp_path / package / name).write_text(textwrap.dedent(code).replace("PACKAGE", package))
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: i2i-demo\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[i2i.plugins]\ndemo = {package}:plugin\n")
        return package

    threads = torch.get_num_threads()
    yield put
    torch.set_num_threads(threads)  # one of the broken plugins changes it
