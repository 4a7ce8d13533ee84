"""A headless Chromium, and servers with tiny models for it to look at."""

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

TESTS = Path(__file__).parents[1]
PATIENCE = 20  # seconds for what a page does


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"i2i_test_browser_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Browser:
    """Chromium with a page, and what went wrong in it and whom it asked."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.requests()
        self.errors()
        self.driver.get(url)

    def find(self, css: str) -> Any:
        return self.driver.find_element("css selector", css)

    def all(self, css: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", css))

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, there: Callable[[], Any]) -> Any:
        """What `there` gives, as soon as that is true of anything."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=(StaleElementReferenceException,))
        return wait.until(lambda _: there())

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, **features: str) -> None:
        """Like `prefers_color_scheme="dark"`."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def pixel(self, css: str, x: float, y: float) -> list[int]:
        """The colour of an `img`, at parts of its sides: red, green, blue, alpha."""
        script = """
            const [image, x, y] = [document.querySelector(arguments[0]), arguments[1], arguments[2]];
            const pen = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
            pen.drawImage(image, 0, 0);
            return [...pen.getImageData(x * image.naturalWidth, y * image.naturalHeight, 1, 1).data];
        """
        return list(self.js(script, css, x, y))

    def errors(self) -> list[str]:
        """What the console said since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> set[str]:
        """The scheme and host of every request since it was asked last."""
        found = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                params = message["params"]
                parts = urlsplit(params["url"] if "url" in params else params["request"]["url"])
                if parts.scheme not in ("data", "blob"):
                    found.add(f"{parts.scheme}://{parts.netloc}")
        return found

    def translated(self) -> None:
        """Waits until the page of `i2i serve` has a new picture."""
        self.until(lambda: self.find("#status").text.startswith("Done"))

    def give(self, path: Path) -> None:
        """Chooses a file for the page of `i2i serve`."""
        self.js("document.getElementById('status').textContent = ''")
        self.find("#file").send_keys(str(path))

    def pick(self, name: str) -> None:
        """Chooses a model on the page of `i2i serve`."""
        from selenium.webdriver.support.ui import Select

        self.js("document.getElementById('status').textContent = ''")
        Select(self.find("#model")).select_by_value(name)

    def shown(self) -> tuple[int, ...]:
        """The width and height that the page of `i2i serve` says its output has."""
        return tuple(int(number) for number in re.findall(r"\d+", self.find("#facts").text)[:2])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """The driver and the folder into which it downloads."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="drives Chromium")
    from selenium.webdriver.chrome.service import Service

    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900",
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--lang=en",
    ):  # fmt: skip
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield opened, downloads
    finally:
        opened.quit()


@pytest.fixture
def browser(chromium: tuple[Any, Path]) -> Iterator[Browser]:
    """A browser with nothing kept from the test before."""
    page = Browser(chromium[0])
    page.size(1280, 900)
    page.media(prefers_color_scheme="light")
    yield page
    if page.driver.current_url.startswith("http"):
        page.js("localStorage.clear(); sessionStorage.clear();")
    page.open("about:blank")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """`i2i serve` with a model that inverts, one that enlarges, and one of noise with classes."""
    pytest.importorskip("fastapi", reason="serves the page")
    models = load(TESTS / "runtime" / "models.py")
    folder = tmp_path_factory.mktemp("served")
    run = folder / "invert"
    (run / "examples").mkdir(parents=True)
    models.build(run / "model.onnx", trained_size=32)
    for number, colour in enumerate(("red", "lime")):
        Image.new("RGB", (40, 30), colour).save(run / "examples" / f"{number}.png")
    models.build(folder / "larger.onnx", scale=2)
    models.build_noise(folder / "made.onnx", classes=("cat", "dog"), size=8, channels_out=3)
    words = [run / "model.onnx", folder / "larger.onnx", folder / "made.onnx", "--max-bytes", "300000"]
    command = load(TESTS / "serving" / "command.py").Command
    names = ["invert=" + str(words[0]), *words[1:]]
    with command(folder, *names) as server:
        yield SimpleNamespace(url=server.url, folder=folder, command=command, names=names)


@pytest.fixture
def blue(tmp_path: Path) -> Path:
    """An image, blue on the left and white on the right."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste("blue", (0, 0, 30, 40))
    image.save(tmp_path / "blue sky.png")
    return tmp_path / "blue sky.png"


@pytest.fixture
def page(browser: Browser, served: SimpleNamespace) -> Iterator[Browser]:
    """The page with its first sample translated; at the end nothing may have gone wrong nor gone elsewhere."""
    browser.open(served.url + "/")
    browser.translated()
    yield browser
    assert browser.errors() == []
    assert browser.requests() == {served.url}
