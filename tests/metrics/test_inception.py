"""FID, KID, precision and recall through Inception, with weights that are drawn: once, as there are 24 million."""

import pytest
import torch

from i2i.config import DataConfig
from i2i.errors import I2IError
from i2i.metrics.frechet import frechet_distance
from i2i.metrics.kernel import kernel_distance
from i2i.metrics.manifold import covered
from i2i.metrics.protocol import protocol
from i2i.metrics.weights import Weights

KEY = "inception-2015-12-05-bilinear299-n4"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """What torch-fidelity's network is called, without its own reading of a file."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Drawn(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict, strict=True, assign=False):
            return None

    path = tmp_path_factory.mktemp("inception") / "drawn.pth"
    torch.save({}, path)
    torch.manual_seed(0)
    network = Drawn("inception", ["2048"], feature_extractor_weights_path=path)
    torch.save(network.state_dict(), path)
    return path, network


def pictures(seed, channels=3):
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(0, 256, (4, channels, 40, 32), generator=generator)
    return levels, levels / 127.5 - 1


@torch.no_grad()
def test_features_are_those_of_torch_fidelity_and_grey_is_shown_in_grey(file):
    path, network = file
    extra = ["fid", "kid", "precision", "recall"]
    scoring = protocol("unpaired", DataConfig(), extra, Weights({"inception": path}))
    assert list(scoring.metrics) == ["kid_efficientnet", *extra]
    assert scoring.least == 4
    (made_levels, made), (real_levels, real) = pictures(0, channels=1), pictures(1)
    scoring.add(made, real, {"target": real})
    kept = scoring.take()
    one, other = network(torch.cat([made_levels.expand(-1, 3, -1, -1), real_levels]).to(torch.uint8))[0].split(4)
    found = kept.values()
    assert found["fid"] == pytest.approx(frechet_distance(one, other), rel=1e-6)
    assert found["kid"] == pytest.approx(kernel_distance(one, other), rel=1e-6, abs=1e-12)
    assert found["precision"] == covered(one, other)
    assert found["recall"] == covered(other, one)
    assert {name: kept.keys[name] for name in extra} == {
        "fid": f"fid-{KEY}",
        "kid": f"kid-{KEY}",
        "precision": f"precision-k3-{KEY}",
        "recall": f"recall-k3-{KEY}",
    }


def test_without_weights_it_is_said_which_file_and_which_option():
    with pytest.raises(I2IError, match="fid looks through a network") as caught:
        protocol("unpaired", DataConfig(), ["fid"])
    for part in ("pt_inception-2015-12-05-6726825d.pth", "i2i eval --weights inception=FILE"):
        assert part in caught.value.hint


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, path)
    with pytest.raises(I2IError, match=r"other\.pth: not the weights for kid: .*Missing key") as caught:
        protocol("unpaired", DataConfig(), ["kid"], Weights({"inception": path}))
    assert len(caught.value.message) < 400
