import base64
import io
import math
import platform
import re
import shlex
import shutil
import subprocess
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from i2i import report
from i2i.training.run import Run

VOID = {"meta", "img", "input", "line", "circle", "polyline", "br"}


class Page(HTMLParser):
    """Texts, attributes and the nesting of tags."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def read(run):
    return Page(report.write(run).read_text(encoding="utf-8"))


def train(step, **values):
    return {"step": step, "kind": "train", **values}


def test_a_finished_run_is_told_whole(finished, tmp_path):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    page = read(run)
    facts = run.facts()
    for said in ("finished", facts["data"], "copying", "model", "psnr", facts["device"], facts["versions"]["torch"]):
        assert said in page.text
    digests = [attributes.get("id") for attributes in page.all("section")]
    assert digests == ["scores", "diagnosis", "pictures", "extremes", "curves", "export", "environment"]
    steps = [attributes["data-step"] for attributes in page.all("figure") if "data-step" in attributes]
    assert steps == [str(int(path.stem.removeprefix("step-"))) for path in sorted(run.samples.iterdir())]
    value = facts["scores"]["model"]["psnr"]
    assert f"{value:.4g}" in page.text


def test_nothing_is_asked_of_anyone(finished, tmp_path):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    text = report.write(run).read_text(encoding="utf-8")
    page = Page(text)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "poster", "srcset"):
            assert attributes.get(name, "data:").startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attributes)
        assert "style" not in attributes
    assert "url(" not in text
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert f"'sha256-{base64.b64encode(sha256(content.encode()).digest()).decode()}'" in policy


def test_pictures_are_those_of_the_files(made):
    run = made(pictures=(5, 9))
    page = read(run)
    found = [each["src"] for each in page.all("img")]
    for step, data in zip((5, 9), found, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))
        assert (pixels == step).all()


def test_of_many_pictures_some_are_shown_with_the_best_and_the_last(made):
    run = made(pictures=range(1, 101), best={"step": 51, "metric": "psnr", "score": 1.0, "validation": {"psnr": 1.0}})
    page = read(run)
    steps = [int(each["data-step"]) for each in page.all("figure") if "data-step" in each]
    assert 20 <= len(steps) <= 30
    assert {1, 51, 100} <= set(steps)
    assert "step 51 (best)" in page.text
    (slider,) = page.all("input")
    assert int(slider["max"]) == len(steps) - 1


def test_curves_go_through_their_numbers(made):
    values = [4.0, 1.0, 3.0, 2.0]
    run = made([train(10 * (i + 1), l1=value, lr=0.1) for i, value in enumerate(values)])
    points = [
        [tuple(map(float, point.split(","))) for point in each["points"].split()] for each in read(run).all("polyline")
    ]
    drawn = next(points for points in points if len({y for _, y in points}) == 4)
    heights = np.array([y for _, y in drawn])
    # What is drawn is linear in the values, upside down.
    slope = (heights[1] - heights[0]) / (values[1] - values[0])
    np.testing.assert_allclose(heights, heights[0] + slope * (np.array(values) - values[0]), atol=0.11)
    assert slope < 0
    steps = np.array([x for x, _ in drawn])
    np.testing.assert_allclose(np.diff(steps), np.diff(steps)[0], atol=0.11)


def test_a_long_curve_keeps_its_peaks_and_becomes_small(made):
    rng = np.random.default_rng(0)
    values = rng.random(50_000)
    values[31_234] = 9.0
    run = made([train(i + 1, l1=float(value)) for i, value in enumerate(values)])
    path = report.write(run)
    assert path.stat().st_size < 100_000
    page = Page(path.read_text(encoding="utf-8"))
    (points,) = (each["points"].split() for each in page.all("polyline"))
    assert len(points) < 500
    tops = [float(point.split(",")[1]) for point in points]
    assert sorted(tops)[0] < sorted(tops)[1] / 3  # the one peak


def test_what_files_say_is_text_and_nothing_else(made):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    run = made(
        [train(1, **{evil: 1.0}), train(2, **{evil: 2.0})],
        data=evil,
        command=evil,
        error=evil,
        state="failed",
        notes=[evil],
        diagnoses=[{"name": evil, "step": 3, "evidence": evil, "advice": evil}],
        versions={evil: evil},
        best={"step": 1, "metric": evil, "score": 1.0, "validation": {evil: 1.0}},
    )
    run.config.write_text(evil)
    page = read(run)
    assert len(page.all("script")) == 1
    assert all("onerror" not in each for _, each in page.tags)
    assert page.text.count("alert(1)") >= 8


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", "finished"])
def test_every_state_has_a_report(made, state):
    page = read(made(state=state))
    assert state in page.text
    assert ("data-running", "true" if state == "running" else "false") in page.all("body")[0].items()
    assert "Nothing is exported yet." in page.text


def test_what_is_damaged_is_said_and_hides_nothing_else(made):
    run = made([train(1, l1=2.0), train(2, l1=1.0)])
    with run.metrics.open("a") as file:
        file.write('{"step": 3, "kind": "tr\n[1]\nnull\n')
    run.samples.joinpath("step-0000010.png").write_bytes(b"no picture")
    run.model.write_bytes(b"no model")
    run.evaluation.mkdir()
    (run.evaluation / "scores.json").write_text("{}")
    page = read(run)
    assert "3 lines cannot be read" in page.text
    for file in ("model.onnx", "scores.json", "step-0000010.png"):
        assert file in page.text
    assert len(page.all("polyline")) == 1
    assert [each["data-step"] for each in page.all("figure") if "data-step" in each] == ["20"]


def test_values_that_are_no_numbers_leave_a_gap(made):
    values = [2.0, 1.5, math.nan, math.inf, 1.0, 1.2, -math.inf, 3.0]
    page = read(made([train(i + 1, l1=value) for i, value in enumerate(values)]))
    assert [len(each["points"].split()) for each in page.all("polyline")] == [2, 2]
    assert len([each for each in page.all("circle") if each["class"] == "c0"]) == 1


def test_a_run_whose_process_is_gone_is_not_running(made):
    gone = subprocess.Popen(["true"])
    gone.wait()
    page = read(made(state="running", process={"pid": gone.pid, "host": platform.node()}))
    assert "killed" in page.text
    assert page.all("body")[0]["data-running"] == "false"
    elsewhere = {"pid": gone.pid, "host": "another-machine"}
    assert "is being trained" in read(made(name="elsewhere", state="running", process=elsewhere)).text


def test_the_command_that_plays_it_again_can_be_typed(made):
    run = made(name="a b")
    words = shlex.split(re.search(r"Again (i2i train .*?config\.yaml'?)", read(run).text)[1])
    assert words == ["i2i", "train", "pix2pix", "--config", str(run.config.absolute())]


def test_diagnoses_and_what_was_done_are_said_in_words(made):
    found = {"name": "discriminator_wins", "step": 40, "evidence": "accuracy is 1.", "advice": "Lower its rate."}
    broken = {"step": 60, "causes": ["the loss l1 is no number"], "from": 50, "images": [], "batches": [], "rate": 0.5}
    page = read(made(diagnoses=[found], recoveries=[broken]))
    assert "discriminator wins , found at step 40: accuracy is 1. Lower its rate." in page.text
    assert "from step 60 to 50: the loss l1 is no number" in page.text
    assert "Nothing was found to be wrong with the game." in read(made(name="other")).text


def test_stages_have_their_own_curves(made):
    run = made([train(1, l1=2.0), train(2, l1=1.0)])
    stage = Run.create(run.stages / "content", "pix2pix")
    stage.metrics.write_text('{"step": 1, "kind": "train", "content": 3}\n{"step": 2, "kind": "train", "content": 2}\n')
    page = read(run)
    assert "Stage content" in page.text
    assert len(page.all("polyline")) == 2


@pytest.mark.parametrize("name", ["best", "diagnoses", "recoveries", "notes", "versions", "step", "state"])
def test_facts_of_another_kind_are_named_and_left_out(made, name):
    run = made([train(1, l1=2.0), train(2, l1=1.0)], **{name: -1.5})
    page = read(run)
    assert f"'{name}' is damaged" in page.text
    assert "Learning curves" in page.text


def test_records_of_another_kind_are_left_out(made):
    run = made([train(1, l1=2.0), {"step": 1, "kind": [], "l1": 1}, [], train(math.inf, l1=3.0), train(2, l1=1.0)])
    page = read(run)
    assert len(page.all("polyline")) == 1
    assert "1 line cannot be read" in page.text


def test_scores_of_an_earlier_version_have_no_intervals(finished, tmp_path):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    shutil.rmtree(run.evaluation)
    page = read(run)
    for figures in (run.facts()["scores"]["model"], *run.facts()["scores"]["baselines"].values()):
        for value in figures.values():
            assert f"{value:.4g}" in page.text
    run.note(scores={"split": "test", "images": 3, "model": None})
    assert "best validation so far" in read(run).text
