"""The two networks that a configuration asks for, freshly initialised."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from i2i.nn.from_noise.config import FromNoiseConfig
from i2i.nn.from_noise.conv import ConvDiscriminator, ConvGenerator
from i2i.nn.from_noise.mlp import MLPDiscriminator, MLPGenerator
from i2i.nn.init import he_, normal_


def generator(config: FromNoiseConfig, conditions: int = 0) -> nn.Module:
    """From noise `[N, Z]` and conditions `[N, conditions]`, if any, to images `[N, C, size, size]` in [-1, 1]."""
    game, data = config.game, config.data
    if game.architecture == "mlp":
        mlp = MLPGenerator(game.noise, conditions, data.target_channels, size=data.size)
        normal_(mlp)  # small, as published: He's larger weights collapsed each class of digits to one image
        return mlp
    conv = ConvGenerator(game.noise + conditions, data.target_channels, size=data.size, filters=game.filters)
    normal_(conv)
    return conv


def discriminator(config: FromNoiseConfig, conditions: int = 0) -> nn.Module:
    """From images and conditions to logits `[N, 1]`."""
    game, data = config.game, config.data
    if game.architecture == "mlp":
        mlp = MLPDiscriminator(data.target_channels, conditions, size=data.size, dropout=game.dropout)
        normal_(mlp)
        return mlp
    conv = ConvDiscriminator(
        data.target_channels,
        conditions,
        size=data.size,
        filters=game.discriminator_filters,
        norm="none" if game.discriminator_norm == "spectral" else game.discriminator_norm,
    )
    (normal_ if game.discriminator_norm in ("batch", "instance") else he_)(conv)
    if game.discriminator_norm == "spectral":
        for part in conv.modules():
            if isinstance(part, nn.Conv2d):
                spectral_norm(part)  # Miyato et al. 2018, arXiv:1802.05957
    return conv
