"""SRGAN: its two stages, what the generator minimises in each, what is said of it, and what is kept out of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models import vgg19

from i2i import api
from i2i import plugin as plugins
from i2i.config import Layer, dump, read_yaml, resolve
from i2i.errors import ConfigError, TrainingError
from i2i.nn.features import efficientnet_lite0
from i2i.nn.rrdbnet import RRDBNet
from i2i.training.best import best_checkpoint
from i2i.training.checkpoint import averaged
from i2i.training.run import Run
from i2i.training.trainer import Trainer
from i2i_srgan.config import SRGANConfig, stages
from i2i_srgan.game import build
from i2i_srgan.networks import perceptual

SMALL = {
    "device": "cpu",
    "data": {"size": 32},
    "game": {"filters": 8, "blocks": 1, "discriminator_filters": 2, "discriminator_dense": 4, "perceptual": "mse"},
    "trainer": {"steps": 4, "batch": 2, "precision": "float32"},
    "content": {"times": 1.5},
}


def configured(*trees):
    return resolve(SRGANConfig, [Layer("test", tree) for tree in (SMALL, *trees)])


def make(*trees, seed=0):
    torch.manual_seed(seed)
    return build(configured(*trees))


def batch(scale=4, side=32, count=2, seed=0, channels=3):
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(count, channels, side, side, generator=generator) * 2 - 1
    return {"input": F.avg_pool2d(target, scale), "target": target}


def test_the_first_stage_is_the_squared_error_and_nobody_opposes():
    game = make({"stage": "content"})
    given = batch()
    outputs = game.generate(given)
    assert list(game.matches(given, outputs)) == []
    assert len(game.discriminators) == 0
    terms = game.terms(given, outputs)
    assert terms.keys() == {"mse"}
    expected = np.mean((outputs["fake"].detach().numpy() - given["target"].numpy()) ** 2)
    assert terms["mse"].item() == pytest.approx(expected, rel=1e-5)


def test_the_discriminator_sees_no_condition():
    game = make({"stage": "gan"})
    given = batch()
    outputs = game.generate(given)
    (match,) = game.matches(given, outputs)
    assert match.condition is None
    assert match.real is given["target"]
    assert match.fake is outputs["fake"]
    assert match.discriminator(match.fake, None).shape == (2, 1)


def test_pixels_may_stand_for_content():
    game = make({"stage": "gan", "game": {"lambda_content": 7}})
    given = batch()
    outputs = game.generate(given)
    expected = 7 * (outputs["fake"] - given["target"]).square().mean()
    torch.testing.assert_close(game.terms(given, outputs), {"mse": expected})


def test_features_may_stand_for_content():
    game = make({"stage": "gan", "game": {"perceptual": "efficientnet-lite0", "lambda_content": 7}})
    given = batch(side=64)
    outputs = {"fake": given["target"].flip(3).requires_grad_()}
    (term,) = game.terms(given, outputs).values()
    (term_again,) = game.terms(given, outputs).values()
    assert term_again != term  # seen from another place
    torch.manual_seed(5)
    (term,) = game.terms(given, outputs).values()
    torch.manual_seed(5)
    top, left = (int(torch.randint(16, ())) for _ in range(2))
    network = efficientnet_lite0()
    seen = (images[..., top:, left:] for images in (outputs["fake"], given["target"]))
    pairs = zip(*map(network.maps, seen), strict=True)
    expected = 7 * sum((made - wanted).square().mean() for made, wanted in pairs)
    torch.testing.assert_close(term, expected, rtol=1e-4, atol=0)
    term.backward()
    assert outputs["fake"].grad.any()
    assert game.terms(given, {"fake": given["target"]})["perceptual"].item() == 0


def vgg_weights(path):
    """VGG19's first convolutions, which are all that relu2_2 needs."""
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128)}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for number, (wide, narrow) in shapes.items():
        state[f"features.{number}.weight"] = torch.randn(wide, narrow, 3, 3, generator=generator) * 0.05
        state[f"features.{number}.bias"] = torch.zeros(wide)
    torch.save(state, path)
    return str(path)


