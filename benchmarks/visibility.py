"""What looking at a cache costs: its hits while it is watched, and how long looks keep the loop.

Hits are asked of two caches in one process, in turns: one that nothing looks at, and one whose
figures are scraped once a second, with an operator who listens to its events. Everything else is in
CPU time of the event loop's thread, so that other processes of the machine do not count.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule, cached, invalidates

from .apps import bare
from .memory import Turns
from .options import Options, Spread, table
from .origin import BODY
from .scopes import PLAIN, discard, receive, scope_of

CALLS, ROUNDS, PATHS = 1_000, 60, 2_000
ENTRIES, ROUTES = 100_000, 2_000
SIZES = (2, 200, 2_000)
TOKEN = "benchmark-" + "b" * 32
OPERATOR = (b"authorization", b"Bearer " + TOKEN.encode())
JSON = (b"content-type", b"application/json")


def build(routes: int) -> tuple[CacheManager, CacheMiddleware]:
    """A cache around an application with so many routes, and what operators look at.

    Every second route is cached, and each other one drops a tag of the one before it.
    """
    manager = CacheManager(
        redis_url=None, l1_bytes=4096 << 20, l1_entries=1_000_000, namespace="visibility"
    )
    mounts = (("/_cache", manager.admin(TOKEN)), ("/metrics", manager.metrics(token=TOKEN)))
    pairs = [each for number in range(routes // 2) for each in _pair(number)]
    app = Starlette(routes=[*pairs, *(Mount(path, each) for path, each in mounts)])
    rules = [Rule("/items/*", 10_800, tags=["item"])]
    return manager, CacheMiddleware(app, manager, rules=rules)


def _pair(number: int) -> Iterator[Route]:
    @cached(600, tags=[f"thing{number}:{{id}}"])
    async def get(request: Request) -> Response:
        return Response(BODY)

    @invalidates(tags=[f"thing{number}:{{id}}"])
    async def put(request: Request) -> Response:
        return Response(b"")

    yield Route(f"/things{number}/{{id}}", get)
    yield Route(f"/things{number}/{{id}}/parts", put, methods=["PUT"])


async def items(request: Request) -> Response:
    """What hits are asked for."""
    return Response(BODY)


def caching_items() -> tuple[CacheManager, CacheMiddleware]:
    """A cache with one route for many entries."""
    manager, app = build(2)
    app.app.router.routes.insert(0, Route("/items/{number}", items))  # type: ignore[attr-defined]
    return manager, app


async def ask(app: Any, path: str, *lines: tuple[bytes, bytes], body: bytes | None = None) -> bytes:
    """The content of a response.

    Raises:
        RuntimeError: If it is an error.
    """
    parts: list[bytes] = []

    async def content() -> dict[str, Any]:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))
        if message.get("status", 200) >= 400:
            raise RuntimeError(f"{path}: {message}")

    method = "GET" if body is None else "POST"
    scope = scope_of(path.partition("?")[0], *PLAIN, *lines, method=method)
    scope["query_string"] = path.partition("?")[2].encode()
    await app(scope, content, send)
    return b"".join(parts)


async def fill(app: Any, entries: int) -> None:
    """Ask for each entry once, and let other tasks run."""
    for number in range(entries):
        await app(scope_of(f"/items/{number}", *PLAIN), receive, discard)
        if number % 100 == 0:
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def watched(app: Any) -> AsyncIterator[None]:
    """Scrape the figures once a second, and listen to what happens."""

    async def scrape() -> None:
        while True:
            await ask(app, "/metrics/", OPERATOR)
            await asyncio.sleep(1)

    async def stays() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    scope = scope_of("/_cache/api/events", *PLAIN, OPERATOR)
    listening = app(scope, stays, discard)
    tasks = [asyncio.ensure_future(run) for run in (scrape(), listening)]
    await asyncio.sleep(0.01)
    if any(task.done() for task in tasks):
        raise RuntimeError("nothing watches")
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hits(rounds: int, calls: int = CALLS, paths: int = PATHS) -> list[list[str]]:
    """A plain hit, with and without somebody who looks, as ratios to a bare call.

    What runs in the loop meanwhile is in the time of each.
    """
    async with contextlib.AsyncExitStack() as stack:
        apps: dict[str, Any] = {"bare": bare}
        for name in ("nothing looks", "watched"):
            manager, apps[name] = caching_items()
            await stack.enter_async_context(manager)
            for _ in range(3):
                await fill(apps[name], paths)
        await stack.enter_async_context(watched(apps["watched"]))
        ratios: dict[str, list[float]] = {name: [] for name in (*apps, "x the other")}
        order = random.Random(1)
        for _ in range(rounds):
            took = {
                name: await _time(apps[name], order.choices(range(paths), k=calls))
                for name in order.sample([*apps], len(apps))
            }
            for name in apps:
                ratios[name].append(took[name] / took["bare"])
            ratios["x the other"].append(took["watched"] / took["nothing looks"])
    del ratios["bare"]
    return [_row(f"hit, {name}", figures, "x") for name, figures in ratios.items()]


async def _time(app: Any, numbers: list[int]) -> float:
    scopes = [scope_of(f"/items/{number}", *PLAIN) for number in numbers]
    begun = time.thread_time_ns()
    for at, scope in enumerate(scopes):
        await app(scope, receive, discard)
        if at % 100 == 0:
            await asyncio.sleep(0)
    return float(time.thread_time_ns() - begun)


async def longest(run: Callable[[], Awaitable[object]], rounds: int) -> list[float]:
    """CPU milliseconds of the longest turn of the loop, of each round."""
    found = []
    for _ in range(rounds):
        turns = Turns()
        await asyncio.sleep(0)
        turns.longest = 0.0
        await run()
        await asyncio.sleep(0)
        turns.stop()
        await asyncio.sleep(0)
        found.append(turns.longest * 1000)
    return found


async def reports(rounds: int, routes: int = ROUTES) -> list[list[str]]:
    """A scrape and the report of the routes, of an application with many."""
    manager, app = build(routes)
    async with manager:
        for number in range(routes // 2):
            await ask(app, f"/things{number}/1")
            await ask(app, f"/things{number}/1")
        found = {
            f"a scrape of {routes:,} routes": lambda: ask(app, "/metrics/", OPERATOR),
            f"the report of {routes:,} routes": lambda: ask(app, "/_cache/api/routes", OPERATOR),
        }
        return [
            _row(f"longest turn, {name}", await longest(run, rounds), "ms")
            for name, run in found.items()
        ]


async def walks(rounds: int, entries: int = ENTRIES) -> list[list[str]]:
    """Reading through all entries, counting what would be dropped, and dropping all."""
    manager, app = caching_items()
    async with manager:
        await fill(app, entries)

        async def counted() -> None:
            content = b'{"tags":["item"],"dry_run":true}'
            await ask(app, "/_cache/api/invalidate", OPERATOR, JSON, body=content)

        async def dropped() -> None:
            content = b'{"all":true,"confirm":"visibility","dry_run":false}'
            await ask(app, "/_cache/api/invalidate", OPERATOR, JSON, body=content)

        listing = "/_cache/api/entries?sort=size"
        figures = {
            "a list": await longest(lambda: ask(app, listing, OPERATOR), rounds),
            "a count": await longest(counted, rounds),
            "dropping all": await longest(dropped, 1),
        }
    return [
        _row(f"longest turn, {name}, {entries:,} entries", found, "ms")
        for name, found in figures.items()
    ]


async def explanations(
    rounds: int, sizes: tuple[int, ...] = SIZES, calls: int = 20
) -> list[list[str]]:
    """`CacheManager.explain` in applications with few and many routes: CPU time of a call."""
    rows = []
    for size in sizes:
        manager, app = build(size)
        async with manager:
            path = f"/things{size // 2 - 1}/1"
            await ask(app, path)
            await manager.explain("GET", path)
            found = []
            for _ in range(rounds):
                begun = time.thread_time()
                for _ in range(calls):
                    await manager.explain("GET", path)
                found.append((time.thread_time() - begun) / calls * 1000)
        rows.append(_row(f"explain, {size:,} routes", found, "ms"))
    return rows


def _row(text: str, figures: list[float], unit: str) -> list[str]:
    spread = Spread(tuple(figures))
    low, high = spread.tenths
    return [text, f"{spread.median:.2f} {unit}", f"{low:.2f} to {high:.2f}"]


CASES: dict[str, Callable[[int], Awaitable[list[list[str]]]]] = {
    "hits": hits,
    "reports": reports,
    "walks": walks,
    "explain": explanations,
}


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""

    async def rows(case: str) -> list[list[str]]:
        return await CASES[case](options.rounds or (ROUNDS if case == "hits" else 5))

    found = [row for case in options.chosen(CASES) for row in asyncio.run(rows(case))]
    return table(["looking at a cache", "median", "p10 to p90"], found)
