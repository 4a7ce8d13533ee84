"""The page of `i2i serve`, as somebody uses it."""

from pathlib import Path

import pytest
from PIL import Image

ENTER, SPACE, RIGHT, END, TAB = "\ue007", " ", "\ue014", "\ue010", "\ue004"


def test_the_first_sample_is_translated_before_anything_is_done(page):
    assert page.pixel(".before", 0.5, 0.5)[:3] == [255, 0, 0]
    assert page.pixel(".after", 0.5, 0.5)[:3] == [0, 255, 255]
    page.js("document.getElementById('status').textContent = ''")
    page.all("#samples button")[1].click()
    page.translated()
    assert page.pixel(".after", 0.5, 0.5)[:3] == [255, 0, 255]


def test_an_upload_is_translated_and_downloaded(page, blue, chromium):
    page.give(blue)
    page.translated()
    assert page.pixel(".after", 0.1, 0.5)[:3] == [255, 255, 0]
    assert page.shown() == (60, 40)
    page.find("#download").click()
    saved = chromium[1] / "blue sky.invert.png"
    page.until(saved.is_file)
    with Image.open(saved) as image:
        assert (image.format, image.size, image.getpixel((5, 5))) == ("PNG", (60, 40), (255, 255, 0))


def test_another_format_is_asked_of_the_server(page, chromium):
    from selenium.webdriver.support.ui import Select

    Select(page.find("#form")).select_by_value("image/webp")
    page.find("#download").click()
    saved = chromium[1] / "sample-0.invert.webp"
    page.until(saved.is_file)
    with Image.open(saved) as image:
        assert (image.format, image.size) == ("WEBP", (40, 30))


def test_the_divider_is_dragged_and_moved_by_keys(page):
    from selenium.webdriver import ActionChains

    slider = page.find(".divider")
    assert slider.get_attribute("aria-valuenow") == "50"
    ActionChains(page.driver).click_and_hold(slider).move_by_offset(100, 0).release().perform()
    dragged = int(slider.get_attribute("aria-valuenow"))
    assert dragged > 50
    slider.send_keys(RIGHT)
    assert int(slider.get_attribute("aria-valuenow")) == dragged + 2
    slider.send_keys(END)
    assert slider.get_attribute("aria-valuetext") == "100 % input, 0 % output"
    sheet, clip = page.find(".sheet").size["width"], page.js("return document.querySelector('.after').style.clipPath")
    assert float(clip.split()[-1].removesuffix("px)")) == pytest.approx(sheet, abs=1)


def test_a_picture_is_enlarged_by_button_and_key(page):
    width = page.find(".sheet").size["width"]
    page.find("#in").click()
    assert page.find(".sheet").size["width"] == pytest.approx(1.4 * width, rel=0.01)
    page.find("#compare").send_keys("+")
    assert page.find(".sheet").size["width"] == pytest.approx(1.96 * width, rel=0.01)
    page.find("#fit").click()
    assert page.find(".sheet").size["width"] == pytest.approx(width, rel=0.01)


def test_what_is_enlarged_by_the_model_lies_over_its_input(page, blue):
    page.pick("larger")
    page.give(blue)
    page.translated()
    assert page.shown() == (120, 80)
    assert page.find(".before").size == page.find(".after").size


def test_a_drawing_is_translated_while_it_is_drawn(page):
    from selenium.webdriver import ActionChains

    page.find("#way-draw").click()
    paper = page.find("#paper")
    hand = ActionChains(page.driver).move_to_element(paper).click_and_hold()
    hand.move_by_offset(60, 0).move_by_offset(0, 60).perform()  # the button is still down
    drawn = page.find("#drawn")
    page.until(drawn.is_displayed)
    assert page.pixel("#drawn", 0.5, 0.5)[0] > 200  # black, inverted, and thin
    assert page.pixel("#drawn", 0.1, 0.1)[:3] == [0, 0, 0]
    ActionChains(page.driver).release().perform()
    page.find("#undo").click()
    page.until(lambda: not drawn.is_displayed())


def test_a_drawing_is_made_with_keys_alone(page):
    page.find("#way-draw").click()
    page.find("#paper").send_keys(SPACE, *([RIGHT] * 8), SPACE)
    page.until(page.find("#drawn").is_displayed)
    page.until(lambda: page.pixel("#drawn", 0.6, 0.5)[0] > 200)


def test_a_text_file_is_answered_with_a_sentence_and_the_page_goes_on(page, tmp_path, blue):
    (tmp_path / "notes.txt").write_text("no image")
    page.give(tmp_path / "notes.txt")
    page.until(page.find("#trouble").is_displayed)
    assert "image" in page.find("#trouble strong").text
    assert any("415" in line for line in page.errors())  # the browser itself notes each answer that is an error
    page.give(blue)
    page.translated()
    assert not page.find("#trouble").is_displayed()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_an_image_is_dropped_or_pasted(page, way):
    page.js("document.getElementById('status').textContent = ''")
    page.js(
        """
        const canvas = new OffscreenCanvas(20, 10);
        canvas.getContext("2d").fillRect(0, 0, 20, 10);
        const name = arguments[0];
        canvas.convertToBlob().then((blob) => {
          const given = new DataTransfer();
          given.items.add(new File([blob], "given.png", { type: blob.type }));
          dispatchEvent(name === "drop" ? new DragEvent(name, { dataTransfer: given, cancelable: true })
            : new ClipboardEvent(name, { clipboardData: given }));
        });
        """,
        way,
    )
    page.translated()
    assert page.shown() == (20, 10)


