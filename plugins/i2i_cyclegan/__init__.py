"""CycleGAN as a plugin: the manifest, which imports no torch."""

from i2i.plugin import Plugin
from i2i_cyclegan.config import CycleGANConfig

plugin = Plugin(
    name="cyclegan",
    summary="Unpaired translation: two generators there and back again, against two PatchGANs",
    paper="arXiv:1703.10593",
    kind="unpaired",
    config=CycleGANConfig,
    game="i2i_cyclegan.game:build",
    presets={
        # A quarter of an hour on two cores; docs/unpaired.md has what was tried.
        "cpu": {
            "data": {"source": "earth", "size": 64},
            "game": {"filters": 16, "discriminator_filters": 32},
            "trainer": {"steps": 4_000, "batch": 4},
        },
        "cuda": {
            "data": {"source": "earth", "size": 256},
            "trainer": {"steps": 100_000},
        },
    },
)
