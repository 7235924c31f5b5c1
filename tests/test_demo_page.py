"""The demo's page in a real browser, over a fleet of real processes."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from demo_app.fleet import Fleet, running_fleet
from tests.browsers import collect_complaints, needs_a_browser, running_browser
from tests.test_demo import shared

pytestmark = [needs_a_browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Two instances over a server, in processes of their own."""
    with running_fleet((0, 0)) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests; each has a window of its own."""
    async with running_browser() as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has complained about."""
    return []


@pytest_asyncio.fixture(loop_scope="module")
async def page(fleet: Fleet, browser: Browser, complaints: list[str]) -> AsyncIterator[Page]:
    """The first instance's page, ready for a click; complaints fail the test."""
    page = await browser.new_page()
    collect_complaints(page, complaints)
    await page.goto(fleet.addresses[0])
    await idle(page)
    yield page
    await page.close()

    assert complaints == []


async def idle(page: Page) -> None:
    """Wait until the page has done what it was told."""
    await page.wait_for_selector("body[aria-busy=false] [data-instance=B]")


async def press(page: Page, name: str, instance: str | None = None) -> str:
    """Press a button of one instance's card or of the page; returns the story told."""
    place = page.get_by_label(f"Instance {instance}") if instance else page
    await place.get_by_role("button", name=name, exact=True).click()
    await idle(page)
    return await page.inner_text("#story")


async def shown(page: Page, instance: str, field: str) -> str:
    """What a card shows in one of its fields."""
    return await page.inner_text(f"[data-instance={instance}] [data-field={field}]")


async def test_page_shows_where_answers_come_from(page: Page, fleet: Fleet) -> None:
    """Source on the first instance, the second tier on the other, then each one's memory."""
    await page.get_by_label("Product number").fill("11")
    with shared(fleet):
        await press(page, "Send", "A")
    seen = [await shown(page, "A", "from")]
    for instance in ("B", "A", "B"):
        await press(page, "Send", instance)
        seen.append(await shown(page, instance, "from"))

    assert seen == ["Source", "L2", "L1", "L1"]
    assert re.search(r"; hit;.*detail=l1", await shown(page, "B", "status"))
    assert re.fullmatch(r"[\d.]+ ms", await shown(page, "B", "time"))
    assert await shown(page, "A", "ratio") == "50 %"
    assert await shown(page, "A", "answers") == "2"


async def test_burst_makes_one_source_call(page: Page) -> None:
    """The page tells of fifty requests and one call, and the instance counts one more."""
    before = int(await shown(page, "A", "calls"))
    story = await press(page, "Burst of 50", "A")

    assert "50 identical requests" in story
    assert "made 1 source call " in story
    assert before + 1 == int(await shown(page, "A", "calls"))
    assert await shown(page, "A", "answers") == "50"


async def test_cleared_cache_answers_from_the_source(page: Page) -> None:
    """After the button every instance is empty, whichever tier it had its answers from."""
    await press(page, "Send to every instance")
    story = await press(page, "Clear every cache")
    await press(page, "Send", "B")

    assert story.startswith("Every tier of every instance is empty")
    assert await shown(page, "B", "from") == "Source"


async def test_edit_reaches_the_other_instance(page: Page) -> None:
    """After an edit on A both show the new version, and the page says in how many ms."""
    await page.get_by_label("Product number").fill("42")
    story = await press(page, "Edit the product", "A")
    told = re.search(r"product 42 went from version (\d+) to (\d+)", story)

    assert told is not None
    assert int(told[1]) + 1 == int(told[2])
    assert {told[2]} == {await shown(page, name, "version") for name in "AB"}
    assert re.search(rf"B dropped .* showed version {told[2]} after [\d.]+ ms", story)


async def test_every_request_can_be_sent_to_all(page: Page) -> None:
    """Each choice is answered by both instances."""
    choices = await page.get_by_role("radio").all()
    assert len(choices) == 7
    for choice in choices:
        await choice.check(force=True)
        story = await press(page, "Send to every instance")

        path = await page.inner_text("#path")
        assert story.startswith(path.removeprefix("GET ") + ": A answered from ")
        assert ", B answered from " in story


async def test_trouble_is_told(page: Page, complaints: list[str]) -> None:
    """A request that fails is said in words, and the page goes on."""
    await page.route("**/products/7", lambda route: route.abort())
    story = await press(page, "Send", "A")

    assert story.startswith("That did not work")
    assert len(complaints) == 1
    complaints.clear()


@pytest.mark.parametrize("width", [360, 1200])
async def test_page_fits_its_window(page: Page, width: int) -> None:
    """Nothing runs out of a narrow window or a wide one, in the dark or in the light."""
    await page.set_viewport_size({"width": width, "height": 800})
    await press(page, "Send to every instance")
    before = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    await page.get_by_role("button", name="Dark or light").click()
    after = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    assert width >= await page.evaluate("document.documentElement.scrollWidth")
    assert before != after
