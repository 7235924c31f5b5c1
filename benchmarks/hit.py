"""In-process cost of a hit, for each usual kind of request, as a ratio to a bare ASGI call.

Each case has a process of its own, so that its hits find in the processor's caches what hits of its
own entries have left. In each round every case has its turn, in shuffled order, while the others
wait. A turn is a few alternations of bare calls and hits, the same requests for both, and its ratio
is that of the medians.
"""

import asyncio
import contextlib
import gc
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from asgi_multitier import CacheManager, CacheMiddleware, Rule

from .apps import bare
from .options import Options, Spread, table
from .origin import BODY, HEADERS
from .scopes import (
    BROWSER,
    CLIENTS,
    PLAIN,
    Lines,
    cookie,
    discard,
    forwarded,
    receive,
    scope_of,
)

CALLS = 100
"""Calls per timing: few, because a server uses its request objects soon after creation."""

TURNS = 5
"""Timings of bare calls and of hits in one turn."""

ROUNDS = 60
ENTRIES = 2_000

App = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of hit.

    Attributes:
        text: What the report calls it.
        lines: The field lines of a request, from the number of its client.
        options: Of the rule.
        method: Of the requests.
        app: The application behind the cache.
        entries: Different paths that are asked for.
        status: Of the hits.
        condition: Whether `If-None-Match` is sent, with the entity tag that the client was given.
    """

    text: str
    lines: Callable[[int], Lines] = lambda client: PLAIN
    options: dict[str, Any] | None = None
    method: str = "GET"
    app: App = bare
    entries: int = ENTRIES
    status: int = 200
    condition: bool = False


async def _varying(scope: Any, receive: Any, send: Any) -> None:
    """The bare application; its response says that it varies."""
    lines = [*HEADERS, (b"vary", b"accept-encoding")]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": BODY})


def _tenant(request: Any) -> str:
    tenant: str = request.headers["x-tenant"]
    return tenant


def _tenant_of(client: int) -> Lines:
    return *PLAIN, (b"x-tenant", b"tenant-%d" % (client % 4))


def _language_of(client: int) -> Lines:
    """A browser's fields, with one of two languages."""
    language = (b"en-GB,en;q=0.9", b"de-DE,de;q=0.8,en;q=0.6")[client % 2]
    return *BROWSER[:-1], (b"accept-language", language)


CASES = {
    "plain": Case("plain"),
    "plain-100k": Case("plain, 100,000 entries", entries=100_000),
    "browser": Case("browser, 13 fields", lambda client: BROWSER),
    "head": Case("HEAD", method="HEAD"),
    "public": Case(
        "`public=True`, browser with cookies",
        lambda client: BROWSER + cookie(client),
        {"public": True},
    ),
    "origin": Case("`Origin`", lambda client: (*PLAIN, (b"origin", b"https://shop.example"))),
    "forwarded": Case("reverse proxy, `X-Forwarded-*`", lambda client: PLAIN + forwarded(client)),
    "cookies": Case("`cookies=`", lambda client: PLAIN + cookie(client), {"cookies": ["theme"]}),
    "ignore-cookies": Case(
        "`ignore_cookies=True`",
        lambda client: PLAIN + cookie(client),
        {"ignore_cookies": True},
    ),
    "vary": Case("`vary=`, browser", _language_of, {"vary": ["accept-language"]}),
    "response-vary": Case("response with `Vary: accept-encoding`", app=_varying),
    "vary-by": Case("`vary_by=`, a plain function", _tenant_of, {"vary_by": _tenant}),
    "not-modified": Case("`If-None-Match` with the same tag: 304", status=304, condition=True),
    "range": Case(
        "`Range` of a hot body: 206",
        lambda client: (*PLAIN, (b"range", b"bytes=0-99")),
        status=206,
    ),
}


_OF_ONE_REQUEST = frozenset((b"if-none-match", b"range"))
"""Fields that a request which fills the cache does not have."""


