"""The two networks of pix2pix, from the blocks that plugins share."""

from __future__ import annotations

from i2i.nn.patchgan import PatchGAN
from i2i.nn.resnet import ResNet
from i2i.nn.unet import UNet
from i2i_pix2pix.config import Pix2PixConfig


def generator(config: Pix2PixConfig) -> UNet | ResNet:
    """The U-Net (arXiv:1611.07004, section 6.1.1), as deep as the image size allows; or the network of CycleGAN."""
    game = config.game
    if game.network == "resnet":
        return ResNet(
            config.data.input_channels,
            config.data.target_channels,
            blocks=game.blocks,
            filters=game.filters,
            norm=game.norm,
        )
    return UNet(
        config.data.input_channels,
        config.data.target_channels,
        depth=config.depth,
        filters=game.filters,
        norm=game.norm,
        dropout=game.dropout,
        dropout_blocks=game.dropout_blocks,
    )


def discriminator(config: Pix2PixConfig) -> PatchGAN:
    """The PatchGAN, which sees input and output together (section 6.1.2)."""
    game = config.game
    return PatchGAN(
        config.data.input_channels + config.data.target_channels,
        filters=game.discriminator_filters,
        layers=game.discriminator_layers,
        norm=game.discriminator_norm,
    )
