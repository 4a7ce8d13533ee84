from pathlib import Path

import pytest

from i2i.runtime.folder.inputs import Refused
from i2i.runtime.folder.jobs import Job, plan
from i2i.runtime.folder.places import Places, folds


def images(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def refusals(*inputs: Path, output: Path) -> list[str]:
    tasks = plan([str(path) for path in inputs], output=output, plugin="x", overwrite=True)
    return [task.error.message.partition(": ")[2] or task.error.message for task in tasks if isinstance(task, Refused)]


@pytest.fixture(params=[False, True])
def folding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """On file systems that keep upper and lower case apart, and on others."""
    monkeypatch.setattr("i2i.runtime.folder.places.folds", lambda folder: request.param)
    return bool(request.param)


def test_an_input_is_not_overwritten_by_its_name_in_the_other_case(tmp_path: Path, folding: bool) -> None:
    folder = images(tmp_path / "in", "A.PNG")
    wanted = ["is an input, and inputs are never overwritten"] if folding else []
    assert refusals(folder, output=folder) == wanted
    assert refusals(folder / "A.PNG", output=folder / "a.png") == wanted


def test_outputs_that_differ_by_case_alone_are_rivals(tmp_path: Path, folding: bool) -> None:
    folder = images(tmp_path / "in", "a.jpg", "B.png", "A.bmp")
    assert len(refusals(folder, output=tmp_path / "out")) == (2 if folding else 0)


def test_the_file_system_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = images(tmp_path / "in", "a.jpg")
    assert folds(str(folder / "new" / "deeper")) == (folder / "A.JPG").exists()
    if not (folder / "A.JPG").exists():
        (folder / "A.JPG").hardlink_to(folder / "a.jpg")
    assert folds(str(folder / "new"))  # as it looks where they are one file
    monkeypatch.setattr("sys.platform", "darwin")
    assert folds(str(images(tmp_path / "empty")))


def test_a_place_is_known_by_any_way_to_it(tmp_path: Path) -> None:
    folder = images(tmp_path / "in", "a.png")
    (tmp_path / "way").symlink_to(folder)
    places = Places()
    assert (
        len({places.of(str(path)) for path in (folder / "a.png", tmp_path / "way/a.png", folder / "../in/a.png")}) == 1
    )
    assert places.of(str(folder)) == places.of(f"{folder}/.")


def test_what_was_made_in_the_folder_itself_is_no_input(tmp_path: Path) -> None:
    folder = images(tmp_path / "in", "a.jpg", "a.png", "b.png", "c.png")
    (folder / ".i2i-translate.jsonl").write_text(
        '{"output": "a.png", "input": "a.jpg"}\n{"output": "b.png", "input": "../other/b.png"}\nnothing\n'
    )
    tasks = plan([str(folder)], output=folder, plugin="x", form="tiff", resume=True)
    assert [Path(task.name).name for task in tasks] == ["a.jpg", "b.png", "c.png"]
    assert all(isinstance(task, Job) for task in tasks)


@pytest.mark.parametrize(("name", "reason"), [("x" * 300, "too long"), ("loop", "links"), ("gone", "no such file")])
def test_what_cannot_be_looked_at_is_refused_by_name(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for output in (None, tmp_path / "out", tmp_path / name):
        (task,) = plan([str(tmp_path / name)], output=output, plugin="x")
        assert isinstance(task, Refused)
        assert reason in task.error.message
    (tmp_path / "a.png").touch()
    assert len(plan([str(tmp_path / "a.png")], output=tmp_path / name, plugin="x")) == 1
