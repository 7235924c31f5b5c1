"""In-process cost of a guarded hit: against the same route with a ready response, as a bypass.

What is left is the framework's own: it routes, runs one dependency and calls the endpoint in both.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, MutableMapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response

from asgi_multitier import CacheManager, CacheMiddleware, cached, no_cache

from .hit import scope_of

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


async def _receive() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _time(app: Any, *fields: tuple[bytes, bytes]) -> float:
    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    begun = time.perf_counter_ns()
    for _ in range(CALLS):
        await app(scope_of("/items", USER, *fields), _receive, send)
    return (time.perf_counter_ns() - begun) / CALLS / 1000


async def _etag(app: Any) -> bytes:
    """The tag of what is stored; the second answer is a hit."""
    lines: dict[bytes, bytes] = {}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            lines.update(message["headers"])

    for _ in range(2):
        await app(scope_of("/items", USER), _receive, send)
    assert b"hit" in lines[b"cache-status"]
    return lines[b"etag"]


async def measure() -> tuple[float, float, float]:
    """Microseconds of the bypass; the hit and its 304 as ratios to it, medians of rounds."""
    async with CacheManager(redis_url=None) as passed, CacheManager(redis_url=None) as manager:
        bypass = build(passed, no_cache)
        await _time(bypass)
        app = build(manager, cached(600, guarded=True, vary_by="{user}"))
        condition = (b"if-none-match", await _etag(app))
        ready, hits, unchanged = [], [], []
        for _ in range(ROUNDS):
            base = await _time(bypass)
            ready.append(base)
            hits.append(await _time(app) / base)
            unchanged.append(await _time(app, condition) / base)
    return statistics.median(ready), statistics.median(hits), statistics.median(unchanged)


def main() -> list[str]:
    """Measure, and return the lines of the report."""
    base, hit, unchanged = asyncio.run(measure())
    ratios = f"hit {hit:.2f} x, 304 {unchanged:.2f} x"
    return [f"guarded, FastAPI with one dependency: ready response {base:.0f} us, {ratios}"]


if __name__ == "__main__":
    print("\n".join(main()))
