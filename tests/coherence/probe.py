"""The consistency probe: edit through one process, ask every process until it is fresh.

A *violation* is an older version served to a request that was sent after the bound of the case,
counted from the edit's acknowledgement. The process that made the edit has no such time: it serves
nothing older from its own answer on. And no process ever goes back to a version older than one that
it served before.

A machine that is busy with other things may stop all processes for longer than any bound. So what
counts against the bound is the time in which the process answered: no more than a tenth of a second
for each answer, however long it took. Where nothing else runs, that is all the time there is.
"""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from tests.coherence.versions import Versions
from tests.patience import PATIENCE, until

HOST = "example.org"
"""One host for all, as behind a load balancer: the host is part of every key."""

FOREVER = float("inf")

_HASTE = 0.02
"""Seconds for which a process is asked without pause."""

_AT_ONCE = 8
"""Keys that are followed at once: more would keep each other waiting for their answers."""

_LOST = 5.0
"""Seconds beyond the bound after which nobody expects that a process becomes fresh."""

_STRIDE = 0.1
"""Seconds that count for one answer at most."""


class Reply(NamedTuple):
    """What came back.

    Attributes:
        status: The status code.
        head: The header block.
        text: The body.
    """

    status: int
    head: bytes
    text: str

    @property
    def cookie(self) -> str:
        """The name and value of the cookie that was set, or ""."""
        for line in self.head.split(b"\r\n"):
            if line.lower().startswith(b"set-cookie: "):
                return line[12:].split(b";")[0].decode()
        return ""