class Bench:
    """A case, its cache, and the requests that are sent to it.

    Attributes:
        ratios: Of a hit to a bare call, one a round.
        above: Nanoseconds of a hit above a bare call, one a round.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.manager = CacheManager(redis_url=None, l1_bytes=1 << 30, l1_entries=1_000_000)
        rule = Rule("/items/*", 10_800, tags=["item"], **(case.options or {}))
        self._app = CacheMiddleware(case.app, self.manager, rules=[rule])
        self._clients = [case.lines(client) for client in range(CLIENTS)]
        self._random = random.Random(1)
        self.ratios: list[float] = []
        self.above: list[float] = []

    async def fill(self) -> None:
        """Store what will be asked for.

        Raises:
            RuntimeError: If a request is then no hit with the status of the case.
        """
        for number in range(self.case.entries):
            lines = self._clients[number % CLIENTS]
            whole = [line for line in lines if line[0] not in _OF_ONE_REQUEST]
            await self._app(scope_of(f"/items/{number}", *whole), receive, discard)
        if self.case.condition:
            _, fields = await self._answer()
            condition = (b"if-none-match", fields[b"etag"])
            self._clients = [(*lines, condition) for lines in self._clients]
        await self._warm()
        status, fields = await self._answer()
        if status != self.case.status or b"; hit" not in fields[b"cache-status"]:
            raise RuntimeError(f"{self.case.text}: no such hit, but {status} with {fields}")

    async def _warm(self) -> None:
        """Ask once as every kind of client for everything: plans are made, keys are known."""
        for number in range(self.case.entries):
            for _ in range(2):
                await self._app(self._scope(number), receive, discard)

    async def _answer(self) -> tuple[int, dict[bytes, bytes]]:
        """Status and fields of the response to one request."""
        starts: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            starts.append(message)

        await self._app(self._scope(0), receive, send)
        return starts[0]["status"], dict(starts[0]["headers"])

    def _scope(self, number: int) -> dict[str, Any]:
        """A request for an entry, of one of the clients with whose kind it was filled."""
        client = (number + 4 * self._random.randrange(CLIENTS // 4)) % CLIENTS
        return scope_of(f"/items/{number}", *self._clients[client], method=self.case.method)

    async def _time(self, app: App, numbers: list[int]) -> float:
        """Nanoseconds of one of these calls."""
        asked = [self._scope(number) for number in numbers]
        begun = time.perf_counter_ns()
        for scope in asked:
            await app(scope, receive, discard)
        return (time.perf_counter_ns() - begun) / len(asked)

    async def turn(self, calls: int) -> None:
        """One round of this case.

        Raises:
            RuntimeError: If a request was no hit.
        """
        before = self.manager.stats().l1_hits
        bares, hits = [], []
        for _ in range(TURNS):
            numbers = self._random.choices(range(self.case.entries), k=calls)
            bares.append(await self._time(bare, numbers))
            hits.append(await self._time(self._app, numbers))
        served = self.manager.stats().l1_hits - before
        if served != TURNS * calls:
            raise RuntimeError(f"{self.case.text}: {served} hits of {TURNS * calls} requests")
        one, other = statistics.median(hits), statistics.median(bares)
        self.ratios.append(one / other)
        self.above.append(one - other)

    def row(self) -> list[str]:
        """Its line of the table."""
        ratios, above = Spread(tuple(self.ratios)), Spread(tuple(self.above))
        low, high = ratios.tenths
        times = f"{ratios.median:.1f}", f"{low:.1f} to {high:.1f}", f"{above.median:,.0f}"
        return [self.case.text, *times]


async def measure(case: Case, turns: Iterable[object], calls: int = CALLS) -> list[str]:
    """The row of a case.

    What was stored before the first turn is left out of garbage collections.

    Args:
        case: What is measured.
        turns: Gives as many as there are rounds, each when it is to begin.
        calls: See `CALLS`.
    """
    bench = Bench(case)
    async with bench.manager:
        await bench.fill()
        gc.freeze()
        try:
            for _ in turns:
                await bench.turn(calls)
        finally:
            gc.unfreeze()
    return bench.row()


_DONE = "done"
"""What a process says when it is ready, and after each turn."""


def _asked() -> Iterator[str]:
    """A turn for each line of the standard input; says that the one before is over."""
    print(_DONE, flush=True)
    for line in sys.stdin:
        yield line
        print(_DONE, flush=True)


def measured(names: Iterable[str], rounds: int) -> list[list[str]]:
    """The rows of the table.

    Raises:
        RuntimeError: If a process ends before it was told to.
    """
    command, pipe = [sys.executable, "-m", "benchmarks.hit"], subprocess.PIPE
    with contextlib.ExitStack() as stack:
        running: list[subprocess.Popen[str]] = []
        for name in names:
            process = subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            running.append(process)
        for process in running:
            _said(process)
        order = random.Random(2)
        for _ in range(rounds):
            for process in order.sample(running, len(running)):
                print(file=process.stdin, flush=True)
                _said(process)
        return [json.loads(process.communicate()[0]) for process in running]


def _said(process: "subprocess.Popen[str]") -> None:
    """Wait until a process is ready, or its turn over."""
    if process.stdout is None or process.stdout.readline().strip() != _DONE:
        raise RuntimeError("a case has ended before its time; its error is above")


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    rows = measured(options.chosen(CASES), options.rounds or ROUNDS)
    return table(["hit in process", "x bare call", "p10 to p90", "ns above it"], rows)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(CASES[sys.argv[1]], _asked()))))
