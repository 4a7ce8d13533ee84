"""What all checks say of a plugin, one after the other."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Final, Literal

from i2i.errors import I2IError
from i2i.testing.check import Check
from i2i.testing.deployed import check_run
from i2i.testing.manifest import check_manifest, check_settings
from i2i.testing.networks import check_channels, check_players, check_previews, check_sizes
from i2i.testing.playing import check_batch, check_objectives, check_step
from i2i.testing.public import check_imports
from i2i.testing.repeating import check_checkpoint, check_seed
from i2i.testing.subject import Subject
from i2i.training.fault import place, told

CHECKS: Final = (
    Check("manifest", "complete, and imports no torch", check_manifest),
    Check("settings", "defaults, presets, example and small are valid and survive YAML", check_settings, ("manifest",)),
    Check("imports", "only what i2i makes public", check_imports, ("manifest",)),
    Check("players", "every parameter has a shape and one owner", check_players, ("settings",)),
    Check("step", "a step changes both players and nothing else", check_step, ("players",)),
    Check("sizes", "every size that the configuration accepts can be played", check_sizes, ("step",)),
    Check("channels", "every number of channels that it accepts can be played", check_channels, ("step",)),
    Check("previews", "what is scored is there, finite and the same each time", check_previews, ("players",)),
    Check("objectives", "finite under every objective, penalty and precision", check_objectives, ("step",)),
    Check("seed", "the seed decides all, bit for bit", check_seed, ("step",)),
    Check("checkpoint", "goes on from a checkpoint bit for bit", check_checkpoint, ("seed",)),
    Check("batch", "a wrong batch is refused", check_batch, ("step",)),
    Check("run", "trained, scored, exported with parity, used without torch", check_run, ("step", "previews")),
)
"""What i2i asks of every plugin, in the order in which it is best mended."""


@dataclass(frozen=True)
class Verdict:
    """What one check says.

    problem: what is wrong, or which failed check keeps this one from being tried. hint: what to do. where: the line of
    the plugin that an exception went through, such as `i2i_mine/game.py:31`.
    """

    check: str
    says: str
    state: Literal["passed", "failed", "not tried"]
    problem: str = ""
    hint: str = ""
    where: str = ""
    seconds: float = 0.0


def verdicts(subject: Subject, checks: Sequence[Check] = CHECKS) -> Iterator[Verdict]:
    """Tries `checks` one by one, but for those whose needs have failed; raises PluginError for an unknown plugin."""
    package = subject.package
    lost: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name in lost]
        if missing:
            lost.add(check.name)
            yield Verdict(check.name, check.says, "not tried", f"needs {' and '.join(missing)}")
            continue
        began = time.perf_counter()
        error = _tried(check, subject)
        seconds = round(time.perf_counter() - began, 2)
        if error is None:
            yield Verdict(check.name, check.says, "passed", seconds=seconds)
            continue
        lost.add(check.name)
        where = place(error, package) or (place(error.__cause__, package) if error.__cause__ else None) or ""
        hint = (error.hint if isinstance(error, I2IError) else "") or ""
        problem = told(error)
        yield Verdict(check.name, check.says, "failed", problem, hint, "" if where in problem else where, seconds)


def _tried(check: Check, subject: Subject) -> BaseException | None:
    """What the check raises, if anything."""
    try:
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):  # where a verdict is printed, no plugin prints
            warnings.simplefilter("ignore")
            check(subject)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        return error
    return None
