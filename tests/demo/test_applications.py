"""Both applications of the demo, in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from demo_app.settings import FRAMEWORKS
from demo_app.source import SlowSource
from tests.demo.support import DRAFT, HERE, OPERATOR, PAGES, client_of, is_hit
from tests.patience import until

READS = (
    "/products?category=toys&page=2",
    "/products/7",
    "/products/7/price",
    "/search?q=kite&sort=price",
    "/categories",
    "/reports/sales",
    "/reports/stock",
    "/reports/stock/each",
    "/trending",
)


@pytest.fixture(params=sorted(FRAMEWORKS))
async def site(request: Any) -> AsyncIterator[tuple[httpx.AsyncClient, SlowSource]]:
    """Each application in turn."""
    async with client_of(request.param) as both:
        yield both


async def test_frameworks_answer_alike() -> None:
    """Status, type and body are equal, so that both can share one cache."""
    answers = []
    for framework in FRAMEWORKS:
        async with client_of(framework) as (client, _):
            asked = [await client.get(path) for path in (*READS, "/products/9999")]
            answers.append(
                [
                    (one.url.path, one.status_code, one.headers["content-type"], one.json())
                    for one in asked
                ]
            )

    assert answers[0] == answers[1]


async def test_reads_are_kept(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """The second response equals the first, without a call of the source."""
    client, source = site
    for number, path in enumerate(READS, 1):
        first, second = await client.get(path), await client.get(path)

        assert first.content == second.content
        assert (path, is_hit(first), is_hit(second)) == (path, False, True)
        assert source.calls.total() == number


@pytest.mark.parametrize(
    ("method", "path", "kept"),
    [
        pytest.param("PUT", "/products/7", {"/trending"}, id="edit"),
        pytest.param(
            "PUT", "/products/8", {"/trending", "/products/7", "/products/7/price"}, id="other"
        ),
        pytest.param(
            "POST", "/products", {"/trending", "/products/7", "/products/7/price"}, id="create"
        ),
    ],
)
async def test_edit_drops_what_shows_it(
    site: tuple[httpx.AsyncClient, SlowSource],
    method: str,
    path: str,
    kept: set[str],
) -> None:
    """Responses with the product are invalidated; others, and the one that may lag, stay."""
    client, _ = site
    for read in READS:
        await client.get(read)
    (await client.request(method, path, json=DRAFT.model_dump())).raise_for_status()

    assert kept == {read for read in READS if is_hit(await client.get(read))}


async def test_removed_product_is_gone(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """After the response to a removal, the product is 404, and the 404 is not cached."""
    client, _ = site
    await client.get("/products/7")
    removed = await client.delete("/products/7")
    gone = [await client.get("/products/7") for _ in range(2)]

    assert (removed.status_code, removed.json()["id"]) == (200, 7)
    assert [response.status_code for response in gone] == [404, 404]
    assert not any(map(is_hit, gone))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="no-json"),
        pytest.param(b'{"name": "Kite"}', id="incomplete"),
        pytest.param(json.dumps({**DRAFT.model_dump(), "id": 3}).encode(), id="unknown-field"),
        pytest.param(
            json.dumps({**DRAFT.model_dump(), "price_cents": -1}).encode(), id="out-of-range"
        ),
    ],
)
async def test_unreadable_edit_changes_nothing(
    site: tuple[httpx.AsyncClient, SlowSource], body: bytes
) -> None:
    """It is refused with a reason, and invalidates nothing."""
    client, _ = site
    await client.get("/products/7")
    refused = await client.put(
        "/products/7", content=body, headers={"content-type": "application/json"}
    )

    assert refused.status_code == 422
    assert refused.json()["detail"]
    assert is_hit(await client.get("/products/7"))


@pytest.mark.parametrize("query", ["page=0", "page=x", "sort=colour", f"q={'x' * 81}"])
async def test_unreadable_query_is_refused(
    site: tuple[httpx.AsyncClient, SlowSource], query: str
) -> None:
    """A parameter outside its range is refused without a call of the source."""
    client, source = site

    assert (await client.get(f"/search?{query}")).status_code == 422
    assert source.calls.total() == 0


async def test_instances_answer_for_one_site(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """An entry stored through one address is found through another, and from another's page."""
    client, _ = site
    await client.get(f"{HERE}/products/7")
    other = await client.get("http://127.0.0.1:8002/products/7", headers={"origin": PAGES[0]})

    assert is_hit(other)


