"""What one request asks of a second tier that does not answer, whatever else becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, NullTier, Rule
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.engine.fleet import run_in_fleet
from asgi_multitier.errors import BackendError
from asgi_multitier.tiers.base import Held
from tests.support import Client, pass_time, respond, settled

TIMEOUT = 0.05


class FrozenTier(NullTier):
    """Answers so many reads with nothing, and then none any more."""

    def __init__(self, answers: int = 0) -> None:
        super().__init__()
        self.answers = answers
        self.asked = 0

    async def get_many(self, keys: Any) -> list[Held | None]:
        self.asked += 1
        if self.asked > self.answers:
            await asyncio.Event().wait()
        return [None] * len(keys)


@asynccontextmanager
async def caching(
    app: ASGIApp, tier: FrozenTier, **more: Any
) -> AsyncIterator[tuple[Client, CacheManager]]:
    """An application behind a cache over that tier."""
    manager = CacheManager(l2=tier, redis_url=None, redis_timeout=TIMEOUT, **more)
    async with manager:
        yield Client(CacheMiddleware(app, manager, rules=[Rule("*", 60)])), manager


class Overtaking:
    """An origin whose first runs are each overtaken by an invalidation."""

    def __init__(self, times: int) -> None:
        self.manager: CacheManager | None = None
        self.runs = 0
        self._times = times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.runs += 1
        if self.runs <= self._times and self.manager is not None:
            await self.manager.invalidate_path("/x")
        await respond(send, b"answer")


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        pytest.param(0, 1, id="frozen before the first look"),
        pytest.param(1, 2, id="frozen before the second look"),
    ],
)
async def test_a_request_waits_for_a_frozen_tier_once(answers: int, asked: int) -> None:
    """A member whose run is overtaken looks again, and waits for the tier no second time."""
    origin, tier = Overtaking(2), FrozenTier(answers)
    async with caching(origin, tier) as (client, manager):
        origin.manager = manager
        replies = await asyncio.gather(*(client.get("/x") for _ in range(3)))

    assert {reply.body for reply in replies} == {b"answer"}
    assert tier.asked == asked


class _Unanswered:
    """A claim that was won because nobody answered."""

    won = True
    held = False

    async def released(self, timeout: float) -> bool:
        raise AssertionError("nobody is waited for")

    async def release(self) -> None:
        return


class _NoLeases:
    async def claim(self, key: str, traceparent: str | None = None) -> _Unanswered:
        return _Unanswered()


async def test_whom_the_leases_do_not_answer_looks_nowhere_else() -> None:
    """The run begins at once: the same server would be asked a second time."""
    looks, runs = [], []

    async def look() -> None:
        looks.append(1)

    async def run(claim: object) -> None:
        runs.append(claim)

    await run_in_fleet(_NoLeases(), "key", 5.0, look, run)

    assert (len(looks), len(runs)) == (0, 1)


async def test_who_has_waited_for_the_tier_does_not_wait_for_the_leases() -> None:
    """The rule wants one run in the fleet; there is no time left to ask for that."""
    claims: list[str] = []

    class Leases:
        async def claim(self, key: str, traceparent: str | None = None) -> _Unanswered:
            claims.append(key)
            return _Unanswered()

        async def close(self) -> None:
            return

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"answer")

    for tier, expected in ((FrozenTier(), 0), (FrozenTier(9), 1)):
        claims.clear()
        manager = CacheManager(l2=tier, redis_url=None, redis_timeout=TIMEOUT)
        manager._backends._leases = Leases()  # type: ignore[assignment]
        async with manager:
            rules = [Rule("*", 60, coalesce="fleet")]
            reply = await Client(CacheMiddleware(app, manager, rules=rules)).get("/x")
        assert reply.body == b"answer"
        assert len(claims) == expected


class _Lease:
    """A claim at a lease that is held in this process."""

    def __init__(self, leases: "_Held", key: str) -> None:
        self.won = self.held = key not in leases.held
        self.leases, self.key = leases, key
        if self.won:
            leases.held[key] = asyncio.Event()
        self.over = leases.held[key]

    async def released(self, timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self.over.wait()
        except TimeoutError:
            return False
        return True

    async def release(self) -> None:
        if self.held:
            self.leases.held.pop(self.key).set()


class _Held:
    def __init__(self) -> None:
        self.held: dict[str, asyncio.Event] = {}

    async def claim(self, key: str, traceparent: str | None = None) -> _Lease:
        return _Lease(self, key)


async def test_a_slow_run_is_followed_by_one_more_in_the_fleet_and_not_by_all() -> None:
    """Twenty processes wait for one that hangs: one more run each patience; one answers all."""
    leases, gates, stored = _Held(), [asyncio.Event() for _ in range(4)], []

    async def look() -> str | None:
        return stored[0] if stored else None

    runs: list[int] = []

    async def run(claim: object) -> None:
        runs.append(1)
        await gates[len(runs) - 1].wait()
        stored.append("answer")

    processes = [
        asyncio.create_task(run_in_fleet(leases, "key", 100.0, look, run)) for _ in range(21)
    ]
    for expected in (1, 2, 3):
        await pass_time(80)
        assert len(runs) == expected
        await pass_time(21)
    assert len(runs) == 4
    gates[3].set()
    await pass_time(101)
    for gate in gates:
        gate.set()
    answers = await asyncio.gather(*processes)

    assert len(runs) == 4
    assert answers.count("answer") == 17


async def test_a_process_that_has_waited_already_asks_for_a_further_run() -> None:
    """Its own run takes too long: there is one more in the fleet, whichever process begins it."""
    leases, gate = _Held(), asyncio.Event()

    async def look() -> None:
        return None

    runs: list[int] = []

    async def run(claim: object) -> None:
        runs.append(1)
        await gate.wait()

    turns = [
        asyncio.create_task(run_in_fleet(leases, "key", 100.0, look, run, turn=turn))
        for turn in (0, 1, 1)
    ]
    await settled()

    assert len(runs) == 2
    gate.set()
    await asyncio.gather(*turns)


class FailingTier(NullTier):
    """Fails all reads at once, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.fails = asyncio.Event()

    async def get_many(self, keys: Any) -> list[Held | None]:
        self.asked += 1
        await self.fails.wait()
        raise BackendError("no answer")


async def test_a_tier_is_said_to_be_left_out_once(caplog: pytest.LogCaptureFixture) -> None:
    """Many calls were under way when it went, and each of them fails."""
    tier = FailingTier()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"answer")

    async with CacheManager(l2=tier, redis_url=None, redis_timeout=20) as manager:
        client = Client(CacheMiddleware(app, manager, rules=[Rule("*", 60)]))
        requests = []
        for number in range(5):
            requests.append(client.begin(f"/{number}"))
            await settled()
        assert tier.asked == 5
        tier.fails.set()
        replies = await asyncio.gather(*requests)

    assert {reply.body for reply in replies} == {b"answer"}
    said = [line for line in caplog.messages if "circuit breaker" in line]
    assert said == [
        "tier null: circuit breaker open, get fails: no answer; skipped until it answers again"
    ]
