"""Algorithm 1 of Goodfellow et al. for any game: D moves k times, then G once. Knows no loss and no architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from i2i.config import ObjectiveConfig, PenaltyConfig, StabilityConfig, TrainerConfig
from i2i.errors import TrainingError
from i2i.games.game import Batch, Game, Match, Outputs
from i2i.games.objectives import OBJECTIVES, smoothed
from i2i.games.penalties import PENALTIES
from i2i.games.pool import ImagePool
from i2i.nn.norm import differentiate_rightly_
from i2i.nn.spectral import spectral_
from i2i.training.average import Average
from i2i.training.device import autocast_type
from i2i.training.fault import check_match, check_shaped, naming
from i2i.training.guard import Guard
from i2i.training.player import Player, backward
from i2i.training.schedule import factor
from i2i.training.shown import Shown
from i2i.training.whole import WholeBatch
from i2i.training.world import ALONE, World

RESERVED = frozenset(
    {"adversarial", "discriminator", "accuracy", "signs", "augment", "lr", "images_per_second", "step", "kind"}
    | {"gradient_generators", "gradient_discriminators", *PENALTIES}
)


class Trainer:
    """Two players, an optimizer each, and the running average of the generators.

    The generators' forward pass on the last batch of a step serves both players. Losses and penalties are computed in
    float32, whatever the precision of the networks (arXiv:1406.2661, algorithm 1). In a `world` of several processes
    each gets its part of every batch, and all do what one would do with the whole.

    Raises TrainingError where a layer of the game has no shape yet.
    """

    def __init__(
        self,
        game: Game,
        objective: ObjectiveConfig,
        config: TrainerConfig,
        device: torch.device,
        stability: StabilityConfig | None = None,
        world: World = ALONE,
    ) -> None:
        check_shaped(game)
        stability = StabilityConfig() if stability is None else stability
        self.config = config
        self.device = device
        self.world = world
        self.autocast = autocast_type(device, config.precision)
        self.type = torch.float64 if config.precision == "float64" else torch.float32
        self.memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        if stability.spectral:
            spectral_(game.discriminators)
        self.game: Game = game.to(device, self.type, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.game.train()
        self.step = 0
        self.average = Average(self.game, config.ema)
        differentiate_rightly_(self.game)
        self.pools: list[ImagePool] = []
        self.guard = Guard(config.guard.explosion)
        self.slowed = 1.0
        """What the learning rates are multiplied by beside their schedule."""
        self.objective = smoothed(OBJECTIVES[objective.name], stability.smoothing)
        self.shown = Shown(stability, config.steps, self.objective)
        self._clip = objective.clip
        settings: dict[str, PenaltyConfig] = {name: getattr(objective, name) for name in PENALTIES}
        self._penalties = {name: setting for name, setting in settings.items() if setting.weight > 0}
        rate = config.lr if config.discriminator_lr is None else config.discriminator_lr
        self._generators = Player("generators", self.game.generators, config, config.lr)
        self._discriminators = Player("discriminators", self.game.discriminators, config, rate)
        self.optimizers = {
            player.name: player.optimizer
            for player in (self._generators, self._discriminators)
            if player.optimizer is not None  # a game may have no discriminators
        }

    def play(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """One step on `k` batches, each in `accumulate` parts; returns figures as detached scalars by name.

        `discriminator` is what the discriminators minimised in their last move, without the penalties, which stand
        beside it; `accuracy` the share of places where the real image got the higher logit; `signs` the mean sign of
        the logits of real images; `adversarial` and the game's own terms are what the generators minimised.

        Raises BrokenStepError, before weights are changed by them, for losses and gradients that are no ground for a
        step: what has been played since the last checkpoint is then spoilt. Raises TrainingError, which names the game
        and what the batch holds, where the game cannot play it.
        """
        with naming(self.game, batches), self._sharing(batches):
            return self._play(batches)

    def _play(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        rate = self.slowed * factor(self.config.schedule, self.step, self.config.steps)
        self.shown.begin(self.step)
        ready = [self._with_noise(batch) for batch in batches]
        size = self.config.accumulate
        *earlier, last = (ready[place : place + size] for place in range(0, len(ready), size))
        figures: dict[str, Tensor] = {}
        for number, parts in enumerate(earlier):
            figures |= self._discriminators_move(parts, number, None, rate)
        outputs = self._generate(last[0]) if len(last) == 1 else None
        figures |= self._discriminators_move(last, len(earlier), outputs, rate)
        figures |= self._generators_move(last, outputs, rate)
        self.average.update(self.step)
        self.step += 1
        return figures

    def _sharing(self, batches: Sequence[Batch]) -> AbstractContextManager[object]:
        if self.world.size == 1:
            return nullcontext()
        return WholeBatch(self.world, _length(batches[0]))

    def _with_noise(self, batch: Batch) -> Batch:
        typed = {name: value.to(self.type) if value.is_floating_point() else value for name, value in batch.items()}
        if self.game.noise == 0:
            return typed
        return {**typed, "noise": torch.randn(_length(batch), self.game.noise).to(self.device, self.type)}

    def _casting(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)

    def _generate(self, batch: Batch) -> Outputs:
        with self._casting():
            outputs = self.game.generate(batch)
        return {name: output.to(self.type) for name, output in outputs.items()}

    def _matches(self, batch: Batch, outputs: Outputs) -> Iterator[Match]:
        for number, match in enumerate(self.game.matches(batch, outputs)):
            check_match(self.game, batch, number, match)
            yield replace(match, discriminator=self.shown.of(match.discriminator))

    def _logits(self, match: Match, images: Tensor, condition: Tensor | None) -> Tensor:
        with self._casting():
            logits: Tensor = match.discriminator(images, condition)
        return logits.to(self.type)

    def _discriminators_move(
        self, parts: Sequence[Batch], number: int, outputs: Outputs | None, rate: float
    ) -> dict[str, Tensor]:
        """outputs: of the only part, where they serve the generators too; without, each part is generated for this."""
        player = self._discriminators
        if player.optimizer is None:
            return {}
        player.learn(True)
        player.begin(rate)
        losses: dict[str, Tensor] = {}
        beside: dict[str, Tensor] = {}
        for batch in parts:
            made = self._generate_alone(batch) if outputs is None else outputs
            minimised, seen = self._judge(batch, made, number)
            backward(minimised.values(), len(parts))
            _add(losses, minimised, len(parts))
            _add(beside, seen, len(parts))
        figures = player.move(self.step, losses, beside, self.world, self.guard)
        if self.shown.adaptive:
            figures["augment"] = torch.tensor(self.shown.probability)
        self.shown.update(self.world, self.config.batch)
        if self._clip > 0:  # what makes a critic Lipschitz in Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1
            player.clamp(self._clip)
        return figures

    def _judge(self, batch: Batch, outputs: Outputs, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What the discriminators minimise on one part of a batch, and how they stand."""
        losses: list[Tensor] = []
        right: list[Tensor] = []
        signs: list[Tensor] = []
        penalties: dict[str, list[Tensor]] = {}
        for index, match in enumerate(self._matches(batch, outputs)):
            shown, condition = self._exchange(index, match)
            real = self._logits(match, match.real, match.condition)
            fake = self._logits(match, shown, condition)
            losses.append(self.objective.discriminator(real, fake))
            right.append((real.detach() > fake.detach()).float().mean())
            signs.append(self.shown.watch(real.detach(), fake.detach()))
            for name, setting in self._penalties.items():
                if (self.step * self.config.k + number) % setting.interval == 0:
                    weight = setting.weight * setting.interval
                    penalties.setdefault(name, []).append(weight * PENALTIES[name](match))
        minimised = {"discriminator": torch.stack(losses).sum()}
        minimised |= {name: torch.stack(values).sum() for name, values in penalties.items()}
        return minimised, {"accuracy": torch.stack(right).mean(), "signs": torch.stack(signs).mean()}

    def _exchange(self, index: int, match: Match) -> tuple[Tensor, Tensor | None]:
        """The fakes of a match, or earlier ones; of all processes, as each keeps the whole pool."""
        pool, fake, condition = self.pool(index), match.fake.detach(), match.condition
        if pool.size == 0 or self.world.size == 1:
            return pool.exchange(fake, condition)
        whole = self.world.whole(fake), None if condition is None else self.world.whole(condition)
        fake, condition = pool.exchange(*whole)
        return self.world.part(fake), None if condition is None else self.world.part(condition)

    @torch.no_grad()
    def _generate_alone(self, batch: Batch) -> Outputs:
        return self._generate(batch)

    def _generators_move(self, parts: Sequence[Batch], outputs: Outputs | None, rate: float) -> dict[str, Tensor]:
        self._discriminators.learn(False)
        self._generators.begin(rate)
        losses: dict[str, Tensor] = {}
        for batch in parts:
            minimised = self._oppose(batch, self._generate(batch) if outputs is None else outputs)
            backward(minimised.values(), len(parts))
            _add(losses, minimised, len(parts))
        return self._generators.move(self.step, losses, {}, self.world, self.guard)

    def _oppose(self, batch: Batch, outputs: Outputs) -> dict[str, Tensor]:
        """What the generators minimise on one part of a batch."""
        adversarial = []
        for match in self._matches(batch, outputs):
            fake = self._logits(match, match.fake, match.condition)
            # Objectives that do not pair are spared the pass over the real images.
            real = self._logits(match, match.real, match.condition) if self.objective.paired else fake
            adversarial.append(self.objective.generator(real, fake))
        with self._casting():
            own: Mapping[str, Tensor] = self.game.terms(batch, outputs)
        clash = RESERVED & own.keys()
        if clash:
            raise TrainingError(
                f"{type(self.game).__name__}.terms: the name {', '.join(sorted(clash))} is taken by the trainer",
                "Call the term something else.",
            )
        terms = {name: term.to(self.type) for name, term in own.items()}
        return {"adversarial": torch.stack(adversarial).sum(), **terms} if adversarial else terms

    def pool(self, index: int) -> ImagePool:
        """The memory of the discriminator of the match numbered `index`."""
        if index == len(self.pools):
            self.pools.append(ImagePool(self.config.pool))
        return self.pools[index]

    def extra(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside networks, moments, pools and random states."""
        return {f"{part}.{key}": value for part, held in self._held().items() for key, value in held.state().items()}

    def restore_extra(self, extra: Mapping[str, Tensor]) -> None:
        """Takes back what `extra` gave."""
        for part, held in self._held().items():
            prefix = f"{part}."
            held.restore({key.removeprefix(prefix): value for key, value in extra.items() if key.startswith(prefix)})

    def _held(self) -> dict[str, Guard | Shown]:
        return {"guard": self.guard, "shown": self.shown}


def _length(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _add(sums: dict[str, Tensor], figures: Mapping[str, Tensor], parts: int) -> None:
    """Adds figures of one of so many parts, so that their mean comes out."""
    for name, value in figures.items():
        share = value.detach() / parts
        sums[name] = sums[name] + share if name in sums else share
