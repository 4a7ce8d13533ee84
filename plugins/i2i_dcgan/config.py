"""What of DCGAN can be set; the defaults are the paper's (Radford et al. 2016, arXiv:1511.06434, sections 3 and 4)."""

from __future__ import annotations

from pydantic import Field

from i2i.nn.from_noise.config import FromNoiseConfig


class DCGANConfig(FromNoiseConfig):
    """A run of DCGAN."""

    plugin: str = Field("dcgan", description="which architecture")
