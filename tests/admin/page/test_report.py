"""The part of the page that shows what shadow mode and audits have found."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from asgi_multitier.shadow import Cause, Finding, RouteReport
from tests.admin.page.acting import open_part, sign_in, status
from tests.admin.page.shop import MARKUP, VIEWER, Shop
from tests.browsers import needs_a_browser
from tests.cli.test_report import found
from tests.manager.test_report import observe
from tests.shadow.samples import FIELD, PRICES, REPORT, RIGHT, UNRULED

pytestmark = [needs_a_browser, pytest.mark.asyncio(loop_scope="module")]

HOSTILE = replace(
    PRICES,
    route=f"GET /{MARKUP}",
    findings=(replace(FIELD, name=MARKUP, place=MARKUP, remedy=MARKUP),),
    annotation=f'@cached(60, vary=["{MARKUP}"])',
    why=MARKUP,
    would={MARKUP: 1},
)


async def show(page: Page, *routes: RouteReport, **more: Any) -> None:
    """Open the part, with a report of these routes."""

    async def answer(route: Route) -> None:
        body = json.dumps(found(*routes, **more))
        await route.fulfill(body=body, headers={"content-type": "application/json"})

    await page.route("**/api/report?*", answer)
    await sign_in(page)
    await open_part(page, "Report")
    await expect(page.get_by_role("main")).to_contain_text("among")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
async def test_a_report_fits_its_window(page: Page, width: int, scheme: Any) -> None:
    """Figures, causes with the remedy and the place, and what to paste."""
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    await show(page, *REPORT.routes, UNRULED, missing="silent", pending=4)
    main = page.get_by_role("main")
    await expect(main).to_contain_text(
        "22 wrong answers among 380 requests in 1 d, 4 still compared"
    )
    await expect(main).to_contain_text("1 of 2 workers did not answer")
    prices, *_, books = [
        re.sub(r"\s+", " ", text) for text in (await page.get_by_role("row").all_inner_texts())[1:]
    ]
    assert prices == "GET /prices/{id} 120 75.0 % 18 s 88 KiB 29 KiB 15 1 min \N{EN DASH}"
    assert books.startswith("GET /books no rule 200 90.0 % 36 s")
    first = page.get_by_role("listitem").filter(has_text="field accept-currency")
    await expect(first).to_contain_text(
        "field accept-currency or cookie currency 12 wrong answers at $.price, 98.0 % sure. "
        "Answers differ by a request field that is not in the key: name it in vary=."
    )
    for where, text in (
        ("GET /prices/{id}", PRICES.annotation),
        ("PUT /prices/{id}", '@invalidates(tags=["price:{id}"])'),
        ("GET /books", UNRULED.annotation),
    ):
        await expect(page.get_by_label(f"Annotation for {where}")).to_have_text(text or "")
    assert width >= await page.evaluate("document.documentElement.scrollWidth")


async def test_it_is_not_sure_of_what_is_not_known(page: Page) -> None:
    """So no figure says how sure it is."""
    unknown = Finding(cause=Cause.UNKNOWN, wrong=1, remedy="Watch for longer")
    await show(page, replace(RIGHT, wrong=1, findings=(unknown,)))
    item = page.get_by_role("listitem").filter(has_text="Watch for longer")

    await expect(item).to_have_text("unknown 1 wrong answer. Watch for longer.")


async def test_what_is_copied_can_be_pasted(page: Page) -> None:
    """By the clipboard; where a browser has none for pages, the text is selected."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await show(page, RIGHT)
    copy = page.get_by_role("button", name="Copy")
    await copy.focus()
    await page.keyboard.press("Enter")
    await expect(status(page, "Copied.")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == RIGHT.annotation
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await copy.click()
    await expect(status(page, "It is selected: copy it.")).to_be_visible()

    assert await page.evaluate("String(getSelection())") == RIGHT.annotation


async def test_texts_are_texts_here_too(page: Page) -> None:
    """Names come from clients."""
    await show(page, HOSTILE)
    text = '@cached(60, vary=["' + MARKUP + '"])'
    await expect(page.get_by_label("Annotation for")).to_have_text(text)

    assert await page.locator("img").count() == 0


@pytest.fixture
def decided(page: Page) -> Iterator[list[bool]]:
    """What a person says to questions, in turn."""
    answers: list[bool] = []

    async def decide(dialog: Any) -> None:
        await (dialog.accept() if answers.pop(0) else dialog.dismiss())

    page.on("dialog", decide)
    yield answers

    assert answers == []


async def test_it_is_begun_and_begun_again(
    page: Page, shop: Shop, complaints: list[str], decided: list[bool]
) -> None:
    """From what to set, to a report, and to an empty one; a no changes nothing."""
    await sign_in(page)
    await open_part(page, "Report")
    await expect(status(page, "set mode='shadow'")).to_be_visible()
    assert "409" in complaints.pop()
    decided += [False, True, False, True]
    await page.get_by_label("All workers here").select_option("shadow")
    press = page.get_by_role("button", name="Switch")
    await press.click()
    assert shop.cache.mode == "on"
    await press.click()
    await expect(status(page, "The mode is shadow in 1 of 1 worker.")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("No request was observed yet.")
    assert shop.cache.mode == "shadow"
    observe(shop.cache)
    await page.get_by_role("button", name="Look again").click()
    await expect(page.get_by_role("main")).to_contain_text("1 wrong answer among 3 requests")
    clear = page.get_by_role("button", name="Begin again")
    await clear.click()
    await expect(page.get_by_role("main")).to_contain_text("1 wrong answer among 3 requests")
    await clear.click()
    await expect(page.get_by_role("main")).to_contain_text("0 wrong answers among 0 requests")
    await page.get_by_label("All workers here").select_option("on")
    await press.click()
    await expect(status(page, "The mode is on in 1 of 1 worker.")).to_be_visible()
    await expect(status(page, "set mode='shadow'")).to_be_visible()

    assert shop.cache.mode == "on"
    assert "409" in complaints.pop()


async def test_a_viewer_looks_on(page: Page, shop: Shop) -> None:
    """And sees why nothing can be switched."""
    observe(shop.cache)
    await sign_in(page, VIEWER)
    await open_part(page, "Report")
    main = page.get_by_role("main")
    await expect(main).to_contain_text("1 wrong answer among 3 requests")
    await expect(main).to_contain_text("not observed now")
    await expect(main).to_contain_text("This needs the operator's token")
    for name in ("Switch", "Begin again"):
        await expect(page.get_by_role("button", name=name)).to_be_disabled()
