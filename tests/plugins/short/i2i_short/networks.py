"""The two networks, from the blocks that i2i shares, their weights drawn as published."""

from i2i.nn.init import normal_
from i2i.nn.patchgan import PatchGAN
from i2i.nn.unet import UNet


def generator(config):
    data, game = config.data, config.game
    network = UNet(data.input_channels, data.target_channels, depth=game.depth, filters=game.filters)
    normal_(network)
    return network


def discriminator(config):
    network = PatchGAN(config.data.input_channels + config.data.target_channels, filters=config.game.filters)
    normal_(network)
    return network
