"""The networks of SRGAN, from the blocks that plugins share, and the frozen one that sees what is alike."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from i2i.nn.features import FeatureNetwork, efficientnet_lite0, vgg19
from i2i.nn.msrresnet import MSRResNet, begin_as_bilinear_
from i2i.nn.rrdbnet import RRDBNet, begin_small_
from i2i.nn.srresnet import SRResNet, begin_as_interpolation_
from i2i.nn.vggstyle import VGGStyle
from i2i_srgan.config import SRGANConfig, SRGANGame


def generator(config: SRGANConfig) -> nn.Module:
    """SRResNet (arXiv:1609.04802, figure 4), BasicSR's MSRResNet, or ESRGAN's RRDBNet (arXiv:1809.00219, figure 4)."""
    game, channels, scale = config.game, (config.data.input_channels, config.data.target_channels), config.data.scale
    match game.network:
        case "srresnet":
            network = SRResNet(*channels, scale=scale, filters=game.filters, blocks=config.blocks)
            if game.start == "interpolation":
                begin_as_interpolation_(network)
            return network
        case "msrresnet":
            plain = MSRResNet(*channels, scale=scale, filters=game.filters, blocks=config.blocks)
            begin_as_bilinear_(plain)
            return plain
        case "rrdbnet":
            dense = RRDBNet(
                *channels,
                scale=scale,
                filters=game.filters,
                blocks=config.blocks,
                growth=game.growth,
                unshuffle=config.unshuffle,
            )
            begin_small_(dense)
            return dense


def discriminator(config: SRGANConfig) -> VGGStyle:
    """The discriminator of the paper, for squares of `data.size` pixels (figure 4)."""
    return VGGStyle(
        config.data.target_channels,
        size=config.data.size,
        filters=config.game.discriminator_filters,
        dense=config.game.discriminator_dense,
    )


def perceptual(game: SRGANGame) -> FeatureNetwork:
    """The network whose features are compared; raises TrainingError where its weights are missing.

    VGG_{5,4} and VGG_{2,2} of the paper, after activation (section 2.2.1); ESRGAN's is the first of them before it
    (arXiv:1809.00219, section 3.3).
    """
    weights = None if game.perceptual_weights is None else Path(game.perceptual_weights)
    match game.perceptual:
        case "vgg19-relu5_4":
            return vgg19("relu5_4", weights)
        case "vgg19-relu2_2":
            return vgg19("relu2_2", weights)
        case "vgg19-conv5_4":
            network = vgg19("relu5_4", weights)
            (layers,) = network.parts
            assert isinstance(layers, nn.Sequential)
            network.parts = nn.ModuleList([layers[:-1]])
            return network
        case "efficientnet-lite0":
            return efficientnet_lite0()
        case "mse":
            raise ValueError("pixels are compared without a network")