def test_the_frozen_network_is_neither_trained_nor_saved(tmp_path):
    weights = vgg_weights(tmp_path / "vgg.pth")
    config = configured({"stage": "gan", "game": {"perceptual": "vgg19-relu2_2", "perceptual_weights": weights}})
    torch.manual_seed(0)
    game = build(config)
    plain = make({"stage": "gan"})
    assert game.state_dict().keys() == plain.state_dict().keys()
    trainer = Trainer(game, config.objective, config.trainer, torch.device("cpu"))
    game.demand()
    assert game.state_dict().keys() == plain.state_dict().keys()
    (network,) = game._seeing
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = [trainer.play([batch(seed=step)]) for step in range(2)]
    assert all(loss["perceptual"] > 0 for loss in losses)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())


def test_features_may_be_compared_before_they_are_rectified(tmp_path):
    with torch.device("meta"):
        state = vgg19().features.state_dict()
    weights = {name: torch.zeros(value.shape) for name, value in state.items()}
    for name, value in weights.items():
        if name.endswith("weight"):
            value[:, 0, 1, 1] = torch.linspace(-1, 1, len(value))
            value[0, 0, 1, 1] = 1  # the first feature is what goes through
    save_file(weights, tmp_path / "vgg.safetensors")
    shown = torch.rand(1, 3, 32, 32) * 2 - 1
    both = []
    for name in ("vgg19-conv5_4", "vgg19-relu5_4"):
        settings = {"perceptual": name, "perceptual_weights": str(tmp_path / "vgg.safetensors")}
        (features,) = perceptual(configured({"game": settings}).game).maps(shown)
        both.append(features)
    before, after = both
    assert before.shape == (1, 512, 2, 2)
    assert (before < 0).any()
    torch.testing.assert_close(before.clamp(min=0), after)


def test_what_stands_for_content_is_said():
    assert "squared error of pixels alone" in " ".join(make({"stage": "content"}).notes())
    assert "squared error of pixels, 1000 times" in " ".join(make({"stage": "gan"}).notes())
    noted = make({"stage": "gan", "game": {"perceptual": "efficientnet-lite0", "lambda_content": 50}}).notes()
    assert "efficientnet-lite0, 50 times" in " ".join(noted)


