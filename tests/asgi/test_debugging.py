"""The debug mode: what each answer says in `Cache-Debug`, and what a reload of a browser does."""

from pathlib import Path
from typing import Any

import http_sf
import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from fastapi.testclient import TestClient

from asgi_multitier import CacheManager, CacheMiddleware, Rule, cached, invalidates
from asgi_multitier.engine.noting import NotingStack
from asgi_multitier.engine.stack import TierStack
from asgi_multitier.entry import StoredResponse
from tests.support import Client, Origin, answering, scope_of


def shop(cache: CacheManager) -> TestClient:
    """A client of an application with a route of each kind."""
    app, bearer = FastAPI(), HTTPBearer()

    @app.get("/products/{number}")
    @cached(300, tags=["product:{number}", "products"])
    async def product(number: int) -> int:
        return number

    @app.put("/products/{number}")
    @invalidates(tags=["product:{number}"])
    async def restock(number: int) -> int:
        return number

    @app.get("/words")
    @cached(300, vary=["accept-language"])
    async def words() -> str:
        return "word"

    @app.get("/weather", dependencies=[Depends(bearer)])
    @cached(300, guarded=True)
    async def weather() -> str:
        return "sunny"

    @app.get("/health")
    async def health() -> int:
        return 1

    app.add_middleware(CacheMiddleware, cache=cache)
    return TestClient(app)


def parsed(line: bytes | None) -> Any:
    """A dictionary of structured fields."""
    assert line is not None
    return http_sf.parse(line, tltype="dictionary")


def debug_of(answer: Any) -> dict[str, Any]:
    """What its `Cache-Debug` says."""
    found = parsed(answer.headers["cache-debug"].encode())
    told: dict[str, Any] = {name: value for name, (value, _) in found.items()}
    if "look" in told:
        told["look"] = [(str(tier), str(how["found"])) for tier, how in told["look"]]
        assert all("ms" in how for _, how in found["look"][0])
    return told | {"rule": str(told["rule"])}


def test_each_answer_says_what_was_done_for_it(tmp_path: Path) -> None:
    """Misses, hits of each tier, changes and what passes by."""
    cache = CacheManager(sqlite=tmp_path / "cache.db", namespace="shop", debug=True)
    with shop(cache) as client:
        first = debug_of(client.get("/products/1"))
        hit = debug_of(client.get("/products/1"))
        head = debug_of(client.head("/products/1"))
        local = cache.engine.stack.local
        local.clear()
        shared = debug_of(client.get("/products/1"))
        change = debug_of(client.put("/products/1"))
        again = debug_of(client.get("/products/1"))
        born_later = debug_of(client.get("/products/1"))
        health = debug_of(client.get("/health"))
        nowhere = debug_of(client.get("/nowhere"))
        with_cookie = debug_of(client.get("/products/1", headers={"cookie": "a=b"}))

    route = {"rule": "annotation", "route": "/products/{number}"}
    none = {"look": [("l1", "none"), ("l2", "none")]}
    found = {"key": first["key"], "age": 0, "tags": 2}
    assert first["key"].startswith("r:")
    assert first == again == route | {"key": first["key"]} | none
    assert hit == head == route | found | {"born": hit["born"], "look": [("l1", "fresh")]}
    assert shared == hit | {"look": [("l1", "none"), ("l2", "fresh")]}
    assert change == {"rule": "no-rule", "route": "/products/{number}"}
    assert born_later["born"] != hit["born"]
    assert int(born_later["born"].partition("/")[2]) > int(hit["born"].partition("/")[2])
    assert health == {"rule": "no-rule", "route": "/health"}
    assert nowhere == {"rule": "no-rule", "route": "-"}
    assert with_cookie == route


def test_keys_that_more_than_the_url_chooses() -> None:
    """A route with `vary=`, and one behind a guard: the key that was looked for last."""
    cache = CacheManager(redis_url=None, namespace="shop", debug=True)
    with shop(cache) as client:
        german, english = ({"accept-language": name} for name in ("de", "en"))
        stored = debug_of(client.get("/words", headers=german))
        hit = debug_of(client.get("/words", headers=german))
        other = debug_of(client.get("/words", headers=english))
        token = {"authorization": "Bearer x"}
        client.get("/weather", headers=token)
        guarded = debug_of(client.get("/weather", headers=token))
        refused = client.get("/weather")

    assert hit["key"] == stored["key"] != other["key"]
    assert hit["look"][-1] == ("l1", "fresh")
    assert other["look"][-1] == ("l1", "none")
    assert guarded["look"] == [("l1", "fresh")]
    assert refused.status_code in (401, 403)
    assert "look" not in debug_of(refused)


