"""A look at the figures does not change them: requests to this package's applications.

The same requests come by each door: through ASGI, and through a server with the cache in front.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, no_cache
from asgi_multitier.uvicorn.front import front_of
from tests.admin.support import OPERATOR, Person, made
from tests.patience import until
from tests.support import Client, Visit
from tests.uvicorn.support import PAIRS, served

OPTIONS = [
    pytest.param({}, id="no rule"),
    pytest.param({"rules": [Rule("/*", 60)]}, id="rule"),
    pytest.param({"rules": [Rule("/*", 60, public=True, override=True)]}, id="override"),
    pytest.param({"rules": [Rule("/*", 60, body=True, methods=["GET", "POST"])]}, id="body"),
    pytest.param({"default": Policy.from_origin()}, id="origin"),
]


def _plain(manager: CacheManager) -> Any:
    app = FastAPI()
    app.mount("/_cache", manager.admin(OPERATOR))
    app.mount("/metrics", manager.metrics())
    return app


def _deeper(manager: CacheManager) -> Any:
    inner = Mount("/b", routes=[Mount("/_cache", manager.admin(OPERATOR))])
    metrics = Mount("/metrics", manager.metrics())
    return Starlette(routes=[Mount("/a", Starlette(routes=[inner, metrics]))])


def _routes(manager: CacheManager) -> Any:
    """Each for its one path."""
    admin, metrics = manager.admin(OPERATOR), manager.metrics()
    return Starlette(routes=[Route("/api", admin), Route("/metrics", metrics)])


PLACES = [
    pytest.param(
        _plain, ["/_cache/", "/_cache/api", "/_cache/none?a=1", "/metrics/"], id="mounted"
    ),
    pytest.param(_deeper, ["/a/b/_cache/", "/a/b/_cache/api/stats", "/a/metrics/"], id="deeper"),
    pytest.param(_routes, ["/api", "/metrics"], id="routes"),
]

METHODS = ("GET", "HEAD", "POST", "QUERY", "PUT", "OPTIONS")


def _is_untouched(manager: CacheManager) -> bool:
    """Whether nothing was counted for a route, and nothing went wrong."""
    stats, events = manager.stats(), manager.engine.events
    nothing = (events.tallies, stats.invalidations, stats.failures, stats.refused)
    return stats.requests == 0 and not any(nothing) and events.live.last == 0


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("make", "paths"), PLACES)
async def test_it_is_not_counted(
    make: Callable[[CacheManager], Any], paths: list[str], options: dict[str, Any]
) -> None:
    """Neither by a token, without one, nor again when its plan is remembered; nor does it tell."""
    async with made() as manager:
        client = Client(CacheMiddleware(make(manager), manager, **options))
        manager.engine.events.live.listen()
        for method, path in product(METHODS, paths * 2):
            for lines in ([], [("authorization", f"Bearer {OPERATOR}")]):
                reply = await client.request(method, path, lines)
                assert not reply.hit
            assert _is_untouched(manager), (method, path)

        assert manager.invalidation_stats().sent == 0


async def test_nor_is_a_success_of_a_change() -> None:
    """Such a request to any other route is counted as one that drops its URL."""
    async with made() as manager:
        app = CacheMiddleware(_plain(manager), manager, rules=[Rule("/*", 60)])
        await Person(app, prefix="/_cache").post("/api/mode", {"mode": "on"})

        assert _is_untouched(manager)


async def test_nor_when_its_client_leaves() -> None:
    """As a page that is closed leaves its stream of events."""
    async with made() as manager:
        client = Client(CacheMiddleware(_plain(manager), manager, rules=[Rule("/*", 60)]))
        visit = Visit()
        line = ("authorization", f"Bearer {OPERATOR}")
        task = client.begin("/_cache/api/events", [line], visit=visit)
        await until(lambda: b"event: hello" in visit.reply.body)
        task.cancel()
        await until(task.done)

        assert _is_untouched(manager)


async def test_nor_when_the_cache_is_off() -> None:
    """The reason for a bypass may be another one then."""
    async with made(mode="off") as manager:
        client = Client(CacheMiddleware(_plain(manager), manager, rules=[Rule("/*", 60)]))
        for path in ("/_cache/api", "/metrics/"):
            await client.get(path)

        assert _is_untouched(manager)


async def test_what_an_application_marks_itself_is_counted() -> None:
    """`no_cache` says that an endpoint is not cached, not that it is no traffic."""

    @no_cache
    async def own(request: Request) -> Response:
        return PlainTextResponse("own")

    async with made() as manager:
        app = _plain(manager)
        app.add_route("/own", own)
        client = Client(CacheMiddleware(app, manager))
        listener = manager.engine.events.live.listen()
        for path in ("/own", "/_cache/api", "/own"):
            await client.get(path)
        stats = manager.stats()

        assert {route: dict(one.passes) for route, one in stats.routes.items()} == {
            "/own": {"no-cache-annotation": 2}
        }
        assert [event["route"] for event in listener.take()[0]] == ["/own"]


async def test_the_plans_of_its_targets_have_one_kind() -> None:
    """Many targets must not push the kinds of the application's own routes out."""
    async with made() as manager:
        app = CacheMiddleware(_plain(manager), manager)
        client = Client(app)
        for number in range(20):
            await client.get(f"/metrics/?{number}")
        kinds = {id(kept.common) for kept in app._plans.at_hand[1].values()}

        assert (len(app._plans), len(kinds)) == (20, 1)


@pytest.mark.parametrize("protocol", [pair[1] for pair in PAIRS.values()], ids=PAIRS)
async def test_nor_where_the_cache_stands_in_front_of_asgi(protocol: Any) -> None:
    """The server asks the cache first, which knows these targets from the second request on."""
    manager = made()
    app = _plain(manager)
    app.add_middleware(CacheMiddleware, cache=manager, rules=[Rule("/*", 60)])
    async with served(app, protocol) as server:
        for method in ("GET", "HEAD", "POST"):
            for target in ("/_cache/api", "/metrics/"):
                lines = ["host: a.example", "connection: close", "content-length: 0"]
                request = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode()
                for _ in range(3):
                    assert (await server.send(request)).startswith(b"HTTP/1.1 ")

        assert front_of(server.config).cache is not None
        assert _is_untouched(manager)
