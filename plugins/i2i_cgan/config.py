"""What of the conditional GAN can be set; the networks are DCGAN's, or those of Mirza & Osindero (arXiv:1411.1784)."""

from __future__ import annotations

from pydantic import Field

from i2i.nn.from_noise.config import FromNoiseConfig


class CGANConfig(FromNoiseConfig):
    """A run of the conditional GAN; the classes are `data.classes`."""

    plugin: str = Field("cgan", description="which architecture")
