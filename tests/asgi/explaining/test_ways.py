"""Each way that a request can take, explained and then taken."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, cached
from asgi_multitier._types import Header as Line
from asgi_multitier.explain import Verdict
from asgi_multitier.policy.status_field import cache_status
from asgi_multitier.testing import FakeClock
from tests.asgi.explaining.test_as_it_happens import agrees
from tests.support import Cache, Origin, answering, caching

URL = "http://example.org/x"
FRESH = (b"cache-control", b"max-age=300")
TAG = (b"etag", b'"1"')

HONOURS = {"rules": [Rule("*", 300, honor_request_directives=True)]}
ORIGIN: dict[str, Any] = {"rules": (), "default": Policy.from_origin(partial=True)}

Case = tuple[
    Mapping[str, Any],  # the rules
    Sequence[Line],  # the response's fields
    Sequence[tuple[str, Sequence[Line]]],  # requests before
    float,  # seconds that pass
    tuple[str, Sequence[Line]],  # the request
    tuple[str, str | None],  # verdict and reason
]

PLAIN: tuple[str, Sequence[Line]] = ("GET", ())


def asking(directive: bytes) -> tuple[str, Sequence[Line]]:
    """A request with a directive."""
    return "GET", [(b"cache-control", directive)]


CASES: dict[str, Case] = {
    "no-cache": (HONOURS, (), [PLAIN], 1, asking(b"no-cache"), ("validate", "request-no-cache")),
    "max-age": (HONOURS, (), [PLAIN], 9, asking(b"max-age=5"), ("validate", "request-max-age")),
    "min-fresh": (
        HONOURS, (), [PLAIN], 9, asking(b"min-fresh=299"), ("validate", "request-min-fresh")
    ),
    "no-store": (HONOURS, (), [PLAIN], 1, asking(b"no-store"), ("validate", "request-no-store")),
    "only-if-cached": (HONOURS, (), [], 0, asking(b"only-if-cached"), ("bypass", "only-if-cached")),
    "only-if-cached, and it is": (
        HONOURS, (), [PLAIN], 0, asking(b"only-if-cached"), ("hit", None)
    ),
    "max-stale": (
        {"default": Policy.from_origin(honor_request_directives=True), "rules": ()},
        [FRESH, TAG], [PLAIN], 310, asking(b"max-stale=60"), ("stale", "stale"),
    ),
    "always validated": (
        ORIGIN, [(b"cache-control", b"no-cache, max-age=60"), TAG], [PLAIN], 1, PLAIN,
        ("validate", "no-cache"),
    ),
    "past its lifetime, with a validator": (
        ORIGIN, [FRESH, TAG], [PLAIN], 310, PLAIN, ("expired", "stale")
    ),
    "for others": (
        ORIGIN, [FRESH], [PLAIN], 1, ("GET", [(b"authorization", b"x")]),
        ("bypass", "authorization"),
    ),
    "a HEAD of its own": (ORIGIN, [FRESH], [], 0, ("HEAD", ()), ("bypass", "method")),
    "a HEAD of what is stored": (ORIGIN, [FRESH], [PLAIN], 0, ("HEAD", ()), ("hit", None)),
    "not stored last time": (ORIGIN, (), [PLAIN], 1, PLAIN, ("refused", None)),
    "a HEAD of what was not stored": (ORIGIN, (), [PLAIN], 1, ("HEAD", ()), ("bypass", "method")),
    "a part of what was not stored": (
        {}, [(b"cache-control", b"no-store")], [PLAIN], 1, ("GET", [(b"range", b"bytes=0-1")]),
        ("refused", "range"),
    ),
    "a part of what is not stored yet": (
        ORIGIN, [FRESH], [], 0, ("GET", [(b"range", b"bytes=0-1")]), ("miss", None)
    ),
    "another variant": (
        ORIGIN, [FRESH, (b"vary", b"accept-language")], [("GET", [(b"accept-language", b"de")])], 1,
        ("GET", [(b"accept-language", b"en")]), ("miss", None),
    ),
    "the same variant": (
        ORIGIN, [FRESH, (b"vary", b"accept-language")], [("GET", [(b"accept-language", b"de")])], 1,
        ("GET", [(b"accept-language", b"de")]), ("hit", None),
    ),
    "a cookie": ({}, (), [PLAIN], 1, ("GET", [(b"cookie", b"a=b")]), ("bypass", "cookie")),
    "too many tags": (
        {"rules": [Rule("*", 300, tags=[f"t{n}" for n in range(65)])]},
        (), [], 0, PLAIN, ("refused", "tags"),
    ),
    "switched off": (
        {"rules": [Rule("*", 300, enabled=False)]}, (), [], 0, PLAIN, ("bypass", "disabled")
    ),
    "switched off by a function": (
        {"rules": [Rule("*", 300, enabled=lambda: False)]}, (), [], 0, PLAIN, ("bypass", "disabled")
    ),
    "a search": (
        {"rules": [Rule("*", 300, methods=["POST"], body=True)]},
        (), [], 0, ("POST", ()), ("miss", None),
    ),
    "an override of a search": (
        {"rules": [Rule("*", 300, methods=["POST"], body=True)]},
        (), [], 0, ("POST", [(b"x-http-method-override", b"PUT")]), ("change", "method-override"),
    ),
    "a part of a QUERY": (
        {"rules": [Rule("*", 300, methods=["QUERY"], body=True)]},
        (), [], 0, ("QUERY", [(b"range", b"bytes=0-1")]), ("bypass", "range"),
    ),
    "a QUERY without a rule": ({}, (), [], 0, ("QUERY", ()), ("bypass", "method")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_ways(case: str) -> None:
    """As `Cache-Status` says when the request is sent."""
    given, lines, before, passing, (method, sent), (verdict, reason) = CASES[case]
    options: dict[str, Any] = dict(given)
    rules = options.pop("rules", (Rule("*", 300),))
    async with caching(Origin(answering(b"hello", *lines)), rules, **options) as cache:
        await cache.get("/first")
        for one, fields in before:
            await _ask(cache, one, fields)
        cache.clock.advance(passing)
        found = await cache.manager.explain(method, URL, sent, run_callables=True)
        reply = await _ask(cache, method, sent)

    assert (found.verdict, found.reason) == (verdict, reason)
    if verdict == "change":
        assert reply.forward == "method"
        assert reply.detail == reason
    else:
        assert agrees(found, reply), reply


async def _ask(cache: Cache, method: str, lines: Sequence[Line]) -> Any:
    reply = await cache.client.request(method, "/x", list(lines))
    await cache.manager.engine.stack.settle()
    return cache_status(reply.headers)


def office(asked: list[str]) -> FastAPI:
    """Guarded routes: all who have a token may read, and some say whose copy."""
    app = FastAPI()

    async def user(x_token: Annotated[str, Header()] = "") -> str:
        asked.append("guard")
        if not x_token:
            raise HTTPException(401)
        return x_token

    @app.get("/shared", dependencies=[Depends(user)])
    @cached(60, guarded="shared", tags=["shared"], eager_refresh=0.5)
    async def shared() -> int:
        asked.append("endpoint")
        return 1

    @app.get("/spoken", dependencies=[Depends(user)])
    @cached(60, guarded="shared", vary=["accept-language"], stale_while_revalidate=30)
    async def spoken(request: Request) -> str:
        asked.append("endpoint")
        return request.headers.get("accept-language", "")

    @app.get("/own")
    @cached(60, guarded=True, vary_by="{who}", tags=["user:{who}"])
    async def own(who: Annotated[str, Depends(user)]) -> str:
        asked.append("endpoint")
        return who

    return app


GUARDED: dict[str, tuple[str, float, str, tuple[str, ...]]] = {
    "shared": ("/shared", 1, "hit", ("guard",)),
    "renewed by its own request": ("/shared", 40, "validate", ("guard",)),
    "not stored": ("/shared?other", 1, "miss", ("guard",)),
    "by a field": ("/spoken", 1, "hit", ("guard",)),
    "stale, and renewed by its own request": ("/spoken", 70, "expired", ("guard",)),
    "by an argument": ("/own", 1, "unknown", ("guard", "tags", "vary_by")),
}


@pytest.mark.parametrize("case", GUARDED)
async def test_guarded_routes(case: str) -> None:
    """What happens once the guard has let a request in, which is not asked."""
    url, passing, verdict, unknown = GUARDED[case]
    asked: list[str] = []
    clock = FakeClock()
    manager = CacheManager(redis_url=None, namespace="office", clock=clock, wall=clock)
    transport = httpx.ASGITransport(CacheMiddleware(office(asked), manager))
    token = {"x-token": "a", "accept-language": "de"}
    async with (
        manager,
        httpx.AsyncClient(transport=transport, base_url="http://office", headers=token) as client,
    ):
        for one in ("/shared", "/spoken", "/own"):
            await client.get(one)
        clock.advance(passing)
        asked.clear()
        found = await manager.explain("GET", f"http://office{url}", client.headers.raw)
        assert asked == []
        status = cache_status(await client.get(url))

    assert (found.verdict, found.unknown) == (verdict, unknown)
    assert found.rule is not None
    assert found.rule.guarded
    if verdict != "unknown":
        assert "if its guard lets it in" in found.sentence
        assert status.hit is (found.verdict is Verdict.HIT)
        assert found.key is not None
        assert "guard" in found.key.parts
        assert "token" not in str(found.as_json())


def test_a_script_asks_without_a_loop() -> None:
    """By the blocking form of the manager."""
    with CacheManager(redis_url=None, namespace="script").sync as cache:
        assert cache.explain("GET", "/x").verdict is Verdict.UNKNOWN
