"""How small trainings are set up and played, for the tests of this folder."""

import pytest

from i2i import api
from i2i import plugin as plugins
from i2i.config import Layer, dump
from i2i.training.run import Run
from i2i.training.session import Session


@pytest.fixture(scope="session")
def merged():
    """`merged(settings, trainer={...})`: settings with some keys of their sections replaced."""

    def merge(settings, **sections):
        return {**settings, **{key: {**settings.get(key, {}), **value} for key, value in sections.items()}}

    return merge


@pytest.fixture(scope="session")
def play():
    """`play(settings, out)`: a training of pix2pix without the export at its end, which takes seconds."""

    def train(settings, out, observer=None, resumed=None):
        plugin = plugins.load("pix2pix")
        config = api.configure(plugin, [Layer("test", settings)])
        session = Session(plugin, config, observer)
        if resumed is not None:
            session.resume(resumed)
        run = Run.create(out, plugin.name) if resumed is None else Run.open(out)
        run.config.write_text(dump(config))
        session.play(run)
        return run

    return train
