"""Discriminators that are too strong, or that know their images by heart."""

from __future__ import annotations

from statistics import fmean, median
from typing import Final

from i2i.training.diagnosis.history import Facts, History, Reading, at_least, at_most, hold, values

_SPAN: Final = 0.2  # share of the steps over which a discriminator has to win
_SURE: Final = 0.95  # share of places that it judges rightly, of each kind of image
_LEFT: Final = 0.01  # of the loss of one that guesses
_LOOKS: Final = 3
_LOOKED: Final = 4  # looks over which a discriminator has to overfit
_GAP: Final = 0.5  # between shares of training images and of others that are judged real
_OVERFIT: Final = 0.7  # of the way from the images that it trains on to fakes


def wins(history: History, facts: Facts) -> Reading | None:
    """Whether the discriminators tell every image, known or not, and learn and teach nothing any more.

    A critic of Wasserstein's distance is meant to be ahead (arXiv:1701.07875, section 3), and is left alone.
    """
    looks = history.last_looks(_LOOKS, "real_train", "real_held", "fake")
    losses = values(history.latest(_SPAN * facts.steps), "discriminator")
    if facts.guess is None or not looks or not losses:
        return None
    shares = {name: fmean(each) for name, each in looks.items()}
    left = (median(losses) - facts.least) / (facts.guess - facts.least)
    return Reading(
        min(at_most(1 - min(shares.values()), 1 - _SURE), at_most(left, _LEFT)),
        f"it is right about {shares['real_train']:.0%} of training images, {shares['real_held']:.0%} of held-out ones "
        f"and {shares['fake']:.0%} of what is made, and its loss is {left:.1%} of that of a guess: the generator has "
        "little left to learn from.",
        f"Slow it with a lower trainer.discriminator_lr, or make its task harder with {_harder(facts)}.",
    )


def _harder(facts: Facts) -> str:
    noise = 2 * facts.instance_noise or 0.1
    return f"{hold(facts)}, or with stability.instance_noise={noise:g}"


def overfits(history: History, facts: Facts) -> Reading | None:
    """Whether the discriminators take held-out images for fakes: a share of the way that is r_v of ADA.

    Karras et al. 2020, arXiv:2006.06676, section 3, equation 1, with shares of places in place of the means of logits.
    """
    looks = history.last_looks(_LOOKED, "real_train", "real_held", "fake")
    if not looks:
        return None
    train, held, fake = (fmean(each) for each in looks.values())
    gap, whole = train - held, train - (1 - fake)
    share = gap / whole if whole > 0 else 0.0
    more = (
        "Have more images, or add transformations in stability.augment; until then fewer trainer.steps are enough."
        if facts.augmented
        else "Augment what it sees: stability.augment.translation=true and stability.augment.colour=true, with "
        "stability.augment.adaptive=true and stability.augment.probability=0; more images help more."
    )
    return Reading(
        min(at_least(gap, _GAP), at_least(share, _OVERFIT)),
        f"it takes {train:.0%} of training images for real, but only {held:.0%} of held-out ones and {1 - fake:.0%} of "
        "what is made: it knows the training images by heart.",
        more,
    )
