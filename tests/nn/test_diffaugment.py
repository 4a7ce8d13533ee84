"""Differentiable augmentation: what it does is found from images, and set against its formulas in float64 numpy."""

import numpy as np
import pytest
import torch

from i2i.errors import TrainingError
from i2i.games.game import Match
from i2i.games.penalties import gradient_penalty, r1
from i2i.nn.diffaugment import DiffAugment

ALL = DiffAugment(colour=True, translation=True, cutout=True)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 1.8 - 0.9


def under(seed, augment, images, condition=None, probability=1.0):
    torch.manual_seed(seed)
    return augment(images, condition, probability)


def numbered(count, channels, height, width):
    """Every pixel of an image is another number, none is 0."""
    values = torch.arange(1, channels * height * width + 1, dtype=torch.float64).view(1, channels, height, width)
    return values.repeat(count, 1, 1, 1)


def strengths(before, after):
    """Brightness, saturation and contrast of an image, by least squares: the mean, grey and colours each tell one."""
    brightness = after.mean() - before.mean()  # neither saturation nor contrast changes the mean
    grey, seen = before.mean(0) - before.mean(), after.mean(0) - after.mean()
    contrast = (grey * seen).sum() / (grey * grey).sum()
    colours, found = before - before.mean(0), after - after.mean(0)
    return brightness, (colours * found).sum() / (colours * colours).sum() / contrast, contrast


def test_colours_are_the_published_formulas():
    images = draw(200, 3, 5, 6)
    made, _ = under(0, DiffAugment(colour=True), images)
    found = []
    for before, after in zip(images.numpy(), made.numpy(), strict=True):
        brightness, saturation, contrast = strengths(before, after)
        bright = before + brightness
        grey = bright.mean(axis=0, keepdims=True)
        saturated = (bright - grey) * saturation + grey
        expected = (saturated - saturated.mean()) * contrast + saturated.mean()
        np.testing.assert_allclose(after, expected, atol=1e-12)
        found.append((brightness, saturation, contrast))
    for values, least, most in zip(np.array(found).T, (-0.5, 0, 0.5), (0.5, 2, 1.5), strict=True):
        assert least <= values.min() < least + 0.05 * (most - least)
        assert most - 0.05 * (most - least) < values.max() <= most
        assert values.mean() == pytest.approx((least + most) / 2, abs=0.1 * (most - least))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_without_three_channels_there_is_no_saturation(channels):
    images = draw(8, channels, 4, 4)
    made, _ = under(0, DiffAugment(colour=True), images)
    for before, after in zip(images.numpy(), made.numpy(), strict=True):
        slope, offset = np.polyfit(before.ravel(), after.ravel(), 1)  # the same line for all channels
        np.testing.assert_allclose(after, slope * before + offset, atol=1e-12)
        assert 0.5 <= slope <= 1.5


def test_contrast_and_brightness_are_those_of_kornia():
    """kornia's are for images in [0, 1], which are cut off there: only what does not leave it is compared."""
    enhance = pytest.importorskip("kornia").enhance
    images = draw(40, 1, 8, 8, dtype=torch.float32) * 0.1 + 0.5
    made, _ = under(0, DiffAugment(colour=True), images)
    inside = (made.amin((1, 2, 3)) > 0) & (made.amax((1, 2, 3)) < 1)
    assert inside.sum() > 20
    for before, after in zip(images[inside], made[inside], strict=True):
        slope, _ = np.polyfit(before.numpy().ravel(), after.numpy().ravel(), 1)
        contrasted = enhance.adjust_contrast_with_mean_subtraction(before, float(slope))
        found = enhance.adjust_brightness(contrasted, float(after.mean() - before.mean()))
        torch.testing.assert_close(after, found, atol=1e-5, rtol=0)


def moved(image, y, x):
    """The image y down and x right, 0 where it came from."""
    made = np.zeros_like(image)
    height, width = image.shape[1:]
    for row in range(height):
        for column in range(width):
            if 0 <= row - y < height and 0 <= column - x < width:
                made[:, row, column] = image[:, row - y, column - x]
    return made


