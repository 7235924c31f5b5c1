"""An application for servers in processes of their own: a value, its edits, and a slow route.

Set up by the environment: `REDIS_URL`, and `ASGI_MULTITIER_NAMESPACE`.
"""

import asyncio
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheMiddleware, Rule, cached, invalidates

TRACES = Path(os.environ["TRACES"])
"""A directory in which each run of the origin leaves a line, shared by all processes."""


def note(line: str) -> None:
    """Leave a line."""
    with (TRACES / "lines").open("a") as file:
        file.write(line + "\n")


def value() -> str:
    """The value that all processes share."""
    file = TRACES / "value"
    return file.read_text() if file.exists() else "0"


@cached(300, tags=["value"])
async def read(request: Request) -> Response:
    return PlainTextResponse(value())


@invalidates(tags=["value"])
async def write(request: Request) -> Response:
    (TRACES / "value").write_text(request.path_params["value"])
    return PlainTextResponse("ok")


async def slow(request: Request) -> Response:
    """Waits until the file `go` is there."""
    note("slow")
    while not (TRACES / "go").exists():  # noqa: ASYNC110  # another process makes it
        await asyncio.sleep(0.01)
    return PlainTextResponse("slow " * 1000)


async def stats(request: Request) -> Response:
    manager = request.state.cache
    reading = manager.stats()
    return JSONResponse(
        {
            "in_flight": reading.in_flight,
            "fills": reading.fills,
            "waiting": sum(f.waiting for f in manager.engine.flights._flights.values()),
            "trusted": manager.invalidation_stats().trusted,
            "writes": sum(tier.writes for tier in reading.tiers[1:]),
        }
    )


app = Starlette(
    routes=[
        Route("/value", read),
        Route("/value/{value}", write, methods=["PUT"]),
        Route("/slow", slow),
        Route("/stats", stats),
    ],
    middleware=[Middleware(CacheMiddleware, rules=[Rule("/slow", 300, coalesce_timeout=300)])],
)
