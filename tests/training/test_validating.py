"""What is found to be wrong with a game reaches whoever watches, once, and stays with the run."""

import json

import pytest

from i2i import api
from i2i.cli import main
from i2i.training import diagnostics
from i2i.training.diagnosis.history import Reading
from i2i.training.observer import Observer


class Hears(Observer):
    def __init__(self):
        self.lines = []

    def said(self, message):
        self.lines.append(message)


@pytest.fixture
def collapsing(monkeypatch):
    """Every game collapses from its second look on."""

    def detect(history, facts):
        return Reading(2.0 if len(history.looks) > 1 else 0.5, "all outputs are alike.", "Set objective.r1.weight=1.")

    monkeypatch.setattr(diagnostics, "DETECTORS", {"mode_collapse": detect})
    monkeypatch.setattr(diagnostics, "FIRST", 0)


def test_a_diagnosis_is_said_once_and_kept(small, tmp_path, collapsing):
    small["trainer"] |= {"steps": 6, "validate_every": 2}
    heard = Hears()
    run = api.train("pix2pix", small, out=tmp_path / "run", observer=heard)
    expected = "mode collapse, found at step 4: all outputs are alike. Set objective.r1.weight=1."
    assert [line for line in heard.lines if "collapse" in line] == [expected]
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    told = [line for line in lines if line["kind"] == "diagnosis"]
    assert told == [{"step": 4, "kind": "diagnosis", "name": "mode_collapse", "said": expected}]
    assert [found["name"] for found in run.facts()["diagnoses"]] == ["mode_collapse"]
    again = Hears()
    resumed = api.resume(run.path, {"trainer": {"steps": 8}}, observer=again)
    assert not [line for line in again.lines if "collapse" in line]
    assert [found["step"] for found in resumed.facts()["diagnoses"]] == [4]


def test_every_validation_records_what_is_seen_of_the_game(small, tmp_path):
    run = api.train("pix2pix", small, out=tmp_path / "run")
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    seen = [line for line in lines if line["kind"] == "signs"]
    assert [line["step"] for line in seen] == [3, 6]
    assert {"real_train", "real_held", "fake", "diversity", "diversity_inputs"} <= seen[0].keys()
    assert all(0 <= line[name] <= 1 for line in seen for name in ("real_train", "real_held", "fake"))


def test_the_command_names_in_the_end_what_was_found(small, tmp_path, collapsing, capsys):
    run = api.train("pix2pix", small, out=tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["train", "--resume", str(run.path), "--steps", "8"])
    assert ended.value.code == 0
    assert "Found on the way: mode collapse (step 6)" in capsys.readouterr().out
