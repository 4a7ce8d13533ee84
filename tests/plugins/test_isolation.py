"""Broken plugins, in distributions that pip has installed: each is named with its cause, and nothing else is harmed."""

import json
import shutil

import pytest
import torch

from i2i.nn.unet import UNet

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.{number}"

[project.entry-points."i2i.plugins"]
{name} = "{module}:plugin"

[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
"""

MANIFEST = """
from i2i.config import RunConfig
from i2i.plugin import Plugin

plugin = Plugin(name="{name}", summary="", paper="", kind="paired", config=RunConfig, game="{module}:build"{more})
"""

# A game of i2i's own, whatever it is asked for.
DCGAN = "__import__('i2i_dcgan.game').game.build(__import__('i2i_dcgan').plugin.config())"

# distribution -> the plugin's name, what stands before the manifest, what stands in it, and behind it
DISTRIBUTIONS = {
    "cannot-import": ("unimportable", "import nothing_like_this", "", ""),
    "has-left": ("exiting", "raise SystemExit(3)", "", ""),
    "of-tomorrow": ("tomorrow", "", ", api_version=2", ""),
    "no-manifest": ("number", "", "", "plugin = 42"),
    "misnamed": ("alias", "", "", "import dataclasses\nplugin = dataclasses.replace(plugin, name='actual')"),
    "first-twin": ("twin", "", "", "def build(config): ..."),
    "second-twin": ("twin", "", "", "def build(config): ..."),
    "pretender": ("pix2pix", "raise AssertionError('imported')", "", ""),
    "talkative": ("talkative", "print('hello')", "", f"def build(config):\n    print('built')\n    return {DCGAN}"),
    "collapsing": ("unbuildable", "", "", "def build(config):\n    raise RuntimeError('no such luck')"),
    "elsewhere": ("gameless", "", "", "plugin = __import__('dataclasses').replace(plugin, game='json.gone:build')"),
}
BROKEN = {
    "cannot-import": "No module named 'nothing_like_this'",
    "has-left": "SystemExit: 3",
    "of-tomorrow": "it is written for plugin API 2, this i2i has 1",
    "no-manifest": "no_manifest:plugin is a int, not an i2i.plugin.Plugin",
    "misnamed": "its manifest calls it 'actual', its entry point 'alias'",
    "pretender": "AssertionError: imported",
}
UNBUILT = {
    "elsewhere": "its game is json.gone:build, and there is no module json.gone",
    "collapsing": "RuntimeError: no such luck (",
    "first-twin": "build gives, a NoneType, has no `generators`",
}
OWN = {"cgan", "cut", "cyclegan", "dcgan", "pix2pix", "srgan"}


@pytest.fixture(scope="module")
def infested(environment, tmp_path_factory):
    """The environment with all of them installed."""
    folder = tmp_path_factory.mktemp("distributions")
    for number, (distribution, (name, before, inside, behind)) in enumerate(DISTRIBUTIONS.items()):
        known = {"distribution": distribution, "number": number, "name": name, "module": distribution.replace("-", "_")}
        place = folder / distribution
        place.mkdir()
        (place / "pyproject.toml").write_text(PYPROJECT.format(**known))
        code = "\n".join([before, MANIFEST.format(**known, more=inside), behind])
        (place / f"{known['module']}.py").write_text(code)
    environment.install(*(folder / distribution for distribution in DISTRIBUTIONS))
    yield environment
    environment.remove(*DISTRIBUTIONS)


@pytest.fixture(scope="module")
def listed(infested):
    """From distribution and name to what `i2i plugins` says."""
    done = infested.run("plugins", "--json")
    assert (done.returncode, done.stderr) == (0, "hello\n")
    return {(row["distribution"], row["name"]): row for row in json.loads(done.stdout)}


@pytest.mark.parametrize(("distribution", "cause"), BROKEN.items())
def test_a_broken_plugin_is_named_with_its_cause_and_its_cure(listed, distribution, cause):
    name = DISTRIBUTIONS[distribution][0]
    row = listed[distribution, name]
    assert row["state"] == "broken"
    assert row["error"].startswith(f"plugin '{name}' of {distribution} {row['version']} does not load: ")
    assert cause in row["error"]
    assert f"pip uninstall {distribution}" in row["error"]


def test_a_game_whose_module_is_missing_is_named_though_nothing_is_built(listed):
    row = listed["elsewhere", "gameless"]
    assert row["state"] == "broken"
    assert row["error"].startswith(f"plugin 'gameless' of elsewhere {row['version']} cannot be built: ")
    assert UNBUILT["elsewhere"] in row["error"]


@pytest.fixture(scope="module")
def built(infested):
    """From distribution and name to what `i2i plugins --build` says."""
    done = infested.run("plugins", "--build", "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert {"hello", "built"} <= set(done.stderr.splitlines())  # and not where the JSON is
    return {(row["distribution"], row["name"]): row for row in json.loads(done.stdout)}


@pytest.mark.parametrize(("distribution", "cause"), UNBUILT.items())
def test_when_asked_to_build_it_names_what_cannot_be_built_with_its_cause(built, distribution, cause):
    name = DISTRIBUTIONS[distribution][0]
    row = built[distribution, name]
    assert row["state"] == "broken"
    assert row["error"].startswith(f"plugin '{name}' of {distribution} {row['version']} cannot be built: ")
    assert row["error"].count("cannot be built") == 1
    assert cause in row["error"]


def test_when_asked_to_build_it_says_where_and_all_others_are_as_they_were(built, listed):
    assert "collapsing.py:" in built["collapsing", "unbuildable"]["error"]
    well = {key for key, row in listed.items() if row["state"] == "ok"}
    assert {key for key, row in built.items() if row["state"] == "ok"} == well - {("collapsing", "unbuildable")}
    assert all(built["i2i", name]["state"] == "ok" for name in OWN - {"pix2pix"})


def test_of_a_name_that_two_have_both_are_named(listed):
    for distribution in ("first-twin", "second-twin"):
        row = listed[distribution, "twin"]
        assert row["state"] == "twice"
        assert "first-twin 0.5 and second-twin 0.6" in row["error"]
        assert "first-twin:twin or second-twin:twin" in row["error"]


def test_all_others_are_as_they_were(listed):
    well = {key for key, row in listed.items() if row["state"] == "ok"}
    assert well == {("i2i", name) for name in OWN - {"pix2pix"}} | {
        ("talkative", "talkative"),
        ("collapsing", "unbuildable"),  # which only building tells
    }
    assert listed["i2i", "pix2pix"]["state"] == "twice"


def test_the_list_for_a_person_says_it_too(infested):
    done = infested.run("plugins")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("unimportable ")]
    assert "cannot-import 0.0" in line
    assert "broken" in line
    assert "No module named 'nothing_like_this'" in line


def test_every_command_works_beside_them(infested, finished, tmp_path):
    """The run was made before a stranger's plugin of the same name was installed, and goes on with i2i's."""
    shutil.copytree(finished.path, tmp_path / "run")
    (tmp_path / "run" / "model.onnx").unlink()
    torch.save(UNet(3, 3, depth=5, filters=4).state_dict(), tmp_path / "unet.pth")
    example = str(next(finished.examples.iterdir()))
    small = ["--size", "32", "--device", "cpu", "--seconds", "0.1"]
    for words in (
        ["--help"],
        ["data"],
        ["doctor"],
        ["completion", "bash"],
        ["export", "run"],
        ["translate", example, "-m", "run/model.onnx", "-o", "made.png"],
        ["bench", "run/model.onnx", *small],
        ["train", "--resume", "run", "--set", "trainer.steps=14"],
        ["import", "run/checkpoints/step-0000014/weights.safetensors", "-o", "kept.onnx"],
        ["import", "unet.pth", "--size", "32", "-o", "imported.onnx"],
        ["plugins", "new", "demo"],
        ["plugins", "check", "dcgan"],
    ):
        done = infested.run(*words, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (words, done.stdout, done.stderr)
    for made in ("run/model.onnx", "made.png", "imported.onnx", "demo/pyproject.toml"):
        assert (tmp_path / made).is_file()
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (facts["state"], facts["distribution"]) == ("finished", "i2i")


def test_a_run_trains_and_exports_beside_them(infested, small, tmp_path):
    (tmp_path / "small.yaml").write_text(json.dumps({**small, "trainer": {**small["trainer"], "steps": 2}}))
    done = infested.run("train", "i2i:pix2pix", "--config", "small.yaml", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.onnx").is_file()


def test_one_that_cannot_be_built_says_so_and_leaves_nothing(infested, small, tmp_path):
    words = ["train", "unbuildable", "--data", small["data"]["source"], "--device", "cpu", "--set", "data.size=32"]
    done = infested.run(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert "plugin 'unbuildable' of collapsing 0.9 cannot be built: RuntimeError: no such luck (" in done.stderr
    assert "collapsing.py:" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("said", "loaded"), [("", set()), ("talkative,second-twin", {"talkative", "twin"})])
def test_only_what_is_named_is_loaded(infested, said, loaded):
    done = infested.run("plugins", "--json", env={"I2I_LOAD_PLUGINS": said})
    rows = json.loads(done.stdout)
    assert {row["name"] for row in rows if row["state"] == "ok"} == OWN | loaded
    assert {row["state"] for row in rows} == {"ok", "not loaded"}
    assert all("I2I_LOAD_PLUGINS" in row["error"] for row in rows if row["state"] == "not loaded")
    assert ("hello" in done.stderr) == ("talkative" in loaded)  # the others are not imported
