"""Images that are scored as they are, each of its own size."""

from __future__ import annotations

from collections.abc import Sequence

from i2i import images
from i2i.config import DataConfig
from i2i.data.decoded import Bring, Decoded
from i2i.data.pairs import Take
from i2i.data.samples import Sample, evenly
from i2i.data.sources import Source
from i2i.errors import DataError
from i2i.images import Pixels


class Native:
    """Inputs and targets as they are, each of its own size: pairs, or those of the one side and those of the other."""

    uniform = False

    def __init__(self, sides: Sequence[Decoded]) -> None:
        self._sides = list(sides)

    def __len__(self) -> int:
        return min(map(len, self._sides))

    @property
    def names(self) -> list[str]:
        """The names of the pairs, or of inputs and targets."""
        both = zip(*(side.names for side in self._sides), strict=False)
        return [", ".join(dict.fromkeys(names)) for names in both]

    def spread(self, count: int) -> Native:
        """At most `count` of them, evenly spaced."""
        return Native([side.chosen(evenly(len(side), min(count, len(self)))) for side in self._sides])

    def training(self, index: int, seed: int) -> Sample:
        """The same as for evaluation: nothing is trained on these."""
        return self.evaluating(index)

    def drawn(self, index: int, seed: int) -> str:
        """The name of the sample, whatever the seed."""
        return self.names[index]

    def evaluating(self, index: int) -> Sample:
        """Input and target whole."""
        image, target = (pixels for side in self._sides for pixels in side.read(index))
        return {"input": image, "target": target}


def bring_whole(config: DataConfig, take: Take | None = None) -> Bring:
    """Brings both images of a pair as they are, the input first; take: of a label map.

    Raises DataError where they are not of one size.
    """

    def bring(source: Source) -> tuple[Pixels, Pixels]:
        a, b = source.open(config.max_bytes)
        image, target = (a, b) if config.direction == "AtoB" else (b, a)
        if image.size != target.size:
            raise DataError(
                f"{source.name}: input of {image.width} x {image.height} and target of {target.width} x "
                f"{target.height} pixels",
                "As they are, both have to be of one size; or give a --size to which they are brought.",
            )
        channels = config.input_channels
        brought = images.to_pixels(image, channels) if take is None else take(source, image, image.height, image.width)
        return brought, images.to_pixels(target, config.target_channels)

    return bring
