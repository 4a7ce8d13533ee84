"""CycleGAN: what its players minimise, what is exported, and whether hidden information is found."""

import math
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from i2i.artifact import INPUT
from i2i.config import Layer, resolve
from i2i.errors import ConfigError
from i2i.games.objectives import OBJECTIVES
from i2i.nn.resnet import ResidualBlock
from i2i.training.trainer import Trainer
from i2i_cyclegan.config import CycleGANConfig
from i2i_cyclegan.game import build
from i2i_export.onnx import to_onnx

SMALL = {
    "data": {"size": 16},
    "game": {"filters": 4, "discriminator_filters": 4, "discriminator_layers": 1, "blocks": 1},
    "trainer": {"steps": 4, "precision": "float32"},
}


def configured(*trees):
    return resolve(CycleGANConfig, [Layer("test", tree) for tree in trees])


def make(*trees, seed=0):
    torch.manual_seed(seed)
    return build(configured(SMALL, *trees))


def images(channels_in=3, channels_out=3, count=2, side=16, seed=0):
    """A batch of whole levels, as of files."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(channels):
        return torch.randint(256, (count, channels, side, side), generator=generator) / 127.5 - 1

    return {"input": drawn(channels_in), "target": drawn(channels_out)}


def trainer_of(game, config):
    return Trainer(game, config.objective, config.trainer, torch.device("cpu"))


class Formula(nn.Module):
    """A generator that is known in closed form."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        return self.formula(image)


def with_formulas(there, back, *trees):
    game = make(*trees)
    game.generators = nn.ModuleDict({game.there: Formula(there), game.back: Formula(back)})
    return game


@pytest.mark.parametrize(("size", "blocks"), [(64, 6), (128, 6), (256, 9), (512, 9)])
def test_the_networks_are_the_published_ones(size, blocks):
    with torch.device("meta"):
        game = build(configured({"data": {"size": size}}))
    assert sorted(game.generators) == ["AtoB", "BtoA"]
    assert sorted(game.discriminators) == ["A", "B"]
    millions = {6: 7.838, 9: 11.378}[blocks]
    for network in game.generators.values():
        assert sum(isinstance(part, ResidualBlock) for part in network.modules()) == blocks
        assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3) == millions
    for network in game.discriminators.values():
        assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3) == 2.765


def test_the_defaults_are_the_published_ones_whatever_else_is_set():
    config = configured({"objective": {"r1": {"weight": 1}}, "trainer": {"steps": 5}, "game": {"filters": 8}})
    assert config.objective.name == "lsgan"
    timing = config.trainer
    assert (timing.pool, timing.batch, timing.lr, timing.betas) == (50, 1, 2e-4, (0.5, 0.999))
    assert (timing.schedule.name, timing.schedule.hold) == ("linear", 0.5)
    assert (config.game.lambda_cycle, config.game.lambda_identity, config.game.translation_noise) == (10, 0.5, 0)
    assert (config.game.norm, config.game.discriminator_norm) == ("instance", "instance")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"data": {"input_channels": 1}},
            r"game\.lambda_identity 0\.5 .* data\.input_channels is 1 .*target_channels 3",
        ),
        (
            {"data": {"target_channels": 1}, "game": {"skip": True, "lambda_identity": 0}},
            r"game\.skip adds the image .* data\.input_channels is 3 and data\.target_channels 1",
        ),
        ({"data": {"size": 66}}, r"data\.size 66 cannot be halved 2 times: .* such as 64"),
        ({"data": {"size": 16}}, r"discriminator_layers 3 leaves no patch .* data\.size of 24 or more"),
        ({"game": {"lambda_cycle": -1}}, r"game\.lambda_cycle: .*greater than or equal to 0"),
        ({"game": {"translation_nose": 0.1}}, r"game\.translation_nose: unknown key, did you mean 'translation_noise'"),
    ],
)
def test_what_cannot_be_is_said(tree, message):
    with pytest.raises(ConfigError, match=message):
        configured(tree)


def test_without_identity_the_channels_may_differ():
    config = {"data": {"input_channels": 1, "target_channels": 4}, "game": {"lambda_identity": 0}}
    game, batch = make(config), images(1, 4)
    outputs = game.generate(batch)
    assert {name: made.shape for name, made in outputs.items()} == {n: batch[n].shape for n in ("target", "input")}
    assert all(torch.isfinite(loss) for loss in game.terms(batch, outputs).values())


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_who_judges_what(direction):
    game, batch = make({"data": {"direction": direction}}), images()
    outputs = game.generate(batch)
    back = {"AtoB": "BtoA", "BtoA": "AtoB"}[direction]
    torch.testing.assert_close(outputs["target"], game.generators[direction](batch["input"]))
    torch.testing.assert_close(outputs["input"], game.generators[back](batch["target"]))
    first, second = game.matches(batch, outputs)
    assert first.discriminator is game.discriminators[direction[-1]]
    assert second.discriminator is game.discriminators[direction[0]]
    assert (first.real is batch["target"], first.fake is outputs["target"]) == (True, True)
    assert (second.real is batch["input"], second.fake is outputs["input"]) == (True, True)
    assert first.condition is None
    assert second.condition is None


