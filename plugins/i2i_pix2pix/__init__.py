"""pix2pix as a plugin: the manifest, which imports no torch."""

from i2i.plugin import Plugin
from i2i_pix2pix.config import Pix2PixConfig

plugin = Plugin(
    name="pix2pix",
    summary="Paired translation: a U-Net against a conditional PatchGAN, plus L1",
    paper="arXiv:1611.07004",
    kind="paired",
    config=Pix2PixConfig,
    game="i2i_pix2pix.game:build",
    presets={
        "cpu": {
            "data": {"size": 64},
            "game": {"filters": 32, "discriminator_filters": 32},
            "trainer": {"steps": 2_000, "batch": 8},
        },
        "cuda": {"data": {"size": 256}, "trainer": {"steps": 20_000, "batch": 4}},
    },
)
