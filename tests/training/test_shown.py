"""What discriminators are shown: noise that falls, augmentation whose probability follows them, for every plugin."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from i2i.config import StabilityConfig
from i2i.games.game import Match
from i2i.games.objectives import OBJECTIVES, smoothed
from i2i.games.penalties import r1
from i2i.testing.subject import Subject
from i2i.training.checkpoint import find, restore, save
from i2i.training.shown import Shown
from i2i.training.whole import WholeBatch
from i2i.training.world import ALONE, World

PLUGINS = ("cgan", "cut", "cyclegan", "dcgan", "pix2pix", "srgan")
GEOMETRY = {"translation": True, "cutout": True}
ALL = {"colour": True, **GEOMETRY}
ADAPTIVE = {**ALL, "adaptive": True}


class Judge(nn.Module):
    """Remembers what it is shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images, condition):
        self.seen.append((images.detach().clone(), condition))
        return images.square().flatten(1).mean(1, keepdim=True)


def make(steps=100, objective="nonsaturating", **stability):
    return Shown(StabilityConfig.model_validate(stability), steps, OBJECTIVES[objective])


def images(count=4, channels=3, seed=0, size=16):
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) + 0.1


def test_without_mitigations_nothing_stands_before_the_discriminator():
    judge, state = Judge(), torch.get_rng_state()
    for shown in (make(), make(augment={**ALL, "probability": 0.0}), make(augment={"probability": 1.0})):
        shown.begin(0)
        assert shown.of(judge) is judge
        assert shown.state() == {}
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_falls_linearly_to_nothing():
    shown, judge = make(steps=100, instance_noise=0.2, noise_until=0.5), Judge()
    black = torch.zeros(16, 3, 32, 32)
    torch.manual_seed(0)
    for step, expected in [(0, 0.2), (10, 0.16), (25, 0.1), (49, 0.004)]:
        shown.begin(step)
        shown.of(judge)(black, None)
        noise = judge.seen[-1][0]
        assert noise.std().item() == pytest.approx(expected, rel=0.02)
        assert abs(noise.mean().item()) < 0.02 * expected
    for step in (50, 99):
        shown.begin(step)
        assert shown.of(judge) is judge


def test_noise_is_for_images_and_not_for_their_condition():
    shown, judge, condition = make(instance_noise=0.2), Judge(), images(seed=1)
    shown.begin(0)
    shown.of(judge)(images(), condition)
    assert judge.seen[0][1] is condition
    assert not torch.equal(judge.seen[0][0], images())


def test_each_call_draws_anew_and_moves_the_condition_with_its_image():
    shown, judge = make(augment=GEOMETRY), Judge()
    shown.begin(0)
    torch.manual_seed(0)
    both = images(count=32)
    seeing = shown.of(judge)
    for _ in ("real", "fake"):
        seeing(both, both)
    (real, first), (fake, second) = judge.seen
    assert torch.equal(real, first)
    assert torch.equal(fake, second)
    assert not any(torch.equal(one, other) for one, other in zip(real, fake, strict=True))


def test_gradients_reach_the_images_once_and_twice():
    shown, judge = make(augment=ALL, instance_noise=0.1), Judge()
    shown.begin(0)
    given = images().requires_grad_()
    shown.of(judge)(given, None).sum().backward()
    assert given.grad.abs().sum() > 0
    weight = nn.Parameter(torch.tensor(2.0))

    class Weighted(nn.Module):
        def forward(self, seen, condition):
            return weight * seen.square().flatten(1).mean(1, keepdim=True)

    r1(Match(shown.of(Weighted()), images(), images(seed=1))).backward()
    assert weight.grad > 0


def test_low_precision_is_augmented_in_float32():
    shown, judge = make(augment=ALL, instance_noise=0.1), Judge()
    shown.begin(0)
    with torch.autocast("cpu", torch.bfloat16):
        shown.of(judge)(images().bfloat16(), None)
    assert judge.seen[0][0].dtype == torch.float32


def logits(*signs):
    return torch.tensor(signs, dtype=torch.float32)


def test_the_probability_rises_above_the_target_and_falls_below_it_every_fourth_move():
    """By hand: 8 images a move, 4 moves, speed 320: a tenth each time."""
    shown = make(augment={**ADAPTIVE, "probability": 0.0, "speed": 320, "target": 0.6})
    path = []
    # Means of signs over four moves: 1, 1, 0.5, 0.75, then 0.25 three times.
    blocks = [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, -1], [1, 1, 1, 0], *[[1, 1, 0, -1]] * 3]
    for block in blocks:
        for sign in block:
            shown.watch(logits(2 * sign, 3 * sign), logits(0, 0))
            shown.update(ALONE, 8)
            path.append(shown.probability)
    assert path[:3] == [0, 0, 0]
    assert path[3::4] == pytest.approx([0.1, 0.2, 0.1, 0.2, 0.1, 0.0, 0.0])
    assert path[4:7] == pytest.approx([0.1] * 3)


def test_it_stays_at_the_target_and_within_0_and_1():
    shown = make(augment={**ADAPTIVE, "probability": 0.9, "speed": 100, "target": 0.5})
    for real in ([1, 1, 1, -1], [1, 1, 1, 1], [1, 1, 1, 1]):
        before = shown.probability
        for _ in range(4):
            shown.watch(logits(*real), logits(0, 0, 0, 0))
            shown.update(ALONE, 5)
        assert shown.probability == (before if -1 in real else 1.0)  # by 0.2 it would be 1.1


