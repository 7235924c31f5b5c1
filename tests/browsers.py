"""A browser for tests of pages."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATH = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

needs_a_browser = pytest.mark.skipif(
    PATH is None, reason="no browser on the PATH (" + ", ".join(NAMES) + ")"
)


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A browser; each page that it opens has a session of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PATH, args=FLAGS)
        yield browser
        await browser.close()


def collect_complaints(page: Page, complaints: list[str]) -> None:
    """Note what the browser complains about: errors, and all that is written to its console."""
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text))
