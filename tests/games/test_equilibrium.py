"""What Goodfellow et al. prove (arXiv:1406.2661, proposition 1, theorem 1), found by the trainer on two Gaussians."""

import math

import pytest
import torch
from torch import nn

from i2i.config import ObjectiveConfig, TrainerConfig
from i2i.games.game import Export, Game, Match
from i2i.training.trainer import Trainer

STEPS, BATCH = 500, 4096


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, image, condition):
        return self.net(image.flatten(1))


class Shift(nn.Module):
    """G(z) = z + mean; with next to no learning rate it stays where it is."""

    def __init__(self, mean):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(mean))

    def forward(self, z):
        return z + self.mean


class Gaussians(Game):
    def __init__(self, mean):
        super().__init__()
        self.generators = nn.ModuleDict({"G": Shift(mean)})
        self.discriminators = nn.ModuleDict({"D": Judge()})

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["z"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["real"], outputs["fake"])

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"]}

    def exports(self):
        return {"G": Export(self.generators["G"], 1, 1, 1)}


def density(x, mean):
    return torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("objective", ["minimax", "nonsaturating"])
@pytest.mark.parametrize("mean", [0.0, 1.5])
def test_the_best_discriminator_and_the_value_of_the_game(objective, mean):
    torch.manual_seed(0)
    game = Gaussians(mean)
    schedule = {"name": "cosine", "hold": 0.0}
    config = {
        "steps": STEPS,
        "batch": BATCH,
        "lr": 1e-12,
        "discriminator_lr": 1e-2,
        "schedule": schedule,
        "betas": (0.9, 0.99),
    }
    timing = TrainerConfig.model_validate({**config, "precision": "float32", "channels_last": False})
    trainer = Trainer(game, ObjectiveConfig(name=objective), timing, torch.device("cpu"))
    for _ in range(STEPS):
        trainer.play([{name: torch.randn(BATCH, 1, 1, 1) for name in ("real", "z")}])

    x = torch.linspace(-6, 8, 2801, dtype=torch.float64)
    data, generated = density(x, 0.0), density(x, mean)
    best = data / (data + generated)
    with torch.no_grad():
        found = torch.sigmoid(game.discriminators["D"](x.float().reshape(-1, 1, 1, 1), None)).double().flatten()
    mass = (data + generated) / 2 > 0.02
    assert (found - best)[mass].abs().max() < 0.05

    def integral(y):
        return torch.trapezoid(y, x).item()

    value = integral(data * found.log()) + integral(generated * (1 - found).log())
    middle = (data + generated) / 2
    divergence = integral(data * (data / middle).log()) / 2 + integral(generated * (generated / middle).log()) / 2
    assert value == pytest.approx(-math.log(4) + 2 * divergence, abs=0.01)
    if mean == 0:
        assert (found[mass] - 0.5).abs().max() < 0.05
        assert value == pytest.approx(-math.log(4), abs=0.01)
