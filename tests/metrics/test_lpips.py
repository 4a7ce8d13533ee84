"""LPIPS against torchmetrics' own network on the same drawn weights, and what is said of files that do not suit."""

import pickle
from functools import cache
from pathlib import Path

import pytest
import torch
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import alexnet, vgg16

from i2i.config import DataConfig
from i2i.errors import I2IError
from i2i.metrics.lpips import LPIPS
from i2i.metrics.protocol import protocol
from i2i.metrics.weights import Weights

NETS = {"alex": alexnet, "vgg": vgg16}


@cache
def drawn(net):
    """Weights of the convolutions, by torchvision's names, that neither vanish nor grow."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in NETS[net]().features.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {
        f"features.{name}": torch.randn(shape, generator=generator)
        * ((2 / shape[1:].numel()) ** 0.5 if len(shape) == 4 else 0.1)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return request.param


@pytest.fixture(scope="module")
def file(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / f"{net}.pth"
    torch.save({**drawn(net), "classifier.6.bias": torch.zeros(1000)}, path)  # as torchvision's files have more
    return path


def images(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).float()


@torch.no_grad()
def test_lpips_is_that_of_torchmetrics(net, file):
    reference = _LPIPS(pretrained=True, net=net, pnet_rand=True)  # the heads, and a network that is drawn
    names = reference.net.state_dict()  # slices, by the number of the layer
    reference.net.load_state_dict({name: drawn(net)[f"features.{name.partition('.')[2]}"] for name in names})
    output, target = images(2, 3, 40, 48), images(2, 3, 40, 48, seed=1)
    expected = reference.double()(output.double() / 127.5 - 1, target.double() / 127.5 - 1).flatten()
    scores = LPIPS(Weights({"lpips": file}))
    assert scores.net == net
    assert scores(output, target).tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert scores(target, target).tolist() == [0, 0]


def test_a_protocol_names_the_network(net, file):
    scoring = protocol("paired", DataConfig(), ["lpips"], Weights({"lpips": file}))
    output, target = (images(2, 3, 64, 64, seed=seed) / 127.5 - 1 for seed in (0, 1))
    scoring.add(output, target, {"target": target})
    kept = scoring.take()
    assert list(kept.keys) == ["psnr", "ssim", "mae", "lpips"]
    assert kept.keys["lpips"] == f"lpips-{net}-v0.1-n2"
    expected = LPIPS(Weights({"lpips": file}))(images(2, 3, 64, 64), images(2, 3, 64, 64, seed=1))
    assert kept.each["lpips"].tolist() == pytest.approx(expected.tolist())


def test_small_images_are_refused(net, file):
    with pytest.raises(I2IError, match="lpips: images of 40 x 31 pixels are too small"):
        LPIPS(Weights({"lpips": file}))(images(1, 3, 31, 40), images(1, 3, 31, 40))


def refused(path):
    with pytest.raises(I2IError) as caught:
        protocol("paired", DataConfig(), ["lpips"], Weights({} if path is None else {"lpips": path}))
    return caught.value


def test_without_weights_it_is_said_which_file_and_which_option():
    error = refused(None)
    assert "lpips looks through a network whose weights are a file of their own" in error.message
    for part in ("alexnet-owt-7be5be79.pth", "vgg16-397923af.pth", "i2i eval --weights lpips=FILE"):
        assert part in error.hint


def test_files_that_are_no_such_weights_are_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "missing.pth").message
    text, hostile, other = (tmp_path / name for name in ("text.pth", "hostile.pth", "other.pth"))
    text.write_text("no weights")
    assert "not a file of weights alone" in refused(text).message

    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    hostile.write_bytes(pickle.dumps(Hostile(), protocol=2))
    assert "not a file of weights alone" in refused(hostile).message
    assert not (tmp_path / "touched").exists()
    torch.save([torch.zeros(1)], other)
    assert "holds no state dict" in refused(other).message
    stored = drawn("alex")
    torch.save({**stored, "features.3.weight": torch.zeros(192, 64, 3, 3)}, other)
    assert "'features.3.weight' should be [192, 64, 5, 5], the file's is [192, 64, 3, 3]" in refused(other).message
    torch.save({name: value for name, value in stored.items() if name != "features.10.bias"}, other)
    assert "'features.10.bias' should be [256], the file's has none" in refused(other).message


def test_weights_of_no_metric_are_refused():
    with pytest.raises(I2IError, match="did you mean 'inception'"):
        Weights({"inceptoin": Path("file.pth")})
