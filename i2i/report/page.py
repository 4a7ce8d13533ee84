"""The report: one HTML file that asks for nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.files import write_text
from i2i.report import sections
from i2i.report.told import Told, tell

if TYPE_CHECKING:
    from i2i.training.run import Run

_HERE = Path(__file__).parent


def write(run: Run) -> Path:
    """Writes the run's report.html, whole or not at all, and returns its path; raises I2IError."""
    write_text(run.report, page(tell(run)))
    return run.report


def page(told: Told, *, version: str = "", live: bool = False) -> str:
    """The report as HTML. live: whether a server shows it, which tells by `version` that there is a newer one."""
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    script = (_HERE / "script.js").read_text(encoding="utf-8")
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    if live:
        policy += "; connect-src 'self'"
    heading, *parts = [
        part(told)
        for part in (
            sections.heading,
            sections.scores,
            sections.diagnosis,
            sections.over_time,
            sections.extremes,
            sections.learning,
            sections.export,
            sections.environment,
        )
    ]
    body = "".join([heading, sections.missing(told), *parts])  # the others find out what is missing
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<link rel="icon" href="data:,"/>'  # or browsers ask the server for one
        f"<title>{escape(told.name)}: i2i report</title><style>{style}</style></head>"
        f'<body data-running="{str(told.running).lower()}" data-version="{escape(version)}"><main>{body}</main>'
        f"<script>{script}</script></body></html>\n"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
