"""The demo's page in a real browser, over a fleet of real processes."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from demo_app.fleet.fleet import Fleet
from tests.browsers import collect_complaints, needs_a_browser, running_browser
from tests.demo.support import until_whole
from tests.patience import PATIENCE

pytestmark = [
    needs_a_browser,
    pytest.mark.no_cover,  # what it tests runs in other processes
    pytest.mark.asyncio(loop_scope="module"),
]

expect.set_options(timeout=5_000 * PATIENCE)


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
    """The page as the terminal's address opens it; complaints fail the test."""
    page = await browser.new_page()
    page.set_default_timeout(5_000 * PATIENCE)
    collect_complaints(page, complaints)
    await page.goto(f"{fleet.page}/#{fleet.token}")
    await page.wait_for_selector("body[aria-busy=false]")
    yield page
    await page.context.close()

    assert complaints == []


async def press(page: Page, name: str) -> None:
    """Press a button, and wait until it has done what it is for."""
    button = page.get_by_role("button", name=name, exact=True)
    await button.click()
    await page.wait_for_selector("button[aria-disabled=true]", state="detached")


async def cells(page: Page, place: str) -> list[list[str]]:
    """The texts of a table's rows."""
    return [
        [text.strip() for text in await row.locator("td").all_inner_texts()]
        for row in await page.locator(f"{place} tbody tr").all()
    ]


async def test_edit_on_one_is_read_on_the_other_at_once(page: Page) -> None:
    """Each answer is shown, with its source in words and both times; old ones are counted."""
    await press(page, "Edit on A, read on B")
    rows = await cells(page, "#answers")
    old, of_b = await page.inner_text("#old"), [row for row in rows if row[1] == "B"]
    told = await page.inner_text("#edited")

    assert [rows[0][0], rows[1][0], rows[-1][0]] == ["before", "edit", "at last"]
    assert float(rows[1][2]) == float(rows[0][2]) + 1
    assert of_b[0][0].startswith("#1")
    assert of_b[-1][2] == rows[1][2] == rows[-1][2]
    assert re.fullmatch(r"#(\d+ to #)?40", of_b[-1][0]) or int(old) > 0
    assert int(old) == 0 or "(old)" in of_b[0][2]
    assert all(re.fullmatch(r"[\d.]+ m?s", time) for row in rows for time in row[4:])
    assert told.startswith(f"{rows[0][2]} \N{RIGHTWARDS ARROW} {rows[1][2]} on A. B ")
    assert ("it never showed the old price" in told) == (old == "0")
    assert await page.inner_text("#notes li:first-child span") == told


async def test_edit_on_b_is_read_on_a(page: Page) -> None:
    """The other way round, with the keyboard alone; the button keeps the focus."""
    button = page.get_by_role("button", name="Edit on B, read on A")
    await page.keyboard.press("Tab")
    for _ in range(10):
        if await button.evaluate("(node) => node === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#edited")).to_contain_text("on B. A ")

    await expect(button).to_be_focused()
    assert (await cells(page, "#answers"))[-1][1] == "B"


async def test_button_that_is_pressed_again_meanwhile_does_it_once(page: Page) -> None:
    """A double click is one edit."""
    edits: list[str] = []
    page.on("request", lambda sent: edits.append(sent.url) if sent.method == "PUT" else None)
    button = page.get_by_role("button", name="Edit on A, read on B")
    await button.evaluate("(node) => { node.click(); node.click(); }")
    await page.wait_for_selector("button[aria-disabled=true]", state="detached")

    assert len(edits) == 1


async def test_second_tier_is_seen_to_answer(page: Page) -> None:
    """The application on A, Valkey on B, then each one's memory."""
    await press(page, "Ask A, then B twice")

    assert [row[:2] for row in await cells(page, "#tier-answers")] == [
        ["A", "the application ran: nothing valid was stored, kept for 5 min"],
        ["B", "from Valkey: B did not have it in memory"],
        ["B", "from the memory of B"],
        ["A", "from the memory of A"],
    ]
    assert "found it in Valkey" in await page.inner_text("#tier-said")


