"""What a validation measures: means over batches, targets that are kept, tiles, and what there is without a model."""

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.config import DataConfig
from i2i.errors import ConfigError
from i2i.metrics.deviation import deviation
from i2i.metrics.kernel import kernel_distance
from i2i.metrics.protocol import protocol
from i2i.nn.features import efficientnet_lite0


def pictures(count, side=16, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (count, channels, side, side), generator=generator)
    return levels.float() / 127.5 - 1


def scored(kind, batches, scoring=None, **config):
    scoring = scoring or protocol(kind, DataConfig(**config))
    for output, target, more in batches:
        scoring.add(output, target, {"target": target, **more})
    return scoring.scores()


def test_paired_scores_are_means_over_images_however_they_are_batched():
    output, target = pictures(5), pictures(5, seed=1)
    whole = scored("paired", [(output, target, {})])
    parted = scored("paired", [(output[:2], target[:2], {}), (output[2:], target[2:], {})])
    assert whole == pytest.approx(parted)
    levels = ((output - target) * 127.5).abs().flatten(1).mean(1).mean()
    assert whole["mae"] == pytest.approx(float(levels), rel=1e-5)


def test_a_protocol_begins_anew_after_each_pass_but_keeps_the_targets():
    first, second, target = pictures(4, seed=1), pictures(4, seed=2), pictures(4)
    scoring = protocol("unpaired", DataConfig())
    passes = [scored("unpaired", [(output, target, {})], scoring) for output in (first, second)]
    fresh = [scored("unpaired", [(output, target, {})]) for output in (first, second)]
    assert passes == fresh
    assert passes[0] != passes[1]
    network = efficientnet_lite0()
    with torch.no_grad():
        assert passes[1]["kid_efficientnet"] == pytest.approx(kernel_distance(network(second), network(target)))
    # Another one knows nothing of these targets.
    other = pictures(4, seed=3)
    again = scored("unpaired", [(first, other, {})], scoring.another())
    assert again == scored("unpaired", [(first, other, {})])


def test_images_of_label_maps_are_scored_one_by_one_and_as_a_whole_which_names_the_best():
    batches = [(pictures(4, seed=seed), pictures(4, seed=seed + 10), {"input": pictures(4)}) for seed in (1, 2)]
    found = scored("semantic", batches)
    assert (
        list(found) == ["kid_efficientnet", "psnr", "ssim", "mae"] == list(protocol("semantic", DataConfig()).metrics)
    )
    assert {name: found[name] for name in ("psnr", "ssim", "mae")} == scored("paired", batches)
    assert found["kid_efficientnet"] == scored("unpaired", batches)["kid_efficientnet"]
    scoring = protocol("semantic", DataConfig())
    assert scored("semantic", batches, scoring) == scored("semantic", batches, scoring)


def test_upscaled_images_are_also_compared_by_their_tiles():
    output, target = pictures(1, side=200), pictures(1, side=200, seed=1)
    found = scored("upscaled", [(output, target, {"input": pictures(1, side=50)})], scale=4)["kid_efficientnet"]
    places = [(top, left) for top in (0, 96) for left in (0, 96)]

    def tiles(image):
        return torch.cat([image[:, :, top : top + 96, left : left + 96] for top, left in places])

    network = efficientnet_lite0()
    with torch.no_grad():
        assert found == pytest.approx(kernel_distance(network(tiles(output)), network(tiles(target))), rel=1e-4)


def test_the_baseline_of_upscaled_images_is_pillows_bicubic():
    small = pictures(1, side=20) / 3  # Pillow rounds and clips between rows and columns: nothing here to clip
    scoring = protocol("upscaled", DataConfig(scale=4))
    made = scoring.baselines({"input": small, "target": torch.zeros(1, 3, 80, 80)})["bicubic"]
    pixels = ((small[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    expected = np.asarray(Image.fromarray(pixels).resize((80, 80), Image.Resampling.BICUBIC))
    levels = ((made[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).numpy()
    assert np.abs(levels - expected).max() <= 1


def test_generated_images_are_compared_in_deviation_within_their_classes():
    label = torch.arange(8) % 2
    prototypes = pictures(2, side=8, channels=1)
    target = pictures(8, side=8, channels=1, seed=1)
    collapsed = prototypes[label]
    assert scored("labelled", [(collapsed, target, {"label": label})])["deviation"] == pytest.approx(0)
    assert scored("images", [(collapsed, target, {})])["deviation"] > 0.3
    output = pictures(8, side=8, channels=1, seed=2)
    ratio = deviation(output, label) / deviation(target, label)
    assert scored("labelled", [(output, target, {"label": label})])["deviation"] == pytest.approx(ratio, rel=1e-4)


def test_there_are_baselines_only_where_something_can_be_had_without_a_model():
    def names(kind, batch):
        return set(protocol(kind, DataConfig()).baselines(batch))

    target = pictures(2)
    assert names("paired", {"input": pictures(2), "target": target}) == {"copying"}
    assert names("paired", {"input": pictures(2, channels=1), "target": target}) == set()
    assert names("images", {"target": target}) == set()
    assert names("semantic", {"input": pictures(2), "target": target}) == set()


@pytest.mark.parametrize("kind", ["semantic", "unpaired", "upscaled", "images", "labelled"])
def test_channels_that_no_feature_network_knows_are_refused_at_once(kind):
    with pytest.raises(ConfigError, match=r"data\.target_channels 4"):
        protocol(kind, DataConfig(target_channels=4))
    protocol("paired", DataConfig(target_channels=4))
