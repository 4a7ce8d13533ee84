"""Runs of CUT: what they keep, what they export, and what they start from."""

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import i2i
from i2i import api
from i2i.artifact import INPUT
from i2i.config import Layer, resolve
from i2i_cut import plugin
from i2i_cut.config import CUTConfig
from i2i_cut.game import build
from i2i_export.onnx import to_onnx
from i2i_export.receptive import view


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pairs):
    """A finished run of two steps, not to be changed."""
    return api.train("cut", run_settings(pairs), out=tmp_path_factory.mktemp("cut") / "cut-001")


def run_settings(pairs, **more):
    return {
        "device": "cpu",
        "data": {"source": str(pairs), "size": 32, "validation": 0.3},
        "game": dict(plugin.small["game"]),
        "trainer": {"steps": 2, "batch": 2, "validate_every": 1, "log_every": 1},
        **more,
    }


def test_the_published_generator_is_exported_as_it_computes_and_sees_a_window():
    torch.manual_seed(0)
    game = build(resolve(CUTConfig, [Layer("test", {"data": {"size": 32}, **plugin.small})]))
    for name, parameter in game.generators.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(parameter, 0, 0.2)
    (export,) = game.exports().values()
    model = to_onnx(export).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    image = torch.randint(256, (2, 3, 20, 20)) / 127.5 - 1
    given = ((image + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with torch.no_grad():
        expected = ((game.generators["G"](image) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(int)
    assert np.abs(session.run(None, {INPUT: given})[0].astype(int) - expected).max() <= 1
    seen = view(model, 3, export.multiple)
    assert (seen.view, seen.stride, seen.statistics) == ("window", 4, "image")


def test_tiles_of_the_published_generator_are_the_whole(trained):
    picture = np.random.default_rng(0).integers(0, 256, (160, 208, 3), dtype=np.uint8)
    whole, tiled = (i2i.load(trained.model, "cpu", tile=tile)(picture).astype(int) for tile in ("off", 64))
    assert whole.std() > 10
    assert np.abs(whole - tiled).max() <= 1


def test_a_run_keeps_and_averages_the_projection_and_exports_the_generator_alone(trained):
    assert [path.name for path in sorted(trained.path.glob("*.onnx"))] == ["model.onnx"]
    assert trained.facts()["scores"]["model"].keys() == {"kid_efficientnet"}
    weights = load_file(trained.checkpoints / "step-0000002" / "weights.safetensors")
    for prefix in ("generators.F.", "average.F.", "optimizer.generators.F."):
        assert any(name.startswith(prefix) for name in weights), prefix


def test_a_run_starts_from_another_with_its_projection(trained, pairs, tmp_path):
    run = api.train("cut", run_settings(pairs, init=str(trained.path)), out=tmp_path / "cut-002")
    notes = " ".join(run.facts()["notes"])
    assert "starts from the weights of" in notes
    assert "anew" not in notes