def test_the_terms_are_the_published_ones():
    weights = {"game": {"lambda_cycle": 8, "lambda_identity": 0.25}}
    game, batch = with_formulas(lambda x: 0.5 * x + 0.1, lambda y: 0.9 - y, weights), images()
    outputs = game.generate(batch)
    terms = {name: value.item() for name, value in game.terms(batch, outputs).items()}
    a, b = (batch[name].double().numpy() for name in ("input", "target"))
    expected = {
        "cycle_input": 8 * np.abs(0.9 - (0.5 * a + 0.1) - a).mean(),
        "cycle_target": 8 * np.abs(0.5 * (0.9 - b) + 0.1 - b).mean(),
        "identity_target": 0.25 * 8 * np.abs(0.5 * b + 0.1 - b).mean(),
        "identity_input": 0.25 * 8 * np.abs(0.9 - a - a).mean(),
    }
    assert terms == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("identity", [0, 0.5])
def test_a_step_runs_each_generator_once_for_the_players_and_once_for_the_terms(identity):
    tree = {"game": {"lambda_identity": identity}, "trainer": {"k": 3}}
    config = configured(SMALL, tree)
    game = make(tree)
    calls = dict.fromkeys(game.generators, 0)
    for name, network in game.generators.items():
        network.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
    losses = trainer_of(game, config).play([images(seed=seed) for seed in range(3)])
    assert calls == {"AtoB": 4, "BtoA": 4}  # three for the discriminators' moves, of which the last serves both players
    identities = {"identity_input", "identity_target"} if identity else set()
    assert {name for name in losses if name.startswith(("cycle", "identity"))} == {
        "cycle_input",
        "cycle_target",
        *identities,
    }


def test_identity_and_cycle_do_not_mix_when_they_run_together():
    batch = images()
    together, alone = make(), make({"game": {"lambda_identity": 0}})
    outputs = together.generate(batch)
    for name in ("cycle_input", "cycle_target"):
        torch.testing.assert_close(together.terms(batch, outputs)[name], alone.terms(batch, outputs)[name])


def test_translation_noise_is_on_what_is_translated_back_and_nowhere_else():
    batch, deviation = images(count=8, side=32), 0.05
    quiet = with_formulas(lambda x: x, lambda y: y)
    noisy = with_formulas(lambda x: x, lambda y: y, {"game": {"translation_noise": deviation}})
    torch.testing.assert_close(dict(noisy.generate(batch)), dict(quiet.generate(batch)))
    torch.testing.assert_close(dict(noisy.previews(batch)), dict(quiet.previews(batch)))
    torch.testing.assert_close(dict(noisy.measures(batch)), dict(quiet.measures(batch)))
    torch.manual_seed(0)
    terms = noisy.terms(batch, noisy.generate(batch))
    # There and back changes nothing, so what is left is the mean of |noise|: deviation * sqrt(2 / pi).
    for name in ("input", "target"):
        assert terms[f"cycle_{name}"].item() == pytest.approx(10 * deviation * math.sqrt(2 / math.pi), rel=0.02)
        assert terms[f"identity_{name}"].item() == 0


def test_the_measures_find_a_generator_that_hides_the_input_in_the_translation():
    """A grey sheet that carries the input in less than a tenth of a level, and one that shows it."""
    batch = images(side=32)
    hiding = with_formulas(lambda x: 0.2 + x / 2000, lambda y: (y - 0.2) * 2000)
    showing = with_formulas(lambda x: -x, lambda y: -y)
    found, clean = hiding.measures(batch), showing.measures(batch)
    for figures in (found, clean):
        assert list(figures) == ["cycle_l1", "cycle_l1_noisy", "cycle_l1_rounded"]
        assert all(values.shape == (2,) for values in figures.values())
        assert figures["cycle_l1"].max() < 0.1
    # Of levels: what stands in the picture suffers by no more than the noise, what hides in it is lost.
    assert found["cycle_l1_noisy"].min() > 30
    assert found["cycle_l1_rounded"].min() > 30
    assert clean["cycle_l1_noisy"].max() < 2
    assert clean["cycle_l1_rounded"].max() < 0.01


def test_the_measures_are_mean_differences_in_levels_over_both_ways():
    batch = images()
    game = with_formulas(lambda x: x, lambda y: y + 3 / 127.5)
    torch.testing.assert_close(game.measures(batch)["cycle_l1"], torch.full((2,), 3.0), rtol=1e-4, atol=0)
    game = with_formulas(lambda x: x * 0, lambda y: y)  # both ways end in grey
    expected = (batch["input"].abs().mean((1, 2, 3)) + batch["target"].abs().mean((1, 2, 3))) / 2 * 127.5
    torch.testing.assert_close(game.measures(batch)["cycle_l1"], expected)


