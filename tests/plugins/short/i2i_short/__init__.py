"""pix2pix (arXiv:1611.07004) as a stranger would write it: what can be set, and the manifest."""

from pydantic import model_validator

from i2i.config import RunConfig, Section
from i2i.plugin import Plugin


class ShortGame(Section):
    filters: int = 64
    depth: int = 5
    lambda_l1: float = 100.0


class ShortConfig(RunConfig):
    game: ShortGame = ShortGame()

    @model_validator(mode="after")
    def _size_can_be_halved(self):
        if self.data.size % 2**self.game.depth:
            raise ValueError(f"data.size {self.data.size}: choose a multiple of {2**self.game.depth}")
        return self


small = {"game": {"filters": 4}}
plugin = Plugin("short", "pix2pix", "arXiv:1611.07004", "paired", ShortConfig, "i2i_short.game:Short", small=small)
