"""Every built-in plugin does what i2i asks of anybody's."""

import pytest

from i2i import plugin
from i2i.testing import CHECKS, Subject

NAMES = [entry.name for entry in plugin.catalogue() if entry.distribution == "i2i"]
OFTEN = ("previews", "step", "seed", "checkpoint")
SUBJECTS = {name: Subject(name) for name in NAMES}


def test_all_are_there():
    assert {"cgan", "cut", "cyclegan", "dcgan", "pix2pix", "srgan"} <= set(NAMES)


@pytest.mark.parametrize("check", CHECKS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_it_does_what_is_asked_of_every_plugin(name, check):
    check(SUBJECTS[name])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pix2pix", {"game": {"network": "resnet"}}),
        ("pix2pix", {"game": {"norm": "affine", "discriminator_norm": "none"}}),
        ("cyclegan", {"game": {"norm": "none", "upsampling": "nearest", "skip": True, "lambda_identity": 0}}),
        ("srgan", {"stage": "content"}),
        ("srgan", {"data": {"scale": 4}, "game": {"start": "random"}}),
        ("dcgan", {"game": {"architecture": "mlp"}, "data": {"target_channels": 1}}),
        ("cgan", {"game": {"architecture": "mlp"}}),
        ("dcgan", {"game": {"discriminator_norm": "spectral"}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("check", [check for check in CHECKS if check.name in OFTEN], ids=str)
def test_so_does_another_setting_of_it(name, settings, check):
    check(Subject(name, settings))
