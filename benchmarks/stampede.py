"""500 concurrent requests for an uncached 500 ms route: number of runs and waiting times.

The same load on the same route without a cache, where 500 runs sleep concurrently, shows what 500
connections alone cost on this machine.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from demo_app.valkey import Valkey

from .options import Options, Spread, table
from .origin import SLOW
from .peers.environment import PEERS, Environments, environments
from .proxies import nginx, varnish
from .servers import MissingError, Server, ask, serving
from .storm import storm

CALLERS = 500
ROUNDS = 3


@contextlib.contextmanager
def _uncached() -> Iterator[list[Server]]:
    with serving("benchmarks.apps:uncached", core=None) as server:
        yield [server]


@contextlib.contextmanager
def _workers(count: int) -> Iterator[list[Server]]:
    """Workers that share a second tier."""
    with contextlib.ExitStack() as stack:
        env = {"BENCH_REDIS_URL": stack.enter_context(Valkey()).url}
        yield [
            stack.enter_context(serving("benchmarks.apps:both", env=env, core=None))
            for _ in range(count)
        ]


@contextlib.contextmanager
def _proxied(proxy: str) -> Iterator[list[Server]]:
    with serving("benchmarks.apps:uncached", core=None) as server:
        made = nginx(server, core=None) if proxy == "nginx" else varnish(server, core=None)
        with made as front:
            yield [front]


@contextlib.contextmanager
def _peer(name: str, peers: Environments) -> Iterator[list[Server]]:
    with peers.serving(name, core=None) as server:
        yield [server]


def _measure(made: AbstractContextManager[list[Server]], rounds: int) -> list[str]:
    """Runs of the origin in each storm, and the times that callers waited."""
    with made as servers:
        runs, waits = [], []
        for number in range(rounds):
            before = _runs(servers)
            calls = asyncio.run(storm(servers, f"/slow/{number}", CALLERS))
            if not all(call.answered for call in calls):
                raise RuntimeError(f"/slow/{number} is answered by errors")
            took = sorted(call.seconds for call in calls)
            runs.append(_runs(servers) - before)
            waits.append(took[int(len(took) * 0.99)] * 1000)
    low, high = Spread(tuple(waits)).ends
    median = Spread(tuple(waits)).median
    counted = str(runs[0]) if len(set(runs)) == 1 else f"{min(runs)} to {max(runs)}"
    above = f"{median - SLOW * 1000:.0f}"
    return [counted, f"{median:.0f}", f"{low:.0f} to {high:.0f}", above]


def _runs(servers: list[Server]) -> int:
    return sum(ask(server, "/runs").json().get("slow", 0) for server in servers)


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    with environments(options.peers, options.environments) as peers:
        made = {
            "no cache": _uncached(),
            "one worker": _workers(1),
            "two workers": _workers(2),
            "nginx": _proxied("nginx"),
            "varnish": _proxied("varnish"),
            **{name: _peer(name, peers) for name in PEERS},
        }
        rows = []
        for name in options.chosen(made):
            try:
                rows.append([name, *_measure(made[name], options.rounds or ROUNDS)])
            except MissingError as missing:
                rows.append([name, str(missing), "", "", ""])
    head = f"stampede, {CALLERS} callers"
    return table([head, "runs", "p99 ms", "min to max", "above the origin's ms"], rows)
