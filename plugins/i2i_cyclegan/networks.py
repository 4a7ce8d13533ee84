"""The networks of CycleGAN, from the blocks that plugins share."""

from __future__ import annotations

from i2i.nn.patchgan import PatchGAN
from i2i.nn.resnet import ResNet
from i2i_cyclegan.config import CycleGANConfig


def generator(config: CycleGANConfig, channels_in: int, channels_out: int) -> ResNet:
    """The residual network of one direction (arXiv:1703.10593, section 7.2)."""
    game = config.game
    return ResNet(
        channels_in,
        channels_out,
        blocks=config.blocks,
        filters=game.filters,
        norm=game.norm,
        upsampling=game.upsampling,
        skip=game.skip,
    )


def discriminator(config: CycleGANConfig, channels: int) -> PatchGAN:
    """The PatchGAN of one kind of image (section 7.2); it sees no condition."""
    game = config.game
    return PatchGAN(
        channels, filters=game.discriminator_filters, layers=game.discriminator_layers, norm=game.discriminator_norm
    )
