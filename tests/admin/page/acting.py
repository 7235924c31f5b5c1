"""What a person does on the page."""

from typing import Any

from playwright.async_api import Page, expect

from tests.admin.page.shop import OPERATOR


async def sign_in(page: Page, token: str = OPERATOR, *, keep: bool = False) -> None:
    """Fill in the form, and send it."""
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Keep it in this tab").set_checked(keep)
    await page.get_by_role("button", name="Sign in").click()


async def open_part(page: Page, name: str) -> None:
    """Go to a part of the page by its link."""
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.get_by_role("heading", name=name, exact=True)).to_be_focused()


def status(page: Page, words: str) -> Any:
    """What the page says aloud."""
    return page.get_by_role("status").filter(has_text=words)
