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
        # Minutes on two cores: small images, large batches, and more weight on L1, which is what can be learned in
        # that time. i2i's docs/results.md has what was tried.
        "cpu": {
            "data": {"size": 64, "rotate": 10, "zoom": 0.1},
            "game": {"filters": 32, "discriminator_filters": 32, "statistics": "running", "lambda_l1": 1000},
            "trainer": {"steps": 1_000, "batch": 32, "lr": 6e-4, "discriminator_lr": 1e-4},
        },
        "cuda": {
            "data": {"size": 256, "rotate": 10, "zoom": 0.1},
            "game": {"statistics": "running"},
            "trainer": {"steps": 20_000, "batch": 8},
        },
    },
    small={"game": {"filters": 4, "blocks": 1, "discriminator_filters": 4, "discriminator_layers": 2}},
)
