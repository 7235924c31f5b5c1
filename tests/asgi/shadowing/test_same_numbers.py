"""What would have been a hit is what is one: the same requests through a cache that answers."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Cache, Origin, caching, respond, settled

LINES: dict[str, list[tuple[bytes, bytes]]] = {
    "/plain": [],
    "/language": [(b"vary", b"accept-language")],
    "/any": [(b"vary", b"*")],
    "/cookie": [(b"set-cookie", b"a=1")],
    "/private": [(b"cache-control", b"private")],
    "/never": [(b"cache-control", b"no-store")],
    "/short": [(b"cache-control", b"max-age=5")],
    "/shared": [(b"cache-control", b"public, s-maxage=20")],
    "/aged": [(b"cache-control", b"max-age=30"), (b"age", b"20")],
    "/ask": [(b"cache-control", b"no-cache"), (b"etag", b'"1"')],
    "/tagged": [(b"cache-tag", b"a, b")],
    "/gone": [],
    "/failing": [],
    "/large": [],
    "/lies": [],
}


class Application:
    """Answers with the same content for the same target, until that is changed."""

    def __init__(self) -> None:
        self.failing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        status = 404 if path == "/gone" else 200
        if path == "/failing" and self.failing:
            status = 500
        body, lines = path.encode(), [*LINES.get(path, [])]
        if path == "/large":
            body *= 1000
        elif path == "/lies":
            lines.append((b"content-length", b"99"))
        await respond(send, body, *lines, status=status, length=path != "/lies")


HEADERS: list[list[tuple[str, str]]] = [
    [],
    [],
    [("accept-language", "de")],
    [("accept-language", "en")],
    [("authorization", "Bearer a")],
    [("cookie", "session=1")],
    [("cookie", "theme=dark")],
    [("x-tenant", "a")],
    [("x-tenant", "b")],
    [("x-tenant", "b"), ("accept-language", "de")],
    [("x-tenant", "b")],
    [("cache-control", "no-cache")],
    [("cache-control", "max-age=3")],
    [("cache-control", "only-if-cached")],
    [("if-none-match", '"1"')],
    [("origin", "https://a.example")],
    [("x-forwarded-host", "b.example")],
    [("upgrade", "websocket")],
    [("x_odd", "1")],
]

POLICIES: dict[str, Callable[[], Policy]] = {
    "a lifetime": lambda: Policy(60),
    "stale for a while": lambda: Policy(10, stale_while_revalidate=30),
    "stale on errors": lambda: Policy(10, stale_if_error=60),
    "renewed early": lambda: Policy(20, eager_refresh=0.5),
    "missing too": lambda: Policy(60, negative=10),
    "for all": lambda: Policy(60, public=True),
    "no cookies": lambda: Policy(60, ignore_cookies=True),
    "one cookie": lambda: Policy(60, cookies=["theme"]),
    "a field": lambda: Policy(60, vary=["x-tenant"]),
    "a user": lambda: Policy(60, vary_by=lambda request: request.headers.get("x-tenant")),
    "sometimes": lambda: Policy(60, when=lambda request: "x-tenant" not in request.headers),
    "few parameters": lambda: Policy(60, query=["page"]),
    "switched off": lambda: Policy(60, enabled=False),
    "headers decide": Policy.from_origin,
    "headers decide, of requests too": lambda: Policy.from_origin(honor_request_directives=True),
    "a guess": lambda: Policy.from_origin(heuristics=True, stale_on_error=True),
}


def steps(seed: int) -> Iterator[tuple[str, Any]]:
    """Requests, mutations and time, as chance has it."""
    chance = random.Random(seed)
    targets = chance.sample(list(LINES), 4)
    for _ in range(60):
        what = chance.choices(("get", "put", "wait", "fail"), (80, 6, 12, 4))[0]
        target = chance.choice(targets)
        if what == "get":
            query = chance.choice(("", "", "?page=1", "?page=2&x=1"))
            yield what, (target + query, chance.choice(HEADERS))
        elif what == "put":
            yield what, target
        elif what == "wait":
            yield what, chance.choice((1, 4, 9, 25))
        else:
            yield what, chance.random() < 0.5


async def ran(cache: Cache, application: Application, seed: int) -> None:
    """All steps, through one cache."""
    await cache.manager.start()
    for what, how in steps(seed):
        if what == "get":
            await cache.get(*how)
        elif what == "put":
            await cache.client.request("PUT", how)
        elif what == "wait":
            cache.clock.advance(how)
        else:
            application.failing = how
        await settled(5)


def would_be(cache: Cache) -> Counter[str]:
    """What would have become of the requests."""
    found: Counter[str] = Counter()
    for tally in cache.manager.engine.events.tallies.values():
        found.update({str(word): number for word, number in tally.shadow.items()})
    return found


async def numbers(
    policy: Policy, seed: int, **settings: Any
) -> tuple[tuple[int, int], Counter[str]]:
    """How many requests were answered fresh and stale; and how many would have been."""
    application = Application()
    rules = (Rule("*", policy),)
    async with caching(Origin(application), rules, max_entry=5_000, **settings) as cache:
        await ran(cache, application, seed)
        await cache.manager.report()
        total = cache.manager.stats().total
        return (sum(total.hits.values()), total.stale), would_be(cache)


CASES = [(policy, "the mode") for policy in POLICIES] + [("a lifetime", "a rule")]


@pytest.mark.parametrize(("policy", "how"), CASES)
async def test_as_many_hits(policy: str, how: str) -> None:
    """Fresh and stale, for each kind of rule; and nothing that is the same counts as wrong."""
    answered = 0
    for seed in range(4):
        given = POLICIES[policy]()
        found, _ = await numbers(given, seed)
        if how == "the mode":
            _, would = await numbers(given, seed, mode="shadow")
        else:
            _, would = await numbers(given.but("", shadow=True), seed)

        assert (would["hit"], would["stale"], would["wrong"]) == (*found, 0), (seed, would)
        answered += sum(found)

    assert answered > 0 or policy == "switched off"
