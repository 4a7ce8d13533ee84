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
        # For minutes on two cores: generators that begin with copying keep sea and forest from changing places, and
        # repeated pixels leave no checkerboard. i2i's docs/unpaired.md has what was tried.
        "cpu": {
            "data": {"size": 64},
            "game": {
                "filters": 32,
                "norm": "none",
                "upsampling": "nearest",
                "skip": True,
                "discriminator_filters": 32,
                "discriminator_layers": 2,
                "lambda_cycle": 3,
                "lambda_identity": 0,
            },
            "trainer": {"steps": 2_400, "batch": 4, "validate_every": 150},
        },
        "cuda": {
            "data": {"size": 128},  # as large as the tiles of the earth are
            "trainer": {"steps": 100_000},
        },
    },
    example={"data": {"source": "earth", "rotate": 20, "zoom": 0.3}},  # there are few tiles
    small={
        "game": {"filters": 4, "blocks": 1, "discriminator_filters": 4, "discriminator_layers": 2},
        "trainer": {"pool": 3},
    },
)
