"""The commands beside translate, as a person types them."""

import json
import subprocess
import sys
from functools import cache

import pytest
from click.testing import CliRunner

from i2i import api, cli
from i2i.version import __version__


def i2i(*arguments, **settings):
    """Runs the whole program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "i2i", *arguments], capture_output=True, text=True, check=False, **settings
    )


@pytest.fixture
def answered(capsys):
    """`answered(*arguments)`: exit status, stdout and stderr of a command that runs in this process."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([*arguments])
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("command", [[], *([name] for name in cli.COMMANDS)])
def test_every_command_has_help(command):
    result = CliRunner().invoke(cli.cli, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_the_list_of_commands_says_what_each_command_says():
    shown = CliRunner().invoke(cli.cli, ["--help"]).output
    assert all(name in shown for name in cli.COMMANDS)


def test_version():
    assert i2i("--version").stdout.strip().endswith(__version__)


@pytest.mark.parametrize(
    ("arguments", "status", "answer"),
    [
        (["trian"], 2, "did you mean 'train'?"),
        (["train", "--stepz", "3"], 2, "--steps"),
        (["train"], 2, "say which plugin to train: cgan, cut, cyclegan, dcgan, pix2pix, srgan"),
        (["train", "pixpix"], 1, "did you mean 'pix2pix'?"),
        (["train", "pix2pix", "--data", "openmojo"], 1, "did you mean 'openmoji'?"),
        (
            ["train", "pix2pix", "--set", "trainer.stepz=3"],
            1,
            "--set: trainer.stepz: unknown key, did you mean 'steps'?",
        ),
        (["train", "pix2pix", "--steps", "0"], 1, "--steps: trainer.steps:"),
        (["train", "pix2pix", "--device", "cuda:9"], 1, "torch sees"),
        (["train", "pix2pix", "--device", "gpu"], 1, "--device: device:"),
        (["train", "pix2pix", "--config", "none.yaml"], 1, "none.yaml: cannot be read"),
        (["train", "--resume", "none"], 1, "none: is no run"),
        (["train", "pix2pix", "--resume", "none"], 2, "leave out PLUGIN"),
        (["export", "none"], 1, "none: is no run"),
        (["translate", "x.png"], 1, "no finished run"),
    ],
)
def test_mistakes_are_answered_without_a_traceback_and_leave_nothing(
    tmp_path, monkeypatch, answered, arguments, status, answer
):
    monkeypatch.chdir(tmp_path)
    code, out, error = answered(*arguments)
    assert code == status
    assert answer in error
    assert "Traceback" not in error
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_a_process_of_its_own():
    result = i2i("train", "pixpix")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert "did you mean 'pix2pix'?" in result.stderr


def test_print_config_can_be_given_back(tmp_path, answered):
    changed = ("--device", "cpu", "--steps", "77", "--set", "trainer.batch=3")
    _, first, _ = answered("train", "pix2pix", *changed, "--print-config")
    path = tmp_path / "x.yaml"
    path.write_text(first)
    assert "steps: 77" in first
    assert "batch: 3" in first
    assert answered("train", "pix2pix", "--config", str(path), "--print-config") == (0, first, "")


def test_plugins_are_listed():
    (row,) = [row for row in json.loads(i2i("plugins", "--json").stdout) if row["name"] == "pix2pix"]
    assert (row["distribution"], row["version"], row["kind"], row["state"]) == ("i2i", __version__, "paired", "ok")
    assert "pix2pix" in i2i("plugins").stdout


def test_a_broken_plugin_is_shown_as_broken_and_stops_nothing(tmp_path):
    info = tmp_path / "bad_one-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-one\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[i2i.plugins]\nbad = nothing_like_this:plugin\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    result = i2i("plugins", "--json", env=environment)
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert result.returncode == 0
    assert rows["bad"]["state"] == "broken"
    assert "pip uninstall bad-one" in rows["bad"]["error"]
    assert rows["pix2pix"]["state"] == "ok"
    assert i2i("--help", env=environment).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell):
    result = i2i("completion", shell)
    assert result.returncode == 0
    assert "_I2I_COMPLETE" in result.stdout


def test_completion_completes_commands():
    result = i2i(env={"_I2I_COMPLETE": "bash_complete", "COMP_WORDS": "i2i tra", "COMP_CWORD": "1"})
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == {"train", "translate"}


def test_training_without_its_packages_says_what_to_install(tmp_path):
    """As on a machine with the base install alone, where torch cannot be imported."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    result = i2i("train", "pix2pix", env={"PYTHONPATH": str(tmp_path)})
    assert result.returncode == 1
    assert "pip install 'i2i[train]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_export_by_hand_prints_the_parity(finished, answered, monkeypatch):
    monkeypatch.setattr(api, "export", cache(api.export))  # said in both forms
    code, out, error = answered("export", str(finished.path))
    assert (code, error) == (0, "")
    assert "of 255" in out
    assert json.loads(answered("export", str(finished.path), "--json")[1])["model.onnx"]["multiple"] == 32
