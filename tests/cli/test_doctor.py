import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from i2i import cli
from i2i.errors import PluginError
from i2i.plugin import Entry
from i2i.runtime.devices import cuda, trial
from i2i.runtime.translator import Translator
from i2i.version import __version__


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cuda, "count", lambda: (0, "there is no NVIDIA driver"))


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(cli.cli, ["doctor", *map(str, arguments)], standalone_mode=False)


def said(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(doctor(*arguments, "--json").stdout)
    return found


def test_what_is_there_and_what_is_used() -> None:
    result = doctor()
    assert result.return_value == 0
    for part in (f"i2i          {__version__}, Python 3", "cpu works", "auto         cpu: there is no NVIDIA driver"):
        assert part in result.output
    found = said()
    assert found["devices"][0] == {"device": "cpu", "works": True, "reasons": []}
    assert found["auto"] == {"device": "cpu", "reason": "there is no NVIDIA driver"}
    assert "CPUExecutionProvider" in found["onnxruntime"]["providers"]
    assert 1 <= found["cores"]["threads"] <= found["cores"]["physical"] <= found["cores"]["machine"]
    assert 0 < found["memory"]["free"] <= found["memory"]["total"]
    assert "pix2pix" in found["plugins"]["working"]
    assert found["newest_run"] is None
    assert "model" not in found


def test_a_gpu_that_cannot_be_used_is_said_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "count", lambda: (1, ""))
    monkeypatch.setattr(cuda, "gpu", lambda index: cuda.Gpu("A GPU", 80 * 2**30, "9.0"))
    monkeypatch.setattr(cuda, "free_memory", lambda index: 79 * 2**30)
    monkeypatch.setattr(cuda, "version", lambda: "13.0")
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    real = trial.problem

    def problem(device: Any) -> Any:
        return ("libcurand.so.10 is not found", "Install it.") if device.kind == "cuda" else real(device)

    monkeypatch.setattr(trial, "problem", problem)
    result = doctor()
    assert result.return_value == 0
    assert "cuda:0 A GPU, 79.0 GiB free of 80.0 GiB, capability 9.0" in result.output
    assert "auto         cpu: cuda:0 does not work: libcurand.so.10 is not found" in result.output
    found = said()
    assert found["driver"]["cuda"] == "13.0"
    reasons = [{"reason": "libcurand.so.10 is not found", "hint": "Install it."}]
    assert found["devices"][1] == {"device": "cuda", "works": False, "reasons": reasons}
    monkeypatch.setattr(trial, "problem", lambda device: None)
    assert said()["auto"] == {"device": "cuda:0", "reason": "the first GPU"}


def test_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "problem", lambda device: ("it is broken", "Buy another one."))
    result = doctor()
    assert result.return_value == 1
    assert "cpu does not work\n               it is broken\n                 Buy another one." in result.output


def test_a_model_is_tried(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx", trained_size=8)
    result = doctor(path)
    assert result.return_value == 0
    assert (
        f"model        {path}: pix2pix fp32, 3 channels to 3, by i2i 0\n             works on cpu: opened in"
        in result.output
    )
    found = said(path, "--device", "cpu")["model"]
    assert (found["device"], found["provider"]) == ("cpu", "CPUExecutionProvider")
    assert found["description"]["trained_size"] == 8
    assert found["seconds"]["first"] > 0
    assert set(found["operators"]) <= {"CPUExecutionProvider"}  # none where onnxruntime does not tell
    assert said(models.build_noise(tmp_path / "n.onnx"))["model"]["description"]["kind"] == "noise"


def test_a_model_that_does_not_work(tmp_path: Path, models: Any) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    result = doctor("m.onnx")
    assert result.return_value == 1
    assert "m.onnx does not work\n             m.onnx: not a whole ONNX model" in result.output
    assert "not a whole ONNX model" in said("m.onnx")["model"]["error"]
    wrong = doctor(models.build(tmp_path / "good.onnx"), "--device", "cuda:7")
    assert wrong.return_value == 1
    assert "device 'cuda:7': there is no NVIDIA driver" in wrong.output


def test_a_device_without_a_model_to_try_there_is_a_mistake() -> None:
    mistake = doctor("--device", "nonsense").exception
    assert isinstance(mistake, click.UsageError)
    assert "name one" in mistake.message


def test_a_file_that_claims_huge_images_is_tried_with_a_small_one(tmp_path: Path, models: Any) -> None:
    found = said(models.build(tmp_path / "m.onnx", trained_size=65_536))["model"]
    assert found["seconds"]["first"] > 0


def test_what_takes_more_memory_than_there_is_does_not_work(
    tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(self: Any, image: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(Translator, "__call__", lack)
    assert said(models.build(tmp_path / "m.onnx"))["model"]["error"] == "an image does not fit into memory"


def test_names_in_a_model_cannot_steer_the_terminal(tmp_path: Path, models: Any) -> None:
    assert "\x1b" not in doctor(models.build(tmp_path / "m.onnx", plugin="\x1b[2Jx", trained_size=4)).output


def test_the_newest_run_and_broken_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, started, state in (("a", "2026-02", "finished"), ("b", "2026-01", "running")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps({"started": started, "state": state}))
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "run.json").write_text("{")

    def load(self: Entry) -> Any:
        raise PluginError(f"plugin '{self.name}' does not load", "Remove it.")

    monkeypatch.setattr(Entry, "load", load)
    result = doctor()
    assert result.return_value == 0
    assert f"newest run   {Path('runs/a')} (finished), not exported" in result.output
    assert "plugins      none\n             plugin 'cgan' does not load" in result.output
    assert said()["newest_run"] == {"run": str(Path("runs/a")), "state": "finished", "model": None}


def test_two_wheels_of_onnxruntime_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2i.cli.doctor.version", lambda package: "1.2")
    output = doctor().output
    assert "onnxruntime  onnxruntime 1.2 and onnxruntime-gpu 1.2 and" in output
    assert "Only one of these can be used: pip uninstall onnxruntime onnxruntime-gpu" in output


def test_torch_is_asked_for_its_version_and_not_imported() -> None:
    code = "import sys; from i2i import cli; cli.cli(['doctor', '--json'], standalone_mode=False); "
    code += "assert not {'torch', 'onnx', 'av'} & set(sys.modules), sorted(sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["packages"]["torch"]
