"""Every built-in plugin goes on from any step as if it had not stopped, with all in play that has a state."""

import pytest
import torch

from i2i.data import Loader, open_splits
from i2i.testing import Subject
from i2i.training import checkpoint as checkpoints
from i2i.training.batches import prepare

STEPS = 7
EVENTFUL = {
    "data": {"rotate": 10, "zoom": 0.1},
    "objective": {
        "gradient_penalty": {"weight": 1.0, "interval": 3},
        "r1": {"weight": 0.1, "interval": 3},
    },
    "stability": {
        "instance_noise": 0.1,
        "noise_until": 1.0,
        "augment": {
            "colour": True,
            "translation": True,
            "cutout": True,
            "probability": 0.5,
            "adaptive": True,
            "speed": 400,
        },
    },
    "trainer": {
        "steps": STEPS,
        "batch": 4,
        "accumulate": 2,
        "k": 2,
        "pool": 3,
        "schedule": {"name": "cosine", "warmup": 2},
        "precision": "float32",
    },
}
GAMES = {
    "cgan": {},
    "cut": {},
    "cyclegan": {},
    "dcgan": {},
    "pix2pix": {},
    "srgan, first stage": {"stage": "content"},
    "srgan, second stage": {"game": {"start": "random"}},
}


def play(scene, trainer, folder, *, threads=0, cache=0.25):
    """Plays what is left, and saves after every step; the checkpoints by their steps."""
    config = scene.config
    parts, k = config.trainer.accumulate, config.trainer.k
    splits = open_splits(config.data.model_copy(update={"cache": cache}), scene.manifest.kind)
    loader = Loader(splits.train, batch=config.trainer.batch, seed=config.seed, threads=threads, parts=parts)
    with loader.read(trainer.step * k) as batches:
        while trainer.step < STEPS:
            raw = [next(batches) for _ in range(k * parts)]
            trainer.play([prepare(each, trainer.device, trainer.memory_format) for each in raw])
            checkpoints.save(trainer, None, folder, config)
    return {checkpoint.step: checkpoint for checkpoint in checkpoints.find(folder)}


@pytest.mark.parametrize("game", GAMES)
def test_from_any_step_it_goes_on_to_the_same_bits(game, tmp_path):
    subject = Subject(game.partition(",")[0], EVENTFUL)  # its data last as long as this
    scene = subject.scene(GAMES[game])
    whole = play(scene, scene.trainer(), tmp_path / "whole")
    last = whole[STEPS].tensors()
    if scene.trainer().optimizers.keys() >= {"discriminators"}:
        assert len(last["pool.0.fake"]) == 3  # full
        probabilities = [whole[step].tensors()["extra.shown.augment"][0] for step in (1, STEPS)]
        assert probabilities[0] != probabilities[1]
    # In the middle of an epoch, between two penalties; read by other numbers of threads, kept in memory or not.
    for step, threads, cache in ((1, 1, 0.25), (4, 3, 0.0), (6, 0, 0.0)):
        resumed = scene.trainer(seed=1)
        checkpoints.restore(resumed, whole[step])
        ended = play(scene, resumed, tmp_path / f"from-{step}", threads=threads, cache=cache)[STEPS].tensors()
        assert ended.keys() == last.keys()
        assert [name for name in last if not torch.equal(ended[name], last[name])] == []


def test_going_back_within_a_process_is_going_on_in_a_new_one(tmp_path):
    """As after losses that are no numbers: what the trainer has come to since is forgotten."""
    subject = Subject("pix2pix", EVENTFUL)
    scene = subject.scene()
    trainer = scene.trainer()
    checkpoints.save(trainer, None, tmp_path / "first", scene.config)
    (start,) = checkpoints.find(tmp_path / "first")
    last = play(scene, trainer, tmp_path / "whole")[STEPS].tensors()
    checkpoints.restore(trainer, start)
    again = play(scene, trainer, tmp_path / "again")[STEPS].tensors()
    assert [name for name in last if not torch.equal(again[name], last[name])] == []
