"""Algorithm 1 of Goodfellow et al. for any game: D moves k times, then G once. Knows no loss and no architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from i2i.config import ObjectiveConfig, PenaltyConfig, TrainerConfig
from i2i.errors import TrainingError
from i2i.games.game import Batch, Game, Match, Outputs
from i2i.games.objectives import OBJECTIVES
from i2i.games.penalties import PENALTIES
from i2i.games.pool import ImagePool
from i2i.training.average import Average
from i2i.training.device import autocast_type
from i2i.training.fault import check_match, check_shaped, naming
from i2i.training.schedule import factor

RESERVED = frozenset(
    {"adversarial", "discriminator", "accuracy", "lr", "images_per_second", "step", "kind", *PENALTIES}
)


class Trainer:
    """Two players, an optimizer each, and the running average of the generators.

    The generators' forward pass on the last batch of a step serves both players. Losses and penalties are computed in
    float32, whatever the precision of the networks (arXiv:1406.2661, algorithm 1).

    Raises TrainingError where a layer of the game has no shape yet.
    """

    def __init__(self, game: Game, objective: ObjectiveConfig, config: TrainerConfig, device: torch.device) -> None:
        check_shaped(game)
        self.config = config
        self.device = device
        self.autocast = autocast_type(device, config.precision)
        self.memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        self.game: Game = game.to(device=device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.game.train()
        self.step = 0
        self.average = Average(self.game, config.ema)
        self.pools: list[ImagePool] = []
        self._objective = OBJECTIVES[objective.name]
        self._clip = objective.clip
        settings: dict[str, PenaltyConfig] = {name: getattr(objective, name) for name in PENALTIES}
        self._penalties = {name: setting for name, setting in settings.items() if setting.weight > 0}
        self._rates = {
            "generators": config.lr,
            "discriminators": config.lr if config.discriminator_lr is None else config.discriminator_lr,
        }
        self._moved = {
            player: [parameter for parameter in networks.parameters() if parameter.requires_grad]
            for player, networks in self._players()
        }
        self.optimizers = {
            player: torch.optim.Adam(moved, self._rates[player], betas=config.betas, fused=config.fused or None)
            for player, moved in self._moved.items()
            if moved  # a game may have no discriminators
        }

    def play(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """One step on `k` batches; returns the losses as detached scalars by name, left on the device.

        `discriminator` is what the discriminators minimised in their last move, without the penalties, which stand
        beside it; `accuracy` the share of places where the real image got the higher logit; `adversarial` and the
        game's own terms are what the generators minimised.

        Raises TrainingError, which names the game and what the batch holds, where the game cannot play it.
        """
        with naming(self.game, batches):
            return self._play(batches)

    def _play(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        for player, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rates[player] * factor(self.config.schedule, self.step, self.config.steps)
        losses: dict[str, Tensor] = {}
        *earlier, batch = (self._with_noise(batch) for batch in batches)
        for number, early in enumerate(earlier):
            with torch.no_grad():
                outputs = self._generate(early)
            losses |= self._discriminators_move(early, outputs, number)
        outputs = self._generate(batch)
        losses |= self._discriminators_move(batch, outputs, len(earlier))
        losses |= self._generators_move(batch, outputs)
        self.average.update(self.step)
        self.step += 1
        return losses

    def _players(self) -> Iterator[tuple[str, nn.ModuleDict]]:
        yield "generators", self.game.generators
        yield "discriminators", self.game.discriminators

    def _with_noise(self, batch: Batch) -> Batch:
        if self.game.noise == 0:
            return batch
        length = len(next(iter(batch.values())))
        return {**batch, "noise": torch.randn(length, self.game.noise).to(self.device)}

    def _casting(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)

    def _generate(self, batch: Batch) -> Outputs:
        with self._casting():
            outputs = self.game.generate(batch)
        return {name: output.float() for name, output in outputs.items()}

    def _matches(self, batch: Batch, outputs: Outputs) -> Iterator[Match]:
        for number, match in enumerate(self.game.matches(batch, outputs)):
            check_match(self.game, batch, number, match)
            yield match

    def _logits(self, match: Match, images: Tensor, condition: Tensor | None) -> Tensor:
        with self._casting():
            logits: Tensor = match.discriminator(images, condition)
        return logits.float()

    def _discriminators_move(self, batch: Batch, outputs: Outputs, number: int) -> dict[str, Tensor]:
        if "discriminators" not in self.optimizers:
            return {}
        self._let_discriminators_learn(True)
        losses: list[Tensor] = []
        right: list[Tensor] = []
        penalties: dict[str, list[Tensor]] = {}
        for index, match in enumerate(self._matches(batch, outputs)):
            shown, condition = self.pool(index).exchange(match.fake.detach(), match.condition)
            real = self._logits(match, match.real, match.condition)
            fake = self._logits(match, shown, condition)
            losses.append(self._objective.discriminator(real, fake))
            right.append((real.detach() > fake.detach()).float().mean())
            for name, setting in self._penalties.items():
                if (self.step * self.config.k + number) % setting.interval == 0:
                    weight = setting.weight * setting.interval
                    penalties.setdefault(name, []).append(weight * PENALTIES[name](match))
        loss = torch.stack(losses).sum()
        summed = {name: torch.stack(values).sum() for name, values in penalties.items()}
        self._descend("discriminators", [loss, *summed.values()])
        if self._clip > 0:  # what makes a critic Lipschitz in Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1
            with torch.no_grad():
                for parameter in self._moved["discriminators"]:
                    parameter.clamp_(-self._clip, self._clip)
        reported = {"discriminator": loss, **summed, "accuracy": torch.stack(right).mean()}
        return {name: value.detach() for name, value in reported.items()}

    def _generators_move(self, batch: Batch, outputs: Outputs) -> dict[str, Tensor]:
        self._let_discriminators_learn(False)
        adversarial = []
        for match in self._matches(batch, outputs):
            fake = self._logits(match, match.fake, match.condition)
            # Objectives that do not pair are spared the pass over the real images.
            real = self._logits(match, match.real, match.condition) if self._objective.paired else fake
            adversarial.append(self._objective.generator(real, fake))
        with self._casting():
            own: Mapping[str, Tensor] = self.game.terms(batch, outputs)
        clash = RESERVED & own.keys()
        if clash:
            raise TrainingError(
                f"{type(self.game).__name__}.terms: the name {', '.join(sorted(clash))} is taken by the trainer",
                "Call the term something else.",
            )
        terms = {name: term.float() for name, term in own.items()}
        if adversarial:
            terms = {"adversarial": torch.stack(adversarial).sum(), **terms}
        self._descend("generators", terms.values())
        return {name: term.detach() for name, term in terms.items()}

    def _let_discriminators_learn(self, learn: bool) -> None:
        for parameter in self._moved["discriminators"]:  # what the game itself has frozen stays so
            parameter.requires_grad_(learn)

    def _descend(self, player: str, losses: Iterable[Tensor]) -> None:
        optimizer = self.optimizers[player]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(losses)).sum())
        optimizer.step()

    def pool(self, index: int) -> ImagePool:
        """The memory of the discriminator of the match numbered `index`."""
        if index == len(self.pools):
            self.pools.append(ImagePool(self.config.pool))
        return self.pools[index]
