"""cGAN as a plugin: the manifest, which imports no torch."""

from i2i.nn.from_noise.config import EXAMPLE, SMALL, presets
from i2i.plugin import Plugin
from i2i_cgan.config import CGANConfig

plugin = Plugin(
    name="cgan",
    summary="Noise and a class to images: the conditional GAN, convolutional or as first published",
    paper="arXiv:1411.1784",
    kind="labelled",
    config=CGANConfig,
    game="i2i_cgan.game:build",
    presets=presets(r1=0.1, steps=4_000),
    example=EXAMPLE,
    small=SMALL,
)
