"""Algorithm 1 on a game that counts what is asked of it."""

import numpy as np
import pytest
import torch
from torch import nn

from i2i.config import DataConfig, ObjectiveConfig, TrainerConfig
from i2i.errors import TrainingError
from i2i.games.game import Export, Game, Match, NoiseExport
from i2i.metrics.protocol import protocol
from i2i.training.evaluation import evaluate
from i2i.training.schedule import factor
from i2i.training.trainer import Trainer


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(2, 1, 3)
        self.calls = []

    def forward(self, image, condition):
        self.calls.append(image.requires_grad)
        return self.net(torch.cat([condition, image], 1))


class Counting(Game):
    def __init__(self):
        super().__init__()
        self.generators = nn.ModuleDict({"G": nn.Conv2d(1, 1, 3, padding=1)})
        self.discriminators = nn.ModuleDict({"D": Judge()})
        self.generated = []
        self.asked_for_terms = 0

    def generate(self, batch):
        self.generated.append(torch.is_grad_enabled())
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], batch["input"])

    def terms(self, batch, outputs):
        self.asked_for_terms += 1
        return {"l1": 10 * (outputs["fake"] - batch["target"]).abs().mean()}

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"]}

    def exports(self):
        return {"G": Export(self.generators["G"], 1, 1, 1)}


def make(objective="nonsaturating", **settings):
    torch.manual_seed(0)
    config = TrainerConfig(steps=10, precision="float32", channels_last=False, **settings)
    return Trainer(Counting(), ObjectiveConfig.model_validate({"name": objective}), config, torch.device("cpu"))


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(2, 1, 8, 8, generator=generator) * 2 - 1 for name in ("input", "target")}


