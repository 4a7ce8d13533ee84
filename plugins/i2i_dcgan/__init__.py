"""DCGAN as a plugin: the manifest, which imports no torch."""

from i2i.nn.from_noise.config import EXAMPLE, SMALL, presets
from i2i.plugin import Plugin
from i2i_dcgan.config import DCGANConfig

plugin = Plugin(
    name="dcgan",
    summary="Noise to images: DCGAN, or the first GAN of all",
    paper="arXiv:1511.06434",
    kind="images",
    config=DCGANConfig,
    game="i2i_dcgan.game:build",
    presets=presets(r1=0.5, steps=5_000),
    example=EXAMPLE,
    small=SMALL,
)
