"""A real browser for tests of pages: headless Chromium, and what a page did that it should not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.patience import PATIENCE

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
expect.set_options(timeout=1000 * PATIENCE)


def executable() -> str:
    """The Chromium of this machine: $CHROMIUM, or the first on the PATH. Raises RuntimeError without any."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if not found:
        raise RuntimeError("tests of pages need Chromium: `apt-get install chromium`, or name the program in CHROMIUM")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser. While it is there the thread has a running event loop, so that a module of tests is its widest use:
    tests of other modules call asyncio.run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(_QUIETLY))
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and what it did. requests: URLs asked for; faults: errors of its scripts and console, dialogs."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("console", self._heard)
        page.on("dialog", self._asked)

    def strangers(self, origin: str) -> list[str]:
        """What was asked of anybody else than the server of the page."""
        return [url for url in self.requests if not url.startswith((f"{origin}/", "data:", "blob:"))]

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _asked(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@contextmanager
def opened(
    browser: Browser, url: str, width: int = 1280, scheme: str = "light", scripts: bool = True
) -> Iterator[Watched]:
    """A page of the URL in a window of that width. scheme: "light" or "dark"; scripts: whether any run."""
    with browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=scripts,
        reduced_motion="reduce",
    ) as context:
        context.set_default_timeout(1000 * PATIENCE)
        watched = Watched(context.new_page())
        watched.page.goto(url)
        yield watched


def barriers(page: Page) -> list[str]:
    """What axe finds that keeps somebody from using the page: rule and element."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]
