"""A cache that is entered by requests or by calls, and what can be counted of what happens."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asgi_multitier import CacheManager, CacheMiddleware, Rule, TierConfig
from asgi_multitier._types import Receive, Scope, Send
from tests.manager.support import SeenTier
from tests.support import Client, FakeClock, Visit, respond, settled

LIFETIME = 60
"""Seconds that what is computed is fresh."""


class Work:
    """An origin of both doors: it waits, answers with the number of the run, or raises, as told.

    Attributes:
        runs: How often it was run.
        arrived: Runs that have begun.
        error: What further runs raise when they are released.
        within: What each run does first.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.arrived = asyncio.Semaphore(0)
        self.error: BaseException | None = None
        self.within: Callable[[], Awaitable[object]] | None = None
        self._held = False
        self._gates: dict[int, asyncio.Event] = {}

    def hold(self) -> None:
        """From now on each run waits until it is released."""
        self._held = True

    def release(self, run: int | None = None) -> None:
        """Let a run go on; without a number all, and those that come later too."""
        if run is None:
            self._held = False
        for number, gate in self._gates.items():
            if run in (None, number):
                gate.set()

    async def __call__(self) -> str:
        self.runs += 1
        number = self.runs
        gate = self._gates[number] = asyncio.Event()
        if not self._held:
            gate.set()
        self.arrived.release()
        within, self.within = self.within, None
        if within is not None:
            await within()
        await gate.wait()
        if self.error is not None:
            raise self.error
        return f"run {number}"


class Data:
    """What a validator looks at.

    Attributes:
        version: What it returns; it raises what is an exception.
        asked: How often it was asked.
        gate: It waits for this before it returns.
    """

    def __init__(self) -> None:
        self.version: object = 1
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, *_: object) -> Any:
        self.asked += 1
        version = self.version
        await self.gate.wait()
        if isinstance(version, Exception):
            raise version
        return version


class FakeClaim:
    """One attempt at a lease."""

    def __init__(self, leases: "FakeLeases", key: str) -> None:
        self._leases = leases
        self._key = key
        again = "+" in key  # the lease of one more run, since the last took too long
        self.held = self.won = key not in leases.taken and (again or not leases.elsewhere)
        if self.won:
            leases.taken.add(key)

    async def released(self, timeout: float) -> bool:
        """Wait for the holder, for a time."""
        try:
            async with asyncio.timeout(timeout):
                await self._leases.given_back.wait()
        except TimeoutError:
            return False
        return True

    async def release(self) -> None:
        """Give it back."""
        if self.won:
            self._leases.taken.discard(self._key)
        self.won = False