def values(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_the_discriminator_moves_k_times_and_the_generator_once():
    trainer = make(k=3)
    moves = {"generators": 0, "discriminators": 0}
    for player, optimizer in trainer.optimizers.items():
        optimizer.register_step_post_hook(lambda *_, player=player: moves.__setitem__(player, moves[player] + 1))
    trainer.play([batch(n) for n in range(3)])
    assert moves == {"generators": 1, "discriminators": 3}
    # Steps that move D alone build no graph of G and ask for no terms.
    assert trainer.game.generated == [False, False, True]
    assert trainer.game.asked_for_terms == 1


def test_with_k_1_one_forward_pass_of_each_network_serves_each_player():
    trainer = make()
    trainer.play([batch()])
    assert trainer.game.generated == [True]
    # D sees real and fake in its move, neither with a graph behind it, and the fake with one in G's.
    assert trainer.game.discriminators["D"].calls == [False, False, True]


def test_only_a_paired_objective_asks_for_the_real_logits_in_the_generators_move():
    trainer = make("relativistic")
    trainer.play([batch()])
    assert sorted(trainer.game.discriminators["D"].calls) == [False, False, False, True]


def test_a_move_changes_its_player_alone():
    trainer = make()
    observed = {}
    for player, other in (("discriminators", "generators"), ("generators", "discriminators")):
        mine, theirs = getattr(trainer.game, player), getattr(trainer.game, other)

        def before(*_, player=player, mine=mine, theirs=theirs):
            observed[player] = (values(mine), values(theirs))

        def after(*_, player=player, mine=mine, theirs=theirs):
            own, others = observed[player]
            observed[player] = (changed(mine, own), changed(theirs, others))

        trainer.optimizers[player].register_step_pre_hook(before)
        trainer.optimizers[player].register_step_post_hook(after)
    trainer.play([batch()])
    assert observed == {"discriminators": (True, False), "generators": (True, False)}
    assert all(parameter.grad is not None for parameter in trainer.game.generators.parameters())


def test_a_step_is_what_two_plain_adam_steps_make():
    trainer = make(lr=1e-2, discriminator_lr=3e-2, schedule={"name": "constant"})
    torch.manual_seed(0)
    game = Counting()
    g, d = game.generators["G"], game.discriminators["D"]
    g_adam = torch.optim.Adam(g.parameters(), 1e-2, betas=(0.5, 0.999))
    d_adam = torch.optim.Adam(d.parameters(), 3e-2, betas=(0.5, 0.999))
    softplus = nn.functional.softplus
    for seed in range(3):
        b = batch(seed)
        losses = trainer.play([b])
        fake = g(b["input"])
        d_loss = softplus(-d(b["target"], b["input"])).mean() + softplus(d(fake.detach(), b["input"])).mean()
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        adversarial = softplus(-d(fake, b["input"])).mean()
        l1 = 10 * (fake - b["target"]).abs().mean()
        g_adam.zero_grad()
        (adversarial + l1).backward()
        g_adam.step()
        assert losses["discriminator"].item() == pytest.approx(d_loss.item(), rel=1e-5)
        assert losses["adversarial"].item() == pytest.approx(adversarial.item(), rel=1e-5)
        assert losses["l1"].item() == pytest.approx(l1.item(), rel=1e-5)
    torch.testing.assert_close(trainer.game.generators["G"].state_dict(), g.state_dict(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(trainer.game.discriminators["D"].state_dict(), d.state_dict(), rtol=1e-5, atol=1e-6)


def test_a_lazy_penalty_comes_at_its_interval_with_its_interval_as_weight():
    lazy = make()
    lazy = Trainer(
        Counting(),
        ObjectiveConfig.model_validate({"r1": {"weight": 2.0, "interval": 3}}),
        lazy.config,
        torch.device("cpu"),
    )
    reported = []
    for seed in range(7):
        weight = lazy.game.discriminators["D"].net.weight.detach().clone()
        losses = lazy.play([batch(seed)])
        reported.append("r1" in losses)
        if "r1" in losses:
            # Each of the 36 logits of an image has the gradient w on its 3 x 3 window; their mean overlaps.
            image = torch.zeros(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
            nn.functional.conv2d(image, weight[:, 1:].double()).mean().backward()
            assert losses["r1"].item() == pytest.approx(2.0 * 3 * image.grad.square().sum().item() / 2, rel=1e-4)
    assert reported == [True, False, False, True, False, False, True]


def test_the_average_follows_its_formula():
    trainer = make(ema=0.6)
    live, own = trainer.game.generators["G"].weight, trainer.average.game.generators["G"].weight
    expected = live.detach().double().clone()
    for step in range(8):
        trainer.play([batch(step)])
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * live.detach().double()
        torch.testing.assert_close(own.double(), expected, rtol=1e-5, atol=1e-7)


def test_without_averaging_the_average_is_the_network():
    trainer = make(ema=0)
    trainer.play([batch()])
    torch.testing.assert_close(
        trainer.average.game.generators.state_dict(), trainer.game.generators.state_dict(), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "constant"}, [1] * 10),
        ({"name": "linear"}, [1, 1, 1, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ({"name": "linear", "hold": 0.8}, [1] * 8 + [2 / 3, 1 / 3]),
        ({"name": "constant", "warmup": 4}, [0.25, 0.5, 0.75] + [1] * 7),
        ({"name": "cosine", "hold": 0.8}, [1] * 8 + [0.75, 0.25]),
    ],
)
def test_the_learning_rate_falls_as_told(schedule, expected):
    config = TrainerConfig.model_validate({"steps": 10, "schedule": schedule})
    assert [factor(config.schedule, step, 10) for step in range(10)] == pytest.approx(expected)
    trainer = make(lr=1e-3, schedule=schedule)
    rates = []
    for seed in range(10):
        trainer.play([batch(seed)])
        rates.append(trainer.optimizers["generators"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3 * each for each in expected])


def test_the_published_schedule_over_epochs():
    """100 epochs, then 1 - max(0, k - 100) / 101 at epoch k: the same line, finer."""
    config = TrainerConfig(steps=200).schedule
    ours = [factor(config, step, 200) for step in range(200)]
    theirs = [1 - max(0, k - 100) / 101 for k in range(1, 201)]
    assert ours == pytest.approx(theirs, abs=0.011)


def test_what_a_game_has_frozen_stays_frozen():
    trainer = make()
    game = Counting()
    game.discriminators["D"].net.bias.requires_grad_(False)
    trainer = Trainer(game, ObjectiveConfig(), trainer.config, torch.device("cpu"))
    before = game.discriminators["D"].net.bias.clone()
    trainer.play([batch()])
    assert torch.equal(game.discriminators["D"].net.bias, before)


def test_a_term_may_not_take_a_name_of_the_trainer():
    trainer = make()
    trainer.game.terms = lambda batch, outputs: {"adversarial": outputs["fake"].mean()}
    with pytest.raises(TrainingError, match=r"Counting\.terms: the name adversarial is taken"):
        trainer.play([batch()])


def test_a_network_under_a_second_name_is_averaged_too():
    class Aliased(Counting):
        def __init__(self):
            super().__init__()
            self.painter = self.generators["G"]

    trainer = Trainer(Aliased(), ObjectiveConfig(), make().config, torch.device("cpu"))
    assert trainer.average.game.painter is trainer.average.game.generators["G"]
    assert trainer.average.game.painter is not trainer.game.painter


class Dreaming(Game):
    """Images from noise alone."""

    noise = 5

    def __init__(self):
        super().__init__()
        self.generators = nn.ModuleDict({"G": nn.Linear(5, 4)})
        self.discriminators = nn.ModuleDict({"D": Alone()})
        self.seen = []

    def generate(self, batch):
        self.seen.append(batch["noise"])
        return {"fake": self.generators["G"](batch["noise"]).view(-1, 1, 2, 2)}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"])

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self):
        return {"G": NoiseExport(self.generators["G"], 1, 2, 5)}


class Alone(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 1)

    def forward(self, image, condition):
        assert condition is None
        return self.net(image.flatten(1))


def play(game, batches, **settings):
    torch.manual_seed(0)
    config = TrainerConfig(steps=10, precision="float32", channels_last=False, **settings)
    trainer = Trainer(game, ObjectiveConfig(), config, torch.device("cpu"))
    return trainer, trainer.play(batches)


def test_a_game_of_noise_gets_fresh_normal_noise_in_every_batch():
    images = {"target": torch.rand(300, 1, 2, 2)}
    trainer, losses = play(Dreaming(), [images, images], k=2)
    trainer.play([images, images])
    assert {"adversarial", "discriminator"} <= losses.keys()
    drawn = torch.cat(trainer.game.seen)
    assert drawn.shape == (4 * 300, 5)
    assert len(drawn[:, 0].unique()) == len(drawn)
    assert abs(float(drawn.mean())) < 0.1
    assert abs(float(drawn.std()) - 1) < 0.05


class Unopposed(Counting):
    def __init__(self):
        super().__init__()
        self.discriminators = nn.ModuleDict()

    def matches(self, batch, outputs):
        return ()


def test_without_discriminators_the_generator_minimises_its_terms_alone():
    trainer, losses = play(Unopposed(), [batch()])
    assert losses.keys() == {"l1", "gradient_generators"}
    assert trainer.optimizers.keys() == {"generators"}
    (gradient,) = torch.autograd.grad(losses_of(trainer), trainer.game.generators["G"].bias)
    before = values(trainer.game.generators)
    trainer.play([batch()])
    # Adam's first steps go against the sign of the gradient.
    moved = trainer.game.generators["G"].bias - before["G.bias"]
    assert torch.equal(torch.sign(moved.detach()), -torch.sign(gradient))


class Overreporting(Counting):
    def previews(self, batch):
        return {"output": batch["input"], "target": batch["target"]}

    def measures(self, batch):
        return {"psnr": torch.ones(2)}


def test_a_measure_may_not_take_the_place_of_a_score():
    raw = {name: np.zeros((2, 16, 16, 1), np.uint8) for name in ("input", "target")}
    with pytest.raises(TrainingError, match="psnr is taken"):
        evaluate(Overreporting(), protocol("paired", DataConfig()), [raw], torch.device("cpu"))


def losses_of(trainer):
    return trainer.game.terms(batch(), trainer.game.generate(batch()))["l1"]


def test_clipping_keeps_the_discriminators_weights_small_and_theirs_alone():
    torch.manual_seed(0)
    config = TrainerConfig(steps=10, precision="float32", channels_last=False, lr=0.05)
    objective = ObjectiveConfig(name="wasserstein", clip=0.01)
    trainer = Trainer(Counting(), objective, config, torch.device("cpu"))
    trainer.play([batch()])
    judges = [parameter.abs().max() for parameter in trainer.game.discriminators.parameters()]
    assert max(judges) == pytest.approx(0.01)
    assert max(parameter.abs().max() for parameter in trainer.game.generators.parameters()) > 0.05
