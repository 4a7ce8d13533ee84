"""SRGAN as a plugin: the manifest, which imports no torch."""

from i2i.plugin import Plugin
from i2i_srgan.config import SRGANConfig, stages

plugin = Plugin(
    name="srgan",
    summary="Super-resolution: SRResNet by the squared error, then against a discriminator with a perceptual loss",
    paper="arXiv:1609.04802",
    kind="upscaled",
    config=SRGANConfig,
    game="i2i_srgan.game:build",
    stages=stages,
    presets={
        # The published networks on small squares, and a start that is as good as bicubic interpolation: a quarter of
        # an hour on two cores. i2i's docs/super-resolution.md has what was tried.
        "cpu": {
            "data": {"size": 64},
            "game": {"perceptual": "efficientnet-lite0", "lambda_content": 4000},
            "content": {
                "times": 8,
                "batch": 8,
                "lr": 4e-4,
                "schedule": {"name": "cosine", "warmup": 100},
                "ema": 0.995,
            },
            "trainer": {"steps": 600, "ema": 0.99},
        },
        "cuda": {
            "game": {"perceptual": "efficientnet-lite0"},
            "content": {"times": 4, "lr": 4e-4, "schedule": {"name": "cosine", "warmup": 500}},
            "trainer": {"steps": 10_000, "schedule": {"name": "linear", "hold": 0.5}},
        },
    },
    small={
        "data": {"scale": 2},
        "game": {"filters": 8, "blocks": 1, "discriminator_filters": 4, "discriminator_dense": 32, "perceptual": "mse"},
        "content": {"times": 1, "schedule": {"name": "constant", "warmup": 0}},
    },
)
