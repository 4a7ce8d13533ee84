"""CUT: what its players minimise, and what its projection is made of."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.config import Layer, resolve
from i2i.errors import ConfigError
from i2i.games.objectives import OBJECTIVES
from i2i.nn.blur import BlurredHalving
from i2i.nn.resnet import ResidualBlock
from i2i.training.checkpoint import restore, save
from i2i.training.trainer import Trainer
from i2i_cut.config import CUTConfig
from i2i_cut.game import build

SMALL = {
    "data": {"size": 16},
    "game": {
        "filters": 4,
        "discriminator_filters": 4,
        "discriminator_layers": 1,
        "blocks": 2,
        "patches": 8,
        "projection": 6,
    },
    "trainer": {"steps": 4, "precision": "float32"},
}
FAST = {"game": {"lambda_nce": 10, "identity": False, "flip": True}}


def configured(*trees):
    return resolve(CUTConfig, [Layer("test", tree) for tree in trees])


def make(*trees, seed=0):
    torch.manual_seed(seed)
    return build(configured(SMALL, *trees))


def images(count=2, side=16, seed=0, channels=3):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randint(256, (count, channels, side, side), generator=generator) / 127.5 - 1
        for name in ("input", "target")
    }


def trainer_of(game, config):
    return Trainer(game, config.objective, config.trainer, torch.device("cpu"))


def test_the_networks_are_the_published_ones():
    with torch.device("meta"):
        game = build(configured({}))
    counts = {
        name: round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3)
        for name, network in [*game.generators.items(), *game.discriminators.items()]
    }
    assert counts == {"G": 11.378, "F": 0.560, "D": 2.765}
    halvings = {
        name: sum(isinstance(part, BlurredHalving) for part in network.modules())
        for name, network in [*game.generators.items(), *game.discriminators.items()]
    }
    assert halvings == {"G": 2, "F": 0, "D": 3}
    assert sum(isinstance(part, ResidualBlock) for part in game.generators["G"].modules()) == 9
    # A perceptron of two layers of 256 for each of five kinds of feature.
    shapes = [tuple(weight.shape) for weight in game.generators["F"].parameters() if weight.dim() == 2]
    assert shapes == [shape for channels in (3, 128, 256, 256, 256) for shape in ((256, channels), (256, 256))]


def test_the_defaults_are_the_published_ones():
    config = configured({})
    assert config.objective.name == "lsgan"
    timing, game = config.trainer, config.game
    assert (timing.pool, timing.batch, timing.lr, timing.betas) == (0, 1, 2e-4, (0.5, 0.999))
    assert (game.lambda_nce, game.identity, game.flip, game.temperature) == (1, True, False, 0.07)
    assert (game.patches, game.projection, game.norm) == (256, 256, "instance")
    assert config.layers == ("image", "down1", "down2", "block1", "block5")


@pytest.mark.parametrize(
    ("blocks", "layers"),
    [(0, ()), (1, ("block1",)), (3, ("block1", "block3")), (6, ("block1", "block5"))],
)
def test_with_fewer_blocks_the_last_one_is_compared(blocks, layers):
    assert configured({"game": {"blocks": blocks}}).layers == ("image", "down1", "down2", *layers)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"data": {"input_channels": 1}}, r"data\.input_channels is 1 and data\.target_channels 3, but the generator"),
        ({"data": {"size": 66}}, r"data\.size 66 cannot be halved 2 times: .* such as 64"),
        ({"data": {"size": 16}}, r"discriminator_layers 3 leaves no patch .* data\.size of 24 or more"),
        ({"game": {"layers": ["down3"]}}, r"game\.layers: .* no layer 'down3': choose of .* block1 to block9"),
        ({"game": {"layers": ["block3"], "blocks": 2}}, r"no layer 'block3': choose of .* block1 to block2"),
        ({"game": {"layers": ["block0"]}}, r"no layer 'block0'"),
        ({"game": {"layers": ["image", "image"]}}, r"game\.layers names a layer twice"),
        ({"game": {"layers": []}}, r"game\.layers: "),
        ({"game": {"temperature": 0}}, r"game\.temperature: .*greater than 0"),
        ({"game": {"patches": 1}}, r"game\.patches: .*greater than or equal to 2"),
        ({"game": {"lambda_cycle": 1}}, r"game\.lambda_cycle: unknown key"),
    ],
)
def test_what_cannot_be_is_said(tree, message):
    with pytest.raises(ConfigError, match=message):
        configured(tree)


def expected_contrast(game, image, made, at):
    """The mean over layers of the mean over images and places, in float64, by softmax alone."""
    network, compared = game.generators["G"], game.generators["F"]
    losses = []
    for name, places in zip(game.layers, at, strict=True):
        values = []
        for pictures in (made, image):
            features = network.features(pictures, [name])[name].detach()
            taken = features.flatten(2)[:, :, places].transpose(1, 2)
            first, _, second = compared.heads[name]
            hidden = (taken.double() @ first.weight.double().T + first.bias.double()).clamp(min=0)
            vectors = (hidden @ second.weight.double().T + second.bias.double()).detach().numpy()
            values.append(vectors / np.linalg.norm(vectors, axis=2, keepdims=True))
        queries, keys = values
        alike = np.exp(np.einsum("npd,nqd->npq", queries, keys) / game.temperature)
        losses.append(-np.log(np.einsum("npp->np", alike) / alike.sum(2)).mean())
    return float(np.mean(losses))


def drawn_places(sides, count):
    return [torch.randperm(side * side)[:count] for side in sides]


@pytest.mark.parametrize("identity", [True, False])
def test_the_terms_are_the_published_ones(identity):
    tree = {"game": {"identity": identity, "lambda_nce": 3, "projection": 32}}  # of few, all may lie below the ReLU
    game, batch = make(tree), images()
    outputs = game.generate(batch)
    torch.manual_seed(1)
    terms = game.terms(batch, outputs)
    torch.manual_seed(1)
    sides = (16, 16, 8, 4, 4)  # of image, down1, down2 (before they are halved), block1, block2
    weight = 1.5 if identity else 3
    expected = {"nce": weight * expected_contrast(game, batch["input"], outputs["fake"], drawn_places(sides, 8))}
    if identity:
        same = game.generators["G"](batch["target"])
        contrast = expected_contrast(game, batch["target"], same, drawn_places(sides, 8))
        expected["nce_identity"] = weight * contrast
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_a_generator_that_copies_is_easier_to_follow_than_one_that_moves():
    game, batch = make({"game": {"layers": ["image"], "identity": False}}), images(side=32)
    copied = game.terms(batch, {"fake": batch["input"]})["nce"]
    moved = game.terms(batch, {"fake": batch["input"].roll(7, 3)})["nce"]
    assert copied < math.log(8) < moved


def test_what_is_known_of_the_input_learns_nothing():
    """Gradients reach the generator through what it makes and what it sees in that, and never through the keys."""
    game, batch = make({"game": {"identity": False}}), images()
    outputs = {"fake": batch["input"].clone().requires_grad_()}
    inputs = {**batch, "input": batch["input"].clone().requires_grad_()}
    game.terms(inputs, outputs)["nce"].backward()
    assert outputs["fake"].grad.abs().max() > 0
    assert inputs["input"].grad is None
    down, up = (
        next(part for part in game.generators["G"].net if isinstance(part, nn.Conv2d) and part.out_channels == wide)
        for wide in (8, 3)
    )
    assert down.weight.grad.abs().max() > 0
    assert up.weight.grad is None  # it comes after all that is compared


def test_autocast_keeps_the_gradients_of_what_both_images_are_seen_by():
    game, batch = make({"game": {"identity": False}}), images()
    weights = dict(game.generators.named_parameters())
    gradients = []
    for enabled in (False, True):
        game.zero_grad()
        torch.manual_seed(1)
        outputs = game.generate(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):  # one of its own, as in the trainer
            nce = game.terms(batch, outputs)["nce"]
        nce.backward()
        gradients.append({name: weight.grad for name, weight in weights.items() if weight.grad is not None})
    exact, cast = gradients
    assert exact.keys() == cast.keys() == weights.keys()
    for name in exact:
        if name.endswith("weight"):
            assert F.cosine_similarity(exact[name].flatten(), cast[name].flatten(), 0) > 0.9, name


def test_the_discriminator_judges_translations_among_targets():
    game, batch = make(), images()
    outputs = game.generate(batch)
    torch.testing.assert_close(outputs["fake"], game.generators["G"](batch["input"]))
    (match,) = game.matches(batch, outputs)
    assert match.discriminator is game.discriminators["D"]
    assert match.real is batch["target"]
    assert match.fake is outputs["fake"]
    assert match.condition is None


def test_flipped_inputs_are_translated_mirrored_and_compared_as_they_were():
    game, batch = make(FAST), images(count=16)
    outputs = game.generate(batch)
    which = outputs["mirrored"]
    assert 0 < which.sum() < 16
    shown = torch.where(which.view(-1, 1, 1, 1), batch["input"].flip(3), batch["input"])
    torch.testing.assert_close(outputs["fake"], game.generators["G"](shown))
    # Of a generator that copies, each patch finds its own, but where features look further than a pixel to one side.
    game.layers = ("image",)
    terms = [game.terms(batch, {"fake": shown, "mirrored": flags.float()}) for flags in (which, ~which)]
    assert terms[0]["nce"] < 0.9 * terms[1]["nce"]
    game.eval()
    assert game.generate(batch).keys() == {"fake"}
    torch.testing.assert_close(game.previews(batch)["output"], game.generators["G"](batch["input"]))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("tree", [{}, FAST], ids=["cut", "fast"])
def test_every_objective_moves_all_three_networks(objective, tree):
    tree = {**tree, "objective": {"name": objective}}
    config, game = configured(SMALL, tree), make(tree)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    trainer = trainer_of(game, config)
    losses = [trainer.play([images(seed=seed)]) for seed in range(2)]
    assert losses[0].keys() >= {"adversarial", "discriminator", "nce"}
    assert ("nce_identity" in losses[0]) == (tree.keys() == {"objective"})
    assert all(torch.isfinite(value) for each in losses for value in each.values())
    moved = {name.split(".")[1] for name, value in game.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"G", "F", "D"}


@pytest.mark.parametrize("norm", ["batch", "affine", "none"])
def test_other_normalisations_train(norm):
    tree = {"game": {"norm": norm, "discriminator_norm": norm}}
    config, game = configured(SMALL, tree), make(tree)
    losses = trainer_of(game, config).play([images()])
    assert all(torch.isfinite(value) for value in losses.values())


def test_to_make_the_projection_moves_no_running_average():
    game = make({"game": {"norm": "batch"}})
    averages = [value for name, value in game.named_buffers() if name.endswith("running_mean")]
    assert averages
    assert all(not value.any() for value in averages)


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_with_a_skip_the_game_begins_with_copying_and_leaves_it(norm):
    tree = {"game": {"skip": True, "norm": norm}, "trainer": {"lr": 1e-2}}
    config, game, batch = configured(SMALL, tree), make(tree), images()
    made = game.generate(batch)["fake"].detach()
    torch.testing.assert_close(made, 0.98 * batch["input"], rtol=0, atol=1e-5)
    trainer_of(game, config).play([batch])
    assert (game.generate(batch)["fake"] - made).abs().mean() > 1e-3


def test_flips_and_places_go_on_where_a_checkpoint_left_them(tmp_path):
    config = configured(SMALL, FAST)
    straight, stopped, other = (trainer_of(make(FAST, seed=seed), config) for seed in (0, 0, 1))
    batches = [images(count=8, seed=seed) for seed in range(4)]
    torch.manual_seed(3)
    for batch in batches:
        straight.play([batch])
    torch.manual_seed(3)
    for batch in batches[:2]:
        stopped.play([batch])
    restore(other, save(stopped, None, tmp_path))
    for batch in batches[2:]:
        other.play([batch])
    one, two = straight.game.state_dict(), other.game.state_dict()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def test_the_manifest_imports_no_torch():
    code = "import sys, i2i_cut; assert i2i_cut.plugin.kind == 'unpaired'; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
