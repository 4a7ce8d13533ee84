from pathlib import Path

import pytest
from PIL import Image

from i2i.errors import ImageError
from i2i.runtime.folder.amount import little, many
from i2i.runtime.folder.inputs import Refused
from i2i.runtime.folder.jobs import Job


def job(path: Path, kind: str = "image") -> Job:
    return Job(path.name, path, path.with_suffix(".out.png"), kind=kind)


def test_little_is_one_image_that_is_not_very_large(tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    Image.new("L", (8, 8)).save(small)
    Image.new("1", (8000, 8000)).save(large)
    assert little([], 10**9)
    assert little([job(small)], 10**9)
    assert little([job(tmp_path / "gone.png")], 10**9)
    assert little([Job("stdin", b"", tmp_path / "a.png")], 10**9)
    assert not little([job(large)], 10**9)
    assert little([job(large)], 1000)  # it will be refused
    assert not little([job(small), job(large)], 10**9)
    assert not little([job(tmp_path / "clip.mp4", "video")], 10**9)


def test_many_are_several_for_each_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2i.runtime.folder.amount.usable_cores", lambda: 3)
    jobs = [job(tmp_path / f"{number}.png") for number in range(6)]
    assert many(jobs)
    assert not many([*jobs[1:], Refused("x", ImageError("x"))])


def test_what_counts_is_the_result_and_only_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (2000, 2000)).save(path)
    assert little([job(path)], 10**9, scale=2)
    assert not little([job(path)], 10**9, scale=4)
    monkeypatch.setattr("i2i.runtime.folder.amount.usable_cores", lambda: 1)
    assert not many([job(path), job(tmp_path / "clip.mp4", "video")])
