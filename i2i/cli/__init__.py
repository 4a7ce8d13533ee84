"""The command `i2i`: imports a command's module when it runs, and is the one place where errors are printed."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from i2i.errors import I2IError, did_you_mean
from i2i.version import __version__

# name -> (module, one line for --help); each module holds a click command called `command`.
COMMANDS = {
    "train": ("i2i.cli.train", "Train a translator and export it."),
    "translate": ("i2i.cli.translate", "Translate images with an exported model."),
    "generate": ("i2i.cli.generate", "Make images from noise with an exported model."),
    "export": ("i2i.cli.export", "Export a run's best weights to one ONNX file."),
    "import": ("i2i.cli.import_", "Make a model of a checkpoint of another project."),
    "eval": ("i2i.cli.eval", "Score a model on images, beside what there is without one."),
    "compare": ("i2i.cli.compare", "Score several models on the same images, side by side."),
    "runs": ("i2i.cli.runs", "List the runs: what they are, how far, how good."),
    "report": ("i2i.cli.report", "Build a run's report and its model card anew."),
    "serve": ("i2i.cli.serve", "Serve models: a page to try them, and an API."),
    "bench": ("i2i.cli.bench", "Measure how fast an exported model runs here."),
    "data": ("i2i.cli.data", "List the embedded sets, show one, or check a folder before training."),
    "doctor": ("i2i.cli.doctor", "Say what is there, what is used and why; and try a model."),
    "plugins": ("i2i.cli.plugins", "List the installed architectures."),
    "completion": ("i2i.cli.completion", "Print the completion script of a shell."),
}

# What the extras bring that whole commands need, and the base install does without.
EXTRAS = {
    **dict.fromkeys(
        (
            "torch",
            "torchvision",
            "torchmetrics",
            "albumentations",
            "safetensors",
            "filelock",
            "onnx",
            "onnxscript",
            "tensorboard",
        ),
        "train",
    ),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "prometheus_client", "multipart", "python_multipart"), "serve"),
    "torch_fidelity": "fid",
}

INTERRUPTED = 130  # what shells report for a command that Ctrl-C ended


_WORDS = f"{__name__}.words"


def words() -> list[str]:
    """What was typed behind `i2i`, as the command that is running was called."""
    found: list[str] = click.get_current_context().meta.get(_WORDS, [])
    return found


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and whose `--help` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a person needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps the words, for `words`."""
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says which one was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command is called '{args[0]}'{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="i2i")
def cli() -> None:
    """Translate images into images: train a conditional GAN, get one ONNX file, use it anywhere.

    \b
    i2i train pix2pix          trains on the embedded data and exports model.onnx
    i2i translate input.png    uses the newest model
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line. A mistake is printed to stderr without a traceback.

    Exits with 0; 1 for an I2IError; 2 for a wrong command line; 130 after Ctrl-C.
    """
    try:
        status = cli.main(arguments, prog_name="i2i", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except UnicodeEncodeError as error:
        _fail(f"stdout: cannot show {error.object[error.start : error.end]!r}\n  Set PYTHONUTF8=1.")
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except I2IError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(f"this command needs '{error.name}', which is not installed\n  pip install 'i2i[{extra}]'")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _fail(f"{error.filename or 'stdout'}: cannot be written: {error.strerror}")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> NoReturn:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(message, err=True)
    sys.exit(1)
