import contextlib
import ctypes
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from i2i.errors import ArtifactError, DeviceError, I2IError
from i2i.runtime.measure.bench import Result, configurations, measure, processor
from i2i.runtime.measure.peak import products
from i2i.runtime.measure.probe import gpu_in_use, peak_memory

MIB = 2**20


def measuring() -> list[int]:
    """The processes that this one started to measure something, and that still run."""
    found = itertools.chain(*((task / "children").read_text().split() for task in Path("/proc/self/task").iterdir()))
    return [
        int(child) for child in found if b"i2i.runtime.measure.probe" in Path("/proc", child, "cmdline").read_bytes()
    ]


def test_every_combination_is_measured_in_order(tmp_path: Path, models: Any) -> None:
    first, second = models.build(tmp_path / "a.onnx"), models.build(tmp_path / "b.onnx", precision="fp16")
    wanted = configurations([first, second], ["cpu", "auto"], [1, 3], [(64, 48), (32, 32)])
    assert [(each.model, each.device, each.batch, each.width, each.height) for each in wanted] == [
        (model, device, batch, *size)
        for device in ("cpu", "auto")
        for batch in (1, 3)
        for size in ((64, 48), (32, 32))
        for model in (first, second)
    ]
    models.build(tmp_path / "c.onnx", multiple=1024)
    wanted = configurations([first, tmp_path / "c.onnx"], ["cpu"], [1])
    assert [(each.model.name, each.width) for each in wanted] == [("a.onnx", 256), ("c.onnx", 1024), ("a.onnx", 512)]


@pytest.mark.parametrize(
    ("multiple", "minimum", "sides"), [(1, 1, [256, 512]), (96, 96, [288, 576]), (4, 600, [600]), (1024, 1024, [1024])]
)
def test_sizes_are_by_default_what_the_model_takes(
    tmp_path: Path, models: Any, multiple: int, minimum: int, sides: list[int]
) -> None:
    path = models.build(tmp_path / "m.onnx", multiple=multiple, minimum=minimum)
    wanted = configurations([path], ["cpu"], [1])
    assert [(each.width, each.height) for each in wanted] == [(side, side) for side in sides]


def test_a_run_is_its_model_and_that_ones_variants(tmp_path: Path, models: Any) -> None:
    for name, precision, direction in [
        ("model", "fp32", "AtoB"),
        ("model.BtoA", "fp32", "BtoA"),
        ("model.BtoA.int8", "int8", "BtoA"),
        ("model.int8", "int8", "AtoB"),
        ("model.fp16", "fp16", "AtoB"),
        ("other.fp16", "fp16", "AtoB"),
    ]:
        models.build(tmp_path / f"{name}.onnx", precision=precision, direction=direction)
    (tmp_path / "model.broken.onnx").write_bytes(b"broken")
    wanted = configurations([tmp_path], ["cpu"], [1], [(8, 8)])
    assert [each.model.name for each in wanted] == ["model.onnx", "model.fp16.onnx", "model.int8.onnx"]
    assert len(configurations([tmp_path / "model.onnx"], ["cpu"], [1], [(8, 8)])) == 1


def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx", multiple=4, minimum=16)
    for size, message in [
        ((30, 16), "takes no 30 x 16 pixels: its sides are multiples of 4 and at least 16\n  Measure 32x16,"),
        ((16, 8), "takes no 16 x 8 pixels: .*\n  Measure 16x16,"),
    ]:
        with pytest.raises(I2IError, match=f"(?s){message}"):
            configurations([path], ["cpu"], [1], [size])
    with pytest.raises(DeviceError, match="'tpu'"):
        configurations([path], ["cpu", "tpu"], [1])
    with pytest.raises(ArtifactError, match=r"gone\.onnx: there is no such file"):
        configurations([path, tmp_path / "gone.onnx"], ["cpu"], [1])
    noise = models.build_noise(tmp_path / "n.onnx")
    with pytest.raises(I2IError, match="makes images of 4 x 4 pixels alone"):
        configurations([noise], ["cpu"], [1], [(8, 8)])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, models: Any) -> dict[str, Result]:
    """Each kind of model, measured one after the other, while this process holds 300 MiB."""
    folder = tmp_path_factory.mktemp("models")
    plain = models.build(folder / "plain.onnx")
    refused = models.build(folder / "refused.onnx")
    wanted = configurations([refused], ["cpu"], [1], [(8, 8)])
    proto = models.graph(models.describe())
    proto.graph.node[0].op_type = "Teleport"
    models.save(refused, proto, models.describe().properties())
    liar = models.save(folder / "liar.onnx", models.graph(models.describe(scale=2)), models.describe().properties())
    wanted += configurations([liar], ["cpu"], [1], [(8, 8)])
    wanted += configurations([plain], ["cpu"], [1], [(1024, 1024), (8, 8)])
    wanted += configurations([models.build(folder / "m.onnx", operations=1000, scale=2)], ["cpu"], [2], [(64, 48)])
    wanted += configurations([models.build_noise(folder / "noise.onnx")], ["cpu"], [8])
    wanted += configurations([models.build_noise(folder / "label.onnx", classes=("nought", "one"))], ["cpu"], [8])
    ballast = np.ones(300 * MIB, np.uint8)
    names = ["refused", "liar", "large", "plain", "scaled", "noise", "label"]
    results = dict(zip(names, measure(wanted, 0.1), strict=True))
    del ballast
    return results


