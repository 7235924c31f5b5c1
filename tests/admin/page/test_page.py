"""The page in a real browser, over the real admin application: who gets in, and what goes wrong."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.admin.page.acting import open_part, sign_in, status
from tests.admin.page.shop import MARKUP, OPERATOR, VIEWER, Shop
from tests.browsers import needs_a_browser
from tests.manager.test_report import observe

pytestmark = [needs_a_browser, pytest.mark.asyncio(loop_scope="module")]

PARTS = ("Overview", "Routes", "Entries", "Explain", "Report", "Invalidate", "Live", "Fleet")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
async def test_every_part_fits_its_window(page: Page, width: int, scheme: Any, shop: Shop) -> None:
    """Nothing runs out of a narrow window or a wide one; what is too wide scrolls by itself."""
    observe(shop.cache)
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    await sign_in(page)
    for name in PARTS:
        await open_part(page, name)
        assert await page.title() == f"{name} \N{EN DASH} shop"
        assert width >= await page.evaluate("document.documentElement.scrollWidth")
    await open_part(page, "Entries")
    await page.get_by_role("table").get_by_role("button").first.click()
    await expect(page.get_by_role("heading", name="Entry")).to_be_focused()
    await expect(page.get_by_role("main")).to_contain_text(
        "It is here by the annotation of GET, HEAD /products/{id}, for 5 min. "
        "Dropped by PUT /products/{id} (url /products/{id}), PUT /products/{id} (tag product:{id})"
    )
    assert width >= await page.evaluate("document.documentElement.scrollWidth")


async def test_a_wrong_token_is_asked_for_again(page: Page, complaints: list[str]) -> None:
    """With a sentence; the right one leads on."""
    await sign_in(page, "wrong")
    await expect(status(page, "This token is not accepted here.")).to_be_visible()
    await sign_in(page)
    await expect(page.get_by_role("heading", name="Overview")).to_be_focused()

    assert len(complaints) == 1  # the browser notes each answer that is an error
    assert "401" in complaints.pop()


async def test_a_token_that_is_withdrawn_is_asked_for_again(
    page: Page, complaints: list[str]
) -> None:
    """Wherever the person is."""
    await sign_in(page, VIEWER, keep=True)
    await open_part(page, "Entries")
    await page.route("**/api/entries*", lambda route: answer(route, 401, {"detail": "no"}))
    await page.get_by_role("button", name="Show").click()

    await expect(status(page, "This token is not accepted here.")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    assert "401" in complaints.pop()


async def test_the_token_is_kept_where_the_person_wishes_it(page: Page) -> None:
    """Otherwise in memory alone, so that a reload asks for it."""
    stored = "JSON.stringify([sessionStorage, localStorage, document.cookie])"
    await sign_in(page)
    await expect(page.get_by_role("heading", name="Overview")).to_be_focused()
    assert OPERATOR not in await page.evaluate(stored)
    await page.reload()
    await sign_in(page, keep=True)
    await expect(page.get_by_role("heading", name="Overview")).to_be_focused()
    await page.reload()
    await expect(page.get_by_role("heading", name="Overview")).to_be_focused()
    assert OPERATOR in await page.evaluate(stored)
    await page.get_by_role("button", name="Sign out").click()

    assert OPERATOR not in await page.evaluate(stored)
    assert OPERATOR not in page.url
    await expect(status(page, "You are signed out.")).to_be_visible()


async def answer(route: Route, code: int, problem: Any = None, **headers: str) -> None:
    """Answer in place of the server."""
    kind = "application/problem+json"
    body = problem if isinstance(problem, str) else json.dumps(problem)
    await route.fulfill(status=code, headers={"content-type": kind, **headers}, body=body)


LEADS_ELSEWHERE = "Something in front leads elsewhere, perhaps to sign in: reload the page."
NO_JSON = "The answer is cut off or no JSON."
NO_ANSWER = "There was no answer: the server is not reached, or the connection broke."

FAILURES: list[tuple[int, Any, dict[str, str], str]] = [
    (403, {"detail": "no"}, {}, "This is not allowed with this token: no."),
    (404, {"detail": "no entry"}, {}, "There is nothing here: no entry."),
    (422, {"detail": "a=0", "allowed": "1"}, {}, "This is not accepted: a=0 (allowed: 1)."),
    (
        429,
        {},
        {"retry-after": "30"},
        "There were too many failed attempts from your address. Try again in 30 s.",
    ),
    (
        503,
        {"detail": "too many"},
        {"retry-after": "1"},
        "The cache cannot answer this now: too many. Try again in 1 s.",
    ),
    (502, "<h1>Bad Gateway</h1>", {}, "The answer was 502."),
    (200, "<h1>Welcome</h1>", {}, NO_JSON),
    (307, "", {"location": "https://sign-in.example/"}, LEADS_ELSEWHERE),
    (0, "", {}, NO_ANSWER),
]


async def test_each_failure_is_a_sentence(page: Page, complaints: list[str]) -> None:
    """Nothing waits for ever, and the next attempt is one button away."""
    await sign_in(page)
    await open_part(page, "Entries")
    for code, problem, headers, sentence in FAILURES:

        async def fail(
            route: Route, *, code: int = code, problem: Any = problem, more: Any = headers
        ) -> None:
            await (answer(route, code, problem, **more) if code else route.abort())

        await page.route("**/api/entries*", fail)
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("status")).to_have_text(sentence)
        await page.unroute("**/api/entries*")
        await page.get_by_role("button", name="Show").click()
        await expect(status(page, "1 shown")).to_be_visible()

    complaints.clear()  # the browser notes each answer that is an error


async def test_an_answer_that_does_not_come_is_not_waited_for(page: Page) -> None:
    """After fifteen seconds the page says so."""
    await page.clock.install()
    await sign_in(page)
    await open_part(page, "Entries")
    await expect(status(page, "1 shown")).to_be_visible()
    await page.route("**/api/entries*", lambda route: None)
    await page.get_by_role("button", name="Show").click()
    await page.clock.run_for(15_000)

    await expect(page.get_by_role("status")).to_have_text("There was no answer within 15 s.")


async def test_markup_is_text_everywhere(page: Page, shop: Shop) -> None:
    """In paths, tags and routes; in tables, details and events."""
    await sign_in(page)
    await open_part(page, "Live")
    await expect(status(page, "Connected.")).to_be_visible()
    (await shop.client.get(f"/{MARKUP}/7")).raise_for_status()
    await expect(page.get_by_role("listitem").filter(has_text=MARKUP)).to_be_visible()
    await open_part(page, "Entries")
    await page.get_by_label("Show paths, names and tags").check()
    await page.get_by_role("button", name="Show", exact=True).click()
    row = page.get_by_role("row").filter(has_text=f"/{MARKUP}/{{id}}")
    await expect(row).to_contain_text(f"product:7, of {MARKUP}")
    await row.get_by_role("button").click()
    await expect(page.get_by_role("heading", name="Entry")).to_contain_text("/7")

    assert await page.locator("img").count() == 0


async def test_a_viewer_sees_why_it_may_not(page: Page) -> None:
    """Buttons and fields for operators are there, off, with the reason."""
    await sign_in(page, VIEWER)
    for part, names in (("Explain", ["Explain"]), ("Invalidate", ["Add", "Count", "Drop"])):
        await open_part(page, part)
        await expect(page.get_by_role("main")).to_contain_text("This needs the operator's token")
        for name in names:
            await expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    await open_part(page, "Entries")
    for label in ("Tag", "Path", "Pattern", "Show paths, names and tags (operators only)"):
        await expect(page.get_by_label(label, exact=True)).to_be_disabled()
    await page.get_by_role("table").get_by_role("button").click()
    await expect(page.get_by_role("button", name="Drop it …")).to_be_disabled()


async def test_an_application_that_reads_says_so(page: Page, shop: Shop) -> None:
    """It offers no dropping, to operators neither."""
    await page.goto(shop.reader)
    await sign_in(page)
    await open_part(page, "Invalidate")

    await expect(page.get_by_role("main")).to_contain_text("only reads (read_only=True)")
    await expect(page.get_by_role("button", name="Add")).to_be_disabled()


async def test_all_can_be_done_with_the_keyboard(page: Page, shop: Shop) -> None:
    """From the token to a drop; the focus is always somewhere, and seen."""
    keys = page.keyboard

    async def to(name: str, key: str = "Tab") -> None:
        for _ in range(40):
            await keys.press(key)
            focused = page.locator(":focus")
            if await focused.count() and name in await focused.evaluate(
                "e => e.labels?.[0]?.textContent ?? e.textContent"
            ):
                assert await focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
                return
        raise AssertionError(f"{name} is not reached")

    await keys.type(OPERATOR)
    await keys.press("Enter")
    await expect(page.get_by_role("heading", name="Overview")).to_be_focused()
    await to("Invalidate", "Shift+Tab")
    await keys.press("Enter")
    await expect(page.get_by_role("heading", name="Invalidate")).to_be_focused()
    await to("What")
    await keys.type("product:1")
    await keys.press("Enter")
    await to("Count")
    await keys.press("Enter")
    await expect(status(page, "1 entry (")).to_be_visible()
    await to("Drop")
    await keys.press("Space")
    await expect(status(page, "Dropped")).to_be_visible()

    assert "; hit;" not in (await shop.client.get("/products/1")).headers["cache-status"]
