"""`i2i doctor`: what is there, what is used, and why."""

from __future__ import annotations

import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from i2i.errors import I2IError
from i2i.version import __version__

_GIB = 2**30
# Package -> what i2i does with it; their versions are read without importing any.
_OPTIONAL = {
    "torch": "training",
    "onnx": "exporting",
    "av": "video",
    "pyvips": "images larger than memory",
    "nvidia-cudnn-cu13": "CUDA",
    "nvidia-cudnn-cu12": "CUDA",
    "tensorrt-cu13-libs": "TensorRT",
    "tensorrt-cu12-libs": "TensorRT",
}


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="Where to try MODEL.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else.")
def command(model: Path | None, device: str, as_json: bool) -> int:
    """Say what is there, what is used and why; and of MODEL, an .onnx file or a run, whether it works.

    Exits with 1 where no device works, or MODEL does not.
    """
    if model is None and device != "auto":
        raise click.UsageError("--device says where to try MODEL: name one.")
    driver = _driver()
    found: dict[str, Any] = {
        "i2i": {"version": __version__, "python": platform.python_version(), "platform": platform.platform()},
        "onnxruntime": _onnxruntime(),
        "driver": driver,
        "devices": _devices(),
        "auto": _auto(driver),
        "cores": _cores(),
        "memory": _memory(),
        "packages": {package: _version(package) for package in _OPTIONAL},
        "plugins": _plugins(),
        "newest_run": _newest_run(),
    }
    if model is not None:
        found["model"] = _model(model, device)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    works = any(each["works"] for each in found["devices"])
    return 0 if works and "error" not in found.get("model", {}) else 1


def _onnxruntime() -> dict[str, Any]:
    import onnxruntime

    from i2i.runtime.devices.providers import WHEELS

    wheels = {wheel: _version(wheel) for wheel in WHEELS}
    return {
        "version": onnxruntime.__version__,
        "wheels": {wheel: number for wheel, number in wheels.items() if number},
        "cuda": getattr(onnxruntime, "cuda_version", "") or None,
        "providers": onnxruntime.get_available_providers(),
    }


def _driver() -> dict[str, Any]:
    from i2i.runtime.devices import cuda

    (number, problem), gpus = cuda.count(), []
    try:
        gpus = [cuda.gpu(index)._asdict() | {"free": cuda.free_memory(index)} for index in range(number)]
    except I2IError as error:
        problem = error.message
    return {"gpus": gpus, "cuda": cuda.version() if number else None, "problem": problem or None}


def _devices() -> list[dict[str, Any]]:
    """Each device that this build of onnxruntime knows, and whether a convolution runs on it."""
    import onnxruntime

    from i2i.runtime.devices.device import KINDS, Device, choose
    from i2i.runtime.devices.providers import PROVIDERS
    from i2i.runtime.devices.trial import problem

    there = onnxruntime.get_available_providers()
    rows = []
    for kind in (kind for kind in KINDS if PROVIDERS[kind].name in there):
        reasons = []
        try:
            device = choose(kind)
        except I2IError as error:
            reasons.append({"reason": error.message.partition(": ")[2], "hint": error.hint})
            device = Device(kind, "0")  # what else it lacks is said as well
        if found := problem(device):
            reasons.append({"reason": found[0], "hint": found[1]})
        rows.append({"device": kind, "works": not reasons, "reasons": reasons})
    return rows


def _auto(driver: dict[str, Any]) -> dict[str, str]:
    from i2i.runtime.devices.device import choose
    from i2i.runtime.devices.trial import problem

    chosen = choose("auto")
    if chosen.kind == "cpu":
        return {"device": "cpu", "reason": driver["problem"]}
    if reasons := problem(chosen):
        return {"device": "cpu", "reason": f"{chosen} does not work: {reasons[0]}"}
    return {"device": str(chosen), "reason": "the first GPU"}


def _cores() -> dict[str, Any]:
    from i2i.runtime.devices.device import cores

    said = cores()
    return {
        "machine": said.machine,
        "allowed": said.allowed,
        "physical": said.physical,
        "quota": said.quota,
        "threads": said.threads,
    }


