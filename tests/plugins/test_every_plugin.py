"""What holds for every built-in plugin: it plays any objective, resumes bit for bit, exports, needs no torch in use."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from i2i import api
from i2i.training.trainer import Trainer

NAMES = ["pix2pix", "cyclegan", "srgan", "dcgan", "cgan"]
OBJECTIVES = ["minimax", "nonsaturating", "lsgan", "hinge", "wasserstein", "relativistic"]


def batch(kind, config, count=4):
    """Random images of the kind of data that the plugin needs."""
    generator = torch.Generator().manual_seed(0)
    size = config.data.size

    def images(side, channels):
        return torch.rand(count, channels, side, side, generator=generator) * 2 - 1

    made = {"target": images(size, config.data.target_channels)}
    if kind in ("paired", "unpaired", "upscaled"):
        made["input"] = images(size // config.data.scale, config.data.input_channels)
    if kind == "labelled":
        made["label"] = torch.arange(count) % len(config.data.classes)
    return made


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", NAMES)
def test_it_plays_under_every_objective(configured, name, objective):
    more = {"objective": {"name": objective, "r1": {"weight": 1.0, "interval": 2}}}
    if name == "cgan":
        more["data"] = {"classes": ["a", "b"]}
    if name == "srgan":
        more["stage"] = "gan"
    manifest, config = configured(name, **more)
    torch.manual_seed(0)
    trainer = Trainer(manifest.build(config), config.objective, config.trainer, torch.device("cpu"))
    before = {key: value.clone() for key, value in trainer.game.state_dict().items()}
    losses = [trainer.play([batch(manifest.kind, config)]) for _ in range(2)]
    assert {"adversarial", "discriminator", "r1"} <= losses[0].keys()
    assert all(torch.isfinite(value).all() for each in losses for value in each.values())
    for network in ("generators", "discriminators"):
        after = {key: value for key, value in trainer.game.state_dict().items() if key.startswith(network)}
        assert any(not torch.equal(value, before[key]) for key, value in after.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_gone_on_with_is_the_run_that_never_stopped(settings, tmp_path, name):
    halved = settings(name, **({"stage": "content"} if name == "srgan" else {}))  # both: tests/training/test_course.py
    straight = api.train(name, halved, out=tmp_path / "straight")
    stopped = api.train(name, {**halved, "trainer": {**halved["trainer"], "steps": 2}}, out=tmp_path / "stopped")
    api.resume(stopped.path, {"trainer": {"steps": 4}})
    one, other = (load_file(run.checkpoints / "step-0000004" / "weights.safetensors") for run in (straight, stopped))
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


@pytest.fixture(scope="module", params=NAMES)
def trained(request, settings, tmp_path_factory):
    """A finished run of each plugin, not to be changed."""
    folder = tmp_path_factory.mktemp(request.param) / "runs"
    return api.train(request.param, settings(request.param, trainer={"steps": 2}), out=folder / f"{request.param}-001")


def test_it_says_how_it_was_scored_and_what_it_was_exported_from(trained):
    facts = trained.facts()
    assert facts["state"] == "finished"
    assert facts["scores"]["model"].keys() == facts["best"]["validation"].keys()
    assert all(np.isfinite(value) for value in facts["scores"]["model"].values())
    assert (trained.samples / "step-0000002.png").is_file()


# `i2i` in a process of its own, which then tells whether torch was imported.
DEPLOYED = """
import sys
from i2i.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
assert not {"torch", "onnx", "torchvision"} & set(sys.modules)
"""


def test_it_is_used_without_torch(trained, tmp_path):
    models = sorted(trained.path.glob("model*.onnx"))
    assert len(models) == (2 if trained.facts()["plugin"] == "cyclegan" else 1)
    for model in models:
        if trained.facts()["kind"] == "noise":
            made = tmp_path / "made"
            words = ["generate", str(model), "-n", "3", "-o", str(made)]
        else:
            made = tmp_path / f"{model.stem}.png"
            Image.new("RGB", (37, 41), "red").save(tmp_path / "image.png")
            words = ["translate", str(tmp_path / "image.png"), "-m", str(model), "-o", str(made)]
        subprocess.run([sys.executable, "-c", DEPLOYED, *words], check=True, timeout=60)
        assert made.exists()