class Caller:
    """One keep-alive connection to a process; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, target: str, method: str = "GET", cookie: str = "") -> Reply:
        """One request and its reply.

        Raises:
            OSError: If the process is not there, or leaves before it has answered.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n"
        if cookie:
            lines += f"Cookie: {cookie}\r\n"
        if method != "GET":
            lines += "Content-Length: 0\r\n"
        try:
            writer.write(lines.encode() + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(f"port {self._port}: {error}") from error
        except asyncio.CancelledError:
            self.close()
            raise
        return Reply(int(head[9:12]), head, body.decode())

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def listen() -> socket.socket:
    """A socket that listens on a free port."""
    return socket.create_server(("127.0.0.1", 0), backlog=2048)


def _length(head: bytes) -> int:
    text = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return int(text)


class Instance:
    """A server process of `tests.coherence.origin`.

    Args:
        place: The directory of the shared files.
        redis_url: Where this one finds Redis.
        namespace: The cache's namespace.
        command: What to run, instead of one server on one socket; it gets the sockets' numbers.
        sockets: How many to listen on.
        listeners: Sockets to listen on instead, left open here: as of a supervisor, who has them
            for as many processes as come one after the other.
        settings: Further environment.
        said: A file that what it says is added to, instead of the test's own output.
    """

    def __init__(
        self,
        place: Path,
        redis_url: str,
        namespace: str,
        *,
        command: str = "serve(application(), *sockets)",
        sockets: int = 1,
        listeners: Sequence[socket.socket] = (),
        settings: Mapping[str, str] | None = None,
        said: Path | None = None,
    ) -> None:
        # The versions are made here, once, and not by whichever process is first.
        Versions(place / "versions")
        own = [] if listeners else [listen() for _ in range(sockets)]
        given = own or listeners
        self.ports = [listener.getsockname()[1] for listener in given]
        numbers = [listener.fileno() for listener in given]
        code = (
            "import socket\n"
            "from tests.coherence.origin import application, serve\n"
            f"sockets = [socket.socket(fileno=number) for number in {numbers}]\n" + command
        )
        environment = {
            **os.environ,
            "VERSIONS": str(place / "versions"),
            "NOTES": str(place / "notes"),
            "GO": str(place / "go"),
            "REDIS_URL": redis_url,
            "ASGI_MULTITIER_NAMESPACE": namespace,
            **(settings or {}),
        }
        # A session of its own, so that what it forks ends with it.
        with ExitStack() as files:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                env=environment,
                pass_fds=numbers,
                start_new_session=True,
                stderr=files.enter_context(said.open("ab")) if said else None,
            )
        for listener in own:
            listener.close()
        self._callers: list[Caller] = []

    @property
    def port(self) -> int:
        first: int = self.ports[0]
        return first

    def caller(self, port: int | None = None) -> Caller:
        """A new connection, closed with this."""
        caller = Caller(port or self.port)
        self._callers.append(caller)
        return caller

    async def ask(
        self, target: str, method: str = "GET", cookie: str = "", *, port: int | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        caller = Caller(port or self.port)
        try:
            return await caller.ask(target, method, cookie)
        finally:
            caller.close()

    async def stats(self, port: int | None = None) -> dict[str, Any]:
        """What it says of its log."""
        return dict(orjson.loads((await self.ask("/stats", port=port)).text))

    async def wait(self) -> Self:
        """Wait until it is up to date with the log."""
        await until(self.is_trusted, 20)
        return self

    async def warm(self, keys: Sequence[int]) -> None:
        """Have it hold these keys."""
        caller = self.caller()
        for key in keys:
            await caller.ask(f"/v/{key}")
        caller.close()

    async def is_trusted(self) -> bool:
        """Whether it believes its log."""
        return bool((await self.stats())["trusted"])

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def gone(self, seconds: float) -> float:
        """Wait until it has ended, and fail if it takes far longer; the seconds that it took."""
        taken = await until(lambda: self.process.poll() is not None, seconds)
        # Of a SIGTERM it dies once more when it has done all that it had to do.
        assert self.process.returncode in (0, -signal.SIGTERM)
        return taken

    def close(self) -> None:
        """kill -9 of it and of what it has forked."""
        for caller in self._callers:
            caller.close()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Probe:
    """Edits keys through the processes in turn, and asks all of them after each edit.

    Args:
        doors: For each process, what opens a connection to it.
        keys: The keys to edit, one at a time each.
        bound: Seconds after which another process serves no older version.

    Attributes:
        bound: May be changed while it runs.
        excused: Loop time before which a process may serve older versions in any case: for faults
            whose bound begins with their end.
        edits: Acknowledged edits.
        reads: Answers that were judged.
        lateness: For each edit and other process, seconds from the acknowledgement until the last
            request was sent that an older version answered; 0 if there was none.
        violations: What was seen and should not be.
        errors: Answers of 5xx.
        lost: Requests that broke with their process.
    """

    def __init__(
        self, doors: Sequence[Callable[[], Caller]], keys: Sequence[int], *, bound: float = 1.0
    ) -> None:
        self.bound = bound
        self.excused = 0.0
        self.edits = self.reads = self.errors = self.lost = 0
        self.lateness: list[float] = []
        self.violations: list[str] = []
        self._doors = list(doors)
        self._keys = list(keys)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._seen: dict[tuple[int, int], int] = {}
        self._clock = asyncio.get_running_loop().time

    async def run(self, edits: int, routes: Sequence[str] = ("tag",)) -> None:
        """So many edits in all, all keys at once."""
        counter = iter(range(edits))
        async with asyncio.TaskGroup() as group:
            for lane, key in enumerate(self._keys):
                group.create_task(self._edit_while(lane, key, counter, routes))

    @asynccontextmanager
    async def running(
        self, routes: Sequence[str] = ("tag",), pause: float = 0.0
    ) -> AsyncIterator[Self]:
        """Edits without end while the block runs; fails after it if anything was violated."""
        counter = itertools.count()
        tasks = [
            asyncio.create_task(self._edit_while(lane, key, counter, routes, pause))
            for lane, key in enumerate(self._keys)
        ]
        try:
            yield self
        finally:
            self._stopping = True
            done, pending = await asyncio.wait(tasks, timeout=(self.bound + 10) * PATIENCE)
            for task in pending:
                task.cancel()
            for task in done:
                task.result()
        assert not pending, "an edit was never seen everywhere"
        self.check()

    _stopping = False

    async def follow(self, key: int, version: int, since: float, *, own: int | None = None) -> None:
        """Ask every process until it is as new as an edit that was made elsewhere.

        Args:
            key: What was edited.
            version: What it is since then.
            since: Loop time from which the bound counts.
            own: The process that made the edit: it may serve nothing older.
        """
        self.edits += 1
        async with self._turns:
            for each, door in enumerate(self._doors):
                caller = door()
                await self._follow(caller, each, key, version, since, each == own)
                caller.close()

    async def edit(self, by: int, key: int, route: str = "tag") -> int:
        """Make one edit; the new version."""
        caller = self._doors[by]()
        reply = await caller.ask(f"/{route}/{key}", "PUT")
        caller.close()
        assert reply.status == 200, reply
        return int(reply.text)

    def check(self) -> None:
        """Fail if anything was violated."""
        assert not self.violations, self.violations[:5]
        assert not self.errors
        assert self.edits

    def late(self, share: float) -> float:
        """A share of the lateness: 0.99 for the 99th percentile, 1 for the worst."""
        ordered = sorted(self.lateness)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def summary(self) -> str:
        """Violations, edits and lateness, as a cell of the table."""
        worst = f"p99 {self.late(0.99) * 1000:.1f} ms, max {self.late(1) * 1000:.0f} ms"
        return f"{len(self.violations)} violations in {self.edits:,} edits; stale {worst}"

    async def _edit_while(
        self, lane: int, key: int, counter: Any, routes: Sequence[str], pause: float = 0.0
    ) -> None:
        callers = [door() for door in self._doors]
        for turn, _ in enumerate(counter):
            if self._stopping:
                return
            editor = (lane + turn) % len(callers)
            route = routes[turn % len(routes)]
            with suppress(_LostError):
                await self._edit(callers, editor, key, route)
            if pause:
                await asyncio.sleep(pause)

    async def _edit(self, callers: list[Caller], editor: int, key: int, route: str) -> None:
        reply = await self._ask(callers[editor], f"/{route}/{key}", "PUT")
        acknowledged = self._clock()
        if reply.status != 200:
            return
        self.edits += 1
        version = int(reply.text)
        order = [editor, *(each for each in range(len(callers)) if each != editor)]
        for each in order:
            await self._follow(callers[each], each, key, version, acknowledged, each == editor)

    async def _follow(
        self, caller: Caller, each: int, key: int, version: int, acknowledged: float, own: bool
    ) -> None:
        """Ask one process until it is as new as the edit."""
        last = late = 0.0
        before = acknowledged
        while True:
            sent = self._clock()
            late += max(0.0, min(sent - max(before, acknowledged, self.excused), _STRIDE))
            before = sent
            reply = await self._ask(caller, f"/v/{key}")
            if reply.status != 200:
                return
            self.reads += 1
            served = int(reply.text)
            if served < self._seen.get((each, key), 0):
                self._violated(f"process {each} went back to {served} of key {key}")
            self._seen[each, key] = served
            if served >= version:
                break
            last = sent - acknowledged
            if own or late > self.bound:
                whose = "its own" if own else "another's"
                self._violated(f"process {each} served {served} {last:.3f} s after {whose} edit")
                if late > self.bound + _LOST:
                    return
            if last > _HASTE:
                await asyncio.sleep(_HASTE / 10)
        if not own:
            self.lateness.append(last)

    def _violated(self, what: str) -> None:
        self.violations.append(what)

    async def _ask(self, caller: Caller, target: str, method: str = "GET") -> Reply:
        try:
            reply = await caller.ask(target, method)
        except OSError as error:
            self.lost += 1
            await asyncio.sleep(0.05)
            raise _LostError from error
        self.errors += reply.status >= 500
        return reply


class _LostError(Exception):
    """The process is gone."""


@asynccontextmanager
async def instances(
    place: Path, urls: Sequence[str], namespace: str, **settings: str
) -> AsyncIterator[list[Instance]]:
    """A process for each address of Redis, over one set of shared files."""
    made = [Instance(place, url, namespace, settings=settings) for url in urls]
    try:
        for each in made:
            await each.wait()
        yield made
    finally:
        for each in made:
            each.close()
