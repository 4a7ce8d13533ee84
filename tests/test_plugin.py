"""The catalogue, on distributions that lie in a scratch folder as pip would have put them there."""

import itertools
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from i2i import plugin as plugins
from i2i.cli import cli
from i2i.errors import ConfigError, PluginError

GOOD = """
from i2i.plugin import Plugin
from i2i.config import RunConfig
plugin = Plugin(name="{name}", summary="s", paper="", kind="paired", config=RunConfig, game="json:loads")
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
        (GOOD.format(name="bad").replace("paired", "pared"), "its kind is 'pared', not one of paired, "),
        (GOOD.format(name="bad").replace("=RunConfig", "=dict"), "not a class derived from i2i.config.RunConfig"),
        (GOOD.format(name="bad").replace("json:loads", "x.y"), "its game is 'x.y', not 'package.module:function'"),
        (GOOD.format(name="bad").replace("paper", "papers"), "unexpected keyword argument 'papers'"),
        ("plugin = 1 +", "SyntaxError"),
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


def test_the_cause_is_shown_with_its_place(install, tmp_path):
    install("bad-one", "bad", "import json\n\njson.loads('{')")
    with pytest.raises(PluginError) as caught:
        plugins.load("bad")
    (module,) = tmp_path.glob("*.py")
    assert f"({module}:3)" in str(caught.value)  # the plugin's own line, not that of what it called


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


def test_a_plugin_does_not_print_where_json_is_printed(install):
    install("talker", "talk", "print('hello')" + GOOD.format(name="talk"))
    listed = CliRunner().invoke(cli, ["plugins", "--json"])
    assert {row["name"]: row["state"] for row in json.loads(listed.stdout)}["talk"] == "ok"


@pytest.mark.parametrize("text", ["[i2i.plugins]\nno assignment\n", "[i2i.plugins]\nbad = a b c\n"])
def test_metadata_that_nobody_can_read_harms_nothing_else(install, tmp_path, text):
    install("bad-one", "bad", "")
    (tmp_path / "bad_one-1.2.dist-info" / "entry_points.txt").write_text(text)
    rows = {row["distribution"]: row for row in json.loads(CliRunner().invoke(cli, ["plugins", "--json"]).stdout)}
    assert rows["bad-one"]["state"] == "broken"
    assert "pip uninstall bad-one" in rows["bad-one"]["error"]
    assert plugins.load("pix2pix").name == "pix2pix"


def test_what_an_interrupted_installation_leaves_harms_nothing_else(install, tmp_path):
    install("own", "own", GOOD.format(name="own"))
    (tmp_path / "own-1.2.dist-info" / "METADATA").unlink()
    assert plugins.load("own").name == "own"
    assert plugins.load("pix2pix").name == "pix2pix"


def test_of_two_versions_on_the_path_the_first_counts(install, tmp_path, monkeypatch):
    install("own", "own", GOOD.format(name="own"))
    older = tmp_path / "older" / "own-0.9.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 0.9\n")
    (older / "entry_points.txt").write_text("[i2i.plugins]\nown = nowhere:plugin\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(older.parent)])
    assert plugins.find("own").version == "1.2"


@pytest.mark.parametrize(
    ("said", "loaded"),
    [
        (None, {"own", "other"}),
        ("", set()),
        ("own", {"own"}),
        (" Strangers_Own , nothing", {"own"}),
        ("strangers-other:other,own", {"own", "other"}),
    ],
)
def test_what_is_loaded_can_be_limited(install, monkeypatch, said, loaded):
    install("strangers-own", "own", GOOD.format(name="own"))
    install("strangers-other", "other", GOOD.format(name="other"))
    if said is not None:
        monkeypatch.setenv("I2I_LOAD_PLUGINS", said)
    entries = plugins.catalogue()
    assert {entry.name for entry in entries if not entry.refused} - loaded == {
        entry.name for entry in entries if entry.distribution == "i2i"
    }
    for name in ("own", "other"):
        if name in loaded:
            assert plugins.load(name).name == name
        else:
            with pytest.raises(PluginError, match=f"plugin '{name}' of .* is not loaded: I2I_LOAD_PLUGINS is '{said}'"):
                plugins.load(name)
    assert plugins.load("pix2pix").name == "pix2pix"


def test_what_is_not_loaded_is_not_imported_and_is_shown(install, monkeypatch):
    install("bad-one", "bad", "raise LookupError('imported')")
    monkeypatch.setenv("I2I_LOAD_PLUGINS", "")
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "1")
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(cli, ["plugins", "--json"]).stdout)}
    assert rows["bad"]["state"] == "not loaded"


def test_a_name_that_two_have_is_free_where_one_is_not_loaded(install, monkeypatch):
    install("pretender", "pix2pix", GOOD.format(name="pix2pix"))
    with pytest.raises(PluginError, match="two distributions"):
        plugins.find("pix2pix")
    monkeypatch.setenv("I2I_LOAD_PLUGINS", "")
    assert plugins.find("pix2pix").distribution == "i2i"


def described(install, code):
    """The manifest of a plugin whose game is built by `code`."""
    install("bad-one", "bad", GOOD.format(name="bad").replace('"json:loads"', '__name__ + ":build"') + code)
    return plugins.load("bad")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("def build(config): return config.missing", "AttributeError: 'NoneType' object has no attribute 'missing'"),
        ("def build(config): raise SystemExit(3)", "SystemExit: 3"),
        ("def builds(config): pass", "has no attribute 'build'"),
        ("def build(config): pass", "build gives, a NoneType, has no `generators`"),
    ],
)
def test_what_goes_wrong_in_building_names_plugin_distribution_and_cause(install, code, cause):
    manifest = described(install, code)
    with pytest.raises(PluginError) as caught:
        manifest.build(None)
    assert str(caught.value).startswith("plugin 'bad' of bad-one 1.2 cannot be built: ")
    assert cause in str(caught.value)


def test_what_a_plugin_itself_refuses_stays_its_own_word(install):
    manifest = described(
        install, "from i2i.errors import ConfigError\ndef build(config): raise ConfigError('game.depth: too deep')"
    )
    with pytest.raises(ConfigError, match=r"^game\.depth: too deep$"):
        manifest.build(None)


def test_strict_building_shows_the_real_error(install, monkeypatch):
    manifest = described(install, "def build(config): raise LookupError('here')")
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "1")
    with pytest.raises(LookupError, match="here"):
        manifest.build(None)
