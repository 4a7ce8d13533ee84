"""CUT on unpaired `earth`, satellite to map: distances to real images, error against the hidden truth.

`python tests/benchmarks/cut_earth.py FOLDER` trains by the preset for a processor into FOLDER/run (or takes the run
that is there), translates the held-out tiles by the exported file alone, prints what copying and CUT reach, on the
tiles and by the distance of cyclegan_earth.py, and draws FOLDER/to-map.png: input, output and truth.
"""

import argparse
from datetime import datetime
from pathlib import Path

import numpy as np
from cyclegan_earth import both, draw, features

import i2i
from i2i import api
from i2i import plugin as plugins
from i2i.config import read_yaml, resolve
from i2i.data import open_splits
from i2i.metrics.kernel import kernel_distance
from i2i.nn.features import efficientnet_lite0
from i2i.training.run import Run


def main():
    """Trains where there is no run yet, then measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    run = Run(folder / "run")
    if not run.model.is_file():
        api.train("cut", {"device": "cpu", "data": {"source": "earth"}}, out=run.path)
    facts = run.facts()
    taken = datetime.fromisoformat(facts["ended"]) - datetime.fromisoformat(facts["started"])
    best = facts["best"]["step"]
    print(f"{facts['step']} steps, the best of them {best}, scores and export: {taken.seconds} s; {facts['device']}")
    splits = open_splits(resolve(plugins.load("cut").config, [read_yaml(run.config)]).data, "unpaired")
    translate, network = i2i.load(run.path), efficientnet_lite0()
    for name in ("validation", "test"):
        satellite, topographic = both(getattr(splits, name))
        made = translate(satellite)
        print(f"\n{name}, {len(satellite)} tiles\n")
        print("| way | kernel distance | of copying's | mean absolute error |\n|---|---|---|---|")
        real = features(network, topographic)
        copied = kernel_distance(features(network, satellite), real)
        for title, pictures in {"copying": satellite, "CUT": made}.items():
            distance = kernel_distance(features(network, pictures), real)
            error = np.abs(pictures.astype(float) - topographic).mean()
            print(f"| {title} | {distance:.3f} | {100 * distance / copied:.0f} % | {error:.1f} |")
    draw((satellite, made, topographic), folder / "to-map.png")


if __name__ == "__main__":
    main()
