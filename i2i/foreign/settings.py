"""Settings with which the generators of our plugins are the networks that were recognised.

All that decide a generator are said, those that are defaults too: else a plugin's preset would have its word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from i2i.foreign.layout import Asked
from i2i.nn.limits import Norm
from i2i.nn.resnet import Downsampling, Upsampling

MOST_HALVINGS: Final = 10  # of a U-Net of pix2pix
MOST_BLOCKS: Final = 32  # of a residual network of pix2pix, cyclegan and cut
_DROPOUT: Final = 0.5

Game = dict[str, Any]


def settings(asked: Asked, size: int, channels: tuple[int, int], game: Mapping[str, Any]) -> dict[str, Any]:
    """Of a translation, `channels` in and out, of images of `size` pixels where no other size was asked for."""
    data = {
        "size": size if asked.size is None else asked.size,
        "input_channels": channels[0],
        "target_channels": channels[1],
    }
    return {"data": data, "game": dict(game)}


def unet(asked: Asked, *, depth: int, filters: int, norm: Norm, dropout_blocks: int) -> Game:
    """Of pix2pix."""
    game = {"network": "unet", "depth": depth, "filters": filters, "norm": norm}
    return game | {"dropout": _DROPOUT, "dropout_blocks": dropout_blocks} | _statistics(norm, asked)


def resnet(
    asked: Asked,
    plugin: str,
    channels: tuple[int, int],
    *,
    blocks: int,
    filters: int,
    norm: Norm,
    downsampling: Downsampling,
    upsampling: Upsampling,
) -> Game:
    """Of pix2pix, cyclegan or cut, as far as these have a choice."""
    game: Game = {"blocks": blocks, "filters": filters, "norm": norm} | _statistics(norm, asked)
    match plugin:
        case "pix2pix":
            return {"network": "resnet"} | game
        case "cut":
            return game | {"downsampling": downsampling, "upsampling": upsampling, "skip": False}
        case _:
            # The identity's term gives each generator an image of what it makes.
            suits = {} if channels[0] == channels[1] else {"lambda_identity": 0.0}
            return game | {"upsampling": upsampling, "skip": False} | suits


def superresolution(
    asked: Asked,
    network: str,
    scale: int,
    channels: int,
    *,
    filters: int,
    blocks: int,
    dense: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Of srgan; dense: `growth` and `unshuffle` of an rrdbnet."""
    data = {"scale": scale, "input_channels": channels, "target_channels": channels}
    game: Game = {"network": network, "filters": filters, "blocks": blocks, **(dense or {})}
    if network == "srresnet":
        game["start"] = "random"  # an interpolation, which is overwritten, is not possible with every width
    return {"data": data | ({} if asked.size is None else {"size": asked.size}), "game": game}


def _statistics(norm: Norm, asked: Asked) -> dict[str, str]:
    return {"statistics": asked.statistics or "image"} if norm == "batch" else {}
