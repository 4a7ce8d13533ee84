"""The residual generator of CycleGAN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from torch import Tensor, nn

from i2i.nn.blur import antialiased
from i2i.nn.limits import Norm
from i2i.nn.norm import needs_bias, normalised

Downsampling = Literal["strided", "blurred"]
Upsampling = Literal["transposed", "nearest", "bilinear"]


class ResidualBlock(nn.Module):
    """x + f(x), f two 3x3 convolutions on reflected borders, each normalised, with a ReLU between them.

    He et al. 2015, arXiv:1512.03385, without a ReLU after the sum, as in Johnson et al. 2016, arXiv:1603.08155.
    """

    def __init__(self, channels: int, norm: Norm = "instance") -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.net = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            *normalised(channels, norm),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            *normalised(channels, norm),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, channels, H, W]`, H and W at least 2, to the same shape."""
        changed: Tensor = self.net(features)
        return features + changed


def begin_as_identity_(module: nn.Module) -> None:
    """Zeroes the last convolution of every residual block: without normalisation, their sums would grow with depth.

    Zhang et al. 2019, arXiv:1901.09321, section 3. Likewise that of every ResNet with a skip, which then copies.
    """
    for part in module.modules():
        if isinstance(part, ResidualBlock) or (isinstance(part, ResNet) and part.skip):
            last = [layer for layer in part.net if isinstance(layer, nn.Conv2d)][-1]
            nn.init.zeros_(last.weight)


class ResNet(nn.Module):
    """Two halvings, `blocks` residual blocks at a quarter of the size, two doublings.

    Zhu et al. 2017, arXiv:1703.10593, section 7.2, after Johnson et al. 2016, arXiv:1603.08155: 7x7 convolutions on
    reflected borders at both ends, `filters` doubled at each halving, ReLU, tanh; 6 blocks for images of 128 pixels, 9
    for 256.
    downsampling: convolutions of 3x3 and stride 2; or of stride 1, and a blur before every second pixel is taken.
    upsampling: transposed convolutions of 3x3 and stride 2, as in the authors' implementation; or a convolution of 3x3
    on repeated or bilinearly interpolated pixels, which leaves no checkerboard (Odena et al. 2016,
    doi:10.23915/distill.00003). `blurred` and `bilinear` are the antialiased network of CUT, arXiv:2007.15651, after
    Zhang 2019, arXiv:1904.11486.
    skip: what is made is a change of the image itself, as of DeblurGAN, arXiv:1711.07064, section 3, there beyond the
    tanh; not as published for CycleGAN. With a last convolution of zeros the network copies.
    """

    multiple = 4
    minimum = 8  # or there is nothing to reflect, and no statistics to take, at a quarter of the size

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        blocks: int,
        filters: int = 64,
        norm: Norm = "instance",
        downsampling: Downsampling = "strided",
        upsampling: Upsampling = "transposed",
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        bias = needs_bias(norm)

        def after(width: int) -> list[nn.Module]:
            return [*normalised(width, norm), nn.ReLU()]

        net: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels_in, filters, 7, bias=bias), *after(filters)]
        named: dict[str, nn.Module] = {}
        for number, width in enumerate((filters, 2 * filters), 1):
            named[f"down{number}"] = nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias)
            net += [named[f"down{number}"], *after(2 * width)]
        for number in range(1, blocks + 1):
            named[f"block{number}"] = ResidualBlock(4 * filters, norm)
            net.append(named[f"block{number}"])
        for width in (4 * filters, 2 * filters):
            if upsampling == "transposed":
                net.append(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1, bias=bias))
            else:
                twice = nn.Upsample(scale_factor=2, mode=upsampling)
                net += [twice, nn.Conv2d(width, width // 2, 3, 1, 1, bias=bias)]
            net += after(width // 2)
        net += [nn.ReflectionPad2d(3), nn.Conv2d(filters, channels_out, 7)]
        self.net = nn.Sequential(*net) if downsampling == "strided" else antialiased(nn.Sequential(*net))
        places = {layer: place for place, layer in enumerate(self.net)}
        self._named = {places[layer]: name for name, layer in named.items()}

    def forward(self, image: Tensor) -> Tensor:
        """Images `[N, channels_in, H, W]` in [-1, 1] to `[N, channels_out, H, W]` in [-1, 1].

        H and W are multiples of `multiple`, and at least `minimum`.
        """
        made: Tensor = self.net(image)
        return (made + _before_tanh(image) if self.skip else made).tanh()

    def features(self, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """What the first half makes of images `[N, channels_in, H, W]`, `[N, C, h, w]` by name; runs no further.

        names: `image` itself, `down1` and `down2`, the two convolutions before a halving or with one, without norm and
        ReLU, and `block1`, `block2` and so on. Raises KeyError for others.
        """
        found: dict[str, Tensor] = {}
        for name, value in self._encoding(image):
            if name in names:
                found[name] = value
            if len(found) == len(names):
                break
        return {name: found[name] for name in names}

    def _encoding(self, image: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield "image", image
        value = image
        for place, layer in enumerate(self.net):
            value = layer(value)
            if place in self._named:
                yield self._named[place], value


def _before_tanh(image: Tensor) -> Tensor:
    """What tanh makes the image of, but for 2 % of its range: black and white would be infinite."""
    within = 0.98 * image.clamp(-1, 1)  # noise may have led out of the range
    return (within.log1p() - (-within).log1p()) / 2
