"""Learning-rate schedules as pure functions of the step, so that they have no state to save."""

from __future__ import annotations

import math

from i2i.config import ScheduleConfig


def factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """What the learning rate is multiplied by in the step numbered `step` of `steps`, counted from 0; above 0.

    linear: after the held part, down in equal parts; pix2pix and CycleGAN hold for half. cosine: down half a cosine.
    """
    warming = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    held = round(config.hold * steps)
    if config.name == "constant" or step < held:
        return warming
    progress = (step - held + 1) / (steps - held + 1)
    falling = 1 - progress if config.name == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return warming * falling
