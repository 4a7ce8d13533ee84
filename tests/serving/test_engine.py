import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.errors import I2IError
from i2i.noise import draw
from i2i.runtime.generator import Generator
from i2i.runtime.translator import Translator
from i2i.serving.engine import Answer, Engine
from i2i.serving.errors import (
    BusyError,
    InvalidError,
    LateError,
    NotAnImageError,
    StoppingError,
    TooLargeError,
    UnknownModelError,
    WrongKindError,
)
from i2i.serving.limits import Limits
from i2i.serving.models import Served, open_models
from i2i.serving.observer import Observer

CLASSES = ("cat", "dog", "bird")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, models: Any) -> dict[str, Served]:
    """One that inverts, one that makes three times as large of multiples of 4, and two that make images from noise."""
    folder = tmp_path_factory.mktemp("models")
    models.build(folder / "invert.onnx")
    models.build(folder / "triple.onnx", scale=3, multiple=4, minimum=8, mirror=True)
    models.build_noise(folder / "faces.onnx", classes=CLASSES)
    models.build_noise(folder / "plain.onnx", channels_out=1)
    return open_models([str(path) for path in sorted(folder.glob("*.onnx"))], "cpu")


def using(
    served: Mapping[str, Served],
    work: Callable[[Engine], Awaitable[Any]],
    observer: Observer | None = None,
    **limits: Any,
) -> Any:
    """What `work` gives with an engine, which is drained after."""

    async def main() -> Any:
        engine = Engine(served, Limits(**limits), observer)
        try:
            return await work(engine)
        finally:
            await engine.drain()

    return asyncio.run(main())


