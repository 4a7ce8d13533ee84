"""What is between a request's bytes and its answer's: decoding, waiting in turn, the model, encoding."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, final

import numpy as np

from i2i.errors import did_you_mean
from i2i.images import QUALITY, from_pixels
from i2i.runtime.devices.device import usable_cores
from i2i.serving import decoding
from i2i.serving.batching import Device, Queue
from i2i.serving.drawing import Wish, made_of, sheet
from i2i.serving.errors import LateError, StoppingError, UnknownModelError, WrongKindError
from i2i.serving.inputs import check, extent
from i2i.serving.observer import Observer
from i2i.serving.room import Room
from i2i.serving.work import LARGE, of_noise, of_pictures, of_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from i2i.artifact import Kind
    from i2i.images import Pixels
    from i2i.runtime.generator import Generator
    from i2i.runtime.translator import Translator
    from i2i.serving.batching import Done, Place
    from i2i.serving.limits import Limits
    from i2i.serving.models import Served

T = TypeVar("T")
_HELD: Final = 8  # times the pixels that one image may have: of all images that are in memory
_LARGE_SHARE: Final = 4  # one in so many places of a queue is for images that are large and wait for memory
_DOES: Final[dict[Kind, tuple[str, str]]] = {
    "image": ("translates images, and makes none from noise", "Send it an image: POST /v1/translate."),
    "noise": ("makes images from noise, and translates none", "Use POST /v1/generate."),
}


@dataclass(frozen=True)
class Answer:
    """An image as a file; queued, computed: seconds. batch: how many images its run made."""

    image: bytes
    media_type: str
    width: int
    height: int
    queued: float
    computed: float
    batch: int


@final
class Engine:
    """Models that answer requests, on one event loop, which it never holds up: what takes long is done on threads.

    Images are decoded before they wait for their model, and encoded after. A device computes for its models in turn.
    """

    def __init__(self, models: Mapping[str, Served], limits: Limits, observer: Observer | None = None) -> None:
        self.models = models
        self.limits = limits
        self._observer = observer or Observer()
        self._devices = {served.runner.device: Device(_lanes(served.runner.device)) for served in models.values()}
        self._queues = {
            name: Queue(name, self._devices[served.runner.device], limits.queue, limits.wait, self._observer)
            for name, served in models.items()
        }
        self._codecs = ThreadPoolExecutor(max(2, usable_cores()), thread_name_prefix="i2i-codec")
        self._room = Room(_HELD * limits.pixels, LARGE)
        self._accepted = 0
        self._stopping = False
        self._idle = asyncio.Event()

    async def translate(
        self,
        model: str,
        data: bytes,
        *,
        form: str = ".png",
        quality: int = QUALITY,
        flatten: bool = False,
        deadline: float | None = None,
    ) -> Answer:
        """The translation of an image file's bytes, as a file of the form.

        deadline: as `time.monotonic` counts. Raises ServingErrors, OutOfMemoryError, and ArtifactError where the model
        itself fails.
        """
        served = self.served(model, "image")
        translator = cast("Translator", served.runner)
        decoding.check_form(form, quality)
        async with self._request(model, deadline) as place:
            scale = served.description.scale
            pixels = await self._aside(decoding.look, data, self.limits, scale) * scale**2
            self._check_room(model, pixels)
            async with self._room.taken(pixels):
                image = await self._aside(decoding.decode, data, self.limits)
                done = await place.run(of_pictures(translator, served.narrow, image.size, flatten=flatten), image)
                return await self._answer(done.result, done, form, quality)

    async def generate(
        self,
        model: str,
        *,
        seed: int = 0,
        label: str | int | None = None,
        count: int = 1,
        first: int = 0,
        form: str = ".png",
        deadline: float | None = None,
    ) -> Answer:
        """The images `first` to `first + count - 1` of a seed as one file, a sheet where there are several.

        label: the class of all, by name or number; without one, image i is of class i modulo their number. Raises as
        `translate` does, and InvalidError for a label, count or seed that the model does not take.
        """
        generator = self._generator(model)
        decoding.check_form(form)
        wish = Wish(seed, label, count, first)
        async with self._request(model, deadline) as place:
            done = await self._made(generator, wish, place)
            shown = await self._aside(sheet, done.result, wish, generator.description.classes)
            return await self._answer(shown, done, form, QUALITY)

    async def images(
        self,
        model: str,
        *,
        seed: int = 0,
        label: str | int | None = None,
        count: int = 1,
        first: int = 0,
        form: str = ".png",
        deadline: float | None = None,
    ) -> list[Answer]:
        """As `generate`, each image as a file of its own."""
        generator = self._generator(model)
        decoding.check_form(form)
        async with self._request(model, deadline) as place:
            done = await self._made(generator, Wish(seed, label, count, first), place)
            return [await self._answer(from_pixels(image), done, form, QUALITY) for image in done.result]

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], deadline: float | None = None
    ) -> NDArray[np.uint8]:
        """The model's output, uint8 `[N, H, W, C]`, for its own inputs: an image, or noise and its label.

        image: uint8 `[N, H, W, C]` of any size. noise: float32 `[N, Z]`; label: int64 `[N]`. Raises as `translate`
        does, and InvalidError for inputs that are not the model's.
        """
        served = self.served(model)
        check(served.description, inputs, self.limits)
        images, pixels = extent(served.description, inputs)
        async with self._request(model, deadline) as place:
            self._check_room(model, pixels)
            async with self._room.taken(pixels):
                output: Pixels = (await place.run(of_tensors(served.runner, pixels), inputs, images)).result
                return output

    def ready(self) -> bool:
        """Whether new requests are taken."""
        return not self._stopping

    async def drain(self) -> None:
        """Refuses new requests, waits until all that were accepted are answered, and lets go of the threads."""
        self._stopping = True
        if not self._accepted:
            self._idle.set()
        await self._idle.wait()
        for device in self._devices.values():
            device.close()
        self._codecs.shutdown(wait=False)

    def served(self, model: str, kind: Kind | None = None) -> Served:
        """The model of this name; raises UnknownModelError, and WrongKindError where it is not of the kind."""
        if model not in self.models:
            raise UnknownModelError(
                f"model '{model[:100]}': unknown{did_you_mean(model[:100], self.models)}",
                f"There are: {', '.join(self.models)}.",
            )
        served = self.models[model]
        if kind is not None and served.description.kind != kind:
            does, instead = _DOES[served.description.kind]
            raise WrongKindError(f"model '{model}' {does}", instead)
        return served

    def _generator(self, model: str) -> Generator:
        return cast("Generator", self.served(model, "noise").runner)

    @asynccontextmanager
    async def _request(self, model: str, deadline: float | None) -> AsyncIterator[Place]:
        """Accepts a request until it is answered, or late; raises StoppingError, BusyError and LateError."""
        if self._stopping:
            self._observer.refused(model, "stopping")
            raise StoppingError("the server is stopping", "Try again in a moment.")
        loop = asyncio.get_running_loop()
        # Loops need not count from where `time.monotonic` does.
        end = None if deadline is None else loop.time() + deadline - time.monotonic()
        self._accepted += 1
        try:
            async with asyncio.timeout_at(end):
                with self._queues[model].place() as place:
                    yield place
        except TimeoutError:
            self._observer.refused(model, "late")
            raise LateError(
                f"model '{model}' did not answer in time", "Try again when less is going on, or send a smaller image."
            ) from None
        except asyncio.CancelledError:
            self._observer.refused(model, "gone")
            raise
        finally:
            self._accepted -= 1
            if self._stopping and not self._accepted:
                self._idle.set()

    def _check_room(self, model: str, pixels: int) -> None:
        """Raises BusyError for a large image where as many wait as may: places are left for the small ones."""
        if pixels > LARGE and self._room.waiting >= max(1, self.limits.queue // _LARGE_SHARE):
            raise self._queues[model].busy(f"{self._room.waiting} large images wait for memory already")

    async def _made(self, generator: Generator, wish: Wish, place: Place) -> Done:
        inputs = await self._aside(made_of, generator, wish, self.limits.images)
        async with self._room.taken(wish.count * generator.description.size**2):
            return await place.run(of_noise(generator), inputs, wish.count)

    async def _answer(self, image: Image.Image, done: Done, form: str, quality: int) -> Answer:
        file = await self._aside(decoding.encode, image, form, quality)
        kind = decoding.MEDIA_TYPES[form]
        return Answer(file, kind, image.width, image.height, done.queued, done.computed, done.batch)

    async def _aside(self, work: Callable[..., T], *inputs: Any) -> T:
        """What work gives on a thread; work that nobody waits for any more is not begun."""
        return await asyncio.wrap_future(self._codecs.submit(work, *inputs))


def _lanes(device: str) -> int:
    """Runs that may go on at once on a device: of a GPU they would only share what there is.

    On the CPU, a core for each makes the most images, but one image on an idle machine of N cores then takes up to N
    times as long as with all of them. So a lone run has all cores, and of several each has one.
    """
    return max(2, usable_cores()) if device == "cpu" else 1
