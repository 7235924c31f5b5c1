"""One `Date` in every response, whoever serves it: the moment at which its content was made."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule
from asgi_multitier._types import ASGIApp
from asgi_multitier.asgi.layers import take_date
from asgi_multitier.policy.dates import parse_http_date
from asgi_multitier.testing import FakeClock
from tests.patience import until

LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"
START = 1_800_000_000.0


async def undated(request: Request) -> Response:
    return PlainTextResponse("undated")


async def own(request: Request) -> Response:
    return PlainTextResponse("dated", headers={"Date": LONG_AGO})


ROUTES = [
    Route("/undated", undated, methods=["GET", "POST"]),
    Route("/own", own),
    Route("/beside", undated),
]
RULES = [Rule("/undated", 300), Rule("/own", 300)]


def outside(cache: CacheManager) -> ASGIApp:
    return CacheMiddleware(Starlette(routes=ROUTES), cache, rules=RULES)


def added(cache: CacheManager) -> ASGIApp:
    return Starlette(
        routes=ROUTES, middleware=[Middleware(CacheMiddleware, cache=cache, rules=RULES)]
    )


@asynccontextmanager
async def served(app: ASGIApp, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An application behind uvicorn with its defaults."""
    config = uvicorn.Config(app, port=0, log_level="error", **settings)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client
    server.should_exit = True
    await task


@pytest.mark.parametrize("build", [outside, added])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_hit_has_the_date_of_its_content_and_no_other(build: Any, http: str) -> None:
    """uvicorn's own is not added to it, and every other response has one as before."""
    clock = FakeClock()
    cache = CacheManager(redis_url=None, clock=clock, wall=lambda: START + clock.now)
    async with served(build(cache), http=http) as client:
        first = await client.get("/undated")
        clock.advance(7)
        hit = await client.get("/undated")
        others = [
            await client.get("/own"),
            await client.get("/own"),
            await client.get("/beside"),
            await client.post("/undated"),
            await client.get("/absent"),
        ]

        made = parse_http_date(first.headers.get_list("date")[0].encode(), START)
        assert made == START + 1_000
        assert hit.headers.get_list("date") == first.headers.get_list("date")
        assert (hit.headers["age"], "; hit" in hit.headers["cache-status"]) == ("7", True)
        assert [len(reply.headers.get_list("date")) for reply in others] == [1] * 5
        assert [reply.headers["date"] for reply in others[:2]] == [LONG_AGO] * 2


async def test_a_server_without_its_date_is_left_alone() -> None:
    """`--no-date-header` means that there is no other `Date` than the application's."""
    cache = CacheManager(redis_url=None)
    async with served(outside(cache), date_header=False) as client:
        assert "date" not in (await client.get("/beside")).headers
        assert (await client.get("/own")).headers["date"] == LONG_AGO


class Lifespan:
    """The lifespan of a server, by its settings."""

    def __init__(self, config: object) -> None:
        self.config = config

    async def receive(self) -> Any:
        raise AssertionError


@pytest.mark.parametrize("switch", ["date_header", "include_date_header"])
def test_the_switches_of_servers_are_known(switch: str) -> None:
    """uvicorn's and hypercorn's; a second cache finds the work done."""
    config = SimpleNamespace(**{switch: True})

    assert take_date(Lifespan(config).receive)
    assert getattr(config, switch) is False
    assert not take_date(Lifespan(config).receive)


def test_other_servers_are_left_alone() -> None:
    """A function, or settings without such a switch."""

    async def receive() -> Any:
        raise AssertionError

    assert not take_date(receive)
    assert not take_date(Lifespan(SimpleNamespace(other=True)).receive)
    assert not take_date(Lifespan(None).receive)
