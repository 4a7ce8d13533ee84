"""`i2i data`, as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from i2i import cli
from i2i.data import EMBEDDED
from i2i.data.embedded import photos


def run(*arguments):
    return CliRunner().invoke(cli.cli, ["data", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def folder(tmp_path):
    """A folder `mine` of six pairs."""
    for side in "AB":
        (tmp_path / "mine" / side).mkdir(parents=True)
        for n in range(6):
            noise = np.random.default_rng([n, ord(side)]).integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "mine" / side / f"{n}.png")
    return tmp_path / "mine"


def test_the_list_says_source_licence_and_state_of_every_set():
    shown = run().stdout
    for each in EMBEDDED.values():
        for said in (f"{each.name}: {each.summary}", each.source, each.licence, each.size, ", ".join(each.kinds)):
            assert said in shown
    rows = json.loads(run("--json").stdout)
    assert [row["name"] for row in rows] == list(EMBEDDED)
    assert all(row["missing"] == [] for row in rows)


def test_what_is_not_installed_says_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("i2i.data.embedded.installed.release", lambda package: None)
    monkeypatch.setattr(photos, "BACKGROUNDS", photos.BACKGROUNDS / "nowhere")
    shown = run().stdout
    assert shown.count("not installed: pip install 'i2i[demo]'") == 4
    assert "; apt install lomiri-wallpapers-16.04 mate-backgrounds" in shown
    assert json.loads(run("--json").stdout)[2]["missing"] == ["mlxtend"]


def test_what_would_add_to_a_set_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(photos, "BACKGROUNDS", tmp_path)
    assert "installed, more of it with: pip install" in run().stdout


def test_show_writes_a_sheet_of_a_set(tmp_path):
    result = run("show", "digits", "-o", tmp_path / "sheet.png")
    assert "MNIST" in result.stdout
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert (sheet.mean(axis=(0, 1)) < 128).all()  # white on black
    assert sheet.shape[0] > 10 * 28


def test_show_takes_a_folder_and_names_the_sheet_by_it(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run("show", folder).stdout.splitlines()[-1] == "mine.png"
    assert Image.open(tmp_path / "mine.png").height > 2 * 90


def program(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "i2i", "data", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_mistakes_are_answered_without_a_traceback(tmp_path):
    for arguments, status, answer in (
        (["show", "digitz"], 1, "did you mean 'digits'?"),
        (["show", "digits", "-o", tmp_path / "x.doc"], 1, "cannot write '.doc' files"),
        (["check", tmp_path / "nowhere"], 1, "nowhere: no folder"),
        (["check", tmp_path, "--kind", "pared"], 2, "pared"),
    ):
        result = program(*arguments)
        assert result.returncode == status
        assert answer in result.stderr
        assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_prints_what_was_seen(folder):
    result = run("check", folder)
    assert result.return_value == 0
    assert result.stdout.splitlines() == [
        "paired data: A and B, matched by name (a guess; --kind says what it is meant for)",
        "  A: 5 train, 1 validation; all 30 x 20; 6 RGB; 6 PNG, 8 bit",
        "  B: 5 train, 1 validation; all 30 x 20; 6 RGB; 6 PNG, 8 bit",
        "It can be trained on.",
    ]


def test_check_tells_sizes_that_differ_and_classes(folder):
    Image.new("L", (30, 44), 7).save(folder / "A" / "odd.tif")
    lines = run("check", folder, "--kind", "labelled").stdout.splitlines()
    assert lines[:3] == [
        "labelled data: a folder for each class",
        "  images: 11 train, 2 validation; width 30; height 20 to 44, median 20; 1 not of the commonest size; "
        "12 RGB, 1 L; 12 PNG, 8 bit, 1 TIFF, 8 bit",
        "  to train on of each class: 6 A, 5 B",
    ]
    assert lines[3] == "warning: 1 of a single colour: A/odd"


def test_check_of_what_training_would_refuse_exits_with_1(folder):
    (folder / "B" / "0.png").write_bytes(b"no image")
    result = program("check", folder)
    assert result.returncode == 1
    assert "error: more than 1 in 20 of the 6 pairs" in result.stdout
    assert result.stdout.endswith("Training would refuse it.\n")
    seen = json.loads(program("check", folder, "--json").stdout)
    assert seen["kind"] == "paired"
    assert len(seen["problems"]) == 1


def test_check_of_two_folders_is_of_unpaired_data(folder):
    shown = run("check", folder / "A", folder / "B").stdout
    assert shown.startswith("unpaired data: A in ")


def test_nothing_of_it_imports_torch(folder, tmp_path):
    code = f"""
import sys
from i2i.cli import cli
folder, sheet = {str(folder)!r}, {str(tmp_path / "x.png")!r}
for arguments in ([], ["check", folder], ["show", folder, "-o", sheet]):
    cli.main(["data", *arguments], standalone_mode=False)
assert not {{"torch", "cv2", "albumentations", "mlxtend"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