def test_a_file_that_only_the_server_can_read_shows_its_output_alone(page, tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "scan.tiff")
    page.give(tmp_path / "scan.tiff")
    page.translated()
    assert page.pixel(".after", 0.5, 0.5)[:3] == [0, 255, 255]
    assert not page.find(".divider").is_displayed()
    assert not page.find(".before").is_displayed()


def test_a_busy_server_is_asked_again(page, blue):
    page.js("""
        const asked = window.fetch;
        window.fetch = (...all) => {
          window.fetch = asked;
          return Promise.resolve(new Response("{}", { status: 429, headers: { "Retry-After": "1" } }));
        };""")
    page.give(blue)
    page.until(lambda: "busy" in page.find("#status").text)
    page.translated()
    assert page.shown() == (60, 40)


def test_a_request_is_cancelled(page, blue):
    page.js("""
        window.fetch = (path, { signal }) => new Promise((done, fail) => {
          signal.addEventListener("abort", () => fail(signal.reason));
        });""")
    page.give(blue)
    page.until(page.find("#cancel").is_displayed)
    page.find("#cancel").click()
    page.until(lambda: page.find("#status").text == "Cancelled.")
    assert not page.find("#busy").is_displayed()


def test_a_file_too_large_is_never_sent(page, tmp_path):
    (tmp_path / "large.png").write_bytes(bytes(400_000))
    page.give(tmp_path / "large.png")
    page.until(page.find("#trouble").is_displayed)
    assert page.find("#trouble strong").text == "The file is too large: 0.4 MB."


def test_a_photo_is_taken(page):
    page.find("#camera").click()
    page.until(lambda: page.js("return document.getElementById('video').videoWidth"))
    page.js("document.getElementById('status').textContent = ''")
    page.find("#shoot").click()
    page.translated()
    assert page.js("return document.getElementById('video').srcObject === null")  # the camera is off again
    assert min(page.shown()) > 100


def test_images_of_noise_by_seed_and_class(page):
    from selenium.webdriver.support.ui import Select

    page.pick("made")
    page.translated()
    assert [cell.text for cell in page.all(".named")][:3] == ["cat", "dog", "cat"]
    before = page.pixel(".tile img", 0.5, 0.5)
    page.js("document.getElementById('status').textContent = ''")
    Select(page.find("#label")).select_by_value("dog")
    page.translated()
    assert {cell.text for cell in page.all(".named")} == {"dog"}
    page.js("document.getElementById('status').textContent = ''")
    page.find("#dice").click()
    page.translated()
    assert page.find("#seed").get_attribute("value") != "0"
    assert page.pixel(".tile img", 0.5, 0.5) != before


def test_keys_alone_reach_everything(page):
    from selenium.webdriver import ActionChains

    seen = set()
    for _ in range(40):
        ActionChains(page.driver).send_keys(TAB).perform()
        seen.add(page.js("return document.activeElement.id || document.activeElement.className"))
    assert {"model", "compare", "divider", "in", "download", "way-draw", "file", "side"} <= seen
    unnamed = page.js("""
        return [...document.querySelectorAll("button, select, input, [role=slider], img")].filter((each) =>
          !each.labels?.length && !each.textContent.trim() && !each.ariaLabel && each.getAttribute("alt") === null
        ).map((each) => each.outerHTML)""")
    assert unnamed == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_follows_the_system_and_the_button(page, theme):
    page.media(prefers_color_scheme=theme)
    bright = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128"
    assert page.js(bright) is (theme == "light")
    page.find("#theme").click()
    assert page.js(bright) is True
    page.find("#theme").click()
    assert page.js(bright) is False


def test_a_phone_scrolls_down_only(page):
    beyond = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.size(360, 740)
    for name in ("way-draw", "way-image"):
        page.find(f"#{name}").click()
        assert page.js(beyond) == 0
    page.pick("made")
    page.translated()
    assert page.js(beyond) == 0


def test_a_token_is_asked_for_once(browser, served, tmp_path: Path):
    with served.command(tmp_path, *served.names[:1], env={"I2I_SERVE_TOKEN": "a-long-and-secret-token"}) as server:
        browser.open(server.url + "/")
        browser.until(browser.find("#entry").is_displayed)
        browser.find("#token").send_keys("wrong", ENTER)
        browser.until(lambda: "does not know" in browser.find("#entry-said").text)
        browser.find("#token").clear()
        browser.find("#token").send_keys("a-long-and-secret-token", ENTER)
        browser.translated()
        browser.driver.refresh()
        browser.translated()
        assert not browser.find("#entry").is_displayed()
        assert browser.requests() == {server.url}


def test_a_stopped_server_is_said(browser, served, tmp_path: Path, blue):
    with served.command(tmp_path, *served.names[:1]) as server:
        browser.open(server.url + "/")
        browser.translated()
    browser.give(blue)
    browser.until(browser.find("#trouble").is_displayed)
    assert browser.find("#trouble strong").text == "The server does not answer."
    assert browser.find("#again").is_displayed()