def test_parts_and_matches_of_a_move_count_alike():
    shown = make(augment={**ADAPTIVE, "probability": 0.5, "speed": 320, "target": 0.1})
    for _ in range(4):
        shown.watch(logits(1, 1), logits(0, 0))
        shown.watch(logits(*[-1] * 10), logits(*[0] * 10))  # their mean is 0, below the target
        shown.update(ALONE, 8)
    assert shown.probability == pytest.approx(0.4)


def test_processes_count_alike():
    class Two:
        size = 2

        def sum(self, tensor):  # the other process sees all judged fake
            return tensor.add_(-1)

    shown = make(augment={**ADAPTIVE, "probability": 0.5, "speed": 320, "target": 0.1})
    for _ in range(4):
        shown.watch(logits(1, 1), logits(0, 0))
        shown.update(Two(), 8)
    assert shown.probability == pytest.approx(0.4)


def test_processes_draw_what_one_would_for_the_whole_batch():
    shown = make(augment=ALL, instance_noise=0.1)
    shown.begin(0)

    def show(part, mode):
        judge = Judge()
        torch.manual_seed(0)
        with mode:
            for _ in range(2):
                shown.of(judge)(part, part)
        return [torch.cat(seen, 1) for seen in judge.seen]

    whole = show(images(6), nullcontext())
    parts = [show(images(6)[2 * rank : 2 * rank + 2], WholeBatch(World(rank, 3, rank), 2)) for rank in range(3)]
    for seen, *shared in zip(whole, *parts, strict=True):
        torch.testing.assert_close(torch.cat(shared), seen)


@pytest.mark.parametrize(
    ("objective", "share", "expected"),
    [
        ("nonsaturating", 0, [1, 1, 1, -1]),
        ("nonsaturating", 0.1, [1, 1, 1, -1]),  # undecided at log(0.9 / 1.1) = -0.2
        ("lsgan", 0, [1, 0, -1, -1]),
        ("lsgan", 0.2, [1, 1, -1, -1]),  # undecided at 0.4
        ("hinge", 0, [1, 1, 1, -1]),
        ("relativistic", 0, [1, -1, -1, 0]),
        ("wasserstein", 0, [1, -1, -1, 0]),
    ],
)
def test_the_sign_is_by_what_undecided_means_for_the_objective(objective, share, expected):
    real, fake = logits(0.7, 0.5, 0.1, -0.5), logits(0.2, 0.6, 0.3, -0.5)
    for place, sign in enumerate(expected):
        shown = Shown(StabilityConfig(), 10, smoothed(OBJECTIVES[objective], share))
        one = slice(place, place + 1)
        assert shown.watch(real[one], fake[one]).item() == sign


def test_the_state_goes_on_in_the_middle_of_four_moves():
    settings = {"augment": {**ADAPTIVE, "probability": 0.5, "speed": 320}}
    whole, half = make(**settings), make(**settings)
    signs = [1, 1, -1, 1, 1, 1, 1, 1, -1, 1]
    for number, sign in enumerate(signs):
        if number == 6:
            state, half = half.state(), make(**settings)
            half.restore(state)
        for shown in (whole, half):
            shown.watch(logits(sign), logits(0))
            shown.update(ALONE, 8)
        assert half.probability == whole.probability


def test_a_training_that_was_not_adaptive_leaves_no_state_to_go_on_with():
    shown = make(augment={**ADAPTIVE, "probability": 0.3})
    shown.restore({})
    assert shown.probability == 0.3


MITIGATIONS = {
    "averaging": {"trainer": {"ema": 0.9}},
    "two rates": {"trainer": {"discriminator_lr": 4e-4}},
    "spectral norm": {"stability": {"spectral": True}},
    "smoothing": {"stability": {"smoothing": 0.1}, "objective": {"name": "nonsaturating"}},
    "noise": {"stability": {"instance_noise": 0.1}},
    "relativistic, R1 and R2": {
        "objective": {"name": "relativistic", "r1": {"weight": 1, "interval": 2}, "r2": {"weight": 1}}
    },
    "augmentation": {"stability": {"augment": ALL}},
    "all at once": {
        "objective": {"name": "lsgan", "gradient_penalty": {"weight": 1, "interval": 3}, "r1": {"weight": 1}},
        "stability": {
            "smoothing": 0.1,
            "spectral": True,
            "instance_noise": 0.1,
            "augment": {**ADAPTIVE, "probability": 0.5, "speed": 20},
        },
        "trainer": {"steps": 8, "ema": 0.9, "discriminator_lr": 4e-4, "pool": 2},
    },
}


@pytest.fixture(scope="module", params=PLUGINS)
def subject(request):
    return Subject(request.param)


def weights(trainer):
    return {name: value.clone() for name, value in trainer.game.state_dict().items()}


@pytest.mark.parametrize("name", MITIGATIONS)
def test_every_game_trains_under_every_mitigation_and_goes_on_from_a_checkpoint(subject, name, tmp_path):
    scene = subject.playing(MITIGATIONS[name])
    k = scene.config.trainer.k
    trainer = scene.trainer()
    batches = scene.batches(trainer)
    before = weights(trainer)
    figures = trainer.play(batches[:k])
    assert all(torch.isfinite(value) for value in figures.values())
    after = weights(trainer)
    parameters = [key for key, _ in trainer.game.named_parameters()]
    for player in ("generators", "discriminators"):
        assert any(not torch.equal(before[key], after[key]) for key in parameters if key.startswith(player))
    save(trainer, None, tmp_path)
    figures = trainer.play(batches[k : 2 * k])

    again = scene.trainer(seed=1)
    restore(again, find(tmp_path)[-1])
    repeated = again.play(batches[k : 2 * k])
    assert {key: float(value) for key, value in figures.items()} == {
        key: float(value) for key, value in repeated.items()
    }
    there = weights(again)
    assert all(torch.equal(value, there[key]) for key, value in weights(trainer).items())