def shift_of(before, after):
    """How far it was moved, by a pixel that is still there; checked at all of them."""
    middle = [size // 2 for size in before.shape[1:]]
    places = np.argwhere(after[0] == before[0][tuple(middle)])
    assert len(places) == 1
    y, x = (int(place) - start for place, start in zip(places[0], middle, strict=True))
    np.testing.assert_array_equal(after, moved(before, y, x))
    return y, x


def test_translation_is_by_whole_pixels_up_to_an_eighth_of_each_side():
    images = numbered(400, 2, 16, 24)
    made, _ = under(0, DiffAugment(translation=True), images)
    shifts = [shift_of(before, after) for before, after in zip(images.numpy(), made.numpy(), strict=True)]
    down, right = np.array(shifts).T
    assert set(down) == {-2, -1, 0, 1, 2}
    assert set(right) == {-3, -2, -1, 0, 1, 2, 3}
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.2
    assert np.bincount(down + 2).min() > 400 / 5 / 2


def box_of(before, after):
    """Top, bottom, left and right of the zeros, which are one rectangle; all else is as it was."""
    zeros = (after == 0).all(axis=0)
    rows, columns = np.flatnonzero(zeros.any(1)), np.flatnonzero(zeros.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    expected = before.copy()
    expected[:, top:bottom, left:right] = 0
    np.testing.assert_array_equal(after, expected)
    return int(top), int(bottom), int(left), int(right)


@pytest.mark.parametrize(("height", "width"), [(16, 12), (9, 7)])
def test_cutout_is_a_square_of_half_the_side_that_may_stick_out(height, width):
    images = numbered(300, 2, height, width)
    made, _ = under(0, DiffAugment(cutout=True), images)
    boxes = np.array([box_of(before, after) for before, after in zip(images.numpy(), made.numpy(), strict=True)])
    for first, last, side in ((*boxes.T[:2], height), (*boxes.T[2:], width)):
        length = int(side / 2 + 0.5)
        inside = (first > 0) & (last < side)
        assert set((last - first)[inside]) == {length}
        assert (last - first).min() == (length + 1) // 2 if length % 2 else length // 2  # its middle is in the image
        assert first.min() == 0
        assert last.max() == side


def test_each_falls_on_each_image_with_its_probability_by_itself():
    images = numbered(3000, 1, 8, 8)
    for augment in (DiffAugment(translation=True), DiffAugment(cutout=True)):
        made, _ = under(1, augment, images, probability=0.3)
        share = float((made != images).flatten(1).any(1).double().mean())
        expected = 0.3 if augment.cutout else 0.3 * (1 - 1 / 9)  # one shift in nine is none
        assert share == pytest.approx(expected, abs=0.03)
    made, _ = under(1, DiffAugment(colour=True), images, probability=0.3)
    share = float((made != images).flatten(1).any(1).double().mean())
    assert share == pytest.approx(1 - 0.7**2, abs=0.03)  # brightness, contrast; grey has no saturation


def test_with_probability_0_an_image_is_what_it_was():
    images, condition = draw(4, 3, 8, 8), draw(4, 1, 8, 8, seed=1)
    made, seen = under(0, ALL, images, condition, probability=0.0)
    assert torch.equal(made, images)
    assert torch.equal(seen, condition)


def test_what_an_image_gets_does_not_hang_on_what_others_get():
    """Drawn for the whole batch by rows: half a batch under the same numbers is half of what is made."""
    images = draw(4, 3, 8, 8)
    made, _ = under(0, ALL, images)
    half, _ = under(0, ALL, images[:2])
    torch.testing.assert_close(made[:2], half)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 2])
