"""What is kept of a set of outputs: names of protocols, per-image values, intervals, differences on the same images."""

import pickle

import pytest
import torch

from i2i.config import DataConfig
from i2i.errors import I2IError
from i2i.metrics.catalogue import METRICS, available
from i2i.metrics.kept import NEAREST, differences
from i2i.metrics.paired import psnr
from i2i.metrics.protocol import protocol
from i2i.nn.features import efficientnet_lite0

KINDS = ["paired", "semantic", "unpaired", "upscaled", "images", "labelled"]


def pictures(count, side=32, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (count, channels, side, side), generator=generator)
    return levels.float() / 127.5 - 1


def near(target, amount, seed):
    """Targets with noise: the less, the better the scores."""
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))
    return (target + amount * noise).clamp(-1, 1)


def kept(kind, output, target, extra=(), scoring=None, **config):
    scoring = scoring or protocol(kind, DataConfig(**config), extra)
    for begin in range(0, len(output), 3):
        part = slice(begin, begin + 3)
        scoring.add(output[part], target[part], {"target": target[part]})
    return scoring.take()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_gives_the_scores_of_the_protocol_with_intervals_around_them(kind):
    target = pictures(9)
    output = near(target, 0.5, 1)
    scoring = protocol(kind, DataConfig(scale=2))
    found = kept(kind, output, target, scoring=scoring)
    scoring.add(output, target, {"target": target})
    scores = scoring.scores()
    assert list(found.keys) == list(found.values()) == list(scores) == list(scoring.metrics)
    assert found.values() == pytest.approx(scores, rel=1e-5)
    assert found.count == 9
    for name, score in found.scored(draws=200).items():
        assert score.value == pytest.approx(scores[name], rel=1e-5)
        assert score.low < score.value < score.high
    assert found.scored(draws=200) == found.scored(draws=200) != found.scored(draws=200, seed=1)


def test_keys_name_features_resize_and_count():
    assert kept("paired", pictures(3), pictures(3, seed=1), ["psnr_y"]).keys == {
        "psnr": "psnr-rgb-n3",
        "ssim": "ssim-rgb-n3",
        "mae": "mae-rgb-n3",
        "psnr_y": "psnr-y-crop0-n3",
    }
    grey = pictures(3, channels=1), pictures(3, channels=1, seed=1)
    assert kept("paired", *grey, target_channels=1).keys["psnr"] == "psnr-grey-n3"
    assert kept("unpaired", pictures(3, side=64), pictures(3, side=64)).keys == {
        "kid_efficientnet": "kid-efficientnet-lite0-native-n3"
    }
    keys = kept("images", pictures(4), pictures(4), ["precision"]).keys
    assert keys == {
        "kid_efficientnet": "kid-efficientnet-lite0-enlarged64-n4",
        "deviation": "deviation-pixels-n4",
        "parzen": "parzen-pixels-n4",
        "precision": "precision-k3-efficientnet-lite0-enlarged64-n4",
    }
    keys = kept("upscaled", pictures(2, side=200), pictures(2, side=200), scale=4).keys
    assert keys["ssim_y"] == "ssim-y-crop4-n2"
    assert keys["kid_efficientnet"] == "kid-efficientnet-lite0-tiles96-native-n2"


def test_sets_of_two_sizes_say_so():
    scoring = protocol("unpaired", DataConfig())
    scoring.add(pictures(5), pictures(4), {"target": pictures(4)})
    assert scoring.take().keys["kid_efficientnet"].endswith("-n5-of-4")


def test_per_image_values_are_those_of_the_images_in_their_order():
    target = pictures(7)
    output = near(target, 0.3, 1)
    found = kept("semantic", output, target)
    assert set(found.each) == {"psnr", "ssim", "mae"}
    levels = [((images + 1) * 127.5).round() for images in (output, target)]
    assert found.each["psnr"].tolist() == pytest.approx(psnr(*levels).tolist())
    assert found.values()["psnr"] == found.each["psnr"].mean()


@pytest.mark.parametrize("kind", ["unpaired", "images"])
def test_images_without_targets_of_their_own_are_ordered_by_the_nearest_target(kind):
    target = pictures(6)
    output = torch.cat([near(target[:3], 0.05, 1), pictures(3, seed=2) * 0.1])
    found = kept(kind, output, target)
    assert set(found.each) == {NEAREST}
    assert NEAREST not in found.values()
    network = efficientnet_lite0()
    with torch.no_grad():
        made, real = (network(((images + 1) * 127.5).round() / 127.5 - 1) for images in (output, target))
    expected = [min(float((one - other).norm()) for other in real) for one in made]
    assert found.each[NEAREST].tolist() == pytest.approx(expected, rel=1e-3)
    assert found.each[NEAREST][:3].max() < found.each[NEAREST][3:].min()