async def test_bursts_stand_beside_each_other(page: Page) -> None:
    """One run of the application with coalescing, more without; on a phone, too."""
    await page.set_viewport_size({"width": 360, "height": 800})
    await press(page, "Send both bursts")
    shared, each = await cells(page, "#burst-answers")

    assert [shared[0], each[0]] == ["with coalescing", "without"]
    assert shared[1:3] == ["200", "1"]
    assert each[1] == "200"
    assert int(each[2]) > 1
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_careless_route_is_found_in_shadow(page: Page) -> None:
    """What would have been wrong is counted, its cause named, and what to write shown."""
    await press(page, "Let 12 customers ask")
    careless, repaired = await cells(page, "#shadow-answers")

    assert careless[0] == "GET /products/{product_id:int}/offer"
    assert int(careless[3]) > 0
    assert repaired[3:] == ["0", "\N{EN DASH}"]
    assert 'vary=["accept-currency"]' in await page.inner_text("#shadow-answers code")
    assert "they differ by the field accept-currency" in await page.inner_text("#shadow-said")
    await page.set_viewport_size({"width": 360, "height": 800})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_valkey_is_killed_and_restarted_by_a_button(page: Page, fleet: Fleet) -> None:
    """What is promised is named, an edit is queued, no answer is missing, and all recovers."""
    await press(page, "Kill Valkey")
    await expect(page.locator("#valkey-state")).to_have_text(
        "does not answer: it was killed here; restart it"
    )
    await expect(page.locator("#promised")).to_contain_text("The second tier is away")
    await press(page, "Edit on A, read on B")
    rows = await cells(page, "#answers")
    await expect(page.locator("#promise-lines")).to_contain_text(
        re.compile(r"for B it is queued: \d+ dropped names wait now. B shows the old price for 8 s")
    )
    await press(page, "Restart Valkey")
    await expect(page.locator("#promised")).to_have_text("Everything runs.")
    sums = await page.locator(".sums").all_inner_texts()
    await asyncio.to_thread(until_whole, fleet)

    assert float(rows[-1][2]) == float(rows[0][2]) + 1
    assert rows[-2][2] == rows[-1][2]  # B came to show the new price, too
    assert not any("No answer" in one for one in sums)


async def test_instance_is_killed_and_restarted_by_a_button(page: Page, fleet: Fleet) -> None:
    """Its absence is named wherever it is asked, and no error reaches the console."""
    await press(page, "Kill instance B")
    absent = "Instance B does not answer: it was killed here; restart it."
    lane = page.get_by_label("Instance B")
    await expect(lane.locator(".words")).to_have_text(absent)
    await expect(lane.locator(".sums")).to_contain_text("No answer")
    await expect(page.locator("#promised")).to_have_text(absent)
    for button, place in (
        ("Edit on A, read on B", "#edited"),
        ("Ask A, then B twice", "#tier-said"),
        ("Ask B", "#request-said"),
    ):
        await press(page, button)
        await expect(page.locator(place)).to_have_text(absent)
    await press(page, "Ask A")
    assert "A answered in" in await page.inner_text("#request-said")
    await press(page, "Restart instance B")
    await expect(page.locator("#promised")).to_have_text("Everything runs.")
    await expect(lane.locator(".words")).not_to_have_text(absent)
    await asyncio.to_thread(until_whole, fleet)


async def test_instance_that_is_killed_elsewhere_is_named(
    page: Page, fleet: Fleet, complaints: list[str]
) -> None:
    """Within a second; the browser may note the connection that broke."""
    process = fleet.instances[1].process
    assert process is not None
    process.kill()
    absent = "Instance B does not answer: it ended with code -9; restart it."
    await expect(page.locator("#promised")).to_have_text(absent)
    await expect(page.locator("#notes")).to_contain_text(absent)
    await press(page, "Restart instance B")
    await asyncio.to_thread(until_whole, fleet)

    assert all("Failed to load resource" in one for one in complaints)
    complaints.clear()


