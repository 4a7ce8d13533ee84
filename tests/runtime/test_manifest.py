import errno
import os
from pathlib import Path
from typing import Any

import pytest

from i2i.runtime.folder.jobs import plan
from i2i.runtime.folder.manifest import Made, open_manifest, weigh
from i2i.runtime.folder.pipeline import translate_files
from i2i.runtime.translator import Translator

MADE = Made("in.png", "1 2", "work")


def test_a_line_that_did_not_fit_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = os.write
    with open_manifest(tmp_path, read=False) as manifest:
        manifest.add("a.png", MADE, 1, "a")

        def filling(file: int, data: bytes) -> int:
            if len(data) > 20:
                return written(file, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr("os.write", filling)
            with pytest.raises(OSError, match="No space"):
                manifest.add("b.png", MADE, 1, "b")
        manifest.add("c.png", MADE, 1, "c")
    with open_manifest(tmp_path, read=True) as manifest:
        assert [manifest.knows(f"{name}.png") for name in "abc"] == [True, False, True]


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(b"frame %d" % number)
    with open_manifest(tmp_path, read=False) as manifest:
        manifest.add("frames", MADE, *weigh(folder))
    for content, same in ((b"frame 1", True), (b"frame X", False)):
        (folder / "1.png").write_bytes(content)
        with open_manifest(tmp_path, read=True) as manifest:
            assert manifest.has("frames", MADE) == same
            assert not manifest.has("frames", Made("in.png", "1 2", "other"))


def test_what_another_is_writing_is_not_removed_where_there_are_no_locks(
    tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx"))
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").touch()
    aside = tmp_path / "out/.a.png.0123abcd.tmp"
    tasks = plan([str(tmp_path / "in")], output=tmp_path / "out", plugin="x")
    for locked in (False, True):
        aside.write_bytes(b"half")
        monkeypatch.setattr("i2i.runtime.folder.manifest._lock", lambda file, folder, held=locked: held)
        list(translate_files(translator, tasks))
        assert aside.exists() != locked