@pytest.mark.parametrize("stage", ["content", "gan"])
def test_missing_weights_are_said_before_the_first_stage(monkeypatch, tmp_path, stage):
    """The published choice, which is never exchanged for another in silence."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    config = configured({"game": {"perceptual": "vgg19-relu5_4"}})
    with pytest.raises(TrainingError, match="ImageNet weights of VGG19 are not at"):
        build(stages(config)[stage]).demand()


def test_the_squared_error_alone_needs_no_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (config,) = stages(configured({"stage": "content", "game": {"perceptual": "vgg19-relu5_4"}})).values()
    build(config).demand()


def test_the_error_of_pixels_may_be_absolute_and_stand_beside_the_content():
    given = batch()
    game = make({"stage": "content", "game": {"error": "absolute"}})
    outputs = game.generate(given)
    difference = (outputs["fake"] - given["target"]).detach()
    torch.testing.assert_close(game.terms(given, outputs), {"l1": difference.abs().mean()})
    for error, expected in (("absolute", difference.abs().mean()), ("squared", difference.square().mean())):
        game = make({"stage": "gan", "game": {"error": error, "lambda_pixels": 3, "lambda_content": 7}})
        terms = game.terms(given, outputs)
        torch.testing.assert_close(terms, {"mse": 7 * difference.square().mean(), "pixels": 3 * expected})
        assert f"the {error} error of pixels, 3 times" in " ".join(game.notes())


def test_the_error_of_features_may_be_absolute():
    settings = {"perceptual": "efficientnet-lite0", "lambda_content": 7, "error": "absolute"}
    game = make({"stage": "gan", "game": settings})
    game.demand()
    given = batch(side=64)
    outputs = {"fake": given["target"].flip(3)}
    torch.manual_seed(5)
    (term,) = game.terms(given, outputs).values()
    torch.manual_seed(5)
    top, left = (int(torch.randint(16, ())) for _ in range(2))
    network = efficientnet_lite0()
    seen = (images[..., top:, left:] for images in (outputs["fake"], given["target"]))
    pairs = zip(*map(network.maps, seen), strict=True)
    torch.testing.assert_close(term, 7 * sum((made - wanted).abs().mean() for made, wanted in pairs), rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [16, 24, 40])
def test_small_squares_are_never_cut_to_less_than_the_features_need(size):
    game = make({"stage": "gan", "data": {"size": size}, "game": {"perceptual": "efficientnet-lite0"}})
    given = batch(side=size)
    for seed in range(8):
        torch.manual_seed(seed)
        assert torch.isfinite(game.terms(given, {"fake": given["target"].flip(3)})["perceptual"])


def test_stages_come_from_one_configuration():
    config = configured({"content": {"lr": 5e-4, "ema": 0.9, "schedule": {"name": "cosine"}, "batch": 3}})
    content, gan = stages(config).values()
    assert list(stages(config)) == ["content", "gan"]
    assert (content.trainer.steps, content.trainer.lr, content.trainer.ema, content.trainer.batch) == (6, 5e-4, 0.9, 3)
    assert content.trainer.schedule.name == "cosine"
    assert (gan.trainer.steps, gan.trainer.lr, gan.trainer.batch) == (4, config.trainer.lr, 2)
    assert gan.trainer.schedule == config.trainer.schedule
    # By the error of pixels the first of its checkpoints, the least changed, would be the best.
    assert (content.trainer.best_by, gan.trainer.best_by) == (None, "kid_efficientnet")
    assert stages(configured({"trainer": {"best_by": "ssim_y"}}))["gan"].trainer.best_by == "ssim_y"


@pytest.mark.parametrize("name", ["content", "gan"])
def test_a_stage_written_down_and_read_back_is_the_same_stage(tmp_path, name):
    config = stages(configured({"content": {"lr": 5e-4}, "init": "a run"}))[name]
    (tmp_path / "config.yaml").write_text(dump(config))
    again = resolve(SRGANConfig, [read_yaml(tmp_path / "config.yaml")])
    ((stage, played),) = stages(again).items()
    assert stage == name
    assert played.trainer == config.trainer


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"data": {"scale": 3, "size": 96}}, "data.scale 3: srresnet makes images 2, 4 or 8 times as large"),
        ({"data": {"scale": 5}}, "data.scale"),
        ({"data": {"scale": 8}, "game": {"network": "msrresnet"}}, "data.scale 8: msrresnet makes images 2, 3 or 4"),
        (
            {"data": {"scale": 3, "size": 96}, "game": {"network": "rrdbnet", "unshuffle": 2}},
            "game.unshuffle 2: goes with a data.scale of 1, 2, 4 or 8, not 3",
        ),
        (
            {"data": {"scale": 1, "size": 30}, "game": {"network": "rrdbnet"}},
            "data.size 30: .* unshuffles by 4: choose a multiple of 4 from 16 on, such as 32",
        ),
        ({"game": {"filters": 5}}, "game.filters 5: an interpolation takes 6"),
        ({"game": {"network": "esrgan"}}, "game.network"),
        ({"data": {"size": 90, "scale": 4}}, "data.size 90: .* such as 88"),
        ({"data": {"size": 8}}, "data.size 8: .* such as 16"),
        ({"data": {"input_channels": 1}}, "data.input_channels 1 and data.target_channels 3"),
        ({"data": {"input_channels": 4, "target_channels": 4}}, "both are 3 for colour, or 1 for grey"),
        ({"game": {"perceptual_weights": "vgg.pth"}}, "game.perceptual_weights is for VGG19"),
        ({"game": {"perceptual": "vgg19-relu5_5"}}, "did you mean 'vgg19-relu5_4'"),
        ({"stage": "contents"}, "did you mean 'content'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(tree, said):
    with pytest.raises(ConfigError, match=said):
        configured(tree)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_it_trains_at_every_scale_and_in_grey(scale):
    config = configured({"stage": "gan", "data": {"scale": scale, "input_channels": 1, "target_channels": 1}})
    torch.manual_seed(0)
    trainer = Trainer(build(config), config.objective, config.trainer, torch.device("cpu"))
    losses = trainer.play([batch(scale, channels=1)])
    assert {"adversarial", "discriminator", "mse"} <= losses.keys()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert trainer.average.game.exports()["G"].scale == scale


NETWORKS = [  # and scale, unshuffle, which is the multiple of the sizes it takes
    ("msrresnet", 2, None, 1),
    ("msrresnet", 3, None, 1),
    ("rrdbnet", 4, None, 1),
    ("rrdbnet", 2, None, 2),
    ("rrdbnet", 1, None, 4),
    ("rrdbnet", 2, 1, 1),
    ("rrdbnet", 3, None, 1),
    ("rrdbnet", 4, 2, 2),
]


def with_network(name, scale, unshuffle, **more):
    game = {"network": name, "growth": 4, "unshuffle": unshuffle}
    return {"stage": "gan", "data": {"scale": scale, "size": 48}, "game": game, **more}


@pytest.mark.parametrize(("name", "scale", "unshuffle", "multiple"), NETWORKS)
def test_its_generator_may_be_that_of_msrgan_or_esrgan(name, scale, unshuffle, multiple):
    config = configured(with_network(name, scale, unshuffle, objective={"name": "relativistic"}))
    torch.manual_seed(0)
    trainer = Trainer(build(config), config.objective, config.trainer, torch.device("cpu"))
    losses = trainer.play([batch(scale, side=48)])
    assert all(torch.isfinite(loss) for loss in losses.values())
    export = trainer.average.game.exports()["G"]
    assert (export.scale, export.multiple) == (scale, multiple)


@pytest.mark.parametrize(("network", "blocks"), [("srresnet", 16), ("msrresnet", 16), ("rrdbnet", 23)])
def test_it_is_as_deep_as_published(network, blocks):
    config = resolve(SRGANConfig, [Layer("test", {"game": {"network": network}})])
    assert config.blocks == blocks


@pytest.mark.parametrize(("name", "scale", "unshuffle", "multiple"), NETWORKS[2:5])
def test_images_of_any_size_are_shown(name, scale, unshuffle, multiple):
    """Those that are no multiples are padded as numpy does, and the padding cut off."""
    game = make(with_network(name, scale, unshuffle)).eval()
    image = torch.rand(1, 3, 7, 10) * 2 - 1
    shown = game.previews({"input": image, "target": torch.zeros(1, 3, 7 * scale, 10 * scale)})
    padding = (0, 0), (0, 0), (0, -7 % multiple), (0, -10 % multiple)
    whole = torch.from_numpy(np.pad(image.numpy(), padding, mode="reflect"))
    expected = game.generate({"input": whole})["fake"][..., : 7 * scale, : 10 * scale]
    torch.testing.assert_close(shown["output"], expected)
    assert shown["input"] is image


@pytest.mark.parametrize("network", ["srresnet", "msrresnet", "rrdbnet"])
def test_the_first_stage_learns(network):
    game = {"network": network, "growth": 4}
    config = configured({"stage": "content", "game": game, "trainer": {"lr": 1e-3, "steps": 60}})
    torch.manual_seed(0)
    trainer = Trainer(build(config), config.objective, config.trainer, torch.device("cpu"))
    paler = []
    for seed in range(2):
        image = batch(side=8, seed=seed)["target"]
        paler.append({"input": image, "target": F.interpolate(image, scale_factor=4) / 2})
    losses = [trainer.play([paler[step % 2]])["mse"].item() for step in range(60)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Soft shapes with an edge each."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(6):
        rng = np.random.default_rng(number)
        soft = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((48, 40), Image.Resampling.BICUBIC)
        soft.paste((int(rng.integers(256)), 30, 200), (4 * number, 10, 4 * number + 15, 30))
        soft.save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """A finished run of both stages, not to be changed; the second one moves next to nothing."""
    changed = {
        "data": {"source": str(photos), "size": 32, "validation": 0.4},
        "trainer": {**SMALL["trainer"], "lr": 1e-30, "validate_every": 2},
        "content": {"times": 1, "lr": 1e-4},
    }
    return api.train("srgan", SMALL | changed, out=tmp_path_factory.mktemp("runs") / "srgan-001")


def test_both_stages_are_one_command(trained):
    facts = trained.facts()
    first = Run(trained.stages / "content")
    assert facts["state"] == first.facts()["state"] == "finished"
    assert facts["scores"]["model"].keys() >= {"psnr_y", "ssim_y"}
    assert facts["scores"]["baselines"].keys() == {"bicubic"}
    assert any("content loss" in note for note in facts["notes"])
    assert first.model.is_file()
    names = {
        run: {line["kind"]: line for line in map(json.loads, run.metrics.read_text().splitlines())}
        for run in (first, trained)
    }
    assert "mse" in names[first]["train"]
    assert "adversarial" not in names[first]["train"]
    assert {"adversarial", "mse"} <= names[trained]["train"].keys()


def test_the_second_stage_starts_from_the_best_of_the_first(trained):
    first, last = (averaged(best_checkpoint(run)[0]) for run in (Run(trained.stages / "content"), trained))
    moved = {name for name in first if "running" not in name and "batches" not in name}  # not batch norm's averages
    assert len(moved) > 20
    for name in moved:
        torch.testing.assert_close(last[name], first[name], atol=1e-6, rtol=0)


def test_the_exported_file_enlarges_any_image_without_torch(trained, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)).save(tmp_path / "small.png")
    program = """