def _memory() -> dict[str, Any]:
    from i2i.memory import free_memory, group_limit, total_memory

    return {"total": total_memory(), "limit": group_limit(), "free": free_memory()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plugins() -> dict[str, Any]:
    from i2i import plugin as plugins

    working, broken, refused = [], {}, []
    for entry in plugins.catalogue():
        if entry.refused:
            refused.append(entry.name)
            continue
        try:
            entry.load()
        except I2IError as error:
            broken[entry.name] = str(error)
        else:
            working.append(entry.name)
    return {"working": working, "broken": broken, "refused": refused}


def _newest_run() -> dict[str, Any] | None:
    from i2i.training.run import RUNS, told

    found = []
    for run, facts in told(RUNS):
        model = str(run.model) if run.model.is_file() else None
        found.append(
            (str(facts.get("started", "")), {"run": str(run.path), "state": facts.get("state"), "model": model})
        )
    return max(found, key=lambda each: each[0])[1] if found else None


def _model(path: Path, device: str) -> dict[str, Any]:
    """What MODEL says of itself, and how one image of its training's size, at most 512 pixels, does on the device."""
    import numpy as np

    from i2i.runtime.generator import Generator
    from i2i.runtime.model.find import find_model, read_description
    from i2i.runtime.session import open_session
    from i2i.runtime.translator import Translator

    try:
        file = find_model(path)
        said = read_description(file)
        row: dict[str, Any] = {"model": str(file), "description": said.model_dump(mode="json")}
        begun = time.perf_counter()
        session = open_session(file, said.kind, device)
        row |= {"device": session.device, "provider": session.provider, "note": session.note}
        row["operators"] = session.operators()
        opened = time.perf_counter()
        if said.kind == "image":
            Translator(session)(np.full((*[min(said.trained_size, 512)] * 2, said.channels_in), 128, np.uint8))
        else:
            Generator(session)(1)
        return row | {"seconds": {"open": opened - begun, "first": time.perf_counter() - opened}}
    except (I2IError, MemoryError) as error:
        return {"model": str(path), "error": str(error) or "an image does not fit into memory"}


def _show(found: dict[str, Any]) -> None:
    """Prints each subject as a name and its lines."""
    about, runtime, cores, memory = (found[name] for name in ("i2i", "onnxruntime", "cores", "memory"))
    wheels = " and ".join(f"{wheel} {number}" for wheel, number in runtime["wheels"].items())
    subjects = {
        "i2i": [f"{about['version']}, Python {about['python']}, {about['platform']}"],
        "onnxruntime": [wheels or runtime["version"], *_two_wheels(runtime)],
        "driver": _driver_lines(found["driver"]),
        "devices": _device_lines(found["devices"]),
        "auto": [f"{found['auto']['device']}: {found['auto']['reason']}"],
        "threads": [
            f"{cores['threads']}: {cores['machine']} cores, {cores['allowed']} allowed, {cores['physical']} physical; "
            f"quota of the control group {cores['quota'] or 'none'}"
        ],
        "memory": [
            f"{_gib(memory['free'])} free of {_gib(memory['total'])}, "
            f"limit of the control group {_gib(memory['limit'])}"
        ],
        "optional": [
            f"{package} {number or '(not installed)'}: {use}"
            for (package, use), number in zip(_OPTIONAL.items(), found["packages"].values(), strict=True)
            if number or "-" not in package
        ],
        "plugins": [
            ", ".join(found["plugins"]["working"]) or "none",
            *(line for error in found["plugins"]["broken"].values() for line in error.splitlines()),
            *(f"{name} is left out by I2I_LOAD_PLUGINS" for name in found["plugins"]["refused"]),
        ],
        "newest run": _run_lines(found["newest_run"]),
        **({"model": _model_lines(found["model"])} if "model" in found else {}),
    }
    width = max(map(len, subjects))
    for subject, lines in subjects.items():
        for number, line in enumerate(lines):
            click.echo(f"{subject if number == 0 else '':{width}}  {line}")


def _two_wheels(runtime: dict[str, Any]) -> list[str]:
    """A warning where two wheels have been installed over each other: each brings a package `onnxruntime`."""
    if len(runtime["wheels"]) < 2:
        return []
    return [f"Only one of these can be used: pip uninstall {' '.join(runtime['wheels'])}, then install one."]


def _driver_lines(driver: dict[str, Any]) -> list[str]:
    if driver["problem"]:
        return [driver["problem"]]
    gpus = (
        f"cuda:{index} {gpu['name']}, {_gib(gpu['free'])} free of {_gib(gpu['memory'])}, capability {gpu['capability']}"
        for index, gpu in enumerate(driver["gpus"])
    )
    return [f"of CUDA {driver['cuda']}", *gpus]


def _device_lines(devices: list[dict[str, Any]]) -> list[str]:
    lines = []
    for each in devices:
        lines.append(f"{each['device']} {'works' if each['works'] else 'does not work'}")
        for why in each["reasons"]:
            lines += [f"  {why['reason']}", f"    {why['hint']}"]
    return lines


def _run_lines(run: dict[str, Any] | None) -> list[str]:
    if run is None:
        return ["none under runs/"]
    return [f"{run['run']} ({run['state']}){'' if run['model'] else ', not exported'}"]


def _model_lines(model: dict[str, Any]) -> list[str]:
    from i2i.runtime.model.onnxfile import shown

    if "error" in model:
        return [f"{model['model']} does not work", *str(model["error"]).splitlines()]
    said, seconds = model["description"], model["seconds"]
    plugin, by = shown(said["plugin"]), shown(said["i2i_version"])
    does = f"{said['channels_in']} channels to {said['channels_out']}" if said["kind"] == "image" else "from noise"
    times = f"opened in {seconds['open']:.3f} s, first image in {seconds['first']:.3f} s"
    return [
        f"{model['model']}: {plugin} {said['precision']}, {does}, by i2i {by}",
        f"works on {model['device']}{_shares(model['operators'])}: {times}",
        *([model["note"]] if model["note"] else []),
    ]


def _shares(operators: dict[str, int]) -> str:
    """Who has taken how many operators, where a model is split among providers."""
    shares = ", ".join(f"{count} operators on {provider}" for provider, count in operators.items())
    return f" ({shares})" if len(operators) > 1 else ""


def _gib(size: int | None) -> str:
    return "none" if size is None else f"{size / _GIB:.1f} GiB"
