"""Requests per second over HTTP, for each usual kind of hit and for what else answers it.

One uvicorn worker on one core, 64 connections from the other. In each round every row has its turn,
in shuffled order, and its ratio is to the bare application that gets the same request fields in the
same round.
"""

import contextlib
import importlib.util
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TypeAlias

from demo_app.valkey import Valkey

from . import scopes
from .options import Options, Spread, table
from .peers.environment import PEERS, Environments, environments
from .proxies import nginx, varnish
from .servers import Answer, MissingError, Server, ask, load, serving

ROUNDS, SECONDS = 5, 2
KEYS = 2_000


@dataclass(slots=True)
class Site:
    """What the servers of a run share.

    Attributes:
        redis: Address of the shared tier.
        peers: The environments of the other caches.
        bare: The bare application; set when it runs.
    """

    redis: str
    peers: Environments
    bare: Server = field(default_factory=lambda: Server(0, 0))


Starter: TypeAlias = Callable[[Site], AbstractContextManager[Server]]


def ours(name: str, protocol: str = "httptools") -> Starter:
    """A server for an application of `apps.py`; protocols are `httptools` or `module:name`."""

    @contextlib.contextmanager
    def start(site: Site) -> Iterator[Server]:
        module = protocol.partition(":")[0]
        if ":" in protocol and importlib.util.find_spec(module) is None:
            raise MissingError(f"there is no {module}")
        env = {"BENCH_REDIS_URL": site.redis}
        with serving(f"benchmarks.apps:{name}", env=env, protocol=protocol) as server:
            yield server

    return start


def _peer(name: str, site: Site) -> AbstractContextManager[Server]:
    return site.peers.serving(name)


SERVERS: dict[str, Starter] = {
    "bare": ours("bare"),
    "uncached": ours("uncached"),
    "l1": ours("l1"),
    "added": ours("added"),
    "l2": ours("l2"),
    "front": ours("l1", "asgi_multitier.uvicorn:HttpToolsProtocol"),
    "nginx": lambda site: nginx(site.bare),
    "varnish": lambda site: varnish(site.bare),
    **{name: partial(_peer, name) for name in PEERS},
}


def _texts(lines: scopes.Lines) -> dict[str, str]:
    """Field lines for a load generator, which sends `Host` itself and keeps connections open."""
    own = (b"host", b"connection")
    return {name.decode(): value.decode() for name, value in lines if name not in own}


FIELDS: dict[str, dict[str, str]] = {
    "": {},
    "a browser's fields": _texts(scopes.BROWSER),
    "a browser's fields and cookies": _texts(scopes.BROWSER + scopes.cookie(1)),
    "a reverse proxy's fields": _texts(scopes.forwarded(1)),
    "`Origin`": {"origin": "https://shop.example"},
    "`Accept-Language`": {"accept-language": "en-GB,en;q=0.9"},
}
"""The fields that requests have besides `Host`."""

CONDITION = "`If-None-Match`"
"""Requests with the entity tag that the row's own server has given to its response."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        text: Its name there.
        server: Who is asked.
        path: The path; `{}` stands for the number of a key.
        fields: Of the requests, a name in `FIELDS`, or `CONDITION`.
        keys: Different paths that are asked for in turn.
        proof: What the field lines of each hit contain; "" if they do not tell.
        cached: Whether two answers must be the same, with the same number of a run.
    """

    text: str
    server: str
    path: str = "/items/{}"
    fields: str = ""
    keys: int = 1
    proof: str = ""
    cached: bool = True

    @property
    def base(self) -> tuple[str, int]:
        """What it shares with the requests to the bare application that it is compared with."""
        return self.fields, self.keys


ROWS: dict[str, Row] = {
    "bare": Row("bare application", "bare"),
    "l1": Row("memory hit, wrapped around FastAPI", "l1", proof="detail=l1"),
    "added": Row("memory hit, by `add_middleware`", "added", proof="detail=l1"),
    "l1-keys": Row(f"memory hit, {KEYS:,} keys", "l1", keys=KEYS, proof="detail=l1"),
    "front": Row("memory hit, in front of ASGI", "front", proof="detail=l1"),
    "front-keys": Row(
        f"memory hit, in front of ASGI, {KEYS:,} keys", "front", keys=KEYS, proof="detail=l1"
    ),
    "front-browser": Row(
        "memory hit, in front of ASGI, a browser's fields",
        "front",
        fields="a browser's fields",
        proof="detail=l1",
    ),
    "browser": Row(
        "memory hit, a browser's fields", "l1", fields="a browser's fields", proof="detail=l1"
    ),
    "public": Row(
        "`public=True`, a browser's fields and cookies",
        "l1",
        "/public/{}",
        fields="a browser's fields and cookies",
        proof="detail=l1",
    ),
    "forwarded": Row(
        "memory hit, behind a reverse proxy",
        "l1",
        fields="a reverse proxy's fields",
        proof="detail=l1",
    ),
    "origin": Row("memory hit, `Origin`", "l1", fields="`Origin`", proof="detail=l1"),
    "not-modified": Row(
        "memory hit, `If-None-Match`: 304", "l1", fields=CONDITION, proof="detail=l1"
    ),
    "vary": Row(
        '`vary=["accept-language"]`',
        "l1",
        "/languages/{}",
        fields="`Accept-Language`",
        proof="detail=l1",
    ),
    "l2": Row("second tier (Valkey), one key", "l2", proof="detail=l2"),
    "l2-keys": Row(f"second tier (Valkey), {KEYS:,} keys", "l2", keys=KEYS, proof="detail=l2"),
    "uncached": Row("the FastAPI route without a cache", "uncached", cached=False),
    "nginx": Row("nginx `proxy_cache`", "nginx", proof="HIT"),
    "nginx-keys": Row(f"nginx `proxy_cache`, {KEYS:,} keys", "nginx", keys=KEYS, proof="HIT"),
    "varnish": Row("Varnish", "varnish", proof="HIT"),
    "varnish-keys": Row(f"Varnish, {KEYS:,} keys", "varnish", keys=KEYS, proof="HIT"),
    **{name: Row(name, name) for name in PEERS},
    "hishel": Row("hishel, SQLite in memory", "hishel"),
}


