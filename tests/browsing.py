"""A real browser for tests, and the page of listen.py as they use it.

What is needed are Debian's chromium and chromium-driver, or the like; nothing is downloaded.
"""

import shutil
import time
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no chromium, or no chromedriver, here")


@contextmanager
def open_browser(folder):
    """A browser that keeps what is its in a folder and downloads into it; what it complains of is a failure."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = f"user-data-dir={folder / 'profile'}"
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "mute-audio", profile):
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.quit()
    assert not complaints


class Page:
    """The page in `gallery` below a folder, which a function makes, by what a user sees and does."""

    def __init__(self, browser, folder, make=lambda *flags: None):
        self.browser, self.folder, self._make = browser, folder, make

    def make(self, *flags):
        self._make(*flags)
        return self

    def open(self):
        self.browser.get((self.folder / "gallery" / "index.html").as_uri())
        return self

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def keys(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def choose(self, name, value):
        script = """
            const select = document.getElementById(arguments[0]), value = String(arguments[1]);
            const values = [...select.options].map((option) => option.value);
            select.value = values.find((other) => other === value || other === `=${value}`);
            select.dispatchEvent(new Event("change"));"""
        self.browser.execute_script(script, name, value)

    @property
    def titles(self):
        return [row.text for row in self.all("#list .name")]

    @property
    def names(self):
        return [title.partition(".")[0] for title in self.titles]

    @property
    def summary(self):
        return self.all("#summary")[0].text

    def audio(self, what):
        return self.browser.execute_script(f"return document.getElementById('audio').{what}")

    def wait(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.05)
