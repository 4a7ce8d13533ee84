"""`i2i completion SHELL`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SETUP = {
    "bash": 'eval "$(i2i completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(i2i completion zsh)"   in ~/.zshrc',
    "fish": "i2i completion fish > ~/.config/fish/completions/i2i.fish",
}


@click.command(epilog="\b\n" + "\n".join(SETUP.values()))
@click.argument("shell", type=click.Choice(list(SETUP)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete i2i's commands and options."""
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(context.find_root().command, {}, "i2i", "_I2I_COMPLETE").source())
