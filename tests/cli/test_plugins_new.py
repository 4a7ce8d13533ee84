"""`i2i plugins new`: what it writes installs, passes its own test, and is as clean as what it was made from."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from i2i import cli, scaffold
from i2i import plugin as plugins
from i2i.testing import CHECKS

ROOT = Path(__file__).parents[2]
OWN = sorted(entry.name for entry in plugins.catalogue() if entry.distribution == "i2i")


@pytest.fixture
def answered(place, capsys):
    """`answered(*arguments)`: exit status, stdout and stderr of `i2i plugins new ...` in an empty folder."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["plugins", "new", *arguments])
        return ended.value.code, *capsys.readouterr()

    return run


def test_it_writes_a_whole_distribution_and_says_what_is_next(answered, place):
    code, out, error = answered("mine")
    assert (code, error) == (0, "")
    written = {path.relative_to(place / "mine").as_posix() for path in (place / "mine").rglob("*") if path.is_file()}
    package = {f"src/i2i_mine/{name}" for name in ("__init__.py", "config.py", "game.py", "networks.py", "py.typed")}
    assert written - {"LICENSE"} == package | {"README.md", "pyproject.toml", "tests/test_mine.py"}
    assert all(f"  {path}\n" in out for path in written)
    assert out.endswith("Next:\n  pip install -e ./mine\n  i2i train mine\n  i2i plugins check mine\n")


def test_it_is_written_where_it_is_asked_for(answered, place):
    code, out, _ = answered("mine", "--out", "a folder/of mine")
    assert code == 0
    assert (place / "a folder" / "of mine" / "pyproject.toml").is_file()
    assert "pip install -e './a folder/of mine'" in out


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["My-Net"], "'My-Net' cannot be a plugin's name"),
        (["My-Net"], "i2i plugins new my_net"),
        (["3d"], "begins with a letter"),
        (["a__b"], "i2i plugins new a_b"),
        ([""], "i2i plugins new mine"),
        (["class"], "'class' cannot be a plugin's name: it is a word of Python's own"),
        (["Class"], "i2i plugins new class_net"),
        (["4 More-words than fit"], "i2i plugins new more_words_than_fit"),
        (["none"], "a class of it would be called None"),
        (["tensor"], "a class of it would be called Tensor"),
        (["run"], "a class of it would be called RunConfig"),
        (["a" * 21], "it has 21 characters"),
        (["pix2pix"], "'pix2pix' is taken: i2i "),
        (["export"], "there is a package i2i_export already"),
        (["mine", "--like", "cyclgan"], "no plugin called 'cyclgan', did you mean 'cyclegan'?"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_left(answered, place, arguments, answer):
    code, out, error = answered(*arguments)
    assert (code, out) == (1, "")
    assert answer in error
    assert list(place.iterdir()) == []


def test_what_is_there_is_not_written_over(answered, place):
    (place / "mine").mkdir()
    code, _, error = answered("mine")
    assert code == 1
    assert "mine: is there already" in error
    assert list((place / "mine").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(answered, place):
    (place / "file").write_text("")
    code, _, error = answered("mine", "--out", "file/mine")
    assert code == 1
    assert "file" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("like", OWN)
def test_nothing_is_left_of_the_name_it_had(tmp_path, like):
    made = scaffold.create("mine", like, tmp_path / "mine")
    entry = plugins.find(f"i2i:{like}")
    old = entry.load()
    for path in (tmp_path / "mine" / "src").rglob("*.py"):
        text = path.read_text()
        assert f"i2i_{like}" not in text
        assert f'"{like}"' not in text
        tree = ast.parse(text)
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        assert old.config.__name__ not in defined
    assert "class Mine(Game):" in (tmp_path / "mine" / "src" / "i2i_mine" / "game.py").read_text()
    assert all((made.folder / path).is_file() for path in made.files)
    project = tomllib.loads((tmp_path / "mine" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "i2i-mine"
    assert project["entry-points"] == {"i2i.plugins": {"mine": "i2i_mine:plugin"}}
    assert re.fullmatch(r"i2i>=\d+\.\d+\.\d+\S*", project["dependencies"][0])


@pytest.mark.parametrize("like", OWN)
@pytest.mark.parametrize("name", ["a" * scaffold.LONGEST, "the_longest_of_names"])
def test_no_line_is_too_long_however_long_the_name(tmp_path, like, name):
    assert len(name) == scaffold.LONGEST
    made = scaffold.create(name, like, tmp_path / "made")
    texts = {path: (made.folder / path).read_text().splitlines() for path in made.files}
    assert not [(str(path), line) for path, lines in texts.items() for line in lines if len(line) > 120]


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("name", ["x", "of_mine", "a" * scaffold.LONGEST])
def test_it_is_clean_by_the_rules_of_i2i_whatever_its_name(tmp_path, name):
    for like in OWN:
        scaffold.create(name, like, tmp_path / like)
    rules = ["--config", str(ROOT / "pyproject.toml"), "--config", f"src = ['{tmp_path}/*/src']"]
    sources = [str(path) for path in tmp_path.glob("*/src/*/*.py")]
    ruff(["check", *rules, *sources])
    ruff(["format", "--check", *rules, *sources])
    ruff(["check", str(tmp_path)])  # by their own


def ruff(words):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, "--no-cache"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


SLOW = os.environ.get("I2I_SLOW") == "1"
CHEAP = ("manifest", "settings", "imports", "step")  # the others ask of a copy what they ask of the built-in one


@pytest.fixture(scope="module")
def authors(environment, tmp_path_factory):
    """A folder of distributions like each of i2i's plugins, which are installed as their authors would."""
    folder = tmp_path_factory.mktemp("authors")
    environment.install(*(scaffold.create(f"my_{like}", like, folder / like).folder for like in OWN), editable=True)
    yield folder
    environment.remove(*(f"i2i-my_{like}" for like in OWN))


def test_each_passes_its_own_test_before_a_line_is_changed(environment, authors, tmp_path):
    wanted = []
    for like in OWN:
        file = f"{authors / like / 'tests'}{os.sep}test_my_{like}.py"
        all_of_it = SLOW or like == "pix2pix"
        wanted += [file] if all_of_it else [f"{file}::test_it_conforms[{check}]" for check in CHEAP]
    done = environment.run("-q", "-p", "no:cacheprovider", *wanted, module="pytest", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    others = len(OWN) - 1
    count = len(CHECKS) + others * len(CHECKS if SLOW else CHEAP)
    assert f"{count} passed" in done.stdout
