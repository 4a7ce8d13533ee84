"""pytorch-CycleGAN-and-pix2pix, as far as its files go: tensors by its names, and what they compute.

Written after the names and shapes that its networks have, with torch.nn.functional alone.
"""

import torch
from torch.nn import functional as F

STATISTICS = ("image", "running")


class Tensors(dict):
    """Drawn tensors by name; `norm` is batch, instance, affine or none, of which only instance has biases before it."""

    def __init__(self, norm, seed=0, biased=None):
        super().__init__()
        self.norm = norm
        self.biased = norm == "instance" if biased is None else biased
        self.random = torch.Generator().manual_seed(seed)

    def draw(self, *shape):
        return torch.randn(shape, generator=self.random)

    def conv(self, name, out, seen, side, *, transposed=False, stride=1, last=False):
        taps = side * side / (stride * stride if transposed else 1)
        shape = (seen, out, side, side) if transposed else (out, seen, side, side)
        self[f"{name}.weight"] = self.draw(*shape) * (1.5 / (seen * taps)) ** 0.5
        if last or self.biased:
            self[f"{name}.bias"] = 0.1 * self.draw(out)

    def normalise(self, name, channels):
        if self.norm in ("batch", "affine"):
            self[f"{name}.weight"] = 1 + 0.2 * self.draw(channels)
            self[f"{name}.bias"] = 0.2 * self.draw(channels)
        if self.norm == "batch":
            self.averages(name, channels)

    def averages(self, name, channels):
        self[f"{name}.running_mean"] = 0.2 * self.draw(channels)
        self[f"{name}.running_var"] = 1 + 0.5 * self.draw(channels).abs()
        self[f"{name}.num_batches_tracked"] = torch.tensor(1000)


def unet(norm, *, depth, filters=4, channels=(3, 3), seed=0, biased=None):
    """The tensors of UnetGenerator with so many halvings."""
    made = Tensors(norm, seed, biased)
    widths = [filters * min(2**level, 8) for level in range(depth)]
    made.conv("model.model.0", filters, channels[0], 4, stride=2)

    def block(prefix, level):
        outer, inner = widths[level - 1], widths[level]
        made.conv(f"{prefix}1", inner, outer, 4, stride=2)
        if level == depth - 1:
            made.conv(f"{prefix}3", outer, inner, 4, transposed=True, stride=2)
            made.normalise(f"{prefix}4", outer)
            return
        made.normalise(f"{prefix}2", inner)
        block(f"{prefix}3.model.", level + 1)
        made.conv(f"{prefix}5", outer, 2 * inner, 4, transposed=True, stride=2)
        made.normalise(f"{prefix}6", outer)

    block("model.model.1.model.", 1)
    made.conv("model.model.3", channels[1], 2 * filters, 4, transposed=True, stride=2, last=True)
    return made


