"""A real browser for tests of pages: a headless Chromium on the PATH, or that of Playwright."""

import contextlib
import os
import shutil

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []


@contextlib.contextmanager
def opened(address, width=390, height=844, scheme="dark", javascript=True):
    """A page of Playwright at an address, a phone in the dark by default, which complains of nothing."""
    playwright = pytest.importorskip("playwright.sync_api")
    complaints = []
    with playwright.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        except playwright.Error as error:
            pytest.skip(f"there is no Chromium: {str(error).splitlines()[0]}")
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=javascript
        )
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        yield page
        browser.close()
    assert complaints == []
