"""The careless route: what shadow finds, and what is left of it when its proposal is pasted."""

import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo_app import offers
from demo_app.catalogue import Product
from demo_app.fleet.instance import ROOT
from demo_app.settings import FRAMEWORKS, Settings
from tests.demo.support import HERE, client_of, lifespan_of

WANTED = ("EUR", "USD", "EUR", "GBP", "USD", "EUR", "SEK", "EUR", "USD", "EUR", "GBP", "EUR")
CARELESS = "GET /products/{product_id:int}/offer"


async def report_of(client: httpx.AsyncClient, *, path: str = "offer") -> dict[str, Any]:
    """What is found of a route when customers of several currencies have asked it."""
    for wanted in WANTED:
        answer = await client.get(f"/products/7/{path}", headers={"accept-currency": wanted})
        assert answer.json()["currency"] == wanted
        assert "cache-status" not in answer.headers
    report = (await client.get("/report")).json()
    [found] = [one for one in report["routes"] if one["route"].endswith(f"/{path}")]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_field_that_the_annotation_forgot_is_named(framework: str) -> None:
    """Every customer is answered by the application, and the cause has what to write."""
    async with client_of(framework) as (client, source):
        found = await report_of(client)
        runs = source.calls["offer"]
    [finding] = found["findings"]

    assert runs == len(WANTED)
    assert (found["route"], found["requests"], found["hits"]) == (CARELESS, 12, 11)
    assert found["wrong"] == sum(wanted != WANTED[0] for wanted in WANTED)
    assert (finding["cause"], finding["name"]) == ("field", "accept-currency")
    assert 'vary=["accept-currency"]' in found["annotation"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_repaired_route_is_not_accused(framework: str) -> None:
    """The first request of each currency is a miss, and the others would be right hits."""
    async with client_of(framework) as (client, _):
        found = await report_of(client, path="offer/repaired")

    assert (found["wrong"], found["findings"]) == (0, [])
    assert found["hits"] == len(WANTED) - len(set(WANTED))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo as another package, `pasted_demo`."""
    folder = tmp_path / "pasted_demo"
    shutil.copytree(ROOT / "demo_app", folder, ignore=shutil.ignore_patterns("__pycache__", "page"))
    monkeypatch.syspath_prepend(tmp_path)
    return folder


async def test_proposal_that_is_pasted_leaves_no_wrong_answer(copy: Path) -> None:
    """Word for word, in place of the careless annotation."""
    async with client_of("starlette") as (client, _):
        annotation = (await report_of(client))["annotation"]
    file = copy / "caching.py"
    text, replaced = re.subn(
        r"^OFFER = cached\(.*\)$", f"OFFER = {annotation[1:]}", file.read_text(), flags=re.MULTILINE
    )
    file.write_text(text)
    app = importlib.import_module("pasted_demo.starlette_app").create_app(Settings(pages=()))
    async with (
        lifespan_of(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as client,
    ):
        found = await report_of(client)

    assert replaced == 1
    assert (found["wrong"], found["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("wanted", "currency", "price"),
    [
        ("USD", "USD", "10.90"),
        ("usd", "USD", "10.90"),
        (None, "EUR", "10.00"),
        ("?", "EUR", "10.00"),
    ],
)
def test_offer_is_in_the_currency_that_is_wanted(
    wanted: str | None, currency: str, price: str
) -> None:
    """In euros if there is no such currency."""
    product = Product(name="Kite", category="toys", price_cents=1000, stock=1, id=7, version=2)
    offer = offers.offer(product, wanted)

    assert (offer.currency, offer.price, offer.version) == (currency, price, 2)
