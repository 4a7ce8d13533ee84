"""CUT on unpaired `earth`, satellite to map: distances to real images, error against the hidden truth.

`python tests/benchmarks/cut_earth.py FOLDER` trains by the preset for a processor into FOLDER/run (or takes the run
that is there), translates the held-out tiles by the exported file alone, prints what copying and CUT reach, on the
tiles and by the distance of cyclegan_earth.py, and draws FOLDER/to-map.png: input, output and truth.
"""

from cyclegan_earth import both, compare, draw, played

import i2i
from i2i import plugin as plugins
from i2i.config import read_yaml, resolve
from i2i.data import open_splits
from i2i.nn.features import efficientnet_lite0


def main():
    """Trains where there is no run yet, then measures."""
    folder, run = played("cut", __doc__)
    splits = open_splits(resolve(plugins.load("cut").config, [read_yaml(run.config)]).data, "unpaired")
    translate, network = i2i.load(run.path), efficientnet_lite0()
    for name in ("validation", "test"):
        satellite, topographic = both(getattr(splits, name))
        made = translate(satellite)
        print(f"\n{name}, {len(satellite)} tiles\n")
        compare(network, {"copying": satellite, "CUT": made}, topographic)
    draw((satellite, made, topographic), folder / "to-map.png")


if __name__ == "__main__":
    main()
