import re
import shutil

import onnxruntime
import pytest
import yaml

from i2i import api, report
from i2i.evaluated import Evaluated
from i2i.training.run import Run


def matter(card):
    opening, text, rest = card.split("---\n", 2)
    assert opening == ""
    return yaml.safe_load(text), rest


def test_the_card_has_the_figures_of_the_run(finished):
    front, text = matter(report.card(finished))
    assert front["library_name"] == "onnx"
    assert front["pipeline_tag"] == "image-to-image"
    assert {"i2i", "pix2pix"} <= set(front["tags"])
    assert "license" not in front
    kept = Evaluated.read(finished.evaluation)
    (model,) = front["model-index"]
    (result,) = model["results"]
    found = {each["type"]: each["value"] for each in result["metrics"]}
    assert found == {name: pytest.approx(figure.value, abs=1e-4) for name, figure in kept.scores["model"].items()}
    assert f"{kept.scores['model']['psnr'].low:.4g} to " in text
    assert "copying" in text


def test_the_program_on_the_card_runs(finished, tmp_path, monkeypatch):
    shutil.copy(finished.model, tmp_path / "model.onnx")
    shutil.copy(min(finished.examples.iterdir()), tmp_path / "input.png")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", report.card(finished), re.S)
    exec(program, {})
    assert (tmp_path / "output.png").is_file()


def test_of_a_model_that_makes_images_from_noise(tmp_path, monkeypatch):
    small = {"device": "cpu", "game": {"filters": 4, "discriminator_filters": 4}, "trainer": {"steps": 2, "batch": 4}}
    run = api.train("dcgan", small, out=tmp_path / "dcgan-001")
    front, text = matter(run.card.read_text(encoding="utf-8"))
    assert front["pipeline_tag"] == "unconditional-image-generation"
    monkeypatch.chdir(run.path)
    (program,) = re.findall(r"```python\n(.*?)```", text, re.S)
    found = {}
    exec(program, found)
    assert len(found["images"]) == 16


def test_the_card_of_a_model_with_classes_names_all_that_the_file_takes(tmp_path):
    small = {"device": "cpu", "game": {"filters": 4, "discriminator_filters": 4}, "trainer": {"steps": 2, "batch": 4}}
    run = api.train("cgan", small, out=tmp_path / "cgan-001")
    said = re.search(r"the file takes (.*?), and gives", run.card.read_text(encoding="utf-8"))[1]
    session = onnxruntime.InferenceSession(run.model)
    assert re.findall(r"`(\w+)`, \w+ `", said) == [each.name for each in session.get_inputs()]


def test_what_files_say_makes_no_markup(made):
    run = made(data="<b>x</b> [y](http://z)\n# heading | cell", name="x<img src=q>")
    text = report.write_card(run).read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "# x<img" not in text
    assert "\n# heading" not in text
    assert "[y](" not in text


def test_a_run_that_was_stopped_has_a_report_and_no_card(small, tmp_path):
    class Stops(KeyboardInterrupt):
        pass

    from i2i.training.observer import Observer

    class Impatient(Observer):
        def played(self, step, losses, images_per_second):
            raise Stops

    with pytest.raises(KeyboardInterrupt):
        api.train("pix2pix", small, out=tmp_path / "run", observer=Impatient())
    run = Run.open(tmp_path / "run")
    assert "interrupted" in run.report.read_text(encoding="utf-8")
    assert not run.card.exists()