class Measured:
    """A row, its server, and the figures of its rounds."""

    def __init__(self, row: Row, server: Server) -> None:
        self.row = row
        self.server = server
        self.lines = FIELDS.get(row.fields, {})
        self.figures: list[tuple[float, float]] = []

    def fill(self) -> None:
        """Ask for each path once, and learn the entity tag where one is sent.

        Raises:
            RuntimeError: If the row is not what it says.
        """
        for number in range(self.row.keys) if self.row.keys > 1 else (7,):
            ask(self.server, self.row.path.format(number), lines=self.lines)
        if self.row.fields == CONDITION:
            etag = ask(self.server, self.row.path.format(7)).fields.get("etag", '"none"')
            self.lines = {"if-none-match": etag}
        self.check()

    def check(self) -> None:
        """Ask for one path twice.

        Raises:
            RuntimeError: If the answers do not prove what the row says of them.
        """
        deadline = time.monotonic() + 10  # shared tiers are written to after the answer
        while True:
            first, second = (self._ask() for _ in range(2))
            told = "".join(second.fields.get(name, "") for name in ("cache-status", "x-cache"))
            if self.row.proof in told and (first.content == second.content) == self.row.cached:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.row.text}: not so, but {first} and then {second}")

    def _ask(self) -> Answer:
        return ask(self.server, self.row.path.format(7), lines=self.lines)

    def turn(self, seconds: int) -> None:
        """One round."""
        row = self.row
        self.figures.append(load(self.server, row.path, seconds, keys=row.keys, lines=self.lines))

    def cells(self, bare: "Measured") -> list[str]:
        """Its line of the table."""
        pairs = list(zip(self.figures, bare.figures, strict=True))
        ratios = Spread(tuple(own[0] / other[0] for own, other in pairs))
        costs = Spread(tuple(own[1] / other[1] for own, other in pairs))
        rate = Spread(tuple(rate for rate, _ in self.figures)).median
        low, high = ratios.ends
        spread = f"{low:.2f} to {high:.2f}"
        return [
            self.row.text,
            f"{rate:,.0f}",
            f"{ratios.median:.2f}",
            spread,
            f"{costs.median:.2f}",
        ]


def with_bases(rows: list[Row]) -> list[Row]:
    """These rows, and the bare ones that they are compared with, each once."""
    known = {row.base for row in rows if row.server == "bare"}
    bases = []
    for row in [Row(ROWS["bare"].text, "bare"), *rows]:
        if row.base not in known:
            known.add(row.base)
            what = row.fields or f"{row.keys:,} paths" if row.base != ("", 1) else ""
            text = f"bare application, {what}" if what else "bare application"
            bases.append(Row(text, "bare", fields=row.fields, keys=row.keys))
    return bases + rows


def main(options: Options) -> list[str]:
    """Measure, and return the lines of the report."""
    rows = with_bases([ROWS[name] for name in options.chosen(ROWS)])
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Valkey())
        peers = stack.enter_context(environments(options.peers, options.environments))
        site = Site(redis.url, peers)
        start = cache(lambda name: stack.enter_context(SERVERS[name](site)))
        site.bare = start("bare")
        measured: dict[Row, Measured | MissingError] = {}
        for row in rows:
            try:
                measured[row] = Measured(row, start(row.server))
            except MissingError as missing:
                measured[row] = missing
        present = [one for one in measured.values() if isinstance(one, Measured)]
        for one in present:
            one.fill()
        order = random.Random(1)
        for _ in range(options.rounds or ROUNDS):
            for one in order.sample(present, len(present)):
                one.turn(options.seconds or SECONDS)
        for one in present:
            one.check()
    return _report(measured)


def _report(measured: dict[Row, Measured | MissingError]) -> list[str]:
    """The table: each row against the bare application with the same fields.

    The bare ones with other fields stand against the bare one without.
    """
    bases = {
        row.base: one
        for row, one in measured.items()
        if row.server == "bare" and isinstance(one, Measured)
    }
    cells = []
    for row, one in measured.items():
        if isinstance(one, MissingError):
            cells.append([row.text, "", str(one), "", ""])
            continue
        cells.append(one.cells(bases["", 1] if row.server == "bare" else bases[row.base]))
    head = ["HTTP, one worker on one core", "requests/s", "x bare", "min to max", "x per CPU s"]
    return table(head, cells)