def drawn(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    channels = len(mode)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def opened(answer: Answer) -> Image.Image:
    with Image.open(io.BytesIO(answer.image)) as image:
        image.load()
        return image


@pytest.mark.parametrize("name", ["invert", "triple"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("flatten", [False, True])
def test_the_answer_is_what_the_model_makes_of_the_image(served, name, mode, flatten):
    image = drawn(13, 7, mode)
    answer = using(served, lambda engine: engine.translate(name, encoded(image), flatten=flatten))
    expected = Translator.load(served[name].path, "cpu")(image, flatten=flatten)
    assert opened(answer).mode == expected.mode
    assert np.array_equal(np.asarray(opened(answer)), np.asarray(expected))
    assert (answer.width, answer.height) == expected.size
    assert (answer.media_type, answer.batch) == ("image/png", 1)
    assert answer.queued >= 0
    assert answer.computed > 0


def test_form_and_quality_are_as_asked(served):
    image = encoded(drawn(64, 64))
    fine, coarse = (
        using(served, lambda engine, q=quality: engine.translate("invert", image, form=".jpg", quality=q))
        for quality in (95, 10)
    )
    assert (opened(fine).format, fine.media_type) == ("JPEG", "image/jpeg")
    assert len(coarse.image) < len(fine.image)


def test_images_of_noise_are_those_of_the_generator(served):
    answers = using(served, lambda engine: engine.images("faces", seed=7, count=5, first=2))
    expected = Generator.load(served["faces"].path, "cpu")(5, 7, first=2)
    assert np.array_equal(np.stack([np.asarray(opened(answer)) for answer in answers]), expected)
    [one] = using(served, lambda engine: engine.images("faces", seed=7, first=4))
    single = using(served, lambda engine: engine.generate("faces", seed=7, first=4))
    assert one.image == single.image == answers[2].image


@pytest.mark.parametrize("label", ["bird", 2, "2"])
def test_a_label_is_a_name_or_a_number(served, label):
    answer = using(served, lambda engine: engine.generate("faces", seed=1, label=label))
    expected = Generator.load(served["faces"].path, "cpu")(1, 1, label="bird")[0]
    assert np.array_equal(np.asarray(opened(answer)), expected)


@pytest.mark.parametrize(("label", "first"), [(None, 0), (None, 1), ("dog", 0)])
def test_several_images_become_one_sheet(served, label, first):
    answer = using(served, lambda engine: engine.generate("faces", count=6, label=label, first=first))
    made = Generator.load(served["faces"].path, "cpu")(6, 0, label, first)
    sheet = np.asarray(opened(answer).convert("RGB"))
    assert sheet.shape[:2] == (answer.height, answer.width)
    places = [
        (top, left)
        for image in made
        for top in range(sheet.shape[0] - 3)
        for left in range(sheet.shape[1] - 3)
        if np.array_equal(sheet[top : top + 4, left : left + 4], image)
    ]
    assert len(set(places)) >= 6


def test_tensors_go_in_and_come_out(served):
    images = np.stack([np.asarray(drawn(9, 5, seed=seed)) for seed in range(3)])
    made = using(served, lambda engine: engine.infer("triple", {"image": images}))
    expected = Translator.load(served["triple"].path, "cpu")(images)
    assert np.array_equal(made, expected)
    noise, labels = draw(3, 4, 5), np.array([2, 0, 1, 1])
    made = using(served, lambda engine: engine.infer("faces", {"noise": noise, "label": labels}))
    assert np.array_equal(made, Generator.load(served["faces"].path, "cpu").decode(noise, labels))


@pytest.mark.parametrize(
    ("model", "inputs", "kind", "said"),
    [
        ("invert", {}, InvalidError, "none"),
        ("invert", {"picture": np.zeros((1, 2, 2, 3), np.uint8)}, InvalidError, "'picture'"),
        ("invert", {"image": np.zeros((1, 2, 2, 3), np.float32)}, InvalidError, "float32"),
        ("invert", {"image": np.zeros((2, 2, 3), np.uint8)}, InvalidError, r"\[any, any, any, 3\]"),
        ("invert", {"image": np.zeros((1, 2, 2, 4), np.uint8)}, InvalidError, r"\[1, 2, 2, 4\]"),
        ("invert", {"image": np.zeros((0, 2, 2, 3), np.uint8)}, InvalidError, r"\[0, 2, 2, 3\]"),
        ("invert", {"image": np.zeros((65, 1, 1, 3), np.uint8)}, TooLargeError, "65 images"),
        ("invert", {"image": np.zeros((3, 20, 20, 3), np.uint8)}, TooLargeError, "3 images of 20 x 20"),
        ("faces", {"noise": np.zeros((1, 5), np.float32)}, InvalidError, "'label'"),
        ("faces", {"noise": np.zeros((1, 4), np.float32), "label": np.zeros(1, np.int64)}, InvalidError, "noise"),
        ("faces", {"noise": np.zeros((2, 5), np.float32), "label": np.zeros(1, np.int64)}, InvalidError, "1 labels"),
        ("faces", {"noise": np.zeros((1, 5), np.float32), "label": np.full(1, 3)}, InvalidError, "knows 3 classes"),
        ("faces", {"noise": np.zeros((1, 5), np.float32), "label": np.full(1, -1)}, InvalidError, "labels -1"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(served, model, inputs, kind, said):
    with pytest.raises(kind, match=said):
        using(served, lambda engine: engine.infer(model, inputs), pixels=1000)


@pytest.mark.parametrize(
    ("ask", "kind", "said"),
    [
        (lambda engine: engine.translate("invrt", b""), UnknownModelError, "did you mean 'invert'"),
        (lambda engine: engine.translate("faces", b""), WrongKindError, "makes images from noise"),
        (lambda engine: engine.generate("invert"), WrongKindError, "translates images"),
        (lambda engine: engine.translate("invert", b"", form=".gif"), InvalidError, "form '.gif'"),
        (lambda engine: engine.translate("invert", b"words"), NotAnImageError, "not an image"),
        (lambda engine: engine.translate("invert", bytes(2**26)), TooLargeError, "bytes, over the limit"),
        (lambda engine: engine.generate("faces", label="fish"), InvalidError, "label 'fish'"),
        (lambda engine: engine.generate("plain", label="cat"), InvalidError, "knows no classes"),
        (lambda engine: engine.generate("faces", seed=-1), InvalidError, "seed -1"),
        (lambda engine: engine.generate("faces", seed=2**32), InvalidError, "seed"),
        (lambda engine: engine.generate("faces", count=0), InvalidError, "count 0"),
        (lambda engine: engine.images("faces", count=65), InvalidError, "from 1 to 64"),
        (lambda engine: engine.generate("faces", first=-1), InvalidError, "first -1"),
        (lambda engine: engine.generate("faces", first=2**32), InvalidError, "first"),
    ],
)
def test_what_cannot_be_done_is_said(served, ask, kind, said):
    with pytest.raises(kind, match=said) as refused:
        using(served, ask)
    assert isinstance(refused.value, I2IError)
    assert refused.value.hint


def test_what_a_model_triples_is_limited_by_what_comes_out(served):
    with pytest.raises(TooLargeError, match="3 times as large"):
        using(served, lambda engine: engine.translate("triple", encoded(drawn(30, 30))), pixels=1000)


def test_one_bad_image_fails_alone(gated: Any):
    model = gated(most=4)
    model.runner.broken = lambda image: ValueError("red") if image.getpixel((0, 0)) == (255, 0, 0) else None

    async def work(engine: Engine) -> list[Any]:
        bad = engine.translate("m", encoded(Image.new("RGB", (30, 30)))[:60])
        others = [engine.translate("m", encoded(Image.new("RGB", (3, 3), it))) for it in ("white", "red", "black")]
        return await asyncio.gather(bad, *others, return_exceptions=True)

    bad, white, red, black = using({"m": model}, work, wait=20)
    assert isinstance(bad, NotAnImageError)
    assert isinstance(red, ValueError)
    assert opened(white).getpixel((0, 0)) == (0, 0, 0)
    assert opened(black).getpixel((0, 0)) == (255, 255, 255)
    assert model.runner.runs == [[(3, 3)] * 3, [(3, 3)], [(3, 3)], [(3, 3)]]  # together, and then each alone


def test_a_request_is_late_and_not_computed(gated: Any):
    model = gated()

    async def work(engine: Engine) -> None:
        model.runner.gate.clear()
        first = asyncio.create_task(engine.translate("m", encoded(drawn(5, 5))))
        assert await asyncio.to_thread(model.runner.begun.acquire, timeout=20)
        with pytest.raises(LateError, match="did not answer in time"):
            await engine.translate("m", encoded(drawn(3, 3)), deadline=time.monotonic() + 0.05)
        with pytest.raises(LateError):
            await engine.translate("m", encoded(drawn(3, 3)), deadline=time.monotonic() - 1)
        model.runner.gate.set()
        await first

    using({"m": model}, work)
    assert model.runner.runs == [[(5, 5)]]


def test_a_full_queue_refuses_before_anything_is_decoded(gated: Any):
    model = gated()
    reasons: list[str] = []

    class Heard(Observer):
        def refused(self, model: str, reason: str) -> None:
            reasons.append(reason)

    async def main() -> None:
        engine = Engine({"m": model}, Limits(queue=1), Heard())
        model.runner.gate.clear()
        first = asyncio.create_task(engine.translate("m", encoded(drawn(5, 5))))
        assert await asyncio.to_thread(model.runner.begun.acquire, timeout=20)
        second = asyncio.create_task(engine.translate("m", encoded(drawn(5, 5))))
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as refused:
            await engine.translate("m", b"no image at all")
        assert refused.value.retry_after >= 1
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        third = asyncio.create_task(engine.translate("m", encoded(drawn(5, 5))))
        model.runner.gate.set()
        await asyncio.gather(first, third)
        await engine.drain()

    asyncio.run(main())
    assert reasons == ["busy", "gone"]
    assert len(model.runner.runs) == 2


def test_draining_finishes_what_was_accepted_and_refuses_the_rest(gated: Any):
    model = gated()

    async def main() -> list[Answer]:
        engine = Engine({"m": model}, Limits())
        assert engine.ready()
        model.runner.gate.clear()
        accepted = [asyncio.create_task(engine.translate("m", encoded(drawn(5, 5, seed=n)))) for n in range(3)]
        await asyncio.sleep(0)
        draining = asyncio.create_task(engine.drain())
        await asyncio.sleep(0)
        assert not engine.ready()
        with pytest.raises(StoppingError):
            await engine.translate("m", encoded(drawn(5, 5)))
        assert not draining.done()
        model.runner.gate.set()
        await draining
        assert all(task.done() for task in accepted)
        return [task.result() for task in accepted]

    for number, answer in enumerate(asyncio.run(main())):
        assert np.array_equal(np.asarray(opened(answer)), 255 - np.asarray(drawn(5, 5, seed=number)))


def test_the_observer_hears_of_each_request(gated: Any):
    model = gated()
    heard: dict[str, list[Any]] = {"waiting": [], "queued": [], "ran": []}

    class Heard(Observer):
        def waiting(self, model: str, requests: int) -> None:
            heard["waiting"].append((model, requests))

        def queued(self, model: str, seconds: float) -> None:
            heard["queued"].append((model, seconds >= 0))

        def ran(self, model: str, images: int, seconds: float) -> None:
            heard["ran"].append((model, images, seconds > 0))

    using({"m": model}, lambda engine: engine.translate("m", encoded(drawn(5, 5))), Heard())
    assert heard == {"waiting": [("m", 1), ("m", 0)], "queued": [("m", True)], "ran": [("m", 1, True)]}


def test_large_images_leave_places_for_small_ones(gated: Any):
    model = gated()
    large, small = encoded(Image.new("RGB", (1000, 1000))), encoded(Image.new("RGB", (5, 5)))

    async def work(engine: Engine) -> list[Any]:
        model.runner.gate.clear()
        many = [asyncio.create_task(engine.translate("m", large)) for _ in range(14)]
        while sum(task.done() for task in many) < 2:  # eight have room, four wait for it
            await asyncio.sleep(0.001)
        good = asyncio.create_task(engine.translate("m", small))
        await asyncio.sleep(0)
        model.runner.gate.set()
        await good
        return await asyncio.gather(*many, return_exceptions=True)

    outcomes = using({"m": model}, work, queue=8 + 8, pixels=10**6)
    assert sum(isinstance(it, Answer) for it in outcomes) == 12
    assert sum(isinstance(it, BusyError) for it in outcomes) == 2
