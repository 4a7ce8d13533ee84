"""The networks of CUT, from the blocks that plugins share."""

from __future__ import annotations

import copy

import torch

from i2i.nn.blur import antialiased
from i2i.nn.patches import PatchProjection
from i2i.nn.patchgan import PatchGAN
from i2i.nn.resnet import ResNet
from i2i_cut.config import CUTConfig


def generator(config: CUTConfig) -> ResNet:
    """CycleGAN's residual network, antialiased (arXiv:2007.15651, appendix C.1)."""
    game = config.game
    return ResNet(
        config.data.input_channels,
        config.data.target_channels,
        blocks=game.blocks,
        filters=game.filters,
        norm=game.norm,
        downsampling=game.downsampling,
        upsampling=game.upsampling,
        skip=game.skip,
    )


def discriminator(config: CUTConfig) -> PatchGAN:
    """CycleGAN's PatchGAN, antialiased likewise; it sees no condition."""
    game = config.game
    network = PatchGAN(
        config.data.target_channels,
        filters=game.discriminator_filters,
        layers=game.discriminator_layers,
        norm=game.discriminator_norm,
    )
    if game.downsampling == "blurred":
        network.net = antialiased(network.net)
    return network


def projection(config: CUTConfig, generator: ResNet) -> PatchProjection:
    """What patches are compared by (section 3.1), made for the features that the generator gives images of the data."""
    size = config.data.size
    ghost = copy.deepcopy(generator).to("meta")  # tells shapes, computes nothing, and moves no running average
    features = ghost.features(torch.empty(1, config.data.input_channels, size, size, device="meta"), config.layers)
    return PatchProjection(features, config.game.projection)
