"""From the start of `i2i serve` to ready, with the models that are named.

    python tests/benchmarks/serving_start.py runs/pix2pix-001 runs/cgan-001 --rounds 10

Ready is that `/v2/health/ready` says so, asked every few milliseconds. The files are in the disk's cache: the first of
the starts is not counted.
"""

from __future__ import annotations

import argparse
import runpy
import statistics
import tempfile
from pathlib import Path

Command = runpy.run_path(str(Path(__file__).parents[1] / "serving/command.py"))["Command"]


def main() -> None:
    """Prints a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds + 1):
            with Command(Path(folder), *(model.resolve() for model in arguments.models)) as server:
                seconds.append(server.seconds)
                memory = server.memory()
    del seconds[0]
    print(
        f"{len(arguments.models)} models, {arguments.rounds} starts: ready after {statistics.median(seconds):.2f} s "
        f"(median; {min(seconds):.2f} to {max(seconds):.2f}), {memory / 2**20:.0f} MiB resident then"
    )


if __name__ == "__main__":
    main()
