"""Requests to the application of a cache, and what they bring."""

import asyncio
import contextlib
import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ..servers import Server
from ..storm import storm

HOST = "127.0.0.1"
"""One name for all processes, as behind a load balancer: it is part of the keys of some caches."""

SETTLING = 0.15
"""Seconds within which every cache has stored a response in the background."""

PATIENCE = 10.0
"""Seconds after which a request is given up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response.

    Attributes:
        status: Its status; 0 if the connection ended without a whole response, or it was given up.
        lines: Its field lines in order, with lower-case names.
        content: Its content.
        first: Seconds until its first byte of content, or its end.
        seconds: Seconds until its last.
    """

    status: int
    lines: list[tuple[str, str]]
    content: bytes
    first: float
    seconds: float

    def json(self) -> Any:
        """The JSON content; an empty object if there is none."""
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(self.content)
        return {}

    def field(self, name: str) -> str | None:
        """The value of a field that has one line, or the first of several."""
        return next((value for key, value in self.lines if key == name), None)

    @property
    def run(self) -> int:
        """The number of the run that has made it; 0 if it says none."""
        found = self.json()
        return int(found.get("run", 0)) if isinstance(found, dict) else 0


def ask(server: Server, path: str, method: str = "GET", **fields: str) -> Reply:
    """One request on a connection of its own.

    Args:
        server: What is asked.
        path: The target.
        method: The method.
        fields: Request fields; `_` in a name stands for `-`.
    """
    return send(server, path, method, {name.replace("_", "-"): fields[name] for name in fields})


def settled(server: Server, path: str, method: str = "GET", **fields: str) -> Reply:
    """As `ask`; what the cache stores after the response is stored on return."""
    reply = ask(server, path, method, **fields)
    time.sleep(SETTLING)
    return reply


def send(server: Server, path: str, method: str, fields: Mapping[str, str]) -> Reply:
    """As `ask`, with the names of fields as they are sent."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    status, lines, content, first = 0, list[tuple[str, str]](), b"", 0.0
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(method, path, headers={"host": HOST, **fields})
        response = connection.getresponse()
        lines = [(name.lower(), value) for name, value in response.getheaders()]
        content = response.read(1)
        first = time.perf_counter() - begun
        content += response.read()
        status = response.status
    return Reply(status, lines, content, first, time.perf_counter() - begun)


def stormed(servers: list[Server], callers: int) -> str:
    """Runs of the slow endpoint for callers who come at once, and how many of them got errors.

    Three storms; where they differ, the least and the most of both.
    """
    counted, failed = [], []
    for number in range(3):
        before = sum(runs(server, "slow") for server in servers)
        calls = asyncio.run(storm(servers, f"/slow/storm{number}", callers))
        counted.append(sum(runs(server, "slow") for server in servers) - before)
        failed.append(sum(not call.answered for call in calls))
    return f"{_span(counted)}, and {_span(failed)} errors" if any(failed) else _span(counted)


def _span(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def runs(server: Server, name: str) -> int:
    """How often an endpoint has run in this process."""
    return int(ask(server, "/runs").json().get(name, 0))