async def test_cache_is_cleared_by_hand(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """Afterwards every response comes from the source."""
    client, _ = site
    for read in READS:
        await client.get(read)
    cleared = await client.post("/cache/clear")

    assert cleared.status_code == 204
    assert not any([is_hit(await client.get(read)) for read in READS])


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        pytest.param(PAGES[0], True, id="page"),
        pytest.param(PAGES[1], True, id="page-by-name"),
        pytest.param(HERE, False, id="another-port"),
        pytest.param("http://elsewhere.example", False, id="stranger"),
    ],
)
async def test_page_may_read(
    site: tuple[httpx.AsyncClient, SlowSource], origin: str, allowed: bool
) -> None:
    """Only the page of the fleet may read, on hits and misses, with the fields exposed."""
    client, _ = site
    for _ in range(2):
        response = await client.get("/products/7", headers={"origin": origin})
        permitted = response.headers.get("access-control-allow-origin")

        assert (origin if allowed else None) == permitted
        if allowed:
            exposed = response.headers["access-control-expose-headers"].lower()
            assert {"cache-status", "server-timing", "age", "etag"} == set(exposed.split(", "))


async def test_page_may_edit(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """The browser's preflight request before a PUT is allowed."""
    client, _ = site
    answer = await client.options(
        "/products/7",
        headers={
            "origin": PAGES[0],
            "access-control-request-method": "PUT",
            "access-control-request-headers": "content-type",
        },
    )

    assert answer.status_code == 200


async def test_instance_leads_to_the_page(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """Its own address is for programs."""
    client, _ = site
    answer = await client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, PAGES[0])


async def test_instance_alone_says_what_to_ask() -> None:
    """There is no page without a fleet."""
    async with client_of("starlette", pages=()) as (client, _):
        answer = await client.get("/")

    assert f"curl -i {HERE}/products/7" in answer.text


@pytest.mark.parametrize("path", ["/_cache/", "/metrics/"])
async def test_cache_and_its_figures_are_there(
    site: tuple[httpx.AsyncClient, SlowSource], path: str
) -> None:
    """Neither is cached."""
    client, _ = site
    for _ in range(2):
        there = (await client.get(path)).raise_for_status()
        assert not is_hit(there)
        assert there.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({}, 401, id="no token"),
        pytest.param({"authorization": "Bearer x"}, 401, id="another token"),
        pytest.param({**OPERATOR, "origin": HERE, "sec-fetch-site": "same-origin"}, 200, id="page"),
        pytest.param(
            {**OPERATOR, "origin": PAGES[0], "sec-fetch-site": "cross-site"}, 403, id="other"
        ),
    ],
)
async def test_operators_drop_what_is_cached(
    site: tuple[httpx.AsyncClient, SlowSource], fields: dict[str, str], status: int
) -> None:
    """With the token, and from the page of the cache where a page sends it."""
    client, _ = site
    await client.get("/products/7")
    dropped = await client.post(
        "/_cache/api/invalidate", json={"tags": ["product:7"]}, headers=fields
    )

    assert status == dropped.status_code
    assert is_hit(await client.get("/products/7")) == (status != 200)


async def test_instance_describes_itself(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """Its name, its tiers, its runs of the source, and what it knows of the log."""
    client, _ = site
    for _ in range(2):
        await client.get("/products/7")
    facts = (await client.get("/instance")).json()

    assert facts.pop("framework") in FRAMEWORKS
    assert facts.pop("calls")["product"] == 1
    assert facts == {
        "name": "A", "tiers": ["l1"], "total": 1, "trusted": True, "queued": 0, "shared": 0
    }  # fmt: skip


async def test_price_alone_is_changed(site: tuple[httpx.AsyncClient, SlowSource]) -> None:
    """The rest stays, and what shows the price is dropped."""
    client, _ = site
    before = [(await client.get(path)).json() for path in ("/products/7", "/products/7/price")]
    changed = await client.put("/products/7/price", json={"price_cents": 4200})
    after = [(await client.get(path)).json() for path in ("/products/7", "/products/7/price")]

    assert changed.json() == after[0] == {**before[0], "price_cents": 4200, "version": 2}
    assert after[1] == {"id": 7, "price_cents": 4200, "version": 2}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("path", "runs"), [("/reports/stock", 1), ("/reports/stock/each", 20)])
async def test_identical_requests_share_a_run_unless_the_rule_says_no(
    framework: str, path: str, runs: int
) -> None:
    """Twenty requests; no run ends before the last one has begun."""
    running: list[float] = []
    go_on = asyncio.Event()

    async def wait(seconds: float) -> None:
        running.append(seconds)
        await go_on.wait()

    async with client_of(framework, sleep=wait) as (client, source):
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(client.get(f"{path}?burst=1")) for _ in range(20)]
            await until(lambda: len(running) >= runs)
            go_on.set()

        assert source.calls["stock"] == runs
    assert len({task.result().content for task in asked}) == 1
