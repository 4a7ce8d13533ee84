"""The page of `i2i serve`, where one thing is asked after another, or before it is there."""

import pytest

RIGHT, SPACE = "\ue014", " "


def test_an_own_image_goes_from_model_to_model(page, blue):
    page.give(blue)
    page.translated()
    page.pick("larger")
    page.translated()
    assert page.shown() == (120, 80)
    page.pick("invert")
    page.translated()
    assert page.shown() == (60, 40)
    assert page.pixel(".after", 0.1, 0.5)[:3] == [255, 255, 0]


def test_after_drawing_the_result_is_there_again(page, chromium):
    page.find("#way-draw").click()
    page.find("#paper").send_keys(SPACE, *([RIGHT] * 8), SPACE)
    page.until(page.find("#download").is_displayed)
    page.find("#way-image").click()
    page.until(page.find("#zoom").is_displayed)
    assert page.shown() == (40, 30)
    page.find("#download").click()
    saved = chromium[1] / "sample-0.invert.png"
    page.until(saved.is_file)


def test_another_model_leaves_the_drawing_on_the_screen_and_translates_the_image_later(page, blue):
    page.give(blue)
    page.translated()
    page.find("#way-draw").click()
    page.find("#paper").send_keys(SPACE, *([RIGHT] * 8), SPACE)
    page.until(page.find("#drawn").is_displayed)
    page.pick("larger")
    page.translated()
    assert page.find("#drawing").is_displayed()
    assert page.js("return document.getElementById('drawn').naturalWidth") == 2 * int(
        page.find("#detail").get_attribute("value")
    )
    page.js("document.getElementById('status').textContent = ''")
    page.find("#way-image").click()
    page.translated()
    assert page.shown() == (120, 80)
    assert page.find("#zoom").is_displayed()


def test_a_late_sample_changes_nothing_of_what_was_done_meanwhile(page, blue):
    page.pick("larger")
    page.js("""
        const asked = window.fetch;
        window.held = [];
        window.fetch = (path, options) => options.method === "POST" ? asked(path, options)
          : new Promise((done) => { window.held.push(() => done(asked(path, options))); });""")
    page.pick("invert")
    assert page.js("return window.held.length") == 2
    page.give(blue)
    page.translated()
    page.js("window.held.forEach((release) => release())")
    page.until(lambda: len(page.all("#samples img")) == 2)
    assert page.shown() == (60, 40)
    assert page.pixel(".after", 0.1, 0.5)[:3] == [255, 255, 0]


def test_a_download_that_fails_leaves_the_result(page):
    from selenium.webdriver.support.ui import Select

    page.js("""
        const said = JSON.stringify({ detail: "Too wide for WebP.", hint: "Take PNG." });
        window.fetch = () => Promise.resolve(new Response(said, { status: 422 }));""")
    Select(page.find("#form")).select_by_value("image/webp")
    page.find("#download").click()
    page.until(lambda: page.find("#status").text == "Too wide for WebP. Take PNG.")
    assert page.find("#compare").is_displayed()
    assert page.find("#download").is_displayed()
    assert not page.find("#trouble").is_displayed()


def test_a_long_line_is_drawn_once(page):
    page.find("#way-draw").click()
    lines = page.js("""
        const paper = document.getElementById("paper"), box = paper.getBoundingClientRect();
        const pens = CanvasRenderingContext2D.prototype, stroke = pens.stroke;
        let lines = 0;
        pens.stroke = function () { lines += 1; stroke.call(this); };
        paper.setPointerCapture = () => {};
        const at = (name, n) => new PointerEvent(name, {
          pointerId: 1, clientX: box.left + 5 + n % 200, clientY: box.top + 5 + n % 70,
        });
        paper.dispatchEvent(at("pointerdown", 0));
        for (let n = 0; n < 400; n += 8) {
          const event = at("pointermove", n);
          event.getCoalescedEvents = () => Array.from({ length: 8 }, (_, more) => at("pointermove", n + more));
          paper.dispatchEvent(event);
        }
        return new Promise((done) => requestAnimationFrame(() => {
          pens.stroke = stroke;
          paper.dispatchEvent(at("pointerup", 400));
          done(lines);
        }));""")
    assert 400 <= lines <= 410


@pytest.fixture
def before(browser):
    """Runs a script before those of the next page."""
    kept = []

    def add(script):
        added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        kept.append(added["identifier"])

    yield add
    for each in kept:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": each})
    browser.open("about:blank")


def test_a_browser_that_forbids_storage_shows_the_page(browser, before, served):
    forbidden = "{ get() { throw new DOMException('denied', 'SecurityError'); } }"
    before(f"Object.defineProperty(window, 'sessionStorage', {forbidden})")
    browser.open(served.url + "/")
    browser.translated()
    assert browser.errors() == []


def test_before_there_is_a_model_nothing_is_said_of_it(browser, before, served, blue):
    before("window.fetch = () => new Promise(() => {})")
    browser.open(served.url + "/")
    browser.find("#file").send_keys(str(blue))
    browser.find("#way-draw").click()
    assert not browser.find("#trouble").is_displayed()
    assert not browser.find("#drawing").is_displayed()
    assert browser.errors() == []
