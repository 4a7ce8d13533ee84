"""What the outputs of `i2i translate` are called, their formats, and what goes along with their pixels."""

import io
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageCms

from i2i import cli

RNG = np.random.default_rng(0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


pytestmark = pytest.mark.usefixtures("place")


def translate(*arguments: object, stdin: bytes | None = None) -> Result:
    through_main = click.Command("i2i", callback=lambda: cli.main(["translate", *map(str, arguments)]))
    return CliRunner().invoke(through_main, [], input=stdin)


def picture(path: str, **options: Any) -> np.ndarray:
    pixels = RNG.integers(0, 256, (16, 16, 3), np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def formats(folder: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            with Image.open(path) as image:
                found[path.relative_to(folder).as_posix()] = image.format
    return found


@pytest.mark.parametrize(
    ("form", "suffix", "wanted"),
    [("png", ".png", "PNG"), ("jpeg", ".jpg", "JPEG"), ("webp", ".webp", "WEBP"), ("tiff", ".tiff", "TIFF")],
)
def test_a_format_is_that_of_all_outputs(place: Path, model: str, form: str, suffix: str, wanted: str) -> None:
    picture("in/a.png")
    picture("in/x/b.jpg")
    assert translate("in", "-m", model, "--format", form).exit_code == 0
    assert formats(place / "in.pix2pix") == {f"a{suffix}": wanted, f"x/b{suffix}": wanted}
    assert translate("in/a.png", "-m", model, "--format", form).exit_code == 0
    assert Path(f"in/a.pix2pix{suffix}").is_file()


def test_the_same_format_is_kept_where_it_can_be_written(place: Path, model: str) -> None:
    for name in ("a.png", "b.JPG", "c.jpeg", "d.webp", "e.tif", "f.bmp", "g.gif", "h.ppm"):
        picture(f"in/{name}")
    assert translate("in", "-m", model, "--format", "same").exit_code == 0
    kept = {"a.png": "PNG", "b.JPG": "JPEG", "c.jpeg": "JPEG", "d.webp": "WEBP", "e.tif": "TIFF", "f.bmp": "BMP"}
    assert formats(place / "in.pix2pix") == {**kept, "g.png": "PNG", "h.png": "PNG"}


def test_quality_is_of_jpeg_and_webp(model: str) -> None:
    picture("a.png")
    sizes = {}
    for quality in (10, 95):
        for suffix in ("jpg", "webp"):
            output = f"{quality}.{suffix}"
            assert translate("a.png", "-m", model, "-o", output, "--quality", quality).exit_code == 0
            sizes[output] = Path(output).stat().st_size
    assert translate("a.png", "-m", model, "-o", "usual.jpg").exit_code == 0
    assert sizes["10.jpg"] < sizes["95.jpg"] == Path("usual.jpg").stat().st_size
    assert sizes["10.webp"] < sizes["95.webp"]
    for arguments in ((), ("-o", "a.tif"), ("--format", "tiff")):
        result = translate("a.png", "-m", model, *arguments, "--quality", 50)
        assert result.exit_code == 1
        assert "--quality 50: " in result.stderr
        assert "has none" in result.stderr


def test_a_suffix_and_a_format_that_contradict_each_other_are_refused(model: str) -> None:
    picture("a.png")
    result = translate("a.png", "-m", model, "-o", "b.jpg", "--format", "webp")
    assert result.exit_code == 1
    assert "b.jpg: ends in .jpg, and --format says webp" in result.stderr


@pytest.mark.parametrize(("form", "wanted"), [(None, "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_stdout_takes_a_format(model: str, form: str | None, wanted: str) -> None:
    picture("a.png")
    chosen = () if form is None else ("--format", form)
    result = translate("-", "-m", model, *chosen, stdin=Path("a.png").read_bytes())
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.format == wanted


def test_the_profile_goes_along_and_the_rest_when_asked(model: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "me"
    picture("a.jpg", icc_profile=SRGB, exif=exif)
    for extra, artist in (((), None), (("--keep-metadata",), "me")):
        assert translate("a.jpg", "-m", model, "-o", "b.webp", "--overwrite", *extra).exit_code == 0
        with Image.open("b.webp") as image:
            assert image.info["icc_profile"] == SRGB
            assert image.getexif().get(0x013B) == artist
            assert image.getexif().get(0x0112, 1) == 1


def test_the_limit_of_pixels_is_an_option_and_the_error_names_it(model: str) -> None:
    picture("a.png")
    assert translate("a.png", "-m", model, "--max-pixels", 256).exit_code == 0
    result = translate("a.png", "-m", model, "-o", "b.png", "--max-pixels", 255)
    assert result.exit_code == 1
    assert "16 x 16 pixels, over the limit of 255\n  Make it smaller, or allow more with --max-pixels." in result.stderr


@pytest.mark.parametrize("value", ["0", "-3", "some", "1.5"])
def test_a_tile_is_auto_off_or_a_number(model: str, value: str) -> None:
    picture("a.png")
    result = translate("a.png", "-m", model, "--tile", value)
    assert result.exit_code == 2
    assert "is neither auto, off nor a number of pixels" in result.stderr
    for good in ("auto", "off", "64"):
        assert translate("a.png", "-m", model, "--tile", good, "--overwrite").exit_code == 0


def test_very_many_errors_are_counted(model: str) -> None:
    Path("in").mkdir()
    for number in range(30):
        Path(f"in/{number:02}.png").touch()
    result = translate("in", "-m", model)
    assert result.exit_code == 1
    assert result.stderr.count("not an image") == 20
    assert "and 10 more" in result.stderr
    assert result.stdout.startswith("0 translated, 30 failed")


def test_what_the_other_direction_made_is_no_input(tmp_path: Path, place: Path, models: Any) -> None:
    (tmp_path / "both").mkdir()
    models.build(tmp_path / "both/model.onnx", plugin="cyclegan", direction="AtoB")
    models.build(tmp_path / "both/model.BtoA.onnx", plugin="cyclegan", direction="BtoA")
    picture("a.png")
    for direction in ("AtoB", "BtoA", "AtoB"):
        arguments = ("-m", tmp_path / "both", "--direction", direction, "--overwrite")
        assert translate("*.png", *arguments).exit_code == 0
    assert sorted(formats(place)) == ["a.cyclegan.BtoA.png", "a.cyclegan.png", "a.png"]
    assert translate(".", "-m", tmp_path / "both").exit_code == 0
    assert sorted(formats(place.parent / "work.cyclegan")) == ["a.png"]
    picture("b.cyclegan.png")  # of no image that is here
    assert translate("*.png", "-m", tmp_path / "both", "--overwrite").exit_code == 0
    assert Path("b.cyclegan.cyclegan.png").is_file()


def test_a_large_image_goes_through_in_parts(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture("in/a.png")
    picture("in/b.png")
    monkeypatch.setattr("i2i.runtime.folder.pipeline.is_large", lambda source, **_: source.name == "a.png")
    assert translate("in", "-m", model, "-o", "out").exit_code == 0
    with Image.open("out/a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), 255 - pixels)
    assert translate("in", "-m", model, "-o", "out", "--resume").stdout.startswith("0 translated, 2 done before")


@pytest.fixture
def av() -> Any:
    return pytest.importorskip("av")


def shades(av: Any, path: str) -> list[float]:
    with av.open(path) as container:
        return [float(frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(video=0)]


@pytest.fixture
def clip(av: Any) -> str:
    """A video of three frames, black, dark and light."""
    with av.open("clip.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for shade in (0, 100, 200):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return "clip.mp4"


def test_a_video_stays_a_video(av: Any, clip: str, model: str) -> None:
    picture("a.png")
    result = translate(clip, "-m", model)
    assert result.stdout.startswith("clip.mp4 -> clip.pix2pix.mp4 (")
    assert translate(clip, "a.png", "-m", model, "-o", "out").exit_code == 0
    for path in ("clip.pix2pix.mp4", "out/clip.mp4"):
        np.testing.assert_allclose(shades(av, path), [255, 155, 55], atol=3)
    again = translate(clip, "a.png", "-m", model, "-o", "out", "--resume")
    assert again.stdout.startswith("0 translated, 2 done before")
    assert translate("*.mp4", "-m", model, "-o", "matched").stdout.startswith("2 translated")
    for arguments in ((clip, "-o", "x.png"), ("a.png", "-o", "x.mp4")):
        result = translate(*arguments, "-m", model)
        assert result.exit_code == 1
        assert "an image becomes an image, and a video a video" in result.stderr


def test_a_video_becomes_frames_and_frames_a_video(av: Any, clip: str, model: str) -> None:
    assert translate(clip, "-m", model, "--format", "png").exit_code == 0
    wanted = [f"00000{number}.png" for number in (1, 2, 3)]
    assert sorted(path.name for path in Path("clip.pix2pix").iterdir()) == wanted
    result = translate(clip, "-m", model, "--format", "png")
    assert result.exit_code == 1
    assert "clip.pix2pix: already exists" in result.stderr
    assert translate("clip.pix2pix", "-m", model, "-o", "back.mp4", "--rate", 5).exit_code == 0
    np.testing.assert_allclose(shades(av, "back.mp4"), [0, 100, 200], atol=4)
    with av.open("back.mp4") as container:
        assert container.streams.video[0].average_rate == 5


def test_frames_are_kept_when_it_goes_on(av: Any, clip: str, model: str) -> None:
    call = (clip, "-m", model, "--format", "png", "-o", "out", "--resume")
    assert translate(*call).stdout.startswith("clip.mp4 -> out/clip")
    again = translate(clip, *call)
    assert (again.exit_code, again.stdout[:24]) == (0, "0 translated, 1 done bef")
    Path("out/clip/000002.png").unlink()
    again = translate(*call)
    assert again.exit_code == 1
    assert "out/clip: already exists" in again.stderr


def test_formats_and_options_that_a_video_has_not_are_refused(av: Any, clip: str, model: str) -> None:
    picture("in/a.png")
    for arguments, reason in (
        ((clip, "-o", "out.mp4", "--format", "png"), "out.mp4: ends in .mp4, and --format says png"),
        (("in", "-o", "out.mp4", "--format", "jpeg"), "out.mp4: ends in .mp4, and --format says jpeg"),
        (("in", "-o", "out.mp4", "--resume"), "--resume goes on in an output folder"),
        ((clip, "in", "-o", "out", "--format", "webp"), "clip.mp4: a video becomes a video, or frames as PNG"),
    ):
        result = translate(*arguments, "-m", model)
        assert result.exit_code == 1
        assert reason in result.stderr
    assert sorted(path.name for path in Path().rglob("*") if path.is_file() and path.name[0] != ".") == [
        "a.png",
        "a.webp",
        "clip.mp4",
    ]


def test_frames_have_the_order_of_their_numbers(av: Any, model: str) -> None:
    for number in (1, 2, 10):
        Path("in").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (number * 20,) * 3).save(f"in/f{number}.png")
    assert translate("in", "-m", model, "-o", "out.mp4").exit_code == 0
    np.testing.assert_allclose(shades(av, "out.mp4"), [235, 215, 55], atol=3)


@pytest.mark.parametrize("rate", ["nan", "inf", "0", "0.0001", "-5", "1001"])
def test_a_rate_is_one_that_a_video_can_have(model: str, rate: str) -> None:
    result = translate("in", "-m", model, "-o", "out.mp4", "--rate", rate)
    assert result.exit_code == 2
    assert "is not from 0.01 to 1000" in result.stderr


def test_a_broken_video_is_named_and_stops_no_other(av: Any, model: str) -> None:
    picture("a.png")
    Path("clip.mp4").write_text("no video")
    result = translate("clip.mp4", "a.png", "-m", model, "-o", "out")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 translated, 1 failed")
    assert "clip.mp4: " in result.stderr
    assert [path.name for path in Path("out").iterdir() if not path.name.startswith(".")] == ["a.png"]
