"""docs/plugins.md from nothing to a published plugin: every step that it shows is taken, in a scratch environment."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from i2i.testing import CHECKS, PUBLIC

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
STEPS, REFERENCE = PAGE.split("## What a batch holds")
STEP = re.compile(r"^ {4}((?:i2i|pip) [^\n]+)$|^```python\n# (\S+)\n(.*?)^```", re.M | re.S)

# What the page leaves out, so that it is done in seconds.
QUICK = {
    "device": "cpu",
    "data": {"size": 32},
    "game": {"filters": 4, "discriminator_filters": 4, "discriminator_layers": 2},
    "trainer": {"batch": 2},
}


@pytest.fixture(scope="module")
def walked(environment, pairs, tmp_path_factory):
    """The folder in which all steps were taken, in their order, and what each command said."""
    place = tmp_path_factory.mktemp("author")
    (place / "quick.yaml").write_text(json.dumps({**QUICK, "data": {**QUICK["data"], "source": str(pairs)}}))
    said = {}
    for each in STEP.finditer(STEPS):
        line, path, code = each.groups()
        if path:
            (place / path).write_text(code)
            (place / "mine" / "src" / "i2i_mine" / "networks.py").unlink(missing_ok=True)
        else:
            said[line] = take(environment, place, shlex.split(line))
    yield place, said
    environment.remove("i2i-mine")


def take(environment, place, words):
    """Does what a line of the page says; what pip does is refused by an error, and says nothing."""
    match words:
        case ["i2i", "train", *rest]:
            return environment.run("train", *rest, "--config", "quick.yaml", cwd=place)
        case ["i2i", *rest]:
            return environment.run(*rest, cwd=place)
        case ["pip", "install", "-e", path]:
            return environment.install(place / path, editable=True)
        case ["pip", "install", path]:
            return environment.install(place / path)
        case ["pip", "wheel", "--no-deps", "--wheel-dir", folder, path]:
            return environment.build(place / path, place / folder)
    raise AssertionError(f"nobody knows how to try: {shlex.join(words)}")


def test_every_command_of_the_way_succeeds(walked):
    _, said = walked
    assert [line for line, done in said.items() if done is not None and done.returncode != 0] == []
    assert [line.split()[:2] for line in said] == [
        ["i2i", "plugins"],
        ["pip", "install"],
        ["i2i", "train"],
        ["i2i", "translate"],
        ["i2i", "plugins"],
        ["pip", "wheel"],
        ["pip", "install"],
    ]


def test_the_page_names_the_files_that_are_written(walked):
    _, said = walked
    tree = re.search(r"^ {4}mine/\n(.*?)\n\n", STEPS, re.M | re.S)[1]
    shown = {word.rstrip(",") for line in tree.splitlines() for word in re.split(r" {2,}", line.strip())[0].split()}
    written = {Path(word).name for word in re.findall(r"^  (\S+)$", said["i2i plugins new mine"].stdout, re.M)}
    assert {Path(name).name for name in shown if not name.endswith("/")} == written - {"py.typed"}


def test_the_entry_point_of_the_page_is_the_one_that_is_written(walked):
    place, _ = walked
    (shown,) = re.findall(r"```toml\n(.*?)```", STEPS, re.S)
    assert shown in (place / "mine" / "pyproject.toml").read_text()


def test_the_first_run_leaves_a_model_that_translates(walked):
    place, _ = walked
    assert (place / "runs" / "mine-001" / "model.onnx").is_file()
    with Image.open(place / "runs" / "mine-001" / "examples" / "0.mine.png") as image:
        assert image.size == (32, 32)


def test_the_plugin_of_the_page_passes_every_check(walked):
    _, said = walked
    verdict = said["i2i plugins check mine"].stdout
    assert all(check.name in verdict for check in CHECKS)


def test_what_was_built_is_what_is_installed_in_the_end(walked, environment):
    place, _ = walked
    (place / "mine").rename(place / "gone")
    rows = {row["name"]: row for row in json.loads(environment.run("plugins", "--json", cwd=place).stdout)}
    (place / "gone").rename(place / "mine")
    assert (rows["mine"]["state"], rows["mine"]["summary"]) == ("ok", "One line for `i2i plugins`")


def test_the_page_says_what_is_asked_and_what_is_public():
    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", STEPS, re.M) == [(check.name, check.says) for check in CHECKS]
    (listed,) = re.findall(r"^(`i2i\.config`.*?), with all below them", STEPS, re.M | re.S)
    assert tuple(re.findall(r"`([\w.]+)`", listed)) == PUBLIC
