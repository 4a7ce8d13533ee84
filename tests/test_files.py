import errno
from pathlib import Path

import pytest

from i2i.errors import I2IError
from i2i.files import replacing, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with replacing(path) as aside:
        aside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["b.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises((I2IError, KeyboardInterrupt, ValueError)), replacing(path) as aside:
        aside.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_directory_is_whole_or_absent(tmp_path):
    path = tmp_path / "d"
    with pytest.raises(I2IError), replacing(path) as aside:
        aside.mkdir()
        (aside / "x").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []
    with replacing(path) as aside:
        aside.mkdir()
        (aside / "x").write_text("x")
    assert names(path) == ["x"]


def test_a_refusal_names_the_path_the_reason_and_the_next_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(I2IError) as caught:
        write_text(tmp_path / "file" / "a.txt", "x")
    message, hint = str(caught.value).split("\n")
    assert str(tmp_path / "file" / "a.txt") in message
    assert "cannot be written" in message
    assert hint.strip()


def test_a_name_as_long_as_a_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("\N{GRINNING FACE}" * 60 + ".txt")  # 244 bytes
    write_text(path, "text")
    assert path.read_text() == "text"
    assert list(tmp_path.iterdir()) == [path]
