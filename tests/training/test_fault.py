"""What goes wrong inside a game names the game, the place, and what the batch holds."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from i2i.config import DataConfig, ObjectiveConfig, RunConfig, TrainerConfig
from i2i.course import stages
from i2i.errors import DataError, PluginError, TrainingError
from i2i.games.game import Export, Game, Match
from i2i.metrics.protocol import protocol
from i2i.plugin import Plugin
from i2i.testing.drawn import draw
from i2i.training.evaluation import evaluate, picture
from i2i.training.fault import exported, place
from i2i.training.session import Session
from i2i.training.trainer import Trainer


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(2, 1, 3)

    def forward(self, image, condition):
        return self.net(torch.cat([condition, image], 1))


class Plain(Game):
    def __init__(self):
        super().__init__()
        self.generators = nn.ModuleDict({"G": nn.Conv2d(1, 1, 3, padding=1)})
        self.discriminators = nn.ModuleDict({"D": Judge()})

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], batch["input"])

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self):
        return {"G": Export(self.generators["G"], 1, 1, 1)}


def train(game):
    config = TrainerConfig(steps=10, precision="float32", channels_last=False)
    return Trainer(game, ObjectiveConfig(), config, torch.device("cpu"))


def batch(**shapes):
    return {
        name: torch.zeros(shape) for name, shape in {"input": (2, 1, 8, 8), "target": (2, 1, 8, 8), **shapes}.items()
    }


def refused(held, game=None):
    with pytest.raises(TrainingError) as caught:
        train(game or Plain()).play([held])
    return caught.value


def test_a_missing_image_is_named_with_what_there_is():
    error = refused({"target": torch.zeros(2, 1, 8, 8)})
    assert re.search(r"test_fault\.Plain, .*test_fault\.py:\d+: KeyError: 'input'", error.message)
    assert error.message.endswith("the batch holds target [2, 1, 8, 8]")
    assert "I2I_STRICT_PLUGINS=1" in error.hint


@pytest.mark.parametrize(
    "shapes",
    [{"input": (2, 3, 8, 8)}, {"target": (2, 3, 8, 8)}, {"target": (2, 1, 4, 4)}, {"target": (1, 1, 8, 8)}],
    ids=str,
)
def test_images_of_other_channels_sizes_and_numbers_are_refused(shapes):
    error = refused(batch(**shapes))
    ((name, shape),) = shapes.items()
    assert f"{name} {list(shape)}" in error.message
    assert "test_fault.Plain" in error.message


def test_nothing_is_said_of_an_empty_batch_but_that():
    assert refused({}).message.endswith("the batch holds nothing")


def test_a_real_image_is_not_set_against_a_fake_of_another_shape():
    """Not even where the discriminator takes both: losses would broadcast one over the other."""

    class Anything(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, image, condition):
            return self.weight * image.mean((1, 2, 3))

    game = Plain()
    game.discriminators["D"] = Anything()
    error = refused(batch(target=(2, 1, 4, 4)), game)
    assert (
        "match 0 sets real [2, 1, 4, 4] against fake [2, 1, 8, 8]; the batch holds input [2, 1, 8, 8]" in error.message
    )


def test_what_a_game_says_itself_is_left_as_it_is():
    class Saying(Plain):
        def terms(self, batch, outputs):
            raise DataError("of my own", "do this")

    with pytest.raises(DataError, match="of my own"):
        train(Saying()).play([batch()])


def test_an_authors_strict_mode_shows_the_exception_itself(monkeypatch):
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "1")
    with pytest.raises(KeyError):
        train(Plain()).play([{"target": torch.zeros(2, 1, 8, 8)}])


def test_the_exception_is_kept_as_the_cause():
    assert isinstance(refused({"target": torch.zeros(2, 1, 8, 8)}).__cause__, KeyError)


def test_what_fails_while_it_is_scored_is_named_too():
    class Unseen(Plain):
        def previews(self, batch):
            return {"output": batch["result"]}

    raw = {name: np.zeros((2, 8, 8, 1), np.uint8) for name in ("input", "target")}
    with pytest.raises(TrainingError, match=r"Unseen, .*: KeyError: 'result'; the batch holds input \[2, 1, 8, 8\]"):
        evaluate(Unseen(), protocol("paired", DataConfig()), [raw], torch.device("cpu"))


def test_a_lazy_layer_that_has_seen_nothing_is_refused_before_anything_is_trained():
    game = Plain()
    game.generators["F"] = nn.LazyLinear(3)
    with pytest.raises(TrainingError, match=r"Plain: no shape yet: generators\.F\.weight, generators\.F\.bias"):
        train(game)
    game.generators["F"](torch.zeros(2, 5))
    assert train(game).optimizers["generators"].param_groups[0]["params"][-1].shape == (3,)


def raising(method):
    """A game whose method of that name fails."""

    def fail(self, *_):
        return {}["gone"]

    class Failing(Plain):
        pass

    setattr(Failing, method, fail)
    return Failing()


def test_pictures_that_cannot_be_made_are_named_with_the_batch():
    raw = {name: np.zeros((2, 8, 8, 1), np.uint8) for name in ("input", "target")}
    with pytest.raises(TrainingError, match=r"Failing, .*: KeyError: 'gone'; the batch holds input \[2, 1, 8, 8\]"):
        picture(raising("previews"), [raw], torch.device("cpu"))


def test_exports_that_cannot_be_told_are_named():
    with pytest.raises(TrainingError, match=r"Failing, .*test_fault\.py:\d+: KeyError: 'gone'\n") as caught:
        exported(raising("exports"))
    assert caught.value.hint.startswith("I2I_STRICT_PLUGINS=1")


def test_a_game_that_exports_nothing_is_named():
    class Nothing(Plain):
        def exports(self):
            return {}

    with pytest.raises(TrainingError, match=r"Nothing\.exports: nothing"):
        exported(Nothing())


@pytest.mark.parametrize("method", ["notes", "demand"])
def test_what_fails_before_a_training_is_named(method, tmp_path):
    class Gives(Plugin):
        def build(self, config):
            return raising(method)

    draw(tmp_path, "paired", 64)
    data = {"source": str(tmp_path), "size": 32, "validation": 0.3, "workers": 0}
    config = RunConfig.model_validate({"plugin": "demo", "device": "cpu", "data": data})
    manifest = Gives(name="demo", summary="", paper="", kind="paired", config=RunConfig, game="none:none")
    with pytest.raises(TrainingError, match=r"Failing, .*: KeyError: 'gone'"):
        Session(manifest, config)


@pytest.mark.parametrize(
    ("given", "says"), [(lambda config: config["a"], ": TypeError: "), (lambda config: {}, "no stages")]
)
def test_stages_that_cannot_be_told_are_the_plugins_fault(given, says):
    game = f"{__name__}:none"
    manifest = Plugin(name="demo", summary="", paper="", kind="paired", config=RunConfig, game=game, stages=given)
    with pytest.raises(PluginError, match=says) as caught:
        stages(manifest, RunConfig(plugin="demo"))
    assert "plugin 'demo'" in caught.value.message


def test_the_package_is_found_where_the_checkout_has_its_name():
    namespace = {"__name__": "i2i_mine.game"}
    exec(compile("def fail():\n    1 / 0\n", "/home/i2i_mine/src/i2i_mine/game.py", "exec"), namespace)
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["fail"]()
    assert place(caught.value, "i2i_mine") == "i2i_mine/game.py:2"
