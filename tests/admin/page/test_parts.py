"""The parts of the page in a real browser, over the real admin application."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.admin.page.acting import open_part, sign_in, status
from tests.admin.page.shop import Shop
from tests.browsers import needs_a_browser

pytestmark = [needs_a_browser, pytest.mark.asyncio(loop_scope="module")]


async def test_an_entry_is_dropped_after_a_question(page: Page, shop: Shop) -> None:
    """A no changes nothing; after a yes the next request runs the application."""
    answers = [False, True]
    asked: list[str] = []

    async def decide(dialog: Any) -> None:
        asked.append(dialog.message)
        await (dialog.accept() if answers.pop(0) else dialog.dismiss())

    page.on("dialog", decide)
    await sign_in(page)
    await open_part(page, "Entries")
    await page.get_by_role("table").get_by_role("button").click()
    press = page.get_by_role("button", name="Drop it …")
    await press.click()
    await expect(press).to_be_enabled()
    assert "; hit;" in (await shop.client.get("/products/1")).headers["cache-status"]
    await press.click()
    await expect(status(page, "Dropped")).to_be_visible()

    assert "; hit;" not in (await shop.client.get("/products/1")).headers["cache-status"]
    assert asked == 2 * ["Drop /products/1 with any query in all instances?"]


async def test_what_is_dropped_is_counted_before(page: Page, shop: Shop) -> None:
    """A name that nothing has is pointed at; everything needs the namespace."""
    await sign_in(page)
    await open_part(page, "Invalidate")
    count, drop = (page.get_by_role("button", name=name, exact=True) for name in ("Count", "Drop"))
    await expect(drop).to_be_disabled()
    for words in ("product:1", "prodcut:2"):
        await page.get_by_label("What").fill(words)
        await page.get_by_role("button", name="Add").click()
    await expect(page.get_by_text("Count first.")).to_be_visible()
    await count.click()
    await expect(status(page, "1 entry (")).to_be_visible()
    await expect(page.get_by_text("Nothing here has")).to_contain_text("tag prodcut:2")
    await page.get_by_label("By").select_option("Everything")
    await page.get_by_role("button", name="Add").click()
    await expect(drop).to_be_disabled()
    await expect(count).to_be_disabled()
    await page.get_by_label("Type shop to drop everything").fill("shop")
    await count.click()
    await drop.click()
    await expect(status(page, "Dropped")).to_be_visible()

    assert "; hit;" not in (await shop.client.get("/products/1")).headers["cache-status"]


async def test_events_come_pause_and_are_filtered(page: Page, shop: Shop) -> None:
    """What happens while it is paused is shown afterwards."""
    await sign_in(page)
    await open_part(page, "Live")
    await expect(status(page, "Connected.")).to_be_visible()
    lines = page.get_by_role("list", name="Events").get_by_role("listitem")
    await shop.client.get("/products/2")
    await expect(lines).to_have_count(1)
    await expect(lines).to_contain_text("/products/{id}")
    await expect(lines).to_contain_text("fresh for 5 min")
    assert "seconds" not in await lines.inner_text()  # each figure has a unit
    await page.get_by_role("button", name="Pause").click()
    await shop.client.get("/products/3")
    await expect(status(page, "Paused; 1 event waiting.")).to_be_visible()
    await expect(lines).to_have_count(1)
    await page.get_by_role("button", name="Go on").click()
    await expect(lines).to_have_count(2)
    await page.get_by_label("Kind").select_option("invalidation")
    await expect(status(page, "Connected.")).to_be_visible()
    await shop.client.get("/products/4")
    await shop.client.put("/products/3")
    await expect(lines.first).to_contain_text("tag product:*")
    await expect(lines.filter(has_text="fill")).to_have_count(0)


async def test_a_stream_that_ends_is_taken_up_where_it_ended(page: Page) -> None:
    """With the number of the last event; what came meanwhile is not lost."""
    asked: list[str | None] = []

    async def end(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        event = {"id": 5, "at": 0, "kind": "gap", "count": 1}
        body = f'event: hello\ndata: {{"id":4}}\n\nid: 5\nevent: gap\ndata: {json.dumps(event)}\n\n'
        await route.fulfill(body=body, headers={"content-type": "text/event-stream"})

    await page.clock.install()
    await page.route("**/api/events*", end)
    await sign_in(page)
    await open_part(page, "Live")
    await expect(status(page, "The stream has ended. The next attempt is in 1 s.")).to_be_visible()
    await page.clock.run_for(1_000)
    await expect(page.get_by_role("list", name="Events").get_by_role("listitem")).to_have_count(2)

    assert asked == [None, "5"]


async def test_a_list_of_events_is_bounded(page: Page) -> None:
    """The oldest leave; what could not be shown is told."""

    async def flood(route: Route) -> None:
        events = [{"id": n, "at": n, "kind": "gap", "count": n} for n in range(1, 801)]
        blocks = [f"id: {one['id']}\nevent: gap\ndata: {json.dumps(one)}\n\n" for one in events]
        await route.fulfill(body="".join(blocks), headers={"content-type": "text/event-stream"})

    await page.clock.install()
    await page.route("**/api/events*", flood)
    await sign_in(page)
    await open_part(page, "Live")
    await page.clock.run_for(100)
    lines = page.get_by_role("list", name="Events").get_by_role("listitem")
    await expect(lines).to_have_count(500)

    await expect(lines.first).to_contain_text("count 800")
    await expect(status(page, "300 events could not be shown.")).to_be_visible()


async def test_figures_are_of_this_process_or_of_the_machine(page: Page, shop: Shop) -> None:
    """Tiles and tiers, with rates once there are two readings."""
    await page.clock.install()
    await sign_in(page)
    tile = page.get_by_role("term").filter(has_text="Requests a second").locator("xpath=..")
    await expect(tile).to_contain_text("\N{EN DASH}")
    await shop.client.get("/products/1")
    await page.clock.run_for(4_000)
    await expect(tile.get_by_role("strong")).to_have_text(re.compile(r"\d"))
    await page.clock.run_for(4_000)
    await expect(tile.locator("polyline")).to_have_count(1)
    await expect(page.get_by_role("heading", name="L1 memory")).to_be_visible()
    async with page.expect_request("**/api/stats?scope=host"):
        await page.get_by_label("Figures of").select_option("This machine")
    await expect(page.get_by_role("heading", name="L1 memory")).to_be_visible()


async def test_a_route_leads_to_its_entries(page: Page) -> None:
    """It shows its rule and what drops it, sorted by any column."""
    await sign_in(page)
    await open_part(page, "Routes")
    row = page.get_by_role("row").filter(has_text="/products/{id} GET")
    await expect(row).to_contain_text("5 min")
    await expect(row).to_contain_text("PUT /products/{id}")
    changes = [row for row in await page.get_by_role("row").all_inner_texts() if "{id} PUT" in row]
    assert re.findall(r"tag \S+", changes[0]) == ["tag product:{id}"]
    misspelt = page.get_by_role("row").filter(has_text="/products/{id} DELETE")
    await expect(misspelt).to_contain_text(re.compile(r"[EW]\d"))
    await page.get_by_text("Findings (").click()
    await expect(page.get_by_role("listitem").filter(has_text="prodcut").first).to_be_visible()
    press = page.get_by_role("button", name="Route", exact=True)
    await press.click()
    await expect(press).to_be_focused()
    heading = page.get_by_role("columnheader", name="Route", exact=True)
    await expect(heading).to_have_attribute("aria-sort", "ascending")
    await page.get_by_role("link", name="/products/{id}", exact=True).first.click()
    await expect(page.get_by_role("heading", name="Entries")).to_be_focused()

    await expect(page.get_by_label("Route")).to_have_value("/products/{id}")
    await expect(status(page, "1 shown")).to_be_visible()


async def test_a_request_is_explained(page: Page, shop: Shop) -> None:
    """From a command of curl: the verdict, the steps, what to do."""
    await sign_in(page)
    await open_part(page, "Explain")
    url = str(shop.client.base_url.join("/products/1"))
    for options, verdict in (("", "hit"), (" -H 'Authorization: Bearer x'", "bypass")):
        await page.get_by_label("Request").fill(f"curl '{url}'{options}")
        await expect(page.get_by_text("Read as")).to_contain_text(f"GET {url}")
        await page.get_by_role("button", name="Explain").click()
        await expect(page.get_by_role("heading", name=verdict)).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("What to do:")


async def test_the_fleet_is_shown(page: Page, shop: Shop) -> None:
    """This instance, and the last records of the log."""
    await shop.client.put("/products/1")
    await sign_in(page)
    await open_part(page, "Fleet")

    await expect(page.get_by_role("heading", name="this one")).to_be_visible()
    await expect(page.get_by_role("table")).to_contain_text("tag product:*")