async def test_fleet_that_is_stopped_is_named(page: Page, complaints: list[str]) -> None:
    """The page says what to do, and goes on when it is there again."""

    async def absent(route: Route) -> None:
        await route.abort()

    await page.route("**/fleet", absent)
    trouble = page.locator("#trouble")
    await expect(trouble).to_contain_text("Nothing answers any more: make demo was stopped.")
    await page.unroute("**/fleet", absent)
    await expect(trouble).to_be_empty()

    complaints.clear()


async def test_token_leaves_the_address_and_survives_a_reload(page: Page, fleet: Fleet) -> None:
    """It is neither in the history nor on a picture of the screen."""
    assert page.url == f"{fleet.page}/"
    await page.reload()
    await page.wait_for_selector("body[aria-busy=false]")

    await expect(page.get_by_role("button", name="Kill Valkey")).to_be_enabled()
    assert fleet.token not in await page.content()


async def test_page_without_the_token_only_reads(
    fleet: Fleet, browser: Browser, complaints: list[str]
) -> None:
    """The buttons that need it are off, with the reason; the edit works."""
    page = await browser.new_page()
    collect_complaints(page, complaints)
    await page.goto(fleet.page)
    await page.wait_for_selector("body[aria-busy=false]")
    for name in ("Kill instance A", "Kill instance B", "Kill Valkey", "Send both bursts"):
        await expect(page.get_by_role("button", name=name)).to_be_disabled()
    await expect(page.locator("#no-token")).to_be_visible()
    await press(page, "Edit on A, read on B")
    await expect(page.locator("#edited")).to_contain_text("on A. B ")
    await page.context.close()

    assert complaints == []


async def test_each_route_can_be_asked_by_hand(page: Page, fleet: Fleet) -> None:
    """Of either instance, with the command that asks the same; and all caches can be emptied."""
    commands = []
    for choice in await page.get_by_role("radio").all():
        await choice.check(force=True)
        commands.append(await page.inner_text("#command"))
    seen = []
    for button in ("Ask A", "Ask A", "Clear every cache", "Ask A"):
        await press(page, button)
        [row, *_] = await cells(page, "#request-answers")
        seen.append(row)

    assert len(set(commands)) == 7
    assert commands[-1] == f"curl -i '{fleet.addresses[0]}{seen[0][1]}'"
    assert (seen[1][2], seen[1][5][:20]) == ("from the memory of A", "asgi-multitier; hit;")
    assert seen[3][2] == "the application ran: nothing valid was stored, kept for 30 s"


async def test_reading_can_be_paused(page: Page, fleet: Fleet) -> None:
    """What moves can be stopped (WCAG 2.2, 2.2.2)."""
    sums = page.get_by_label("Instance A").locator(".sums")
    await expect(sums).not_to_be_empty()
    await press(page, "Pause")
    async with page.expect_response(f"{fleet.page}/fleet"):
        before = await sums.inner_text()
    async with page.expect_response(f"{fleet.page}/fleet"):
        pass

    assert before == await sums.inner_text()
    await press(page, "Go on")
    await expect(sums).not_to_have_text(before)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
async def test_page_fits_its_window(page: Page, width: int, scheme: Any) -> None:
    """Nothing runs out of a narrow window or a wide one, in the dark or in the light."""
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    for name in ("Edit on A, read on B", "Ask A, then B twice", "Ask A"):
        await press(page, name)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    before = await page.evaluate(ground)
    await press(page, "Dark or light")

    assert width >= await page.evaluate("document.documentElement.scrollWidth")
    assert before != await page.evaluate(ground)


async def test_caches_and_figures_are_linked(page: Page, fleet: Fleet) -> None:
    """Of each instance."""
    links = [await link.get_attribute("href") for link in await page.get_by_role("link").all()]

    assert links == [
        f"{address}/{place}/" for address in fleet.addresses for place in ("_cache", "metrics")
    ]
    async with httpx.AsyncClient(timeout=60) as client:
        assert {(await client.get(str(link))).status_code for link in links} == {200}
