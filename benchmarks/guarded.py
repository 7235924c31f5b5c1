"""In-process cost of a guarded hit: against the same route with a ready response, as a bypass.

What is left is the framework's own: it routes, runs one dependency and calls the endpoint in both.
"""

import asyncio
import time
from collections.abc import Callable, MutableMapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response

from asgi_multitier import CacheManager, CacheMiddleware, cached, no_cache

from .options import Options, Spread, table
from .scopes import PLAIN, discard, receive, scope_of

CALLS, ROUNDS = 100, 60
USER = (b"authorization", b"Bearer one")
BODY = b"[" + b",".join(b'{"id":%d,"name":"item %d"}' % (n, n) for n in range(100)) + b"]"


async def user(request: Request) -> str:
    """The guard."""
    return request.headers["authorization"]


def build(manager: CacheManager, mark: Callable[[Any], Any]) -> Any:
    """An application with one route behind the guard."""
    app = FastAPI(title="Guarded benchmark")

    @app.get("/items")
    @mark
    async def items(user: Annotated[str, Depends(user)]) -> Response:
        return Response(BODY, media_type="application/json")

    return CacheMiddleware(app, manager)


async def _time(app: Any, *fields: tuple[bytes, bytes]) -> float:
    begun = time.perf_counter_ns()
    for _ in range(CALLS):
        await app(scope_of("/items", *PLAIN, USER, *fields), receive, discard)
    return (time.perf_counter_ns() - begun) / CALLS / 1000


async def _etag(app: Any) -> bytes:
    """The tag of what is stored; the second answer is a hit."""
    lines: dict[bytes, bytes] = {}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            lines.update(message["headers"])

    for _ in range(2):
        await app(scope_of("/items", *PLAIN, USER), receive, send)
    assert b"hit" in lines[b"cache-status"]
    return lines[b"etag"]


async def measure(rounds: int) -> tuple[Spread, Spread, Spread]:
    """Microseconds of the bypass; the hit and its 304 as ratios to it."""
    async with CacheManager(redis_url=None) as passed, CacheManager(redis_url=None) as manager:
        bypass = build(passed, no_cache)
        await _time(bypass)
        app = build(manager, cached(600, guarded=True, vary_by="{user}"))
        condition = (b"if-none-match", await _etag(app))
        ready, hits, unchanged = [], [], []
        for _ in range(rounds):
            base = await _time(bypass)
            ready.append(base)
            hits.append(await _time(app) / base)
            unchanged.append(await _time(app, condition) / base)
    return Spread(tuple(ready)), Spread(tuple(hits)), Spread(tuple(unchanged))


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    ready, hit, unchanged = asyncio.run(measure(options.rounds or ROUNDS))
    rows = []
    for text, figures in (("hit", hit), ("its 304", unchanged)):
        low, high = figures.tenths
        rows.append([text, f"{figures.median:.2f}", f"{low:.2f} to {high:.2f}"])
    head = f"guarded, FastAPI with one dependency ({ready.median:.0f} us without a cache)"
    return table([head, "x the ready response", "p10 to p90"], rows)
