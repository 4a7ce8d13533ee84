"""`i2i plugins check`, and the suite in the tests of an author."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.errors import TrainingError
from i2i.testing import CHECKS, PUBLIC, ConformanceError, Subject
from i2i.testing.public import is_public

GAME = "game.py"
WRONG = (GAME, '        return {"l1": 10', '        1 / 0\n        return {"l1": 10')

WRONG_EXPORTS = (GAME, '        return {"G": Export', '        1 / 0\n        return {"G": Export')


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(["plugins", "check", *words])
    return end.value.code or 0, capsys.readouterr()


def test_a_good_plugin_gets_a_line_for_each_check(install, capsys):
    install()
    code, shown = run(capsys, "demo")
    assert code == 0, shown.out
    first, *lines, last = shown.out.splitlines()
    assert first == "plugin 'demo' of i2i-demo 1.2"
    assert [line.split()[:2] for line in lines] == [["passed", check.name] for check in CHECKS]
    assert last.startswith(f"It does what i2i asks of a plugin: {len(CHECKS)} checks passed in ")


def test_a_wrong_one_gets_the_cause_the_place_and_no_traceback(install, capsys):
    package = install(WRONG)
    code, shown = run(capsys, "demo")
    assert code == 1
    assert re.search(rf"{package}/game\.py:\d+: ZeroDivisionError: division by zero; the batch holds input ", shown.out)
    assert "Traceback" not in shown.out + shown.err
    assert "not tried  checkpoint  needs seed" in shown.out
    assert "It does not do what i2i asks of a plugin" in shown.out


def test_json_says_the_same(install, capsys):
    install(WRONG)
    code, shown = run(capsys, "demo", "--json")
    said = json.loads(shown.out)
    assert code == 1
    assert (said["plugin"], said["distribution"], said["version"], said["conforms"]) == (
        "demo",
        "i2i-demo",
        "1.2",
        False,
    )
    assert [check["check"] for check in said["checks"]] == [check.name for check in CHECKS]
    states = {check["check"]: check["state"] for check in said["checks"]}
    assert (states["manifest"], states["step"], states["seed"]) == ("passed", "failed", "not tried")


def test_what_a_plugin_prints_is_no_part_of_the_json(install, capsys):
    install(
        (
            GAME,
            "        super().__init__()\n        self.channels",
            "        super().__init__()\n        print('built')\n        self.channels",
        ),
        (GAME, '        return {"l1": 10', '        print("played")\n        return {"l1": 10'),
        WRONG_EXPORTS,
    )
    _, shown = run(capsys, "demo", "--json")
    assert json.loads(shown.out)["conforms"] is False
    assert "built" in shown.err
    assert "played" in shown.err


def test_settings_are_laid_over_the_small_ones(install, capsys):
    install()
    code, shown = run(capsys, "demo", "--set", "game.filterz=3")
    assert code == 1
    assert "--set: game.filterz: unknown key, did you mean 'filters'?" in shown.out
    assert Subject("demo", {"game": {"filters": 7}}).configure().game.filters == 7


@pytest.mark.parametrize(
    ("words", "says"), [(["demoo"], "no plugin is called 'demoo'"), (["demo", "--set", "x"], "key=value")]
)
def test_a_wrong_command_is_an_error(install, capsys, words, says):
    install()
    code, shown = run(capsys, *words)
    assert code == 1
    assert says in shown.err


def test_in_an_authors_tests_what_the_plugin_raises_is_seen_itself(install):
    install((GAME, '"output": self.generate(batch)["fake"]', '"output": batch["result"]'))
    (previews,) = (check for check in CHECKS if check.name == "previews")
    with pytest.raises(TrainingError, match="KeyError: 'result'") as caught:
        previews(Subject("demo"))
    assert isinstance(caught.value.__cause__, KeyError)


def test_in_an_authors_tests_what_is_not_as_asked_is_an_error_that_says_so(install):
    install((GAME, "config.data.input_channels, config.data.target_channels", "3, 3"))
    (channels,) = (check for check in CHECKS if check.name == "channels")
    with pytest.raises(ConformanceError, match="the configuration accepts"):
        channels(Subject("demo"))


AUTHOR = """
import pytest
from i2i.testing import CHECKS, Subject

SUBJECT = Subject("demo")


@pytest.mark.parametrize("check", CHECKS[:4] + CHECKS[7:8], ids=str)
def test_it_conforms(check):
    check(SUBJECT)
"""


def test_the_suite_runs_in_an_authors_own_test_file(install, tmp_path):
    package = install((GAME, '"output": self', '"made": self'))
    (tmp_path / "test_demo.py").write_text(AUTHOR)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_demo.py"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert "1 failed, 4 passed" in ended.stdout
    assert f"ConformanceError: {package}.game.Demo.previews: no output, which are scored" in ended.stdout


def test_nothing_is_left_behind(install):
    install()
    subject = Subject("demo")
    folder = subject.folder
    assert subject.plain.config.data.source.startswith(str(folder))
    assert folder.parent == Path(tempfile.gettempdir())
    del subject
    assert not folder.exists()


@pytest.mark.parametrize("name", ["i2i.train", "i2i.nn", "i2i.nn.unet.UNet", "i2i.metrics.metric.to_levels", *PUBLIC])
def test_what_is_public(name):
    assert is_public(name)


@pytest.mark.parametrize(
    "name",
    ["i2i.training", "i2i.metrics", "i2i.nnn", "i2i.games._x", "i2i.api.train", "i2i_export.onnx", "i2i_pix2pix.game"],
)
def test_what_is_not(name):
    assert not is_public(name)