def test_the_measures_repeat_themselves_whatever_the_batch_and_draw_nothing():
    game, batch = make(), images(count=3)
    torch.manual_seed(5)
    together, again = game.measures(batch), game.measures(batch)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    torch.testing.assert_close(dict(together), dict(again), rtol=0, atol=0)
    for index in range(3):
        alone = game.measures({name: pictures[index : index + 1] for name, pictures in batch.items()})
        for name, value in alone.items():
            assert value.item() == pytest.approx(together[name][index].item(), rel=1e-4)


def test_the_previews_show_the_way_back_too():
    game, batch = make(), images()
    shown = game.previews(batch)
    assert list(shown) == ["input", "output", "target", "reconstruction"]
    torch.testing.assert_close(shown["output"], game.generate(batch)["target"])
    torch.testing.assert_close(shown["reconstruction"], game.generators["BtoA"](shown["output"]))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_both_directions_can_be_exported_the_asked_one_first(direction):
    channels = {"input_channels": 1, "target_channels": 4}
    game = make({"data": {"direction": direction, **channels}, "game": {"lambda_identity": 0}})
    exports = game.exports()
    other = {"AtoB": "BtoA", "BtoA": "AtoB"}[direction]
    assert list(exports) == [direction, other]
    assert [export.examples for export in exports.values()] == ["input", "target"]
    batch = images(1, 4, side=12)
    for (name, export), shape in zip(exports.items(), [(1, 4), (4, 1)], strict=True):
        assert export.network is game.generators[name]
        assert (export.channels_in, export.channels_out, export.multiple, export.minimum) == (*shape, 4, 8)
        assert export.network(batch[export.examples]).shape == (2, shape[1], 12, 12)


def test_an_exported_file_computes_what_its_generator_does():
    game = make({"game": {"skip": True, "upsampling": "nearest"}})
    for parameter in game.generators.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    export = game.exports()["BtoA"]
    session = onnxruntime.InferenceSession(to_onnx(export).SerializeToString(), providers=["CPUExecutionProvider"])
    image = images(side=12)[export.examples]
    given = ((image + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with torch.no_grad():
        expected = ((game.generators["BtoA"](image) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(int)
    assert np.abs(session.run(None, {INPUT: given})[0].astype(int) - expected).max() <= 1


def test_each_discriminator_has_a_pool_of_its_own_kind():
    tree = {"data": {"input_channels": 1}, "game": {"lambda_identity": 0}, "trainer": {"pool": 3}}
    config, game = configured(SMALL, tree), make(tree)
    trainer = trainer_of(game, config)
    for seed in range(4):
        trainer.play([images(1, 3, seed=seed)])
    kept = [pool.state() for pool in trainer.pools]
    assert [list(state) for state in kept] == [["fake"], ["fake"]]
    assert [tuple(state["fake"].shape) for state in kept] == [(3, 3, 16, 16), (3, 1, 16, 16)]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_moves_all_four_networks(objective):
    tree = {"objective": {"name": objective}, "game": {"translation_noise": 0.02}}
    config, game = configured(SMALL, tree), make(tree)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    trainer = trainer_of(game, config)
    losses = [trainer.play([images(seed=seed)]) for seed in range(2)]
    assert all(torch.isfinite(value) for each in losses for value in each.values())
    moved = {name.rpartition(".net")[0].split(".")[1] for name, value in game.state_dict().items()
             if not torch.equal(value, before[name])}  # fmt: skip
    assert moved == {"AtoB", "BtoA", "A", "B"}


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_with_a_skip_the_game_begins_with_copying_and_leaves_it(norm):
    tree = {"game": {"skip": True, "norm": norm}, "trainer": {"lr": 1e-2}}
    config, game, batch = configured(SMALL, tree), make(tree), images()
    outputs = game.generate(batch)
    for name, other in (("target", "input"), ("input", "target")):
        torch.testing.assert_close(outputs[name], 0.98 * batch[other], rtol=0, atol=1e-5)
    trainer_of(game, config).play([batch])
    assert (game.generate(batch)["target"] - outputs["target"]).abs().mean() > 1e-3


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_other_normalisations_train(norm):
    tree = {"game": {"norm": norm, "discriminator_norm": norm, "lambda_identity": 0}}
    config, game = configured(SMALL, tree), make(tree)
    losses = trainer_of(game, config).play([images()])
    assert all(torch.isfinite(value) for value in losses.values())
    kind = {"batch": nn.BatchNorm2d, "none": nn.InstanceNorm2d}[norm]
    assert any(isinstance(part, kind) for part in game.modules()) == (norm == "batch")


def test_the_manifest_imports_no_torch():
    code = "import sys, i2i_cyclegan; assert i2i_cyclegan.plugin.kind == 'unpaired'; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
