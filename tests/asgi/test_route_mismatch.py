"""The router chooses another endpoint than was predicted: noticed, counted, and read again."""

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import Policy, Rule, cached
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from tests.support import EVERYTHING, caching


async def test_a_table_out_of_date_is_noticed_and_built_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The router chose another endpoint than predicted: not stored by the wrong rule, counted."""

    async def old(request: Request) -> Response:
        return PlainTextResponse("old")

    async def new(request: Request) -> Response:
        return PlainTextResponse("new")

    route = Route("/x", old)
    inner = Starlette(routes=[route])
    async with caching(inner) as cache:
        await cache.get("/x?1")
        route.endpoint = new
        route.app = Route("/x", new).app
        changed = await cache.get("/x?2")
        after = [await cache.get("/x?2") for _ in range(2)]

        assert changed.detail == "mismatch"
        assert changed.body == b"new"
        assert after[1].hit
        assert cache.manager.stats().failures == {"route-mismatch": 1}
        assert "out of date" in caplog.text


async def test_routes_that_are_predicted_wrongly_each_time_are_not_read_for_each_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A layer inside of the cache gives the router another path: lines and readings grow slowly."""

    async def page(request: Request) -> Response:
        return PlainTextResponse(request.url.path)

    async def root(request: Request) -> Response:
        return PlainTextResponse("root")

    site = Starlette(routes=[Route("/", root), Route("/page", page)])

    async def localised(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = scope["path"].removeprefix("/en")
        await site(scope, receive, send)

    localised.app = site  # type: ignore[attr-defined]
    async with caching(localised, [Rule("/*", 60)]) as cache:
        visits = [await cache.get("/en/page") for _ in range(20)]
        generation = cache.middleware.table.generation
        lines = [r.getMessage() for r in caplog.records if "out of date" in r.getMessage()]

        assert {visit.detail for visit in visits} == {"mismatch"}
        assert cache.manager.stats().failures == {"route-mismatch": 20}
        assert len(lines) == 5  # at the 1st, 2nd, 4th, 8th and 16th
        assert generation <= 6


async def test_a_head_of_another_endpoint_says_nothing_of_what_is_stored() -> None:
    """The router chose another endpoint for it than predicted: noticed, and nothing is renewed."""

    async def old(request: Request) -> Response:
        return PlainTextResponse("old", headers={"cache-control": "max-age=2", "etag": '"1"'})

    async def new(request: Request) -> Response:
        return PlainTextResponse("new", headers={"cache-control": "max-age=60", "etag": '"1"'})

    route = Route("/x", old)
    inner = Starlette(routes=[route])
    async with caching(inner, (), default=Policy.from_origin()) as cache:
        await cache.get("/x")
        cache.clock.advance(3)
        route.endpoint = new
        route.app = Route("/x", new).app
        await cache.client.request("HEAD", "/x")
        after = await cache.get("/x")

        assert not after.hit
        assert cache.manager.stats().failures == {"route-mismatch": 1}


async def test_a_mismatch_is_noticed_where_a_request_bypasses_the_cache() -> None:
    """A route without a rule has another endpoint by now, which is cached from the next one on."""

    async def old(request: Request) -> Response:
        return PlainTextResponse("old")

    @cached(60)
    async def new(request: Request) -> Response:
        return PlainTextResponse("new")

    route = Route("/x", old)
    inner = Starlette(routes=[route])
    async with caching(inner, ()) as cache:
        before = await cache.get("/x")
        route.endpoint = new
        route.app = Route("/x", new).app
        after = [await cache.get("/x") for _ in range(3)]

        assert before.detail == after[0].detail == "no-rule"
        assert [reply.hit for reply in after] == [False, False, True]
        assert cache.manager.stats().failures == {"route-mismatch": 1}


async def _page(request: Request) -> Response:
    return PlainTextResponse("x")


_routes = [Route("/page", _page)]
_mounting = FastAPI()
_mounting.mount("/inner", Starlette(routes=_routes))


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(Starlette(routes=[Mount("/inner", routes=_routes)]), id="routes"),
        pytest.param(_mounting, id="an application"),
    ],
)
@pytest.mark.parametrize("rules", [EVERYTHING, ()], ids=["cached", "bypassed"])
async def test_a_mount_without_such_a_route_is_no_mismatch(
    app: ASGIApp, rules: tuple[Rule, ...]
) -> None:
    """The router has chosen the mount and no endpoint: other targets keep their plans."""
    async with caching(app, rules) as cache:
        for target in ("/inner/page", "/inner/absent", "/inner/absent"):
            await cache.get(target)

        assert cache.manager.stats().failures == {}
        assert len(cache.middleware._plans) == 2
