"""What README and docs tell people to type works."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from i2i import api, cli, config
from i2i import plugin as plugins

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def commands(text):
    """Every `i2i ...` in a code block, a line of its own, or a code span that is a whole command."""
    blocks = re.findall(r"^(?:    |# )?(i2i [^\n`]+)$", text, re.M) + re.findall(r"&& (i2i [^\n`&]+)", text)
    spans = re.findall(r"`(i2i [^`]+)`", text)
    return [line.partition("   ")[0].strip() for line in [*blocks, *spans]]


def parse(line):
    """Parses a command as click does, without running it."""
    _, *words = shlex.split(line, comments=True)
    context = click.Context(cli.cli, info_name="i2i")
    if words[0].startswith("-"):
        cli.cli.make_context("i2i", words, resilient_parsing=True)
        return
    _, command, rest = cli.cli.resolve_command(context, words)
    if rest and "..." not in line and not any(word.isupper() for word in rest):
        command.make_context(words[0], rest)


@pytest.mark.parametrize("page", [*PAGES, *CONFIGS], ids=lambda page: page.name)
def test_every_command_that_is_shown_parses(page):
    for line in commands(page.read_text()):
        parse(line)


def test_commands_are_found_at_all():
    found = commands((ROOT / "README.md").read_text())
    assert "i2i train pix2pix" in found
    assert any(line.startswith("i2i translate") for line in found)
    with pytest.raises(click.UsageError):
        parse("i2i train pix2pix --stepz 3")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_is_valid_and_headed_by_its_command(path):
    first = path.read_text().splitlines()[0]
    head = re.match(rf"# i2i train (\w+) --config configs/{path.name}", first)
    assert head, first
    plugin = plugins.load(head[1])
    layers = [config.read_yaml(path), config.Layer("here", {"device": "cpu"})]
    resolved = api.configure(plugin, layers)
    assert resolved.plugin == head[1]
    # What it is a recipe for does not depend on the presets of the device below it.
    for preset in ({}, plugin.presets["cuda"]):
        other = config.resolve(plugin.config, [config.Layer("preset", preset), *layers])
        assert without_unused(other) == without_unused(resolved)


def without_unused(resolved):
    """All that has an effect: a penalty without a weight has none."""
    tree = resolved.model_dump()
    for name in ("gradient_penalty", "r1", "r2"):
        if tree["objective"][name]["weight"] == 0:
            tree["objective"][name] = None
    return {**tree, "data": {**tree["data"], "source": None}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        assert (page.parent / target).exists(), target


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)


def test_the_programs_of_the_model_page_run(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished.path, tmp_path / "runs" / "pix2pix-001")
    shutil.copy(next(finished.examples.iterdir()), tmp_path / "drawing.png")
    programs = blocks("docs/model-file.md")
    assert len(programs) == 2
    for program in programs:
        (tmp_path / "coloured.png").unlink(missing_ok=True)
        exec(program, {})
        assert (tmp_path / "coloured.png").is_file()
