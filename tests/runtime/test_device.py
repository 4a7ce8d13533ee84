import os
import sys
from pathlib import Path
from typing import Any

import pytest

from i2i.errors import DeviceError
from i2i.runtime.devices import cuda
from i2i.runtime.devices.device import FORMS, Cores, choose, cores, usable_cores
from i2i.runtime.measure.probe import gpu_in_use

linux = pytest.mark.skipif(sys.platform != "linux", reason="affinity and control groups are Linux's")


def test_without_a_driver_auto_is_the_cpu_and_cuda_an_error(driver: Any) -> None:
    driver()
    assert str(choose("auto")) == "cpu"
    for wanted in ("cuda", "tensorrt:1"):
        with pytest.raises(
            DeviceError, match=rf"(?s)device '{wanted}': there is no NVIDIA driver \(.*\)\n  Use cpu, or install"
        ):
            choose(wanted)


@pytest.mark.parametrize("found", [{"status": 100}, {"devices": 0}])
def test_a_driver_without_devices_is_no_gpu(driver: Any, found: dict[str, int]) -> None:
    driver(**found)
    assert str(choose("auto")) == "cpu"
    with pytest.raises(DeviceError, match="offers no device"):
        choose("cuda:0")


def test_gpus_are_counted(driver: Any) -> None:
    driver(devices=2)
    wanted = {"auto": "cuda:0", "cuda": "cuda:0", "cuda:1": "cuda:1", "tensorrt:1": "tensorrt:1", "cpu": "cpu"}
    assert {name: str(choose(name)) for name in wanted} == wanted
    assert not choose("auto").named
    assert choose("cuda").named
    with pytest.raises(DeviceError, match="device 'cuda:2': there are cuda:0 to cuda:1\n  Choose one of those"):
        choose("cuda:2")
    driver(devices=1)
    with pytest.raises(DeviceError, match="there is only tensorrt:0"):
        choose("tensorrt:1")


def test_what_the_driver_says_of_a_gpu(driver: Any) -> None:
    found = driver(devices=2)
    assert cuda.version() == "13.2"
    assert cuda.gpu(1) == ("GPU number 1", 80_000_000_000, "9.0")
    assert cuda.free_memory(1) == 40_000_000_000
    assert found.contexts == 0


@pytest.mark.parametrize("call", ["cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"])
def test_a_driver_that_fails_is_not_a_gpu_without_memory(
    driver: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    found = driver(devices=1)
    monkeypatch.setattr(found, call, lambda *_: 46)
    with pytest.raises(DeviceError, match=f"the NVIDIA driver fails: {call} returned 46"):
        cuda.free_memory(0)
    assert found.contexts == 0
    assert gpu_in_use("cuda:0") is None


def test_devices_that_are_no_gpus_of_cuda_need_no_driver(driver: Any) -> None:
    driver()
    wanted = {"coreml": "coreml", "directml": "directml:0", "directml:1": "directml:1"}
    wanted |= {"openvino": "openvino:cpu", "openvino:gpu": "openvino:gpu"}
    assert {name: str(choose(name)) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("wrong", "guess"),
    [
        ("gpu", "did you mean 'cuda'"),
        ("CPU", "did you mean 'cpu'"),
        ("tensorRT", "did you mean 'tensorrt'"),
        ("cuda:x", ""),
        ("cuda:-1", ""),
        ("cuda:", ""),
        ("cpu:0", ""),
        ("coreml:0", ""),
        ("openvino:0", ""),
        ("", ""),
    ],
)
def test_unknown_devices_are_named(wrong: str, guess: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose(wrong)
    assert str(caught.value).startswith(f"device '{wrong}': unknown")
    assert guess in str(caught.value)
    assert str(caught.value).endswith(f"\n  Choose {FORMS}.")


@linux
def test_cores_are_those_of_the_affinity() -> None:
    everything = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(everything)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, everything)
    assert 1 <= usable_cores() <= len(everything)


@linux
def test_two_hyper_threads_are_one_core(tmp_path: Path, tell: Any) -> None:
    allowed = os.sched_getaffinity(0)
    for cpu in allowed:
        pair = f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}\n"
        tell({f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": pair})
    found = cores(tmp_path)
    assert (found.allowed, found.physical) == (len(allowed), len({cpu // 2 for cpu in allowed}))


@linux
@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/cgroup.controllers": "", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"sys/fs/cgroup/cgroup.controllers": "", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (  # version 1: a container, whose own group is the mounted root
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/1234\n1:name=systemd:/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (  # version 2: the process's own group grants more than the one above it
            {
                "proc/self/cgroup": "0::/user/service\n",
                "sys/fs/cgroup/cgroup.controllers": "cpu\n",
                "sys/fs/cgroup/user/cpu.max": "250000 100000\n",
                "sys/fs/cgroup/user/service/cpu.max": "900000 100000\n",
            },
            3,
        ),
        (  # a path out of the mounted tree leads nowhere
            {"proc/self/cgroup": "0::/../../etc\n", "etc/cpu.max": "100000 100000\n"},
            None,
        ),
        ({"proc/self/cgroup": "nonsense\n"}, None),
        ({}, None),
    ],
)
def test_quota_of_the_control_groups(tmp_path: Path, tell: Any, files: dict[str, str], quota: int | None) -> None:
    tell(files)
    assert cores(tmp_path).quota == quota


def test_the_least_of_all_bounds_the_threads() -> None:
    assert Cores(machine=64, allowed=16, physical=8, quota=None).threads == 8
    assert Cores(machine=64, allowed=16, physical=8, quota=3).threads == 3
    assert Cores(machine=64, allowed=16, physical=8, quota=20).threads == 8
