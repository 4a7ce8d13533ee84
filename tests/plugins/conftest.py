"""Small data and small settings for every built-in plugin."""

import shutil

import pytest

from i2i import api, config
from i2i import plugin as plugins

TINY = {
    "pix2pix": {"game": {"filters": 4, "discriminator_filters": 4, "discriminator_layers": 2}},
    "cyclegan": {
        "game": {"filters": 4, "blocks": 1, "discriminator_filters": 4, "discriminator_layers": 2},
        "trainer": {"pool": 3},
    },
    "srgan": {
        "data": {"scale": 2},
        "game": {"filters": 8, "blocks": 1, "discriminator_filters": 4, "perceptual": "mse"},
        "content": {"times": 1, "schedule": {"name": "constant", "warmup": 0}},
    },
    "dcgan": {"game": {"filters": 4, "discriminator_filters": 4, "noise": 8}},
    "cgan": {"game": {"filters": 4, "discriminator_filters": 4, "noise": 8}},
}


@pytest.fixture(scope="session")
def classes(pairs, tmp_path_factory):
    """A folder of two classes."""
    folder = tmp_path_factory.mktemp("classes")
    for name, side in (("outlined", "A"), ("filled", "B")):
        shutil.copytree(pairs / side, folder / name)
    return folder


@pytest.fixture(scope="session")
def settings(pairs, classes):
    """From a plugin's name to settings of a run that takes seconds."""

    def of(name, **more):
        folder = {"cgan": classes, "dcgan": pairs / "B", "srgan": pairs / "B"}.get(name, pairs)
        common = {
            "device": "cpu",
            "data": {"source": str(folder), "size": 32, "validation": 0.3},
            "trainer": {
                "steps": 4,
                "batch": 2,
                "validate_every": 2,
                "log_every": 1,
                "schedule": {"name": "constant"},
            },
        }
        merged = {}
        for tree in (common, TINY[name], more):
            for key, value in tree.items():
                merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
        return merged

    return of


@pytest.fixture(scope="session")
def configured(settings):
    """From a plugin's name to its manifest and its resolved configuration."""

    def of(name, **more):
        manifest = plugins.load(name)
        return manifest, api.configure(manifest, [config.Layer("test", settings(name, **more))])

    return of