import sys
import i2i
from PIL import Image
folder, model = sys.argv[1:]
i2i.load(model)(Image.open(f"{folder}/small.png")).save(f"{folder}/large.png")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path), str(trained.model)], check=True, timeout=60)
    assert Image.open(tmp_path / "large.png").size == (84, 52)


def test_the_manifest_imports_no_torch():
    program = """
import sys
from i2i import plugin
manifest = plugin.load("srgan")
list(manifest.stages(manifest.config()))
assert not {"torch", "torchvision"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert plugins.load("srgan").kind == "upscaled"


def test_a_network_of_basicsr_is_gone_on_with(tmp_path):
    """Imported, trained at next to no rate on images of odd sizes, and into a file that takes them."""
    torch.manual_seed(0)
    theirs = RRDBNet(3, 3, scale=2, filters=8, blocks=1, growth=4, unshuffle=2)
    torch.save({"params_ema": basicsr(theirs)}, tmp_path / "net_g.pth")
    api.import_checkpoint(tmp_path / "net_g.pth", tmp_path / "imported.safetensors")
    (tmp_path / "photos").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (42, 46, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    settings = {
        "device": "cpu",
        "stage": "content",
        "init": str(tmp_path / "imported.safetensors"),
        "data": {"source": str(tmp_path / "photos"), "size": 32, "validation": 0.5},
        "game": {"discriminator_filters": 2, "discriminator_dense": 4, "perceptual": "mse"},
        "trainer": {"steps": 2, "batch": 2, "lr": 1e-30, "schedule": {"name": "constant"}},
        "content": {"times": 1, "lr": 1e-30, "schedule": {"name": "constant"}},
    }
    run = api.train("srgan", settings, out=tmp_path / "run")
    learned = averaged(best_checkpoint(run)[0])
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(learned[f"G.{name}"], value)
    small = np.random.default_rng(9).integers(0, 256, (21, 23, 3), np.uint8)
    assert np.asarray(api.load(run.model, "cpu")(small)).shape == (42, 46, 3)


def basicsr(network):
    """The weights by the names of BasicSR; those of the first convolution as of pixel-unshuffled images."""
    named = {}
    for name, value in network.state_dict().items():
        place, _, kind = name.rpartition(".")
        parts = place.split(".")
        if place == "head" and kind == "weight":
            made, seen, side, _ = value.shape
            factor = side // 3
            apart = value.view(made, seen, 3, factor, 3, factor).permute(0, 1, 3, 5, 2, 4)
            named["conv_first.weight"] = apart.reshape(made, -1, 3, 3)
            continue
        if len(parts) == 6:
            place = f"body.{parts[1]}.rdb{int(parts[3]) + 1}.conv{int(parts[5]) + 1}"
        else:
            ends = {"head": "conv_first", "body.1": "conv_body", "tail.0": "conv_hr", "tail.2": "conv_last"}
            place = {**ends, "up.1": "conv_up1", "up.4": "conv_up2"}[place]
        named[f"{place}.{kind}"] = value
    return named
