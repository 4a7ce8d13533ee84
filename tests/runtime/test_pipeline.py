import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.runtime.folder.jobs import plan
from i2i.runtime.folder.lanes import Budget, ClosedError, Ready
from i2i.runtime.folder.parts import Part
from i2i.runtime.folder.pipeline import translate_files
from i2i.runtime.session import Session
from i2i.runtime.translator import Translator

RNG = np.random.default_rng(0)
SHAPES = [(8, 8), (12, 8), (8, 8), (16, 20), (8, 8)] * 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number, shape in enumerate(SHAPES):
        pixels = RNG.integers(0, 256, (*shape, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number:02}.png")
    return tmp_path / "in"


def run(translator: Translator, folder: Path, output: Path) -> dict[str, bytes]:
    tasks = plan([str(folder)], output=output, plugin="x")
    results = list(translate_files(translator, tasks))
    assert [result.name for result in results] == [task.name for task in tasks]
    assert all(result.error is None for result in results)
    return {path.name: path.read_bytes() for path in output.glob("*.png")}


@pytest.mark.parametrize("parallel", [False, True])
def test_each_image_becomes_what_it_becomes_alone(tmp_path: Path, folder: Path, models: Any, parallel: bool) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx", multiple=4, mirror=True), parallel=parallel)
    made = run(translator, folder, tmp_path / "out")
    assert len(made) == len(SHAPES)
    for source in folder.iterdir():
        with Image.open(source) as image, Image.open(tmp_path / "out" / source.name) as result:
            np.testing.assert_array_equal(np.asarray(result), 255 - np.asarray(image)[:, ::-1])


def test_batches_have_one_size_for_a_shape_and_change_nothing(
    tmp_path: Path, folder: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models.build(tmp_path / "m.onnx", multiple=4, mirror=True)
    alone = run(Translator.load(path), folder, tmp_path / "alone")
    monkeypatch.setattr("i2i.runtime.translator._BATCHING", ("CPUExecutionProvider",))
    seen: list[tuple[int, ...]] = []
    original = Session.run

    def spying(session: Session, inputs: Any, promised: Any, work: str) -> Any:
        seen.append(promised)
        return original(session, inputs, promised, work)

    monkeypatch.setattr(Session, "run", spying)
    translator = Translator.load(path)
    together = run(translator, folder, tmp_path / "together")
    assert together == alone
    assert all(images == translator.batch(height, width) > 1 for images, height, width, _ in seen)
    assert len(seen) < len(SHAPES)


def test_a_batch_is_smaller_where_images_are_larger(
    tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx"))
    assert translator.batch(256, 256) == 1  # on the CPU
    monkeypatch.setattr("i2i.runtime.translator._BATCHING", ("CPUExecutionProvider",))
    assert [translator.batch(side, side) for side in (16, 256, 512, 1024)] == [8, 8, 2, 1]


def test_lanes_are_the_cores_where_many_images_come(tmp_path: Path, models: Any, monkeypatch: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    monkeypatch.setattr("i2i.runtime.devices.providers.usable_cores", lambda: 3)
    assert Translator.load(path, "cpu", parallel=True).lanes == 3
    assert Translator.load(path, "cpu").lanes == 1


def test_a_mistake_of_ours_ends_the_call_and_does_not_hang(
    tmp_path: Path, folder: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx", multiple=4))

    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(Session, "run", broken)
    with pytest.raises(RuntimeError, match="ours"):
        list(translate_files(translator, plan([str(folder)], output=tmp_path / "out", plugin="x")))


def test_the_oldest_is_taken_with_its_like() -> None:
    ready: Ready[str] = Ready()
    for shape, item in (((1, 1), "a"), ((2, 2), "b"), ((1, 1), "c"), ((1, 1), "d")):
        ready.put(shape, item)
    assert [ready.take(lambda height, width: 2) for _ in range(3)] == [["a", "c"], ["b"], ["d"]]
    ready.close()
    with pytest.raises(ClosedError):
        ready.take(lambda height, width: 2)


def test_a_budget_is_waited_for_and_one_that_wants_all_gets_all() -> None:
    budget = Budget(10)
    first = budget.take(6)
    taken: list[int] = []
    waiting = threading.Thread(target=lambda: taken.append(budget.take(1000)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    budget.give_back(first)
    waiting.join(10)
    assert taken == [10]
    budget.close()
    with pytest.raises(ClosedError):
        budget.take(1)


def failures(translator: Translator, folder: Path, output: Path) -> dict[str, str]:
    results = list(translate_files(translator, plan([str(folder)], output=output, plugin="x")))
    return {Path(result.name).name: result.error.message for result in results if result.error is not None}


def test_memory_that_does_not_suffice_is_the_images_own_matter(
    tmp_path: Path, folder: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(picture: Image.Image, path: Path, **_: object) -> bytes:
        if path.name == "03.png":
            raise MemoryError
        return b"encoded"

    monkeypatch.setattr("i2i.runtime.folder.pipeline.encode_for", encode)
    failed = failures(Translator.load(models.build(tmp_path / "m.onnx")), folder, tmp_path / "out")
    assert failed == {"03.png": f"{folder / '03.png'}: does not fit into memory"}


def test_a_disk_without_room_for_one_image_has_room_for_others(
    tmp_path: Path, folder: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("i2i.runtime.folder.pipeline.is_large", lambda source, **_: source.name == "03.png")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 9}))
    failed = failures(Translator.load(models.build(tmp_path / "m.onnx")), folder, tmp_path / "out")
    assert list(failed) == ["03.png"]
    assert "GiB for the pixels" in failed["03.png"]


def test_what_goes_by_parts_has_the_device_to_itself(
    tmp_path: Path, folder: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way: list[str] = []
    together: list[int] = []

    def parts(translator: Translator, job: Any, rendering: object) -> Iterator[Part]:
        under_way.append(job.name)
        time.sleep(0.005)
        together.append(len(under_way))
        job.target.write_bytes(b"made")
        yield Part(1)
        under_way.remove(job.name)

    monkeypatch.setattr("i2i.runtime.devices.providers.usable_cores", lambda: 3)
    monkeypatch.setattr("i2i.runtime.folder.pipeline.is_large", lambda source, **_: source.name < "10.png")
    monkeypatch.setattr("i2i.runtime.folder.pipeline.parts", parts)
    translator = Translator.load(models.build(tmp_path / "m.onnx"), "cpu", parallel=True)
    assert translator.lanes == 3
    assert not failures(translator, folder, tmp_path / "out")
    assert together == [1] * 10


def test_the_memory_that_is_bounded_is_that_of_the_result(
    tmp_path: Path, folder: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = Budget.take

    def spying(budget: Budget, wanted: int) -> int:
        taken.append(wanted)
        return take(budget, wanted)

    monkeypatch.setattr(Budget, "take", spying)
    assert not failures(Translator.load(models.build(tmp_path / "m.onnx", scale=3)), folder, tmp_path / "out")
    assert sorted(taken) == sorted(height * width * 9 for height, width in SHAPES)
