import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from i2i.artifact import INPUT, OUTPUT
from i2i.errors import ArtifactError, ImageError, OutOfMemoryError
from i2i.runtime.devices.device import Device
from i2i.runtime.devices.providers import Opener
from i2i.runtime.graph import Graph, Replay
from i2i.runtime.session import Session, open_session


def opened(path: Path) -> Session:
    return open_session(path, "image", "cpu")


def pixels(height: int, width: int, value: int = 5) -> dict[str, Any]:
    return {INPUT: np.full((1, height, width, 3), value, np.uint8)}


def test_a_sibling_is_another_graph_on_the_same_device(tmp_path: Path, models: Any) -> None:
    session = opened(models.build(tmp_path / "m.onnx"))
    twice = models.build(tmp_path / "twice.onnx", scale=2).read_bytes()
    sibling = session.sibling(twice)
    for height, width in ((2, 3), (4, 4)):
        (made,) = sibling.run([OUTPUT], pixels(height, width))
        assert made.shape == (1, 2 * height, 2 * width, 3)
        assert (made == 250).all()


def test_a_fixed_shape_is_the_only_one(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    sibling = opened(path).sibling(path.read_bytes(), fixed=(1, 4, 6, 3))
    assert sibling.inference.get_inputs()[0].shape == [1, 4, 6, 3]
    (made,) = sibling.run([OUTPUT], pixels(4, 6))
    assert (made == 250).all()
    with pytest.raises(ArtifactError, match=r"m\.onnx: fails at image \[1, 4, 4, 3\]: "):
        sibling.run([OUTPUT], pixels(4, 4))


def test_a_sibling_that_is_no_model(tmp_path: Path, models: Any) -> None:
    with pytest.raises(ArtifactError, match=r"m\.onnx: onnxruntime .* cannot open it"):
        opened(models.build(tmp_path / "m.onnx")).sibling(b"nonsense")


def test_where_memory_does_not_suffice(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx", scale=30_000)  # ten terabytes of one image
    session = opened(path)
    with pytest.raises(OutOfMemoryError, match=r"image .* do not fit into memory"):
        session.sibling(path.read_bytes()).run([OUTPUT], pixels(30, 30))
    with pytest.raises(ImageError, match=r"30 x 30 pixels do not fit into memory\n  Make the image smaller, or use"):
        session.run(pixels(30, 30), (1, 900_000, 900_000, 3), "30 x 30 pixels")
    assert session.free_memory() > 0


def test_a_model_that_does_not_fit_itself(tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(models.build(tmp_path / "m.onnx"))

    def full(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("Available memory of 4 is smaller than requested bytes of 7")

    monkeypatch.setattr(onnxruntime, "InferenceSession", full)
    with pytest.raises(OutOfMemoryError, match=r"m\.onnx: does not fit into memory"):
        session.sibling((tmp_path / "m.onnx").read_bytes(), fixed=(1, 2, 2, 3))


def test_all_graphs_of_a_process_share_a_bound(tmp_path: Path, models: Any) -> None:
    """What Linux would grant, and then kill for, is refused; what fits runs after that as before."""
    path = models.build(tmp_path / "m.onnx")
    code = f"""if True:
        import numpy as np
        from pathlib import Path
        from i2i.errors import OutOfMemoryError
        from i2i.runtime.devices import providers
        from i2i.runtime.session import open_session

        providers.free_memory = lambda: 100 * 2**20
        path = Path({str(path)!r})
        session = open_session(path, "image", "cpu")
        large, small = (np.full((1, side, side, 3), 5, np.uint8) for side in (4000, 400))
        for graph in (session.sibling(path.read_bytes()), session.sibling(path.read_bytes())):
            try:
                graph.run(["output"], {{"image": large}})
            except OutOfMemoryError as error:
                print(error)
            assert (graph.run(["output"], {{"image": small}})[0] == 250).all()
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "image [1, 4000, 4000, 3] do not fit into memory\n" * 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads what the kernel says of the process")
def test_the_memory_of_a_large_image_is_given_back(tmp_path: Path, models: Any) -> None:
    # In a process of its own: what other tests have left in this one's heap would be counted.
    code = f"""
import os
from pathlib import Path
import numpy as np
from i2i.runtime.session import open_session

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

session = open_session(Path({str(models.build(tmp_path / "m.onnx"))!r}), "image", "cpu")
given = {{"image": np.full((1, 4000, 4000, 3), 5, np.uint8)}}
before = resident()
made = session.run(given, (1, 4000, 4000, 3), "16 megapixels")
assert (made == 250).all()
print(resident() - before, made.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    more, made = map(int, done.stdout.split())
    assert more < 2 * made  # of 4 bytes for each value, twice, while it ran


@pytest.mark.parametrize(
    "said",
    [
        "std::bad_alloc",
        "bfc_arena.cc Failed to allocate memory for requested buffer of size 7",
        "bfc_arena.cc Available memory of 4 is smaller than requested bytes of 7",
        "CUDA failure 2: out of memory ; GPU=0",
        "CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "[GPU] Exceeded max size of memory object allocation",
    ],
)
def test_what_the_providers_say_of_memory_that_is_gone(said: str) -> None:
    class Full:
        def run(self, outputs: Any, inputs: Any, options: Any) -> Any:
            raise RuntimeError(said)

    with pytest.raises(OutOfMemoryError, match="many pixels do not fit into memory"):
        Graph(Full(), "m.onnx").run([OUTPUT], pixels(2, 2), "many pixels")


class Recording:
    """An inference on the CPU that counts how it is run, and whose recording fails where `fails` says so."""

    def __init__(self, inference: Any, fails: str = "") -> None:
        self._inference, self._fails = inference, fails
        self.runs: list[str] = []

    def io_binding(self) -> Any:
        return self._inference.io_binding()

    def run(self, outputs: Sequence[str], inputs: Any, options: Any) -> Any:
        self.runs.append("plain")
        return self._inference.run(outputs, inputs, options)

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        self.runs.append("bound" if options is None else "found shapes")
        if self._fails and options is None:
            raise RuntimeError(self._fails)
        self._inference.run_with_iobinding(binding, options)


@pytest.fixture
def recording(tmp_path: Path, models: Any) -> Any:
    """`recording(fails)`: a Recording of a model that doubles an image's sides."""
    path = models.build(tmp_path / "m.onnx", scale=2)
    return lambda fails="": Recording(Opener(Device("cpu"), path).open(path), fails)


def test_replayed_runs_give_what_plain_runs_give(recording: Any) -> None:
    inference = recording()
    replay = Replay(inference, "cpu", 0)
    kept = [replay.run([OUTPUT], pixels(3, 4, value))[0] for value in (5, 6, 7)]
    assert [made.shape for made in kept] == [(1, 6, 8, 3)] * 3
    assert [set(made.ravel()) for made in kept] == [{250}, {249}, {248}]  # each has memory of its own
    assert inference.runs == ["found shapes", "bound", "bound", "bound"]


def test_another_shape_is_run_without_a_recording(recording: Any) -> None:
    inference = recording()
    replay = Replay(inference, "cpu", 0)
    replay.run([OUTPUT], pixels(3, 4))
    assert replay.run([OUTPUT], pixels(2, 2))[0].shape == (1, 4, 4, 3)
    assert replay.run([OUTPUT], pixels(3, 4))[0].shape == (1, 6, 8, 3)
    assert inference.runs[2:] == ["plain", "bound"]


def test_what_cannot_be_recorded_is_run_plainly_from_then_on(recording: Any) -> None:
    inference = recording("CUDA failure 900: operation not permitted when stream is capturing")
    replay = Replay(inference, "cpu", 0)
    for _ in range(2):
        assert (replay.run([OUTPUT], pixels(3, 4))[0] == 250).all()
    assert inference.runs == ["found shapes", "bound", "plain", "plain"]


def test_memory_that_is_gone_while_recording_is_no_reason_to_run_plainly(recording: Any) -> None:
    inference = recording("CUDA failure 2: out of memory")
    graph = Graph(inference, "m.onnx", Replay(inference, "cpu", 0))
    with pytest.raises(OutOfMemoryError):
        graph.run([OUTPUT], pixels(3, 4))
    assert "plain" not in inference.runs


def test_a_fixed_shape_on_cuda_is_recorded_where_it_can_be(
    tmp_path: Path, models: Any, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnxruntime.InferenceSession
    asked: list[str] = []

    class OnCuda:
        def __init__(self, model: Any, options: Any, providers: Any, enable_fallback: int) -> None:
            capture = dict(providers)["CUDAExecutionProvider"]["enable_cuda_graph"]
            asked.append(capture)
            if capture == "1" and able == "no":
                raise RuntimeError("This session cannot use the graph capture feature as requested by the user")
            self._real = real(model, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

        def get_provider_graph_assignment_info(self) -> list[Any]:
            return []

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    driver(devices=1)
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnCuda)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda directory: None)
    path = models.build(tmp_path / "m.onnx")
    able = "yes"
    session = open_session(path, "image", "cuda")
    assert session.free_memory() == 40_000_000_000
    del asked[:]
    session.sibling(path.read_bytes())
    session.sibling(path.read_bytes(), fixed=(1, 4, 4, 3))
    able = "no"
    plain = session.sibling(path.read_bytes(), fixed=(1, 4, 4, 3))
    assert asked == ["0", "1", "1", "0"]
    assert (plain.run([OUTPUT], pixels(4, 4))[0] == 250).all()