def resnet(
    norm, *, blocks, filters=4, channels=(3, 3), dropout=False, seed=0, biased=None, blurred=False, smooth=False
):
    """The tensors of ResnetGenerator; blurred, smooth: with CUT's filters, to halve and to double."""
    made = Tensors(norm, seed, biased)

    def layer(name, place, *shape, **how):
        made.conv(f"{name}{place}", *shape, **how)
        made.normalise(f"{name}{place + 1}", shape[0])

    def filtering(place, channels, taps, gain):
        taps = torch.tensor(taps)
        kernel = gain * torch.outer(taps, taps) / taps.sum() ** 2
        made[f"model.{place}.filt"] = kernel.repeat(channels, 1, 1, 1)

    layer("model.", 1, filters, channels[0], 7)
    place = 4
    for width in (2 * filters, 4 * filters):
        layer("model.", place, width, width // 2, 3)
        if blurred:
            filtering(place + 3, width, [1.0, 2.0, 1.0], 1)
        place += 4 if blurred else 3
    for _ in range(blocks):
        layer(f"model.{place}.conv_block.", 1, 4 * filters, 4 * filters, 3)
        layer(f"model.{place}.conv_block.", 6 if dropout else 5, 4 * filters, 4 * filters, 3)
        place += 1
    for width in (2 * filters, filters):
        if smooth:
            filtering(place, 2 * width, [1.0, 3.0, 3.0, 1.0], 4)
            place += 1
        layer("model.", place, width, 2 * width, 3, transposed=not smooth, stride=1 if smooth else 2)
        place += 3
    made.conv(f"model.{place + 1}", channels[1], filters, 7, last=True)
    return made


class Evaluation:
    """What tensors of `Tensors` compute of one image `[1, C, H, W]` in [-1, 1]."""

    def __init__(self, tensors, statistics="image", legacy=False):
        self.tensors = {name: tensor.double() for name, tensor in tensors.items()}
        self.norm, self.statistics, self.legacy = tensors.norm, statistics, legacy

    def conv(self, x, name, *, stride=1, padding=0):
        return F.conv2d(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), stride, padding)

    def up(self, x, name, *, padding=1, output_padding=0):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        return F.conv_transpose2d(x, weight, bias, 2, padding, output_padding)

    def normalised(self, x, name):
        if self.norm == "none":
            return x
        if self.norm == "instance":
            return F.instance_norm(x)
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        if self.norm == "affine":
            return F.instance_norm(x, weight=weight, bias=bias)
        if self.statistics == "image":  # as test.py runs it: of a batch of one image, in training mode
            return F.batch_norm(x, None, None, weight, bias, training=True)
        mean, variance = self.tensors[f"{name}.running_mean"], self.tensors[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, weight, bias)

    def unet(self, image):
        def block(x, prefix):
            if f"{prefix}3.weight" in self.tensors:
                down = self.conv(F.leaky_relu(x, 0.2), f"{prefix}1", stride=2, padding=1)
                made = self.normalised(self.up(F.relu(down), f"{prefix}3"), f"{prefix}4")
            else:
                down = self.conv(F.leaky_relu(x, 0.2), f"{prefix}1", stride=2, padding=1)
                inner = block(self.normalised(down, f"{prefix}2"), f"{prefix}3.model.")
                made = self.normalised(self.up(F.relu(inner), f"{prefix}5"), f"{prefix}6")
            return torch.cat([made, x] if self.legacy else [x, made], 1)

        x = self.conv(image.double(), "model.model.0", stride=2, padding=1)
        return self.up(F.relu(block(x, "model.model.1.model.")), "model.model.3").tanh()

    def resnet(self, image):
        blocks = sorted({int(name.split(".")[1]) for name in self.tensors if "conv_block" in name})
        shifted = self.tensors.get(f"model.{blocks[0]}.conv_block.6.weight")
        second = 6 if shifted is not None and shifted.dim() == 4 else 5
        x = F.pad(image.double(), (3, 3, 3, 3), "reflect")
        x = F.relu(self.normalised(self.conv(x, "model.1"), "model.2"))
        place = 4
        for _ in range(2):
            blur = self.tensors.get(f"model.{place + 3}.filt")
            x = self.conv(x, f"model.{place}", stride=1 if blur is not None else 2, padding=1)
            x = F.relu(self.normalised(x, f"model.{place + 1}"))
            place += 3
            if blur is not None:
                x = F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), blur, stride=2, groups=len(blur))
                place += 1
        for number in blocks:
            name = f"model.{number}.conv_block."
            y = self.conv(F.pad(x, (1, 1, 1, 1), "reflect"), f"{name}1")
            y = F.relu(self.normalised(y, f"{name}2"))
            y = self.conv(F.pad(y, (1, 1, 1, 1), "reflect"), f"{name}{second}")
            x = x + self.normalised(y, f"{name}{second + 1}")
        place = blocks[-1] + 1
        for _ in range(2):
            enlarge = self.tensors.get(f"model.{place}.filt")
            if enlarge is None:
                x = self.up(x, f"model.{place}", output_padding=1)
            else:
                around = F.pad(x, (1, 1, 1, 1), "replicate")
                x = F.conv_transpose2d(around, enlarge, stride=2, padding=3, groups=len(enlarge))
                place += 1
                x = self.conv(x, f"model.{place}", padding=1)
            x = F.relu(self.normalised(x, f"model.{place + 1}"))
            place += 3
        return self.conv(F.pad(x, (3, 3, 3, 3), "reflect"), f"model.{place + 1}").tanh()


def pixels(image):
    """Images `[1, C, H, W]` in [-1, 1] as they are in a file, `[H, W, C]`, not yet rounded."""
    return ((image[0] + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).numpy()
