"""Small runs as their files, without a training."""

import json
import os
import platform

import numpy as np
import pytest

from i2i import images
from i2i.training.run import Run


@pytest.fixture
def made(tmp_path):
    """`made(records, **facts)`: a run with these records of metrics and facts, and a picture at steps 10 and 20."""

    def make(records=(), name="pix2pix-001", pictures=(10, 20), **facts):
        run = Run.create(tmp_path / name, "pix2pix")
        run.note(**{"process": {"pid": os.getpid(), "host": platform.node()}, **facts})
        run.config.write_text("plugin: pix2pix\n")
        run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
        for step in pictures:
            drawn = np.full((12, 20, 3), step % 256, np.uint8)
            images.write(images.from_pixels(drawn), run.samples / f"step-{step:07d}.png")
        return run

    return make
