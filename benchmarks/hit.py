"""In-process cost of a hit: nanoseconds above a bare ASGI call, median of interleaved rounds."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from asgi_multitier import CacheManager, CacheMiddleware, Rule

from .apps import bare

CALLS = 100
"""Calls per timing: few, because a server uses its request objects soon after creation."""

ROUNDS = 600


def scope_of(path: str, *fields: tuple[bytes, bytes]) -> dict[str, Any]:
    """A request as uvicorn passes it: new objects, the usual fields, and these."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"bench/1.0"),
            (b"accept", b"*/*"),
            (b"accept-encoding", b"gzip, deflate, br"),
            (b"connection", b"keep-alive"),
            *fields,
        ],
    }


async def _no_receive() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _no_send(message: MutableMapping[str, Any]) -> None:
    pass


async def _time(app: Callable[..., Awaitable[None]], numbers: list[int]) -> float:
    scopes = [scope_of(f"/items/{number}") for number in numbers]
    begun = time.perf_counter_ns()
    for scope in scopes:
        await app(scope, _no_receive, _no_send)
    return (time.perf_counter_ns() - begun) / len(scopes)


async def measure(entries: int) -> tuple[float, float]:
    """Nanoseconds of a bare call and of a hit, with this many entries in the first tier."""
    manager = CacheManager(redis_url=None, l1_bytes=1 << 30, l1_entries=entries + 1)
    app = CacheMiddleware(bare, manager, rules=[Rule("/items/*", 10_800, tags=["item"])])
    async with manager:
        for number in range(entries):
            await app(scope_of(f"/items/{number}"), _no_receive, _no_send)
        bares, hits = [], []
        chosen = random.Random(1)
        for _ in range(ROUNDS):
            numbers = chosen.choices(range(entries), k=CALLS)
            bares.append(await _time(bare, numbers))
            hits.append(await _time(app, numbers))
        served = manager.stats().l1_hits
        assert served == CALLS * ROUNDS, served
    return statistics.median(bares), statistics.median(hits)


def main() -> list[str]:
    """Measure, and return the lines of the report."""
    lines = []
    for entries in (2_000, 100_000):
        alone, hit = asyncio.run(measure(entries))
        lines.append(
            f"hit in process, {entries:>7,} entries: bare {alone:.0f} ns, hit {hit:.0f} ns, "
            f"over bare {hit - alone:.0f} ns ({hit / alone:.1f} x)"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