def test_figures_fit_together(measured: dict[str, Result]) -> None:
    result = measured["scaled"]
    found = result.measured
    assert found.error is None
    assert (found.device, found.provider, found.note) == ("cpu", "CPUExecutionProvider", None)
    assert found.warm is not None
    assert found.cold is not None
    assert found.memory is not None
    assert result.peak is not None
    assert found.warm.runs >= 5
    assert 0 < found.warm.p50 <= found.warm.p95
    assert min(found.cold.start, found.cold.open, found.cold.first) > 0
    assert found.cold.total == pytest.approx(found.cold.start + found.cold.open + found.cold.first)
    assert result.images_per_second == pytest.approx(2 / found.warm.p50)
    assert result.megapixels_per_second == pytest.approx(2 * 64 * 48 / 1e6 / found.warm.p50)
    assert result.share_of_peak == pytest.approx(1000 * 2 * 64 * 48 / found.warm.p50 / result.peak)


@pytest.mark.parametrize("name", ["noise", "label"])
def test_models_that_make_images_are_measured_too(measured: dict[str, Result], name: str) -> None:
    result = measured[name]
    assert result.measured.warm is not None
    assert (result.configuration.width, result.configuration.height) == (4, 4)
    assert result.images_per_second == pytest.approx(8 / result.measured.warm.p50)
    assert result.megapixels_per_second == pytest.approx(8 * 4 * 4 / 1e6 / result.measured.warm.p50)


def test_what_a_model_does_not_say_is_left_out(measured: dict[str, Result]) -> None:
    assert measured["plain"].peak is not None
    assert measured["plain"].share_of_peak is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_each_measurement_alone(measured: dict[str, Result]) -> None:
    large, small = (measured[name].measured.memory for name in ("large", "plain"))
    assert large is not None
    assert small is not None
    own = peak_memory()
    assert own is not None
    assert own > 300 * MIB > small
    pixels = 1024 * 1024 * 3
    assert large - small > pixels + 2 * 4 * pixels  # bytes in, and a float32 copy in and out of a node


def test_what_fails_says_so_and_does_not_stop_the_others(measured: dict[str, Result]) -> None:
    liar = measured["liar"]
    assert liar.measured.error is not None
    assert "liar.onnx: gave uint8 [1, 16, 16, 3]" in liar.measured.error
    assert liar.images_per_second is liar.megapixels_per_second is liar.share_of_peak is None
    assert measured["plain"].measured.error is None


def test_a_model_that_cannot_be_opened_does_not_hide_the_peak_from_the_others(measured: dict[str, Result]) -> None:
    assert "Teleport" in str(measured["refused"].measured.error)
    assert measured["refused"].peak is None
    assert len({result.peak for name, result in measured.items() if name != "refused"} - {None}) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_what_does_not_fit_into_memory_says_so(tmp_path: Path, models: Any) -> None:
    models.build(tmp_path / "m.onnx")
    code = (
        "import resource\n"
        "from pathlib import Path\n"
        "from i2i.runtime.measure.probe import Job, measure\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))\n"
        "for side in 10_000, 60_000, 64:\n"
        "    job = Job(what='model', model='m.onnx', kind='image', device='cpu', batch=1, height=side, width=side,\n"
        "              seconds=0.1, started=0)\n"
        "    print((measure(job).error or '').partition(chr(10))[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "10000 x 10000 pixels do not fit into memory",
        "60000 x 60000 pixels do not fit into memory",
        "",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_the_system_kills_is_a_failure_like_others(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(OSError):  # gone already
                for child in measuring():
                    os.kill(child, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        (result,) = measure(configurations([path], ["cpu"], [1], [(64, 64)]), 60)
    finally:
        over.set()
        killer.join()
    assert result.measured.error == "its process was killed, as a system does that has no more memory"
    assert result.peak is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_closing_ends_the_process_that_measures(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def stop() -> None:
        """Holds the process that measures, so that it cannot end before the interruption comes."""
        deadline = time.monotonic() + 60
        while not (held := measuring()) and time.monotonic() < deadline:
            time.sleep(0.01)
        for child in held:
            os.kill(child, signal.SIGSTOP)
        time.sleep(0.2)  # until this process waits for the other
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, interrupt)
    stopper = threading.Thread(target=stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            results = measure(configurations([path], ["cpu"], [1], [(64, 64)]), 600)
            stopper.start()
            list(results)
    finally:
        stopper.join()
        signal.signal(signal.SIGALRM, before)
    assert measuring() == []


@pytest.mark.parametrize("side", [3, 64])
def test_the_matrix_products_are_whole_and_right(side: int) -> None:
    model = products(side)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (largest,) = session.run(["largest"], {"scale": np.array([3], np.float32)})
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32).astype(np.float64) / side**0.5
    assert largest == pytest.approx(3 * np.linalg.matrix_power(matrix, 5).max(), rel=1e-4)
    assert [node.op_type for node in onnx.load_from_string(model).graph.node].count("MatMul") == 4


def test_memory_of_a_gpu_is_what_its_driver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        """Stands in for libcuda.so.1, which is the border to a machine that the tests do not have."""

        def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
            name.value = b"NVIDIA Test"
            return 0

        def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:  # noqa: N802
            total._obj.value = 10 * 2**30
            return 0

        def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:  # noqa: N802
            free._obj.value = 3 * 2**30
            return 0

        def __getattr__(self, name: str) -> Any:
            return lambda *_: 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert gpu_in_use("cuda:1") == ("NVIDIA Test", 7 * 2**30)
    assert gpu_in_use("cpu") is None


def test_the_processor_is_named() -> None:
    named = processor()
    assert named
    if Path("/proc/cpuinfo").is_file() and "model name" in Path("/proc/cpuinfo").read_text():
        assert re.search(rf"(?m)^model name\s*: {re.escape(named)}$", Path("/proc/cpuinfo").read_text())