def test_a_condition_of_any_size_is_moved_and_cut_as_its_image(scale):
    """Both hold one picture, in as many pixels as each has: what is 0 or comes from outside is the same in both."""
    cells = numbered(64, 1, 16, 16)
    size = int(32 * scale)
    condition = cells.repeat_interleave(4, 2).repeat_interleave(4, 3)[:, :, :: 64 // size, :: 64 // size]
    images = cells.repeat_interleave(2, 2).repeat_interleave(2, 3)
    made, seen = under(3, DiffAugment(translation=True, cutout=True), images, condition)
    larger, smaller = (made, seen) if scale <= 1 else (seen, made)
    times = larger.shape[2] // smaller.shape[2]
    alike = larger[:, :, ::times, ::times]
    assert alike.shape == smaller.shape
    if smaller.shape[2] >= 16:  # not fewer pixels than the picture has
        assert torch.equal(alike, smaller)
    assert torch.equal(alike == 0, smaller == 0)
    assert (made != images).any()


def test_sizes_that_no_cell_fits_agree_to_half_a_pixel():
    images, condition = numbered(100, 1, 32, 32), numbered(100, 1, 20, 20)
    made, seen = under(3, DiffAugment(translation=True), images, condition)
    for before, after, asked, shown in zip(*(each.numpy() for each in (images, made, condition, seen)), strict=True):
        for far, near in zip(shift_of(before, after), shift_of(asked, shown), strict=True):
            assert abs(far * 20 / 32 - near) <= 0.5


def test_a_condition_keeps_its_colours():
    condition = draw(4, 3, 8, 8, seed=1)
    made, seen = under(0, DiffAugment(colour=True), draw(4, 3, 8, 8), condition)
    assert torch.equal(seen, condition)
    assert not torch.equal(made, draw(4, 3, 8, 8))


@pytest.mark.parametrize("shape", [(4,), (4, 10), (4, 10, 1, 1)])
def test_a_condition_that_is_no_image_is_left(shape):
    condition = draw(*shape)
    made, seen = under(0, ALL, draw(4, 3, 8, 8), condition)
    assert seen is condition
    assert not torch.equal(made, draw(4, 3, 8, 8))


def test_what_is_no_batch_of_images_is_refused():
    with pytest.raises(TrainingError, match=r"shown \[4, 7\], which are no images"):
        ALL(draw(4, 7), None, 1.0)


@pytest.mark.parametrize("augment", [ALL, DiffAugment(colour=True), DiffAugment(translation=True, cutout=True)])
def test_first_and_second_derivatives_agree_with_finite_differences(augment):
    images = draw(2, 3, 4, 4).requires_grad_()

    def made(images):
        return under(5, augment, images)[0].square()

    assert torch.autograd.gradcheck(made, (images,))
    assert torch.autograd.gradgradcheck(made, (images,))


def test_penalties_go_through_it():
    """D(x) = <w, T(x)> for the linear T that a seed gives: its gradient is T's transpose of w, column by column."""
    augment = DiffAugment(translation=True, cutout=True)
    weight = draw(1, 2, 4, 4, seed=7)

    class Judge(torch.nn.Module):
        def forward(self, images, condition):
            shown, _ = under(11, augment, images)
            return (weight * shown).flatten(1).sum(1, keepdim=True)

    real = draw(3, 2, 4, 4)
    columns = np.stack(
        [
            under(11, augment, unit.expand(3, 2, 4, 4))[0].numpy()
            for unit in torch.eye(32, dtype=torch.float64).view(32, 1, 2, 4, 4)
        ]
    )
    gradients = (columns * weight.numpy()).sum(axis=(2, 3, 4))  # [32, N]
    expected = (gradients**2).sum(0).mean() / 2
    match = Match(Judge(), real, draw(3, 2, 4, 4, seed=2))
    assert r1(match).item() == pytest.approx(expected, rel=1e-9)
    assert gradient_penalty(match).item() == pytest.approx((((gradients**2).sum(0) ** 0.5 - 1) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_precision_and_memory_format_are_kept(dtype):
    exact, _ = under(0, ALL, draw(4, 3, 16, 16))
    given = draw(4, 3, 16, 16).to(dtype, memory_format=torch.channels_last)
    made, _ = under(0, ALL, given)
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made.double(), exact, atol=0.05 if dtype == torch.bfloat16 else 1e-6, rtol=0)
