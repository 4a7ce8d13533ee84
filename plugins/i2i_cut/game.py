"""CUT as a game: a generator, and what its patches are compared by, against one discriminator (arXiv:2007.15651)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast, final

import torch
from torch import Tensor, nn

from i2i.games.game import Batch, Export, Game, Match, Outputs
from i2i.nn.init import he_, normal_
from i2i.nn.patches import info_nce, mirrored, patches, places
from i2i.nn.resnet import ResNet, begin_as_identity_
from i2i_cut.config import CUTConfig
from i2i_cut.networks import discriminator, generator, projection


@final
class CUT(Game):
    """Unpaired translation one way: an unconditional game, and patches that stay what they were (eq. 5).

    Park et al. 2020. A batch holds `input` and `target`, `[N, C, H, W]`, which have nothing to do with each other. The
    generator's own first half tells how alike two patches are.
    """

    def __init__(self, config: CUTConfig) -> None:
        super().__init__()
        game = config.game
        translator = generator(config)
        self.generators = nn.ModuleDict({"G": translator, "F": projection(config, translator)})
        self.discriminators = nn.ModuleDict({"D": discriminator(config)})
        self.statistics = game.statistics
        self.channels = config.data.input_channels, config.data.target_channels
        self.layers = config.layers
        self.patches, self.temperature = game.patches, game.temperature
        self.identity, self.flip = game.identity, game.flip
        self.weight = game.lambda_nce / (2 if game.identity else 1)
        normal_(self.generators["F"])
        for network, norm in ((translator, game.norm), (self.discriminators, game.discriminator_norm)):
            (he_ if norm == "none" else normal_)(network)
        if game.norm == "none" or game.skip:
            begin_as_identity_(translator)

    def generate(self, batch: Batch) -> Outputs:
        """The translation, `fake`; with flips, in training, of `mirrored` inputs where that is 1, `[N]`."""
        image = batch["input"]
        if not (self.flip and self.training):
            return {"fake": self.generators["G"](image)}
        which = torch.rand(len(image)).to(image.device) < 0.5
        return {"fake": self.generators["G"](mirrored(image, which)), "mirrored": which}

    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """Images of the target's kind, real and made."""
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"])

    def terms(self, batch: Batch, outputs: Outputs) -> Mapping[str, Tensor]:
        """The contrast between the patches of input and translation, and of target and its own translation."""
        which = outputs["mirrored"] > 0 if "mirrored" in outputs else None
        losses = {"nce": self.weight * self._contrast(batch["input"], outputs["fake"], which)}
        if self.identity:
            target = batch["target"]
            losses["nce_identity"] = self.weight * self._contrast(target, self.generators["G"](target))
        return losses

    def _contrast(self, image: Tensor, made: Tensor, which: Tensor | None = None) -> Tensor:
        """Mean over the layers; `made` of mirrored images, where `which` says so, is compared as it would have been."""
        network, compared = cast("ResNet", self.generators["G"]), self.generators["F"]
        queried = network.features(made, self.layers)
        with torch.no_grad():
            known = network.features(image, self.layers)
        losses = []
        for name in self.layers:
            features = queried[name] if which is None else mirrored(queried[name], which)
            at = places(features, self.patches)
            queries = compared(name, patches(features, at))
            with torch.no_grad():
                keys = compared(name, patches(known[name], at))
            losses.append(info_nce(queries, keys, self.temperature))
        return torch.stack(losses).mean()

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """Input, output and target."""
        return {"input": batch["input"], "output": self.generators["G"](batch["input"]), "target": batch["target"]}

    def exports(self) -> Mapping[str, Export]:
        """The generator."""
        network = self.generators["G"]
        return {"G": Export(network, *self.channels, multiple=ResNet.multiple, minimum=ResNet.minimum)}


def build(config: CUTConfig) -> CUT:
    """The game of a resolved configuration, freshly initialised."""
    return CUT(config)
