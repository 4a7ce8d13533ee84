import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from i2i import cli
from i2i.errors import I2IError
from i2i.training.run import Run


def i2i(*words):
    runner = CliRunner()
    return runner.invoke(cli.cli, list(map(str, words)), catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def folder(finished, tmp_path):
    for name, started, score in (("a", "2026-01-02T00:00", 20.0), ("b", "2026-01-01T00:00", 30.0)):
        run = Run(shutil.copytree(finished.path, tmp_path / "runs" / name))
        run.note(
            started=f"{started}:00+00:00",
            ended=f"{started}:30+00:00",
            best={**run.facts()["best"], "score": score},
            seconds=30.0,
        )
    return tmp_path / "runs"


def test_runs_are_listed_with_their_scores(folder, finished):
    lines = i2i("runs", folder).stdout.splitlines()
    assert lines[0].split() == ["name", "plugin", "state", "steps", "length", "validation", "test", "begun"]
    assert [line.split()[0] for line in lines[1:]] == ["b", "a"]
    test = finished.facts()["scores"]["model"]["psnr"]
    assert lines[1].split()[1:] == [
        *("pix2pix", "finished", "12", "0:00:30", "psnr", "30", "psnr", f"{test:.4g}", "2026-01-01", "00:00")
    ]


def test_the_best_come_first_by_score(folder):
    assert [row["name"] for row in json.loads(i2i("runs", folder, "--json", "--sort", "score").stdout)["runs"]] == [
        "b",
        "a",
    ]
    run = Run(folder / "a")
    run.note(best={**run.facts()["best"], "score": 40.0})
    assert [row["name"] for row in json.loads(i2i("runs", folder, "--json", "--sort", "score").stdout)["runs"]] == [
        "a",
        "b",
    ]


def test_of_a_distance_the_smallest_is_the_best(folder):
    for name, score in (("a", 5.0), ("b", 4.0)):
        best = {"step": 1, "metric": "kid_efficientnet", "score": score, "higher_is_better": False}
        Run(folder / name).note(best=best)
    found = json.loads(i2i("runs", folder, "--json", "--sort", "score").stdout)["runs"]
    assert [row["name"] for row in found] == ["b", "a"]


def test_attempts_are_added_up(tmp_path):
    run = Run.create(tmp_path / "run", "pix2pix")
    for _ in range(2):
        run.note(begun="2026-01-01T00:00:00+00:00")
        run.begin()
        run.note(begun=(datetime.now(UTC) - timedelta(seconds=40)).isoformat())
        run.finish("interrupted")
    assert 80 <= run.facts()["seconds"] < 100
    assert [row["length"] for row in json.loads(i2i("runs", tmp_path, "--json").stdout)["runs"]] == ["0:01:20"]


def test_a_damaged_run_is_named_and_hides_no_other(folder):
    (folder / "a" / "run.json").write_text("{")
    done = i2i("runs", folder)
    assert "a/run.json: cannot be read" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["b"]
    Run(folder / "b").note(best={"metric": []})
    found = json.loads(i2i("runs", folder, "--json").stdout)
    assert len(found["damaged"]) == 2


def test_where_there_is_nothing(tmp_path):
    assert "no runs in" in i2i("runs", tmp_path).stderr
    assert "no runs in" in i2i("runs", tmp_path / "nowhere").stderr
    (tmp_path / "file").touch()
    with pytest.raises(I2IError, match="is a file"):
        i2i("runs", tmp_path / "file")


def test_a_report_is_built_anew_of_the_newest_or_a_named_run(folder, monkeypatch):
    for name in ("a", "b"):
        Run(folder / name).report.unlink()
        Run(folder / name).card.unlink()
    monkeypatch.chdir(folder.parent)
    done = i2i("report")
    assert done.stdout.splitlines() == ["Report: runs/a/report.html", "Model card: runs/a/README.md"]
    assert Run(folder / "a").report.is_file()
    assert not Run(folder / "b").report.exists()
    i2i("report", folder / "b")
    assert Run(folder / "b").card.is_file()
    with pytest.raises(I2IError, match="is no run"):
        i2i("report", folder)
    monkeypatch.chdir(folder)
    with pytest.raises(I2IError, match="no run under"):
        i2i("report")


def test_neither_imports_torch(folder):
    import subprocess
    import sys

    code = f"""
import sys
from i2i import cli
cli.cli.main(["runs", {str(folder)!r}], standalone_mode=False)
cli.cli.main(["report", {str(folder / "a")!r}], standalone_mode=False)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
