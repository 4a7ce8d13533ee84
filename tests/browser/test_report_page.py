"""The report of a run, as somebody reads it: from its file, and while the run goes on."""

import json
import os
import platform

import numpy as np
import pytest

from i2i import images
from i2i.report import watching, write
from i2i.training.run import Run

# What reaches beyond a phone's right edge, and is in nothing that scrolls or cuts by itself.
WIDER = """
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    return [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > wide + 1)
      .map((each) => each.outerHTML.slice(0, 120));
"""
LEFT = "\ue012"


@pytest.fixture
def run(tmp_path):
    """A run of 20 steps, two pictures and a name that would be a script in a page that did not escape it."""
    made = Run.create(tmp_path / "pix2pix-001", "pix2pix")
    made.note(process={"pid": os.getpid(), "host": platform.node()})
    made.config.write_text("plugin: pix2pix\n# <script>document.title = 'broken'</script>\n")
    lines = [
        {"step": n, "kind": "train", "adversarial": 10 / n, "accuracy": 0.5, "images_per_second": 20.0}
        for n in range(1, 21)
    ]
    made.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (10, 20):
        picture(made, step)
    return made


def picture(run, step):
    drawn = np.full((24, 40, 3), 10 * step % 256, np.uint8)
    images.write(images.from_pixels(drawn), run.samples / f"step-{step:07d}.png")


def shown(browser):
    return [frame.get_attribute("data-step") for frame in browser.all(".frames figure") if frame.is_displayed()]


def test_a_report_file_is_read(browser, run):
    run.note(state="finished")
    browser.open(write(run).as_uri())
    assert shown(browser) == ["20"]
    browser.find("#time").send_keys(LEFT)
    assert shown(browser) == ["10"]
    config = browser.find("#config")
    browser.js("arguments[0].scrollIntoView()", config)
    config.find_element("css selector", "summary").click()
    assert "plugin: pix2pix" in config.text
    assert browser.driver.title != "broken"
    browser.size(360, 740)
    assert browser.js(WIDER) == []
    assert browser.errors() == []
    assert browser.requests() <= {"file://"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_report_follows_the_system(browser, run, theme):
    browser.media(prefers_color_scheme=theme)
    browser.open(write(run).as_uri())
    bright = browser.js("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128")
    assert bright is (theme == "light")


def test_a_watched_report_refreshes_itself_and_keeps_what_was_looked_at(browser, run):
    run.note(state="running", process={"pid": os.getpid(), "host": platform.node()})
    with watching(run, lambda text: None, port=0) as url:
        browser.open(url)
        browser.find("#time").send_keys(LEFT)
        browser.js("document.getElementById('config').open = true; window.older = true")
        picture(run, 30)
        browser.until(lambda: browser.js("return document.readyState === 'complete' && !window.older"))
        browser.until(lambda: len(browser.all(".frames figure")) == 3)
        assert shown(browser) == ["10"]
        assert browser.find("#config").get_attribute("open") is not None
        assert browser.requests() == {url.rstrip("/")}
        assert browser.errors() == []
        run.note(state="finished")
