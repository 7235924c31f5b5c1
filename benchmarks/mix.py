"""Reads and edits together: 95 % reads of 1,000 books, 5 % edits, and a query of 20 ms behind each.

The most popular book is asked for and edited twice as often as the second, three times as often as
the third, and so on.

One worker on one core; the client on the other has 64 connections, each with one request at a time.
It knows of each book the newest version whose edit was answered, and counts a read as old if it was
sent after that and got an older version.
"""

import asyncio
import contextlib
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import cast

import uvloop

from .options import Options, Spread, table
from .peers.environment import PEERS, environments
from .proxies import nginx, varnish
from .servers import CONNECTIONS, GENERATOR, MissingError, Server, ask, running, serving

BOOKS = 1_000
POPULARITY = [*itertools.accumulate(1 / rank for rank in range(1, BOOKS + 1))]
EDITS = 0.05
ROUNDS, SECONDS = 3, 3
WARM = 1
"""Seconds between the first read of each book and the figures of time."""


class _Reader(asyncio.Protocol):
    """A connection that asks again as soon as it is answered."""

    def __init__(self, newest: list[int], figures: "_Figures", chosen: random.Random) -> None:
        self._newest = newest
        self._figures = figures
        self._chosen = chosen
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is no subclass
        self._ask()

    def _ask(self) -> None:
        unread = next(self._figures.unread, None)
        self._fills = unread is not None
        if unread is None:
            self._figures.filled.set()
            (self._book,) = self._chosen.choices(range(BOOKS), cum_weights=POPULARITY)
        else:
            self._book = unread
        self._edits = not self._fills and self._chosen.random() < EDITS
        self._least = self._newest[self._book]
        method = "PUT" if self._edits else "GET"
        request = f"{method} /books/{self._book} HTTP/1.1\r\nHost: bench\r\n"
        end = "Content-Length: 0\r\n\r\n" if self._edits else "\r\n"
        self._begun = time.perf_counter()
        self._transport.write((request + end).encode())

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, content = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(content) < int(length):
            return
        self._data = b""
        self._figures.took.append(time.perf_counter() - self._begun)
        if b" 200 " not in head[:16]:
            self._figures.errors += 1
        else:
            version = json.loads(content)["version"]
            if self._edits:
                self._newest[self._book] = max(version, self._newest[self._book])
            elif not self._fills:
                self._figures.reads += 1
                self._figures.old += version < self._least
        self._ask()


class _Figures:
    def __init__(self) -> None:
        self.took: list[float] = []
        self.reads = self.old = self.errors = 0
        self.unread = iter(range(BOOKS))
        self.filled = asyncio.Event()


async def client(port: int, seconds: float, connections: int, seed: int) -> dict[str, float]:
    """Read each book once, then read and edit for so long.

    Returns:
        Requests per second, their p50 and p99 in milliseconds, the shares of old reads and of
        errors, and the number of reads.
    """
    figures, newest, chosen = _Figures(), [0] * BOOKS, random.Random(seed)
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(connections):
        transport, _ = await loop.create_connection(
            lambda: _Reader(newest, figures, chosen), "127.0.0.1", port
        )
        transports.append(transport)
    await figures.filled.wait()
    await asyncio.sleep(WARM)
    figures.took.clear()
    await asyncio.sleep(seconds)
    for transport in transports:
        transport.abort()
    took = sorted(figures.took)
    return {
        "rate": len(took) / seconds,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[int(len(took) * 0.99)] * 1000,
        "old": figures.old / max(figures.reads, 1),
        "errors": figures.errors / len(took),
        "reads": figures.reads,
    }


Proxy = Callable[[Server, str], AbstractContextManager[Server]]


@contextlib.contextmanager
def _proxied(proxy: Proxy) -> Iterator[Server]:
    """A server without a cache behind one that keeps responses for a second."""
    with serving("benchmarks.apps:uncached") as server, proxy(server, "1s") as front:
        yield front


Making = Callable[[], AbstractContextManager[Server]]


class _WrongError(Exception):
    """Not all requests were answered with 200; the text says how many were not."""


def _turn(make: Making, seconds: int, seed: int) -> dict[str, float]:
    """One round, with a new server: what is stored of the last one would be of no use.

    Raises:
        _WrongError: If the server fails.
    """
    with make() as server:
        command = [sys.executable, "-m", "benchmarks.mix", str(server.port), str(seconds)]
        command += [str(CONNECTIONS), str(seed)]
        with running(command, core=GENERATOR, stdout=subprocess.PIPE) as process:
            output, _ = process.communicate()
        figures: dict[str, float] = json.loads(output)
        if figures["errors"]:
            raise _WrongError(f"{figures['errors']:.1%} errors")
        runs = ask(server, "/runs").json().get("books", 0) - BOOKS
    return {**figures, "runs": runs / max(figures["reads"], 1)}


def _cells(found: list[dict[str, float]], alone: list[dict[str, float]]) -> list[str]:
    """A line of the table, without its name; rates are compared within each round."""
    spread = {name: Spread(tuple(one[name] for one in found)) for name in found[0]}
    pairs = zip(found, alone, strict=True)
    ratios = Spread(tuple(own["rate"] / other["rate"] for own, other in pairs))
    low, high = ratios.ends
    return [
        f"{spread['rate'].median:,.0f}",
        f"{ratios.median:.2f} ({low:.2f} to {high:.2f})",
        f"{spread['runs'].median:.1%}",
        f"{spread['p50'].median:.1f}",
        f"{spread['p99'].median:.1f}",
        f"{spread['old'].median:.2%}",
    ]


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    alone = "no cache"
    with environments(options.peers, options.environments) as peers:
        made: dict[str, Making] = {
            alone: lambda: serving("benchmarks.apps:uncached"),
            "memory": lambda: serving("benchmarks.apps:l1"),
            "nginx": lambda: _proxied(nginx),
            "varnish": lambda: _proxied(varnish),
            **{name: partial(peers.serving, name) for name in PEERS},
        }
        names = [name for name in made if name == alone or name in options.chosen(made)]
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        failed: dict[str, str] = {}
        order = random.Random(1)
        for seed in range(options.rounds or ROUNDS):
            for name in order.sample(names, len(names)):
                if name in failed:
                    continue
                try:
                    found[name].append(_turn(made[name], options.seconds or SECONDS, seed))
                except MissingError as missing:
                    failed[name] = str(missing)
                except _WrongError as wrong:
                    if name not in PEERS:
                        raise
                    failed[name] = str(wrong)  # another cache that fails ends no run
    rows = [
        [name, failed[name], *[""] * 5] if name in failed else [name, *_cells(one, found[alone])]
        for name, one in found.items()
    ]
    head = ["95 % reads, 5 % edits", "requests/s", "x no cache", "runs / reads", "p50 ms", "p99 ms"]
    return table([*head, "old reads"], rows)


if __name__ == "__main__":
    _port, _seconds, _connections, _seed = map(int, sys.argv[1:])
    print(json.dumps(uvloop.run(client(_port, _seconds, _connections, _seed))))
