import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from i2i import cli

RNG = np.random.default_rng(0)


pytestmark = pytest.mark.usefixtures("place")


def translate(*arguments: object, stdin: bytes | None = None) -> Result:
    """`i2i translate` as the console script runs it, errors printed and turned into the exit status."""
    through_main = click.Command("i2i", callback=lambda: cli.main(["translate", *map(str, arguments)]))
    return CliRunner().invoke(through_main, [], input=stdin)


def picture(path: str | Path, *shape: int) -> np.ndarray:
    pixels = RNG.integers(0, 256, shape or (6, 9, 3), dtype=np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def pixels_of(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> list[str]:
    """All files but the manifests of output folders."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".i2i-translate.jsonl")
    return sorted(path.relative_to(folder).as_posix() for path in files)


def test_a_file_is_translated_beside_itself(place: Path, model: str) -> None:
    pixels = picture("photo.png")
    result = translate("photo.png", "-m", model)
    assert result.exit_code == 0
    assert "photo.png -> photo.pix2pix.png (9 x 6" in result.stdout
    assert result.stderr == ""
    np.testing.assert_array_equal(pixels_of("photo.pix2pix.png"), 255 - pixels)
    np.testing.assert_array_equal(pixels_of("photo.png"), pixels)


def test_output_may_be_a_file_or_a_folder(place: Path, model: str) -> None:
    pixels = picture("photo.png")
    assert translate("photo.png", "-m", model, "-o", "new/out.tiff").exit_code == 0
    np.testing.assert_array_equal(pixels_of("new/out.tiff"), 255 - pixels)
    assert translate("photo.png", "-m", model, "-o", "folder").exit_code == 0
    np.testing.assert_array_equal(pixels_of("folder/photo.png"), 255 - pixels)


def test_folders_are_mirrored(place: Path, model: str) -> None:
    wanted = {name: picture(f"in/{name}") for name in ("a.png", "x/b.bmp", "x/y/c.tif")}
    Path("in/notes.txt").write_text("no image")
    result = translate("in", "-m", model)
    assert result.exit_code == 0
    assert result.stdout.startswith("3 translated, 0 failed, in ")
    assert tree(place / "in.pix2pix") == ["a.png", "x/b.png", "x/y/c.png"]
    for name, pixels in wanted.items():
        np.testing.assert_array_equal(pixels_of(Path("in.pix2pix", name).with_suffix(".png")), 255 - pixels)
    assert translate("in", "-m", model, "-o", "out/deep").exit_code == 0
    assert tree(place / "out/deep") == ["a.png", "x/b.png", "x/y/c.png"]


def test_an_output_folder_inside_the_input_is_no_input(place: Path, model: str) -> None:
    picture("in/a.png")
    for _ in range(2):
        assert translate("in", "-m", model, "-o", "in/out", "--overwrite").exit_code == 0
    assert tree(place) == ["in/a.png", "in/out/a.png"]


def test_the_current_folder_gets_a_sibling(place: Path, model: str) -> None:
    picture("a.png")
    assert translate(".", "-m", model).exit_code == 0
    assert tree(place) == ["a.png"]
    assert tree(place.parent / "work.pix2pix") == ["a.png"]


def test_patterns_are_expanded(place: Path, model: str) -> None:
    for name in ("a.png", "b.png", "c.bmp", "x/d.png"):
        picture(name)
    Path("e.png.txt").touch()
    assert translate("*.png", "**/d*", "-m", model, "-o", "out").exit_code == 0
    assert tree(place / "out") == ["a.png", "b.png", "x/d.png"]
    picture("odd[1].png")
    assert translate("odd[1].png", "-m", model).exit_code == 0
    assert Path("odd[1].pix2pix.png").is_file()


def test_many_images_keep_their_order_and_their_outputs(place: Path, model: str) -> None:
    wanted = {f"{number:02}.png": picture(f"in/{number:02}.png", 3 + number, 4, 3) for number in range(30)}
    Path("in/07.png").write_bytes(b"")
    result = translate("in", "-m", model, "--json")
    report = json.loads(result.stdout)
    assert [Path(item["input"]).name for item in report["results"]] == list(wanted)
    for item in report["results"]:
        name = Path(item["input"]).name
        if name == "07.png":
            assert (item["status"], item["output"], item["size"]) == ("failed", None, None)
        else:
            assert item["size"] == [4, len(wanted[name])]
            np.testing.assert_array_equal(pixels_of(item["output"]), 255 - wanted[name])


def test_one_bad_file_stops_no_other(place: Path, model: str) -> None:
    picture("a.png")
    picture("z.png")
    Path("bad.png").write_text("no image")
    result = translate("a.png", "bad.png", "gone.png", "none*.png", "z.png", "-m", model)
    assert result.exit_code == 1
    assert result.stdout.startswith("2 translated, 3 failed")
    assert "error: bad.png: not an image" in result.stderr
    assert "error: gone.png: there is no such file" in result.stderr
    assert "error: none*.png: matches no image file" in result.stderr
    assert Path("z.pix2pix.png").is_file()


def test_an_empty_folder_is_said(place: Path, model: str) -> None:
    Path("empty").mkdir()
    result = translate("empty", "-m", model)
    assert result.exit_code == 1
    assert "error: empty: holds no image files" in result.stderr
    assert not Path("empty.pix2pix").exists()


def test_outputs_that_exist_stay_unless_told(place: Path, model: str) -> None:
    pixels = picture("a.png")
    picture("b.png")
    Path("a.pix2pix.png").write_bytes(b"mine")
    result = translate("a.png", "b.png", "-m", model)
    assert result.exit_code == 1
    assert "a.pix2pix.png: already exists\n  --overwrite" in result.stderr
    assert Path("a.pix2pix.png").read_bytes() == b"mine"
    assert Path("b.pix2pix.png").is_file()
    assert translate("a.png", "-m", model, "--overwrite").exit_code == 0
    np.testing.assert_array_equal(pixels_of("a.pix2pix.png"), 255 - pixels)


@pytest.mark.parametrize("arguments", [("a.png", "-o", "a.png"), ("a.png", "-o", "."), (".", "-o", "."), ("link.png",)])
def test_an_input_is_never_overwritten(place: Path, model: str, arguments: tuple[str, ...]) -> None:
    pixels = picture("a.png")
    if arguments == ("link.png",):  # the way to the input leads through a link
        Path("link.pix2pix.png").symlink_to("link.png")
        Path("a.png").rename("link.png")
    result = translate(*arguments, "-m", model, "--overwrite")
    assert result.exit_code == 1
    assert "inputs are never overwritten" in result.stderr
    np.testing.assert_array_equal(pixels_of("link.png" if arguments == ("link.png",) else "a.png"), pixels)


def test_two_inputs_for_one_output_are_refused_and_no_others(place: Path, model: str) -> None:
    pixels = {name: picture(name) for name in ("in/0.png", "in/a.png", "in/a.bmp", "in/x/a.png")}
    result = translate("in", "-m", model, "-o", "out")
    assert result.exit_code == 1
    assert result.stderr.count("in/a.bmp and in/a.png would both become out/a.png") == 2
    assert result.stdout.startswith("2 translated, 2 failed")
    assert tree(place / "out") == ["0.png", "x/a.png"]
    assert translate("in", "-m", model, "-o", "apart", "--format", "same").exit_code == 0
    for name in pixels:
        np.testing.assert_array_equal(pixels_of(Path("apart", name[3:])), 255 - pixels[name])
    picture("b.png")
    assert translate("b.png", "b.png", "./b.png", "-m", model).stdout.startswith("b.png -> ")  # one image, thrice


def test_one_file_for_many_images_is_refused(place: Path, model: str) -> None:
    picture("a.png")
    picture("b.png")
    result = translate("a.png", "b.png", "-m", model, "-o", "out.png")
    assert result.exit_code == 1
    assert "out.png: is one file, and there are 2 inputs" in result.stderr


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("file.txt", "is a file"),
        ("file.txt/deeper", "cannot be written"),
        ("out.gif", "cannot write '.gif'"),
        ("out.avif", "cannot write '.avif'"),
    ],
)
def test_an_output_that_cannot_be(place: Path, model: str, output: str, reason: str) -> None:
    picture("a.png")
    Path("file.txt").write_text("text")
    result = translate("a.png", "-m", model, "-o", output)
    assert result.exit_code == 1
    assert f"error: {output}" in result.stderr
    assert reason in result.stderr
    assert tree(place) == ["a.png", "file.txt"]


def test_a_full_disk_ends_the_call_by_one_error_and_leaves_nothing(
    place: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture("a.png")
    picture("b.png")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = translate("a.png", "b.png", "-m", model)
    assert result.exit_code == 1
    assert result.stderr.count("No space left on device; 0 translated before, 2 not") == 1
    assert result.stderr.count("error: ") == 1
    assert tree(place) == ["a.png", "b.png"]


def test_stdin_to_stdout(place: Path, model: str) -> None:
    pixels = picture("a.bmp")
    result = translate("-", "-m", model, stdin=Path("a.bmp").read_bytes())
    assert result.exit_code == 0
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), 255 - pixels)
    assert result.stderr == ""
    assert tree(place) == ["a.bmp"]


def test_stdin_and_stdout_each_alone(place: Path, model: str) -> None:
    pixels = picture("a.png")
    assert translate("-", "-m", model, "-o", "b.png", stdin=Path("a.png").read_bytes()).exit_code == 0
    np.testing.assert_array_equal(pixels_of("b.png"), 255 - pixels)
    assert translate("-", "-m", model, "-o", "out", stdin=Path("a.png").read_bytes()).exit_code == 0
    np.testing.assert_array_equal(pixels_of("out/stdin.png"), 255 - pixels)
    result = translate("a.png", "-m", model, "-o", "-")
    np.testing.assert_array_equal(pixels_of(io.BytesIO(result.stdout_bytes)), 255 - pixels)


def test_what_comes_by_stdin_may_be_no_image(place: Path, model: str) -> None:
    result = translate("-", "-m", model, stdin=b"text")
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert "error: stdin: not an image" in result.stderr
    result = translate("-", "-m", model, "--json", stdin=b"")
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert "--json" in result.stderr
    assert "more inputs" in translate("-", "a.png", "-m", model, stdin=b"").stderr


def test_json_is_all_that_is_on_stdout(place: Path, model: str) -> None:
    picture("a.png")
    result = translate("a.png", "gone.png", "-m", model, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    seconds = [item.pop("seconds") for item in report["results"]]
    assert seconds[0] > 0
    assert report == {
        "model": model,
        "plugin": "pix2pix",
        "device": "cpu",
        "provider": "CPUExecutionProvider",
        "results": [
            {"input": "a.png", "output": "a.pix2pix.png", "status": "translated", "size": [9, 6]},
            {
                "input": "gone.png",
                "output": None,
                "status": "failed",
                "error": "gone.png: there is no such file",
                "size": None,
            },
        ],
        "translated": 1,
        "kept": 0,
        "failed": 1,
    }
    assert "gone.png" in result.stderr


def test_alpha_is_kept_or_flattened(place: Path, model: str) -> None:
    pixels = picture("a.png", 5, 6, 4)
    assert translate("a.png", "-m", model).exit_code == 0
    np.testing.assert_array_equal(pixels_of("a.pix2pix.png")[..., 3], pixels[..., 3])
    assert translate("a.png", "-m", model, "--flatten", "-o", "flat.png").exit_code == 0
    assert pixels_of("flat.png").shape == (5, 6, 3)


def test_the_plugin_names_the_output_without_leaving_the_folder(place: Path, tmp_path: Path, models: Any) -> None:
    picture("a.png")
    path = models.build(tmp_path / "m.onnx", plugin="../dist:mine")
    assert translate("a.png", "-m", path).exit_code == 0
    assert tree(place) == ["a...-dist-mine.png", "a.png"]


def test_the_newest_run_is_the_default_and_is_said(place: Path, models: Any) -> None:
    pixels = picture("a.png")
    result = translate("a.png")
    assert result.exit_code == 1
    assert "i2i train pix2pix" in result.stderr
    for name, ended in (("0001-pix2pix", "2026-01-02"), ("0002-other", "2026-01-01"), ("0003-half", "")):
        run = Path("runs", name)
        run.mkdir(parents=True)
        models.build(run / "model.onnx", plugin=name[5:])
        state = "finished" if ended else "running"
        (run / "run.json").write_text(json.dumps({"plugin": name[5:], "state": state, "ended": ended}))
    result = translate("a.png")
    assert result.exit_code == 0
    assert result.stderr == f"model: {Path('runs/0001-pix2pix/model.onnx')}\n"
    np.testing.assert_array_equal(pixels_of("a.pix2pix.png"), 255 - pixels)
    assert translate("a.png", "-m", "runs/0002-other").exit_code == 0
    assert Path("a.other.png").is_file()


def test_mistakes_in_the_model_and_the_device_are_named(place: Path, model: str) -> None:
    picture("a.png")
    Path("text.onnx").write_text("text")
    assert "error: gone.onnx: there is no such file" in translate("a.png", "-m", "gone.onnx").stderr
    assert "error: text.onnx: not a whole ONNX model" in translate("a.png", "-m", "text.onnx").stderr
    result = translate("a.png", "-m", model, "--device", "tpu")
    assert result.exit_code == 1
    assert "error: device 'tpu': unknown" in result.stderr
    assert tree(place) == ["a.png", "text.onnx"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments", [["--help"], ["translate", "a.png", "-m", "MODEL"], ["translate", "--help"]])
def test_torch_is_never_imported(place: Path, model: str, arguments: list[str]) -> None:
    picture("a.png")
    code = (
        "import sys, atexit\n"
        "heavy = ('torch', 'torchvision', 'albumentations', 'onnx', 'cv2')\n"
        "atexit.register(lambda: print('LOADED', [name for name in heavy if name in sys.modules]))\n"
        "from i2i.cli import main\n"
        f"main({[model if argument == 'MODEL' else argument for argument in arguments]!r})"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert Path("a.pix2pix.png").is_file() == ("MODEL" in arguments)


def test_the_whole_process_prints_what_it_should_and_no_more(place: Path, model: str) -> None:
    """Warnings of Pillow and onnxruntime go past click's streams: only a process shows them."""
    picture("a.png")
    Image.new("1", (12_000, 12_000)).save("large.png")  # Pillow warns of what is that large
    done = run("-m", "i2i", "translate", "a.png", "large.png", "-m", model)
    assert done.returncode == 1
    assert done.stdout.startswith("1 translated, 1 failed, in ")
    assert done.stderr == (
        "error: large.png: 12000 x 12000 pixels, over the limit of 89,478,485\n"
        "  Make it smaller, or allow more with --max-pixels.\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_leaves_whole_files_only(place: Path, model: str) -> None:
    pixels = picture("in/0000.png", 300, 300, 3)
    for number in range(1, 4000):
        os.link("in/0000.png", f"in/{number:04}.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", "translate", "in", "-m", model, "-o", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - jobs in the background ignore it
    )
    deadline = time.monotonic() + 30
    while not list(place.glob("out/*.png")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.startswith("interrupted; ")
    assert stderr.count("\n") == 1
    written = tree(place / "out")
    assert 0 < len(written) < 4000
    assert all(name.endswith(".png") and not name.startswith(".") for name in written)
    for name in written:
        np.testing.assert_array_equal(pixels_of(place / "out" / name), 255 - pixels)


def test_a_name_of_the_greatest_length_stops_nothing(place: Path, model: str) -> None:
    picture(f"in/{'n' * 240}.png")
    picture("in/short.png")
    assert translate("in", "-m", model, "-o", "out").exit_code == 0
    assert tree(place / "out") == sorted([f"{'n' * 240}.png", "short.png"])
    picture(f"{'n' * 245}.png")
    result = translate(f"{'n' * 245}.png", "-m", model)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_an_empty_input_is_a_mistake_and_not_the_folder_one_is_in(place: Path, model: str) -> None:
    picture("a.png")
    result = translate("", "-m", model)
    assert result.exit_code == 1
    assert "an INPUT is empty" in result.stderr
    assert tree(place) == ["a.png"]


def test_a_pattern_is_mirrored_below_its_fixed_part(place: Path, model: str) -> None:
    picture("photos/x/a.png")
    picture("photos/y/a.png")
    assert translate("photos/**/*.png", "-m", model, "-o", "maps").exit_code == 0
    assert tree(place / "maps") == ["x/a.png", "y/a.png"]


def test_a_pattern_leaves_out_what_it_made_before(place: Path, model: str) -> None:
    picture("a.png")
    for _ in range(2):
        assert translate("*.png", "-m", model, "--overwrite").exit_code == 0
    assert tree(place) == ["a.pix2pix.png", "a.png"]


@pytest.mark.parametrize("given", ["photos", "photos/*.png"])
@pytest.mark.parametrize("output", [".", "photos/.."])
def test_an_output_folder_around_the_input_hides_nothing(place: Path, model: str, given: str, output: str) -> None:
    picture("photos/a.png")
    assert translate(given, "-m", model, "-o", output).exit_code == 0
    assert tree(place) == ["a.png", "photos/a.png"]


@pytest.fixture
def both(tmp_path: Path, models: Any) -> Path:
    """A run with a model for each direction; that of BtoA mirrors."""
    (tmp_path / "both").mkdir()
    models.build(tmp_path / "both/model.onnx", plugin="cyclegan", direction="AtoB")
    models.build(tmp_path / "both/model.BtoA.onnx", plugin="cyclegan", direction="BtoA", mirror=True)
    return tmp_path / "both"


def test_either_direction_is_asked_for_by_name(place: Path, both: Path) -> None:
    pixels = picture("a.png")
    for arguments in ((), ("--direction", "AtoB", "--overwrite"), ("--direction", "BtoA")):
        assert translate("a.png", "-m", both, *arguments).exit_code == 0
    assert tree(place) == ["a.cyclegan.BtoA.png", "a.cyclegan.png", "a.png"]
    np.testing.assert_array_equal(pixels_of("a.cyclegan.png"), 255 - pixels)
    np.testing.assert_array_equal(pixels_of("a.cyclegan.BtoA.png"), 255 - pixels[:, ::-1])
    report = json.loads(
        translate("a.png", "-m", both / "model.onnx", "--direction", "BtoA", "-o", "o", "--json").stdout
    )
    assert report["model"] == str(both / "model.BtoA.onnx")


def test_a_model_that_is_named_itself_names_its_outputs_as_ever(place: Path, both: Path) -> None:
    picture("in/a.png")
    assert translate("in", "-m", both / "model.BtoA.onnx", "--direction", "BtoA").exit_code == 0
    assert translate("in", "-m", both / "model.BtoA.onnx", "--direction", "AtoB").exit_code == 0
    assert tree(place) == ["in.cyclegan.AtoB/a.png", "in.cyclegan/a.png", "in/a.png"]


def test_a_direction_that_is_not_there_writes_nothing(place: Path, both: Path, model: str) -> None:
    picture("a.png")
    result = translate("a.png", "-m", both, "--direction", "AtoC")
    assert result.exit_code == 1
    assert "direction 'AtoC': not there, did you mean 'AtoB'?" in result.stderr
    assert "AtoB (model.onnx), BtoA (model.BtoA.onnx)" in result.stderr
    assert "m.onnx: has no directions" in translate("a.png", "-m", model, "--direction", "BtoA").stderr
    assert tree(place) == ["a.png"]


def test_a_model_of_noise_translates_nothing(place: Path, tmp_path: Path, models: Any) -> None:
    picture("a.png")
    noise = models.build_noise(tmp_path / "noise.onnx")
    result = translate("a.png", "-m", noise)
    assert result.exit_code == 1
    assert f"makes images from noise, and translates none\n  Use: i2i generate {noise}" in result.stderr
    run = Path("runs/dcgan-001")
    run.mkdir(parents=True)
    models.build_noise(run / "model.onnx")
    (run / "run.json").write_text(json.dumps({"state": "finished", "ended": "2026", "kind": "noise"}))
    assert "no finished run under runs/ translates images" in translate("a.png").stderr


def test_what_is_empty_or_given_twice_is_refused(place: Path, model: str) -> None:
    picture("a.png")
    result = translate("a.png", "-m", model, "-o", "")
    assert result.exit_code == 2
    assert "it is empty" in result.stderr
    result = translate("-", "-", "-m", model, "-o", "out", stdin=Path("a.png").read_bytes())
    assert result.exit_code == 1
    assert "- is given twice" in result.stderr
    assert tree(place) == ["a.png"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names of files are Unicode there")
def test_names_that_are_not_utf_8_are_shown_with_escapes(place: Path, model: str) -> None:
    picture("a.png")
    Path("a.png").rename(os.fsdecode(b"a\xff.png"))
    result = translate(os.fsdecode(b"a\xff.png"), "-m", model)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(r"a\udcff.png -> a\udcff.pix2pix.png (9 x 6")


def test_json_says_what_is_an_approximation(place: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2i.runtime.translator.Translator.approximate", lambda *_: "only nearly")
    picture("a.png")
    result = translate("a.png", "-m", model, "--json")
    assert json.loads(result.stdout)["results"][0]["note"] == "only nearly"
    assert "note: only nearly" in result.stderr
