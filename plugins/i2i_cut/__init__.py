"""CUT as a plugin: the manifest, which imports no torch."""

from i2i.plugin import Plugin
from i2i_cut.config import CUTConfig

plugin = Plugin(
    name="cut",
    summary="Unpaired translation one way: a generator that keeps each patch like the one it was, against a PatchGAN",
    paper="arXiv:2007.15651",
    kind="unpaired",
    config=CUTConfig,
    game="i2i_cut.game:build",
    presets={
        # For minutes on two cores: a generator that begins with copying, and strides, as blurs take longer. i2i's
        # docs/unpaired.md has what was tried.
        "cpu": {
            "data": {"size": 64},
            "game": {
                "filters": 32,
                "blocks": 6,
                "norm": "none",
                "skip": True,
                "discriminator_filters": 32,
                "discriminator_layers": 2,
                "downsampling": "strided",
            },
            "trainer": {"steps": 900, "batch": 4, "validate_every": 150},
        },
        "cuda": {
            "data": {"size": 128},  # as large as the tiles of the earth are
            "trainer": {"steps": 100_000},
        },
    },
    example={"data": {"source": "earth", "rotate": 20, "zoom": 0.3}},  # there are few tiles
    small={
        "game": {
            "filters": 4,
            "blocks": 1,
            "patches": 16,
            "projection": 8,
            "discriminator_filters": 4,
            "discriminator_layers": 2,
        },
    },
)
