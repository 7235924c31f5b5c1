"""A browser, a shop, and a page that may complain of nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.admin.page.shop import Shop, running_shop
from tests.browsers import collect_complaints, running_browser
from tests.patience import PATIENCE

expect.set_options(timeout=5_000 * PATIENCE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests; each has a session of its own."""
    async with running_browser() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Shop]:
    """One shop for all tests."""
    async with running_shop() as shop:
        yield shop


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has complained about."""
    return []


@pytest_asyncio.fixture(loop_scope="module")
async def page(shop: Shop, browser: Browser, complaints: list[str]) -> AsyncIterator[Page]:
    """The page of a shop that holds one product, not signed in; complaints fail the test."""
    await shop.cache.clear()
    shop.cache.ledger.clear()
    shop.cache.mode = "on"
    (await shop.client.get("/products/1")).raise_for_status()
    page = await browser.new_page()
    collect_complaints(page, complaints)
    await page.goto(shop.page)
    yield page
    await page.context.close()

    assert complaints == []