def test_differences_are_of_the_same_images_and_far_narrower_than_the_scores():
    target = pictures(12)
    amounts = torch.linspace(0.05, 1, 12).view(-1, 1, 1, 1)  # images differ far more than the two sets do
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    first, second = ((target + factor * amounts * noise).clamp(-1, 1) for factor in (1, 1.05))
    one, other = (kept("semantic", output, target, ["recall"]) for output in (first, second))
    found = differences(one, other)
    assert list(found) == list(one.keys)
    for name, score in found.items():
        assert score.value == pytest.approx(other.values()[name] - one.values()[name], rel=1e-6, abs=1e-9)
    assert found["psnr"].high < 0 < found["mae"].low
    scored = one.scored()
    for name in ("psnr", "mae"):
        assert found[name].high - found[name].low < 0.2 * (scored[name].high - scored[name].low)
    back = differences(other, one)
    assert back["psnr"].low == pytest.approx(-found["psnr"].high, rel=0.1)


def test_a_set_differs_from_itself_in_nothing():
    found = kept("images", pictures(8), pictures(8, seed=1), ["recall", "swd"])
    for score in differences(found, found).values():
        assert (score.value, score.low, score.high) == (0, 0, 0)


def test_other_images_or_protocols_are_no_pairs():
    four, five = (kept("paired", pictures(count), pictures(count, seed=1)) for count in (4, 5))
    with pytest.raises(ValueError, match="4 images and 5"):
        differences(four, five)
    cropped, whole = (kept("upscaled", pictures(4), pictures(4, seed=1), scale=scale) for scale in (2, 4))
    with pytest.raises(ValueError, match=r"psnr-y-crop2-n4 and psnr-y-crop4-n4"):
        differences(cropped, whole)


def test_metrics_that_are_added_follow_the_protocols_own():
    target = pictures(4, side=176)
    found = kept("paired", near(target, 0.2, 1), target, ["ms_ssim", "swd", "kid_efficientnet", "deviation", "psnr"])
    assert list(found.keys) == ["psnr", "ssim", "mae", "ms_ssim", "swd", "kid_efficientnet", "deviation"]
    assert found.keys["ms_ssim"] == "ms-ssim-rgb-n4"
    assert 0 < found.values()["ms_ssim"] < 1


def test_each_metric_is_described_and_suits_some_kind():
    for name, metric in METRICS.items():
        assert metric.said.endswith("."), name
    assert set(available("paired")) == set(METRICS)
    assert set(METRICS) - set(available("unpaired")) == {
        "psnr", "ssim", "mae", "psnr_y", "ssim_y", "ms_ssim", "lpips"
    }  # fmt: skip
    for kind in KINDS:
        own = protocol(kind, DataConfig()).metrics
        assert list(available(kind))[: len(own)] == list(own)


def test_unknown_and_unsuitable_metrics_are_named():
    with pytest.raises(I2IError, match="no metric 'pnsr', did you mean 'psnr'"):
        protocol("paired", DataConfig(), ["pnsr"])
    with pytest.raises(I2IError, match="ms_ssim compares each output with a target of its own, and unpaired"):
        protocol("unpaired", DataConfig(), ["ms_ssim"])


def test_too_few_images_and_such_of_two_sizes_are_named():
    scoring = protocol("images", DataConfig())
    scoring.add(pictures(3), pictures(3), {})
    with pytest.raises(I2IError, match=r"3 images: .* need 4 at least"):
        scoring.take()
    scoring = protocol("images", DataConfig())
    scoring.add(pictures(2), pictures(2), {})
    with pytest.raises(I2IError, match=r"deviation and parzen: images of \[3, 32, 32\] and of \[3, 40, 40\]"):
        scoring.add(pictures(2, side=40), pictures(2, side=40), {})


def test_an_image_is_kept_as_its_features_in_single_precision_and_its_pixels_as_bytes():
    """Of 5,000 colour images of 64 x 64 pixels, and as many targets: 2 x (25.6 MB of features and 61 MB of pixels)."""
    eight, four = (len(pickle.dumps(kept("images", pictures(count), pictures(count)))) for count in (8, 4))
    numbers = 8  # bytes by which it is known which image a row is of
    for_one = 2 * (1280 * 4 + 3 * 32 * 32 + 2 * numbers)
    assert (eight - four) / 4 == pytest.approx(for_one, rel=0.02)
