"""The command `i2i`, as `python -m i2i` too."""

import signal
from typing import NoReturn

# Ctrl-C while modules are imported ends the process without a traceback; where SIGINT is ignored, it stays so.
_HANDLED = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _HANDLED:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from i2i.cli import main  # noqa: E402


def run() -> NoReturn:
    """Runs the command line and ends the process."""
    if _HANDLED:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


if __name__ == "__main__":
    run()
