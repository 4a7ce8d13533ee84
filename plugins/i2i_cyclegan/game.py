"""CycleGAN as a game: two generators are one player, two discriminators the other (arXiv:1703.10593)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.games.game import Batch, Export, Game, Match, Outputs
from i2i.metrics.metric import to_levels
from i2i.nn.init import he_, normal_
from i2i.nn.resnet import ResNet, begin_as_identity_
from i2i_cyclegan.config import CycleGANConfig
from i2i_cyclegan.networks import discriminator, generator

FAINT: Final = 2 / 127.5  # deviation of the noise in `measures`: 2 of 255 levels, which nobody sees


@final
class CycleGAN(Game):
    """Unpaired translation: two unconditional games, and a way there and back that changes nothing (eq. 3).

    Zhu et al. 2017. A batch holds `input` and `target`, `[N, C, H, W]`, which have nothing to do with each other. The
    networks are named by the kinds of image, A and B, whichever of the two `data.direction` makes the input.
    """

    def __init__(self, config: CycleGANConfig) -> None:
        super().__init__()
        game = config.game
        self.there, self.back = ("AtoB", "BtoA") if config.data.direction == "AtoB" else ("BtoA", "AtoB")
        self.channels = {"input": config.data.input_channels, "target": config.data.target_channels}
        given, wanted = self.channels.values()
        generators = {self.there: generator(config, given, wanted), self.back: generator(config, wanted, given)}
        judged = {self.there[-1]: wanted, self.back[-1]: given}
        self.generators = nn.ModuleDict({name: generators[name] for name in ("AtoB", "BtoA")})
        self.discriminators = nn.ModuleDict({kind: discriminator(config, judged[kind]) for kind in ("A", "B")})
        self.statistics = game.statistics
        self.lambda_cycle = game.lambda_cycle
        self.lambda_identity = game.lambda_identity * game.lambda_cycle
        self.translation_noise = game.translation_noise
        self.batched = game.norm == "batch"
        for networks, norm in ((self.generators, game.norm), (self.discriminators, game.discriminator_norm)):
            (he_ if norm == "none" else normal_)(networks)
        if game.norm == "none" or game.skip:
            begin_as_identity_(self.generators)

    def generate(self, batch: Batch) -> Outputs:
        """The input as a `target`, and the target as an `input`."""
        return {
            "target": self.generators[self.there](batch["input"]),
            "input": self.generators[self.back](batch["target"]),
        }

    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """Real and fake of the target's kind, then of the input's."""
        for name, way in (("target", self.there), ("input", self.back)):
            yield Match(self.discriminators[way[-1]], batch[name], outputs[name])

    def terms(self, batch: Batch, outputs: Outputs) -> Mapping[str, Tensor]:
        """Cycle consistency (eq. 2) and identity (section 5.2); each generator runs once for both, if it can."""
        losses: dict[str, Tensor] = {}
        for name, way, fake in (("input", self.back, outputs["target"]), ("target", self.there, outputs["input"])):
            real = batch[name]
            shown = fake + self.translation_noise * torch.randn_like(fake) if self.translation_noise > 0 else fake
            if self.lambda_identity > 0:
                again, same = self._both(self.generators[way], shown, real)
                losses[f"identity_{name}"] = self.lambda_identity * F.l1_loss(same, real)
            else:
                again = self.generators[way](shown)
            losses[f"cycle_{name}"] = self.lambda_cycle * F.l1_loss(again, real)
        return losses

    def _both(self, generator: nn.Module, shown: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        if self.batched:  # batch norm would mix the two kinds of image
            return generator(shown), generator(real)
        again, same = generator(torch.cat([shown, real])).chunk(2)
        return again, same

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """Input, output, target, and the input after there and back again."""
        output = self.generators[self.there](batch["input"])
        again = self.generators[self.back](output)
        return {"input": batch["input"], "output": output, "target": batch["target"], "reconstruction": again}

    def measures(self, batch: Batch) -> Mapping[str, Tensor]:
        """Whether the translation hides what it is translated back from: cycle errors in levels of 255, each `[N]`.

        Mean absolute differences of images from themselves after there and back again, over both ways: plain, with
        noise of 2 of 255 levels on the translation, the same at every call, and with the translation rounded to the
        levels of a file. Where the last two are much above the first, details of the input are hidden in the
        translation (Chu et al. 2017, arXiv:1712.02950, section 4).
        """
        fakes = self.generate(batch)
        changes = {"cycle_l1": _unchanged, "cycle_l1_noisy": _noisy, "cycle_l1_rounded": _rounded}
        return {
            name: (
                self._cycle_error(self.back, change(fakes["target"]), batch["input"])
                + self._cycle_error(self.there, change(fakes["input"]), batch["target"])
            )
            / 2
            for name, change in changes.items()
        }

    def _cycle_error(self, way: str, translated: Tensor, original: Tensor) -> Tensor:
        again: Tensor = self.generators[way](translated)
        return (again - original).abs().flatten(1).mean(1) * 127.5

    def exports(self) -> Mapping[str, Export]:
        """Both generators, from the input to the target first."""
        given, wanted = self.channels.values()
        there, back = self.generators[self.there], self.generators[self.back]
        multiple, minimum = ResNet.multiple, ResNet.minimum
        return {
            self.there: Export(there, given, wanted, multiple, minimum=minimum, examples="input"),
            self.back: Export(back, wanted, given, multiple, minimum=minimum, examples="target"),
        }


def _unchanged(images: Tensor) -> Tensor:
    return images


def _noisy(images: Tensor) -> Tensor:
    # Drawn on the CPU, and one for all images, so that neither device nor batch changes what is measured.
    noise = torch.randn((1, *images.shape[1:]), generator=torch.Generator().manual_seed(0))
    return images + FAINT * noise.to(images.device)


def _rounded(images: Tensor) -> Tensor:
    return to_levels(images) / 127.5 - 1


def build(config: CycleGANConfig) -> CycleGAN:
    """The game of a resolved configuration, freshly initialised."""
    return CycleGAN(config)