class FakeLeases:
    """Leases of a server that another process talks to as well.

    Attributes:
        taken: Keys whose lease is held here.
        elsewhere: Whether another process holds the leases of all keys.
        claims: Attempts made here.
        given_back: Set when another process has given its lease back.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.elsewhere = False
        self.claims = 0
        self.given_back = asyncio.Event()

    def hold_elsewhere(self) -> None:
        """Another process takes the leases of all keys."""
        self.elsewhere = True

    def give_back_elsewhere(self) -> None:
        """It gives them back."""
        self.elsewhere = False
        self.given_back.set()

    async def claim(self, key: str, traceparent: str | None = None) -> FakeClaim:
        """Try to take a lease."""
        self.claims += 1
        return FakeClaim(self, key)


@dataclass
class Call:
    """One caller.

    Attributes:
        task: Ends with what it is answered.
        visit: The channel of a request.
    """

    task: "asyncio.Task[str]"
    visit: Visit = field(default_factory=Visit)


@dataclass(frozen=True)
class Numbers:
    """What an event comes to.

    Attributes:
        answers: How many callers got which answer, or exception.
        runs: Runs of the origin.
        hits, misses, coalesced, stale, passes: Outcomes.
        fills, refreshes, validations, failures: As in the statistics.
        claims: Attempts at a lease.
    """

    answers: Mapping[str, int] = field(default_factory=dict)
    runs: int = 0
    hits: int = 0
    misses: int = 0
    coalesced: int = 0
    stale: int = 0
    passes: Mapping[str, int] = field(default_factory=dict)
    fills: int = 0
    refreshes: int = 0
    validations: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    claims: int = 0


class Door(ABC):
    """A cache with a shared tier and leases, entered one way.

    Args:
        policy: Options of the route or the call; a validator of True is `data`.
        settings: Of the cache.

    Attributes:
        answers: How many callers got which answer.
        data: What the validator looks at, if there is one.
    """

    def __init__(self, policy: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.clock = FakeClock()
        self.work = Work()
        self.tier = SeenTier(self.clock)
        self.leases = FakeLeases()
        self.data = Data()
        self.policy = {**policy, "validator": self.data} if "validator" in policy else policy
        self.manager = CacheManager(
            tiers=[(self.tier, TierConfig(2))],
            redis_url=None,
            clock=self.clock,
            wall=self.clock,
            **settings,
        )
        self.calls: list[Call] = []
        self.answers: Counter[str] = Counter()
        self._before = Numbers()

    @abstractmethod
    async def answer(self, visit: Visit) -> str:
        """What one caller gets."""

    @abstractmethod
    async def invalidate(self) -> None:
        """Drop what is asked for."""

    async def leave(self, *calls: Call) -> None:
        """Callers give up."""
        for call in calls:
            call.visit.leave()
            await settled()
            call.task.cancel()
        await settled()

    def ask(self, count: int = 1) -> list[Call]:
        """So many callers come."""
        new = []
        for _ in range(count):
            visit = Visit()
            new.append(Call(asyncio.create_task(self._asked(visit)), visit))
        self.calls += new
        return new

    async def _asked(self, visit: Visit) -> str:
        answer = "left"
        try:
            answer = await self.answer(visit)
        except Exception as error:  # noqa: BLE001  # it is compared
            answer = type(error).__name__
        finally:
            self.answers[answer] += 1
        return answer

    async def start(self) -> None:
        """Start the cache, with leases of a server that is not there."""
        await self.manager.start()
        object.__setattr__(self.manager.engine, "leases", self.leases)

    async def filled(self) -> None:
        """Let there be an entry."""
        self.ask()
        await self.ended()

    async def gone_stale(self) -> None:
        """Have the origin's first answer stored, past its lifetime, and all counters at zero."""
        await self.filled()
        self.clock.advance(LIFETIME + 1)
        self.forget()

    def emptied(self) -> dict[str, tuple[bytes, float]]:
        """Take out what is stored; what lay below, to be put back."""
        items, self.tier.items = self.tier.items, {}
        self.manager.engine.stack.local.clear()
        return items

    async def ended(self) -> None:
        """All callers are answered, and all runs and writes have ended."""
        await asyncio.gather(*(call.task for call in self.calls), return_exceptions=True)
        flights = self.manager.engine.flights
        while flights.running:
            await settled()
        await self.manager.engine.stack.settle()

    def forget(self) -> None:
        """Count from here."""
        self.answers.clear()
        self._before = Numbers()
        self._before = self.numbers()

    def numbers(self) -> Numbers:
        """What there was since `forget`."""
        stats, before = self.manager.stats(), self._before
        total = stats.total
        return Numbers(
            answers=dict(self.answers),
            runs=self.work.runs - before.runs,
            hits=total.total_hits - before.hits,
            misses=total.misses - before.misses,
            coalesced=total.coalesced - before.coalesced,
            stale=total.stale - before.stale,
            passes=dict(total.passes),
            fills=stats.fills - before.fills,
            refreshes=stats.refreshes - before.refreshes,
            validations=stats.validations - before.validations,
            failures=dict(stats.failures),
            claims=self.leases.claims - before.claims,
        )


class Responses(Door):
    """A route of an application behind the middleware."""

    def __init__(self, policy: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        super().__init__(policy, settings)
        rules = [Rule("*", LIFETIME, **self.policy)]
        self.client = Client(CacheMiddleware(self._app, self.manager, rules=rules))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, (await self.work()).encode())

    async def answer(self, visit: Visit) -> str:
        reply = await self.client.get("/x", visit=visit)
        if not reply.messages:
            return "left"
        return "CacheError" if reply.status == 503 else reply.body.decode()

    async def invalidate(self) -> None:
        await self.manager.invalidate_path("/x")


class Values(Door):
    """A function whose value is computed."""

    async def answer(self, visit: Visit) -> str:
        return str(await self.manager.get_or_compute("x", self.work, LIFETIME, **self.policy))

    async def invalidate(self) -> None:
        await self.manager.invalidate("x")
