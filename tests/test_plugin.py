"""The catalogue, on distributions that lie in a scratch folder as pip would have put them there."""

import itertools
import subprocess
import sys

import pytest

from i2i import plugin as plugins
from i2i.errors import PluginError

GOOD = """
from i2i.plugin import Plugin
from i2i.config import RunConfig
plugin = Plugin(name="{name}", summary="s", paper="", kind="paired", config=RunConfig, game="x:y")
"""


numbers = itertools.count()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a distribution with one plugin on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(distribution, name, code):
        module = f"module_{distribution.replace('-', '_')}_{next(numbers)}"  # modules stay imported between tests
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[i2i.plugins]\n{name} = {module}:plugin\n")

    return put


def test_pix2pix_comes_through_the_same_door():
    (entry,) = [entry for entry in plugins.catalogue() if entry.name == "pix2pix"]
    assert (entry.distribution, entry.entry_point.group) == ("i2i", "i2i.plugins")
    assert entry.load().name == "pix2pix"


def test_listing_imports_no_plugin_and_loading_no_torch():
    code = (
        "import sys; from i2i import plugin; plugin.catalogue(); assert 'i2i_pix2pix' not in sys.modules;"
        "plugin.load('pix2pix'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_strangers_plugin_is_found(install):
    install("strangers-own", "own", GOOD.format(name="own"))
    entry = plugins.find("own")
    assert (entry.distribution, entry.version) == ("strangers-own", "1.2")
    assert entry.load().summary == "s"


def test_the_nearest_name_is_suggested():
    with pytest.raises(PluginError, match=r"no plugin is called 'pixpix', did you mean 'pix2pix'\?"):
        plugins.load("pixpix")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("plugin = 42", "is a int, not an i2i.plugin.Plugin"),
        (GOOD.format(name="another"), "its manifest calls it 'another'"),
        (
            GOOD.format(name="bad") + "\nimport dataclasses\nplugin = dataclasses.replace(plugin, api_version=9)",
            "API 9",
        ),
        ("", "AttributeError"),
    ],
)
def test_a_broken_plugin_names_itself_its_cause_and_the_cure_and_breaks_nothing_else(install, code, cause):
    install("bad-one", "bad", code)
    with pytest.raises(PluginError) as caught:
        plugins.load("bad")
    text = str(caught.value)
    assert "plugin 'bad' of bad-one 1.2 does not load" in text
    assert cause in text
    assert "pip uninstall bad-one" in text
    assert plugins.load("pix2pix").name == "pix2pix"


def test_strict_loading_shows_the_real_error(install, monkeypatch):
    install("bad-one", "bad", "raise LookupError('here')")
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "1")
    with pytest.raises(LookupError, match="here"):
        plugins.load("bad")


def test_one_name_in_two_distributions_is_never_decided_by_order(install):
    install("one", "twin", GOOD.format(name="twin"))
    install("two", "twin", GOOD.format(name="twin"))
    with pytest.raises(PluginError, match=r"two distributions.*one 1\.2 and two 1\.2[\s\S]*one:twin or two:twin"):
        plugins.find("twin")
    assert plugins.find("two:twin").distribution == "two"
