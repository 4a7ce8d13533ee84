import errno
from pathlib import Path

import pytest

from i2i.errors import I2IError
from i2i.files import DiskFullError, asides, cannot_write, replacing, sweep, write_text


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
def test_lack_of_space_of_every_kind_is_told_from_other_refusals(tmp_path, number):
    refused = cannot_write(tmp_path / "a", OSError(number, "reason"))
    assert isinstance(refused, DiskFullError)
    assert "Free some space" in refused.hint
    assert not isinstance(cannot_write(tmp_path / "a", OSError(errno.EACCES, "reason")), DiskFullError)


def test_what_writers_left_in_a_folder_is_found_and_removed(tmp_path):
    left = [tmp_path / ".a.txt.0123abcd.tmp", tmp_path / ".d.0123abcd.tmp"]
    left[0].write_text("half")
    left[1].mkdir()
    (left[1] / "x").write_text("half")
    for name in ("a.txt", ".hidden", ".a.txt.tmp"):
        (tmp_path / name).write_text("mine")
    assert sorted(asides(tmp_path)) == sorted(left)
    sweep(tmp_path)
    assert names(tmp_path) == [".a.txt.tmp", ".hidden", "a.txt"]
    assert asides(tmp_path / "none") == []
