"""`i2i serve`: a page and an API over HTTP for exported models, without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from i2i.errors import I2IError
from i2i.serving.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN = "I2I_SERVE_TOKEN"


@click.command()
@click.argument("models", metavar="[[NAME=]MODEL]...", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; others need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--token-file", type=click.Path(path_type=Path),
              help=f"A file with the token that clients must send. Or ${TOKEN}.")  # fmt: skip
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Another name of the server, as of a proxy.")
@click.option("--allow-origin", "origins", multiple=True, metavar="URL", help="A site whose pages may use the server.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="Where to run.")
@click.option("--max-bytes", type=click.IntRange(1024), default=Limits.bytes, show_default=True, help="Of an upload.")
@click.option("--max-pixels", type=click.IntRange(1), default=Limits.pixels, show_default=True,
              help="Of an image that is sent.")  # fmt: skip
@click.option("--queue", type=click.IntRange(1), default=Limits.queue, show_default=True,
              help="Requests that may wait for a model.")  # fmt: skip
@click.option("--wait", type=click.FloatRange(0, 1000), default=1000 * Limits.wait, show_default=True, metavar="MS",
              help="Milliseconds that a batch waits to fill.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=Limits.seconds, show_default=True,
              help="Seconds that a request may take.")  # fmt: skip
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Of a line for each request, on stderr.")  # fmt: skip
@click.option("--no-page", is_flag=True, help="The API alone.")
@click.option("--root-path", default="", metavar="PATH", help="Where a proxy shows the server, like /i2i.")
def command(
    models: tuple[str, ...],
    host: str,
    port: int,
    token_file: Path | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    device: str,
    max_bytes: int,
    max_pixels: int,
    queue: int,
    wait: float,
    timeout: float,
    log_format: Literal["text", "json"],
    no_page: bool,
    root_path: str,
) -> None:
    """Serve models over HTTP: a page to try them in a browser, and an API.

    MODEL is an .onnx file or a run; NAME is what clients call it. Default: the newest run whose model takes images, or
    else one that makes them from noise.

    \b
    i2i serve                              then open http://127.0.0.1:8000
    i2i serve runs/pix2pix-001 faces=runs/dcgan-002
    i2i serve --host 0.0.0.0 --token-file token.txt --allow-host images.example.org
    """
    from i2i.serving.server import serve
    from i2i.serving.settings import Settings

    settings = Settings(
        host=host, port=port, token=_token(token_file), hosts=hosts, origins=origins, page=not no_page,
        root_path=root_path,
    )  # fmt: skip
    limits = Limits(bytes=max_bytes, pixels=max_pixels, queue=queue, wait=wait / 1000, seconds=timeout)
    serve(
        models or _newest(), settings, limits, device=device, log_format=log_format,
        said=lambda text: click.echo(text, err=True),
    )  # fmt: skip


def _token(file: Path | None) -> str | None:
    """What the file or the environment holds: on the command line every user of the machine could read it."""
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise I2IError(f"{file}: no token can be read: {error}", "Make one: openssl rand -hex 32 > token.txt") from None


def _newest() -> Sequence[str]:
    """The newest run with a model of images, else of noise; said, too."""
    from i2i.errors import RunError
    from i2i.training.run import RUNS, newest_model

    try:
        model = newest_model(RUNS, "image")
    except RunError:
        model = newest_model(RUNS, "noise")
    click.echo(f"model: {model}", err=True)
    return [str(model.parent)]