async def test_variants_by_the_response() -> None:
    """What is found first says which fields choose."""
    origin = Origin(answering(b"x", (b"vary", b"accept-language")))
    async with CacheManager(redis_url=None, namespace="shop", debug=True) as cache:
        client = Client(CacheMiddleware(origin, cache, rules=[Rule("*", 60)]))
        await client.get("/")
        hit = parsed((await client.get("/")).get("cache-debug"))

    assert [(str(tier), str(how["found"])) for tier, how in hit["look"][0]] == [
        ("l1", "vary"),
        ("l1", "fresh"),
    ]
    assert str(hit["rule"][0]) == "rule"


async def test_nothing_that_is_stored_has_it() -> None:
    """Neither its own, nor that of a cache behind it."""
    origin = Origin(answering(b"x", (b"cache-debug", b"rule=inner")))
    async with CacheManager(redis_url=None, namespace="shop", debug=True) as cache:
        client = Client(CacheMiddleware(origin, cache, rules=[Rule("*", 60)]))
        await client.get("/")
        hit = await client.get("/")
        entries = [slot.entry for slot in cache.engine.stack.local.slots()]  # type: ignore[attr-defined]

    (payload,) = [one.payload for one in entries if isinstance(one.payload, StoredResponse)]
    assert hit.hit
    assert len(hit.all("cache-debug")) == 1
    assert b"cache-debug" not in dict(payload.headers)


async def test_outside_of_debug_mode_there_is_nothing_of_it() -> None:
    """No field, and the classes are those that ask no question about it."""
    async with CacheManager(redis_url=None, namespace="shop") as cache:
        app = CacheMiddleware(Origin(), cache, rules=[Rule("*", 60)])
        replies = [await Client(app).get("/") for _ in range(2)]

    assert [reply.get("cache-debug") for reply in replies] == [None, None]
    assert type(app) is CacheMiddleware
    assert type(cache.engine.stack) is TierStack


async def test_no_other_door_answers_in_debug_mode() -> None:
    """A server's protocol does not answer in front, and a subclass stays one."""

    class Own(CacheMiddleware):
        """A user's own."""

    async with CacheManager(redis_url=None, namespace="shop", debug=True) as cache:
        app = Own(Origin(), cache, rules=[Rule("*", 60)])
        for _ in range(2):
            await Client(app).get("/")
        found = app.in_front.find(scope_of("GET", "/", ()))

    assert found is None
    assert isinstance(app, Own)
    assert type(app).__name__ == "Own"
    assert type(app.over(cache)) is type(app)
    assert type(cache.engine.stack) is NotingStack


async def test_what_is_noted_is_bounded_and_each_requests_own() -> None:
    """Requests at the same time do not share their looks."""
    async with CacheManager(redis_url=None, namespace="shop", debug=True) as cache:
        origin = Origin()
        client = Client(CacheMiddleware(origin, cache, rules=[Rule("*", 60)]))
        origin.gate.clear()
        tasks = [client.begin(f"/{number % 2}") for number in range(4)]
        await origin.arrived.acquire()
        origin.gate.set()
        replies = [await task for task in tasks]

    looks = [parsed(one.get("cache-debug")) for one in replies]
    assert {len(one["look"][0]) for one in looks} == {1}
    assert looks[0]["key"][0] == looks[2]["key"][0] != looks[1]["key"][0]


CHROME = {
    "sec-ch-ua": '"Chromium";v="142", "Not_A Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "upgrade-insecure-requests": "1",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0",
    "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "sec-fetch-site": "none",
    "sec-fetch-mode": "navigate",
    "sec-fetch-user": "?1",
    "sec-fetch-dest": "document",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-US,en;q=0.9",
}
FIREFOX = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-US,en;q=0.5",
    "accept-encoding": "gzip, deflate, br, zstd",
    "upgrade-insecure-requests": "1",
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "none",
    "priority": "u=0, i",
}


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("browser", [CHROME, FIREFOX], ids=["chrome", "firefox"])
@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        ({}, False),
        ({"cache-control": "max-age=0"}, True),
        ({"pragma": "no-cache", "cache-control": "no-cache"}, True),
    ],
    ids=["visit", "reload", "hard-reload"],
)
async def test_reloads_as_browsers_send_them(
    fields: dict[str, str], asks: bool, browser: dict[str, str], debug: bool
) -> None:
    """In debug mode they reach the application, and renew what is stored; else they are hits."""
    origin = Origin()
    async with CacheManager(redis_url=None, namespace="shop", debug=debug) as cache:
        client = Client(CacheMiddleware(origin, cache, rules=[Rule("*", 60)]))
        await client.get("/", list(browser.items()))
        reloaded = await client.get("/", [*browser.items(), *fields.items()])
        usual = await client.get("/", list(browser.items()))

    assert reloaded.hit is not (asks and debug)
    assert usual.hit
    assert reloaded.body == usual.body == (b"2" if asks and debug else b"1")
