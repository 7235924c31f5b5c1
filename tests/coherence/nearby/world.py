"""A machine with workers, simulated: their logs are the real ones, and all that they reach is not.

Time passes only where nothing else is left to do, so a run takes no longer than its steps. How long
a datagram, a look at the file or an answer of the origin takes is drawn from a seed: each seed is
another interleaving, and the same one each time.
"""

import asyncio
import itertools
import random
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from asgi_multitier.coherence.nearby import NearLog
from asgi_multitier.coherence.store import PATIENCE, Batch, Facts, StoredRecord
from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.selectors import Selector

QUEUE = 10
"""Datagrams that wait for a worker at most, as on most systems."""

GRACE = 0.3
"""Seconds that one which was stopped may take to hear what it missed."""

BOUND = 1.0
"""Seconds after which no other worker serves an older version."""


class _NoWaiting(selectors.DefaultSelector):
    """A selector that waits for no time to pass: here time passes by itself."""

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing comes from outside of the simulation."""
        assert timeout is not None, "nothing is left to run"
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes to the next timer at once."""

    def __init__(self) -> None:
        super().__init__(_NoWaiting())
        self._now = 0.0

    def time(self) -> float:
        """Simulated seconds."""
        return self._now

    def _run_once(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


class World:
    """What the workers share: the origin, the directory and the file in it.

    Args:
        seed: Chooses how long everything takes.
        keys: What the origin has.
    """

    def __init__(self, seed: int, keys: int = 3) -> None:
        self.random = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.origin = dict.fromkeys(range(keys), 0)
        self.edits: list[tuple[float, int, int]] = []
        self.violations: list[str] = []
        self.starts: list[float] = []
        self.sockets: dict[str, SimulatedPeers] = {}
        self.rows: list[StoredRecord] = []
        self.gen = ""
        self.is_full = False
        self.numbers = itertools.count()

    def delay(self, most: float = 0.02) -> float:
        """Seconds that something takes."""
        return self.random.random() ** 3 * most

    def oldest(self, key: int, before: float) -> int:
        """The newest version whose edit was acknowledged by then."""
        return max((v for at, k, v in self.edits if k == key and at <= before), default=0)


class SimulatedPeers:
    """See `nearby.peers.Peers`.

    Args:
        world: Where it is.
        on_message: Called with each message and its sender.
    """

    def __init__(self, world: World, on_message: Callable[[bytes, str], None]) -> None:
        self.directory: Path | None = None
        self.blocked_until = 0.0
        self._world = world
        self._on_message = on_message
        self._name = ""
        self._waiting: list[tuple[bytes, str]] = []

    @property
    def is_open(self) -> bool:
        """Whether it can be found."""
        return self._world.sockets.get(self._name) is self

    @property
    def may_have_missed(self) -> bool:
        """Never closed and opened again here."""
        return False

    is_removed = False

    def broadcast_until_taken(self, what: bytes) -> None:
        """Here no queue stays full."""
        self.broadcast(what)

    def open(self) -> None:
        """Be found from now on."""
        if not self.is_open:
            self._name = f"{next(self._world.numbers)}"
            self.directory = Path(self._name)
            self._world.sockets[self._name] = self

    def broadcast(self, what: bytes, but: AbstractSet[str] = frozenset()) -> set[str]:
        """Send it to all others."""
        names = [n for n in self._world.sockets if n != self._name and n not in but]
        return {name for name in names if self.send(name, what)}

    def send(self, name: str, what: bytes) -> bool:
        """Send it to one; whether that one lives."""
        other = self._world.sockets.get(name)
        if other is None:
            return False
        if len(other._waiting) < QUEUE:
            other._waiting.append((what, self._name))
            other._come()
        return True

    def _come(self) -> None:
        loop = self._world.loop
        at = max(loop.time() + self._world.delay(0.005), self.blocked_until)
        loop.call_at(at, self._ready)

    def _ready(self) -> None:
        if self._world.loop.time() < self.blocked_until:
            self._come()
            return
        waiting, self._waiting = self._waiting, []
        for what, name in waiting:
            if self.is_open:
                self._on_message(what, name)

    def close(self) -> None:
        """Be found no more."""
        if self.is_open:
            del self._world.sockets[self._name]


class SimulatedTable:
    """See `sqlite_log.TableStore`: one file for all.

    Args:
        world: Whose file it is.
        peers: Of the worker that has it open.
        path: What it is called.
        poll: Seconds between two looks.
    """

    def __init__(self, world: World, peers: SimulatedPeers, path: Path, poll: float) -> None:
        self.name = "simulated"
        self.path = path
        self.own_gen = ""
        self._world = world
        self._peers = peers
        self._poll = poll
        self._nudge = asyncio.Event()
        self._last = ""

    async def _take(self) -> None:
        loop = self._world.loop
        blocked = self._peers.blocked_until - loop.time()
        await asyncio.sleep(max(blocked, 0.0) + self._world.delay())

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        """See `LogStore.append`."""
        try:
            async with asyncio.timeout(timeout):
                await self._take()
                born = self._write(op, data, mac)
                await self._take()
        except TimeoutError as error:
            raise BackendError("no answer in time") from error
        self.wake()
        return born

    def _write(self, op: str, data: bytes, mac: bytes) -> Born:
        world = self._world
        if world.is_full:
            raise BackendError("database or disk is full")
        self._begin()
        prev = world.rows[-1].op if world.rows else ""
        row = StoredRecord(len(world.rows) + 1, world.gen, prev, op, data, mac)
        world.rows.append(row)
        return Born(world.gen, row.seq)

    def _begin(self, condemned: str = "") -> None:
        world = self._world
        if not world.gen or world.gen == condemned:
            if world.is_full:
                raise BackendError("database or disk is full")
            world.gen = self.own_gen = f"gen{next(world.numbers)}"
            world.rows = []

    def wake(self) -> None:
        """There is something new."""
        self._nudge.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["SimulatedTable"]:
        """See `LogStore.reading`."""
        yield self

    async def facts(self, after: int, condemned: str = "") -> Facts:
        """See `LogReader.facts`."""
        await self._take()
        self._begin(condemned)
        rows = self._world.rows
        last = rows[-1].op if rows else ""
        at = rows[after - 1].op if 0 < after <= len(rows) else None
        first, top = (1, len(rows)) if rows else (None, None)
        found = Facts(self._world.gen, len(rows), last, first, top, at)
        await self._take()
        return found

    async def records(self, after: int) -> Batch:
        """See `LogReader.records`."""
        deadline = self._world.loop.time() + PATIENCE
        while self._world.loop.time() < deadline:
            await self._take()
            if found := self._world.rows[after : after + 16]:
                await self._take()
                return Batch(found, len(found) == 16)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._nudge.wait()
            self._nudge.clear()
        return Batch([], more=False)

    async def close(self) -> None:
        """Nothing to release."""


class Worker:
    """A process with a memory of its own.

    Args:
        world: Where it runs.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries: dict[int, tuple[int, Born, float]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.own: dict[int, int] = {}
        self.log = NearLog(namespace="shop", clock=world.loop.time)
        self.peers = SimulatedPeers(world, self.log._on_message)
        self.log._peers = self.peers  # type: ignore[assignment]
        self.alive = True
        self.stopped_at = 0.0

    def dropped(self, selectors: object) -> None:
        """See `LogListener`."""

    def updated(self, updates: object, born: object) -> None:
        """See `LogListener`."""

    def flushed(self) -> None:
        """See `LogListener`."""
        self.entries.clear()

    async def run(self) -> None:
        """Start, and be asked and told by clients until it dies."""
        self.spawn(self._start())
        # No server waits for longer than this before it serves.
        await asyncio.wait(set(self.tasks), timeout=0.25)
        for _ in range(2):
            self.spawn(self._readers())
        self.spawn(self._editor())

    def spawn(self, step: Any) -> None:
        """A task of this process."""
        task = asyncio.create_task(step)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _start(self) -> None:
        begun = self.world.loop.time()
        await self.log.start(self)
        self.world.starts.append(self.world.loop.time() - begun)

    async def _answers(self) -> None:
        loop = self.world.loop
        while loop.time() < self.peers.blocked_until:  # noqa: ASYNC110  # simulated time
            await asyncio.sleep(self.peers.blocked_until - loop.time())

    async def _readers(self) -> None:
        while True:
            await asyncio.sleep(self.world.delay(0.08))
            await self._answers()
            await self.read(self.world.random.choice(list(self.world.origin)))

    async def _editor(self) -> None:
        while True:
            await asyncio.sleep(self.world.delay(1.0))
            await self._answers()
            await self.edit(self.world.random.choice(list(self.world.origin)))

    async def read(self, key: int) -> None:
        """A request for a number."""
        world, index = self.world, self.log.index
        asked = world.loop.time()
        counted = self.stopped_at if asked < self.peers.blocked_until + GRACE else asked
        needed = max(world.oldest(key, counted - BOUND), self.own.get(key, 0))
        entry = self.entries.get(key)
        if entry is not None and self._permits(key, entry):
            self._judge(key, entry[0], needed)
            return
        born = index.born()
        await asyncio.sleep(world.delay(0.03))
        version = world.origin[key]
        await asyncio.sleep(world.delay(0.3))
        if index.permits_fill(born, f"{key}", "", "", "", ()):
            self.entries[key] = (version, born, world.loop.time())
        self._judge(key, version, needed)

    def _permits(self, key: int, entry: tuple[int, Born, float]) -> bool:
        index = self.log.index
        if not index.settled and self.world.loop.time() - entry[2] > 5.0:
            return False
        return index.permits_fill(entry[1], f"{key}", "", "", "", ())

    def _judge(self, key: int, version: int, needed: int) -> None:
        if version < needed:
            self.world.violations.append(
                f"{self.world.loop.time():.3f}: served {version} of {key}, not {needed}"
            )

    async def edit(self, key: int) -> None:
        """A request that changes a number."""
        world = self.world
        await asyncio.sleep(world.delay())
        world.origin[key] += 1
        version = world.origin[key]
        operation = self.log.begin([Selector("key", f"{key}")])
        await self.log.commit(operation)
        if self.alive:
            self.own[key] = max(version, self.own.get(key, 0))
            world.edits.append((world.loop.time(), key, version))

    def stop(self, seconds: float) -> None:
        """As by SIGSTOP, and SIGCONT after so many seconds."""
        self.stopped_at = self.world.loop.time()
        self.peers.blocked_until = self.world.loop.time() + seconds

    def kill(self) -> None:
        """As by SIGKILL."""
        self.alive = False
        self.peers.close()
        tasks = [*self.tasks, *self.log._tasks, self.log._joining]
        for task in tasks:
            if task is not None:
                task.cancel()


Scenario = Callable[[World, list[Worker]], Coroutine[Any, Any, None]]


def simulate(scenario: Scenario, seeds: Iterable[int], patch: Any) -> list[str]:
    """Run a scenario with each seed; what was violated."""
    found = []
    for seed in seeds:
        with asyncio.Runner(loop_factory=Loop) as runner:
            found += runner.run(_one(scenario, seed, patch))
    return found


async def _one(scenario: Scenario, seed: int, patch: Any) -> list[str]:
    world = World(seed)
    workers: list[Worker] = []

    def table(path: Path, *_: object, poll: float, **__: object) -> SimulatedTable:
        return SimulatedTable(world, world.sockets[path.parent.name], path, poll)

    patch.setattr("asgi_multitier.coherence.sqlite.TableStore", table)
    await scenario(world, workers)
    for worker in workers:
        worker.kill()
    await asyncio.sleep(1)
    return [f"seed {seed}, {text}" for text in world.violations]
