"""One engine, two doors: the same event gives the same numbers for a response and for a value.

Each row is an event. It goes through `CacheMiddleware` and through `CacheManager.get_or_compute`,
and what is counted and answered is compared with one expectation. Where the doors differ on
purpose, the row says what each gives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from asgi_multitier import TierConfig
from tests.engine.doors import LIFETIME, Door, Numbers, Responses, Values
from tests.support import Visit, pass_time, settled

STALE = {"stale_if_error": 600}
FLEET = {"coalesce": "fleet"}
EAGER = {"eager_refresh": 0.5}
VALIDATED = {"validator": True}
REFUSE = {"max_waiters": 2, "overload": "refuse"}

OWN_RUN = "a client that leads a run is sent what that run sends; a value is the first that comes"
LOOKS_BELOW = "a call looks into the shared tiers before it uses something stale"
HARD = "it ends the run of an application, and only the wait for a value"
CANCELLED = "the request ends as the application ended it; a caller's own task is not cancelled"


async def slow_origin(door: Door) -> None:
    """22 callers wait for runs that take longer than `coalesce_timeout`; the first ends first."""
    door.work.hold()
    door.ask(22)
    await door.work.arrived.acquire()
    for _ in range(2):
        await pass_time(5.1)
        await door.work.arrived.acquire()
    door.work.release(1)
    await settled()
    door.work.release()


async def younger_run(door: Door) -> None:
    """A run that takes too long is followed by one that ends first: the older one is not kept."""
    door.work.hold()
    door.ask(3)
    await door.work.arrived.acquire()
    await pass_time(5.1)
    await door.work.arrived.acquire()
    door.work.release(2)
    await settled()
    door.work.release()
    await door.ended()
    door.ask()


async def leader_leaves(door: Door) -> None:
    """The caller who began the run leaves; two others wait."""
    door.work.hold()
    leader, *_ = door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    await door.leave(leader)
    door.work.release()


async def waiter_leaves(door: Door) -> None:
    """One who waits leaves."""
    door.work.hold()
    *_, last = door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    await pass_time(2)
    await door.leave(last)
    door.work.release()


async def all_leave(door: Door) -> None:
    """All leave, and the run ends in time: it is kept."""
    door.work.hold()
    calls = door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    await pass_time(2)
    await door.leave(*calls)
    door.work.release()
    await door.ended()
    door.ask()


async def all_leave_for_good(door: Door) -> None:
    """All leave, and the run does not end in time: it is cancelled, and the next caller runs."""
    door.work.hold()
    calls = door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    await pass_time(2)
    await door.leave(*calls)
    await pass_time(31)
    door.work.release()
    await door.ended()
    door.ask()


async def failing(door: Door, error: BaseException | None = None) -> None:
    """The origin raises, for three callers."""
    door.work.hold()
    door.work.error = error or LookupError("no such row")
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    door.work.release()


async def failing_once_stale(door: Door) -> None:
    """As above, where something stale may stand in."""
    await door.gone_stale()
    await failing(door)


async def exits(door: Door) -> None:
    """The origin raises what would end the process."""
    await failing(door, SystemExit(3))


async def exits_once_stale(door: Door) -> None:
    """As above, where something stale may stand in."""
    await door.gone_stale()
    await exits(door)


async def failing_once_invalidated(door: Door) -> None:
    """The origin raises after what was stale has been invalidated: nothing stands in."""
    await door.gone_stale()
    door.work.hold()
    door.work.error = LookupError("no such row")
    door.ask(3)
    await door.work.arrived.acquire()
    await door.work.arrived.acquire()
    await settled()
    await door.invalidate()
    door.work.release()


async def slow_once_invalidated(door: Door) -> None:
    """The soft time is over after what was stale has been invalidated: the run is waited for."""
    await door.gone_stale()
    door.work.hold()
    door.ask()
    await door.work.arrived.acquire()
    await door.work.arrived.acquire()
    await door.invalidate()
    await pass_time(2.1)
    door.work.release()


async def failing_unled(door: Door) -> None:
    """The origin raises after the caller who began the run has left; something stale stands in."""
    await door.gone_stale()
    door.work.error = LookupError("no such row")
    await leader_leaves(door)


async def cancels_itself(door: Door) -> None:
    """The origin cancels itself: those who wait run it again."""
    door.work.hold()
    door.work.error = asyncio.CancelledError()
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    door.work.release(1)
    await door.work.arrived.acquire()
    door.work.error = None
    door.work.release()


async def invalidated(door: Door) -> None:
    """What is computed is invalidated meanwhile, and a further caller comes."""
    door.work.hold()
    door.ask(2)
    await door.work.arrived.acquire()
    await settled()
    await door.invalidate()
    door.ask()
    await door.work.arrived.acquire()
    door.work.release()


async def invalidated_alone(door: Door) -> None:
    """The only caller's run is overtaken by an invalidation."""
    door.work.hold()
    door.ask()
    await door.work.arrived.acquire()
    await door.invalidate()
    door.work.release()


async def soft_timeout_of_a_leader(door: Door) -> None:
    """One who waits leads one more run, and its soft time is over while that goes on."""
    await door.gone_stale()
    door.work.hold()
    door.ask(2)
    await door.work.arrived.acquire()
    await door.work.arrived.acquire()
    await settled()
    await pass_time(5.1)
    await door.work.arrived.acquire()
    await pass_time(3)
    await settled()
    door.work.release()


async def crowded(door: Door) -> None:
    """More callers than may wait."""
    door.work.hold()
    door.ask(6)
    await door.work.arrived.acquire()
    await settled()
    door.work.release()


async def crowded_stale(door: Door) -> None:
    """As above, where something stale may stand in."""
    await door.gone_stale()
    await crowded(door)


async def timeout(door: Door) -> None:
    """The origin is slower than the time that its callers have."""
    door.work.hold()
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    await pass_time(2.1)
    await settled()
    door.work.release()


async def timeout_stale(door: Door) -> None:
    """As above, where something stale may stand in."""
    await door.gone_stale()
    await timeout(door)


async def timeout_for_good(door: Door) -> None:
    """The origin does not end at all: no run goes on for ever for callers who wait no more."""
    door.work.hold()
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    for seconds in (2.1, 31):
        await pass_time(seconds)
        await settled()
    assert door.manager.engine.flights.running == 0


async def timeout_stale_for_good(door: Door) -> None:
    """As above, where something stale may stand in."""
    await door.gone_stale()
    await door.work.arrived.acquire()
    await timeout_for_good(door)


async def stale_while_revalidate(door: Door) -> None:
    """Something stale is used by three callers and renewed once."""
    await door.gone_stale()
    door.work.hold()
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    door.work.release()
    await door.ended()
    door.ask()


async def eager(door: Door) -> None:
    """An entry that is fresh for a little longer is used by three callers and renewed once."""
    await door.filled()
    door.clock.advance(LIFETIME - 10)
    door.forget()
    door.work.hold()
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    door.work.release()
    await door.ended()
    door.ask()


async def failing_refresh(door: Door, error: BaseException | None = None) -> None:
    """The background run raises: callers go on with what there is."""
    await door.filled()
    door.clock.advance(LIFETIME - 10)
    door.forget()
    door.work.error = error or LookupError("no such row")
    door.ask()
    await door.ended()
    door.work.error = None
    await settled()


async def exiting_refresh(door: Door) -> None:
    """The background run raises what would end the process."""
    await failing_refresh(door, SystemExit(3))


async def refreshed_elsewhere(door: Door) -> None:
    """Another process renews, and its lease is awaited in the background."""
    await door.filled()
    older = door.emptied()
    door.clock.advance(LIFETIME - 10)
    await door.filled()
    newer = door.emptied()
    door.tier.items = older
    door.forget()
    door.leases.hold_elsewhere()
    door.ask(2)
    await settled()
    door.tier.items = newer
    door.leases.give_back_elsewhere()


def invalidated_before_it_asks(*, leases: bool) -> Callable[[Door], Awaitable[None]]:
    """A background run looks into the shared tier when an invalidation comes, and asks after it."""

    async def event(door: Door) -> None:
        await door.gone_stale()
        if not leases:
            object.__setattr__(door.manager.engine, "leases", None)
        gate = door.tier.gate = asyncio.Event()
        door.ask()
        await settled()
        invalidating = asyncio.create_task(door.invalidate())
        await settled()
        gate.set()
        await invalidating
        await door.ended()
        door.ask()

    return event


async def lost_lease(door: Door) -> None:
    """Another process holds the lease for too long: one more run is made here."""
    door.leases.hold_elsewhere()
    door.ask(3)
    await settled()
    await pass_time(0.6)


async def found_elsewhere(door: Door) -> None:
    """Another process holds the lease, and stores."""
    await door.filled()
    stored = door.emptied()
    door.forget()
    door.leases.hold_elsewhere()
    door.ask(3)
    await settled()
    door.tier.items = stored
    door.leases.give_back_elsewhere()


async def held_lease(door: Door) -> None:
    """The lease is to be had: this process runs the origin for all."""
    door.ask(3)


async def slow_write_under_a_lease(door: Door) -> None:
    """The lease is given back when what was computed can be found, and no earlier."""

    async def hang() -> None:
        door.tier.gate = asyncio.Event()

    door.work.within = hang
    door.ask()
    await door.work.arrived.acquire()
    await settled()
    assert door.leases.taken
    assert door.tier.gate is not None
    door.tier.gate.set()
    await door.ended()
    assert not door.leases.taken


async def nested(door: Door) -> None:
    """The origin asks for what it is to answer."""

    async def again() -> None:
        answer = await door.answer(Visit())
        door.answers[f"within: {answer}"] += 1

    door.work.within = again
    door.ask()


async def closing(door: Door) -> None:
    """The cache is closed while callers wait for a run that does not end."""
    door.work.hold()
    door.ask(3)
    await door.work.arrived.acquire()
    await settled()
    door.work.hold()
    await door.manager.close()
    door.work.release()


async def unchanged(door: Door) -> None:
    """What is stale lives on for three callers, for as long as it was fresh at first, and again."""
    await door.gone_stale()
    door.data.asked = 0
    door.data.gate.clear()
    door.ask(3)
    await settled()
    door.data.gate.set()
    await door.ended()
    assert door.data.asked == 1
    door.clock.advance(LIFETIME - 1)
    door.ask()
    await door.ended()
    door.clock.advance(2)
    door.ask()


async def unchanged_below(door: Door) -> None:
    """What is stale lies in the shared tier alone, from which nothing is promoted."""
    (placed,) = door.manager.engine.stack.shared
    placed.config = TierConfig(2, promotion=False)
    await door.gone_stale()
    door.manager.engine.stack.local.clear()
    door.ask()


async def changed(door: Door) -> None:
    """The data is newer: the origin runs, and what it brings is of the version read before."""
    await door.gone_stale()
    door.data.version = 2
    door.ask(3)
    await door.ended()
    door.clock.advance(LIFETIME + 1)
    door.ask()


def says(version: object, then: object) -> Callable[[Door], Awaitable[None]]:
    """The validator says something when the entry is filled, and something when it is stale."""

    async def event(door: Door) -> None:
        door.data.version = version
        await door.gone_stale()
        door.data.version = then
        door.ask()

    return event


async def changed_during_the_run(door: Door) -> None:
    """The data changes after the origin was asked: the version is the one from before."""
    door.work.hold()
    door.ask()
    await door.work.arrived.acquire()
    door.data.version = 2
    door.work.release()
    await door.ended()
    door.clock.advance(LIFETIME + 1)
    door.ask()


async def invalidated_unchanged(door: Door) -> None:
    """What was invalidated is not revived, though the version is the same."""
    await door.gone_stale()
    await door.invalidate()
    door.ask()


async def invalidated_while_asked(door: Door) -> None:
    """An invalidation comes while the validator is asked; callers that come later run again."""
    await door.gone_stale()
    door.data.gate.clear()
    door.ask(2)
    await settled()
    await door.invalidate()
    door.data.gate.set()
    await door.ended()
    door.ask()


async def kept_to_be_validated(door: Door) -> None:
    """An hour past its lifetime there is still something to validate; a second later there is not.

    In the shared tier as well as in memory.
    """
    await door.filled()
    await door.ended()
    door.manager.engine.stack.local.clear()
    door.clock.advance(LIFETIME + 3599)
    door.forget()
    door.ask()
    await door.ended()
    door.clock.advance(LIFETIME + 3601)
    door.ask()


async def kept_no_longer(door: Door) -> None:
    """What has no version cannot be validated: past its lifetime it takes no room."""
    door.data.version = None
    await door.filled()
    (slot,) = door.manager.engine.stack.local.select(lambda _: True)  # type: ignore[attr-defined]
    assert slot.entry.keep_until == slot.entry.fresh_until


async def unchanged_early(door: Door) -> None:
    """Before it is stale, it is found unchanged in the background, and fresh for all its time."""
    await door.filled()
    door.clock.advance(LIFETIME - 10)
    door.forget()
    door.ask(3)
    await door.ended()
    door.clock.advance(20)
    door.ask()


async def unchanged_in_background(door: Door) -> None:
    """Something stale is used, and found unchanged, once, in the background."""
    await door.gone_stale()
    door.ask(3)
    await door.ended()
    door.ask()


@dataclass(frozen=True)
class Row:
    """An event and what it comes to.

    Attributes:
        event: The event.
        expected: What it comes to.
        policy: Options of the route or the call.
        settings: Of the cache.
        values: What differs for a value.
        why: Why it does.
    """

    event: Callable[[Door], Awaitable[None]]
    expected: Numbers
    policy: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


ROWS = {
    "slow": Row(
        slow_origin,
        Numbers(
            {"run 1": 20, "run 2": 1, "run 3": 1},
            runs=3,
            misses=3,
            coalesced=19,
            fills=3,
            failures={"coalesce-timeout": 2},
        ),
        values={"answers": {"run 1": 22}, "misses": 1, "coalesced": 21},
        why=OWN_RUN,
    ),
    "younger": Row(
        younger_run,
        Numbers(
            {"run 2": 3, "run 1": 1},
            runs=2,
            hits=1,
            misses=2,
            coalesced=1,
            fills=1,
            failures={"coalesce-timeout": 1},
        ),
        values={"answers": {"run 2": 4}, "misses": 1, "coalesced": 2},
        why=OWN_RUN,
    ),
    "leader-leaves": Row(
        leader_leaves,
        Numbers({"left": 1, "run 1": 2}, runs=1, misses=1, coalesced=2, fills=1),
    ),
    "waiter-leaves": Row(
        waiter_leaves,
        Numbers({"left": 1, "run 1": 2}, runs=1, misses=1, coalesced=2, fills=1),
    ),
    "all-leave": Row(
        all_leave,
        Numbers({"left": 3, "run 1": 1}, runs=1, hits=1, misses=1, coalesced=2, fills=1),
    ),
    "all-leave-for-good": Row(
        all_leave_for_good,
        Numbers({"left": 3, "run 2": 1}, runs=2, misses=2, coalesced=2, fills=1),
    ),
    "fails": Row(failing, Numbers({"LookupError": 3}, runs=1, misses=1, coalesced=2)),
    "fails-stale": Row(
        failing_once_stale,
        Numbers({"run 1": 3}, runs=1, stale=3, failures={"origin": 1}),
        STALE,
    ),
    "exits": Row(exits, Numbers({"CacheError": 3}, runs=1, misses=1, coalesced=2)),
    "exits-stale": Row(
        exits_once_stale,
        Numbers({"run 1": 3}, runs=1, stale=3, failures={"origin": 1}),
        STALE,
    ),
    "fails-invalidated": Row(
        failing_once_invalidated,
        Numbers({"LookupError": 3}, runs=1, misses=1, coalesced=2),
        STALE,
    ),
    "soft-invalidated": Row(
        slow_once_invalidated,
        Numbers({"run 2": 1}, runs=1, misses=1),
        {**STALE, "soft_timeout": 2},
    ),
    "fails-unled-stale": Row(
        failing_unled,
        Numbers({"left": 1, "run 1": 2}, runs=1, misses=1, stale=2, failures={"origin": 1}),
        STALE,
    ),
    "cancels-itself": Row(
        cancels_itself,
        Numbers({"left": 1, "run 2": 2}, runs=2, misses=2, coalesced=1, fills=1),
        values={"answers": {"RunCancelled": 1, "run 2": 2}},
        why=CANCELLED,
    ),
    "invalidated": Row(
        invalidated, Numbers({"run 1": 1, "run 2": 2}, runs=2, hits=1, misses=2, fills=1)
    ),
    "invalidated-alone": Row(invalidated_alone, Numbers({"run 1": 1}, runs=1, misses=1)),
    "crowded": Row(
        crowded,
        Numbers(
            {"CacheError": 3, "run 1": 3},
            runs=1,
            misses=1,
            coalesced=2,
            fills=1,
            passes={"overloaded": 3},
        ),
        settings=REFUSE,
    ),
    "crowded-stale": Row(
        crowded_stale,
        Numbers({"run 1": 3, "run 2": 3}, runs=1, misses=1, coalesced=2, stale=3, fills=1),
        STALE,
        REFUSE,
    ),
    "soft": Row(
        timeout,
        Numbers({"run 1": 3}, runs=1, misses=1, coalesced=2, fills=1),
        {"soft_timeout": 2},
    ),
    "soft-stale": Row(
        timeout_stale,
        Numbers({"run 1": 3}, runs=1, stale=3, fills=1),
        {**STALE, "soft_timeout": 2},
    ),
    "soft-stale-leader": Row(
        soft_timeout_of_a_leader,
        Numbers({"run 1": 2}, runs=2, stale=2, fills=2, failures={"coalesce-timeout": 1}),
        {**STALE, "soft_timeout": 8},
    ),
    "hard": Row(
        timeout,
        Numbers({"TimeoutError": 3}, runs=1, misses=1, coalesced=2, failures={"hard-timeout": 3}),
        {"hard_timeout": 2},
        values={"fills": 1},
        why=HARD,
    ),
    "hard-for-good": Row(
        timeout_for_good,
        Numbers({"TimeoutError": 3}, runs=1, misses=1, coalesced=2, failures={"hard-timeout": 3}),
        {"hard_timeout": 2},
    ),
    "soft-for-good": Row(
        timeout_stale_for_good, Numbers({"run 1": 3}, runs=1, stale=3), {**STALE, "soft_timeout": 2}
    ),
    "hard-stale": Row(
        timeout_stale,
        Numbers({"run 1": 3}, runs=1, stale=3, failures={"hard-timeout": 3, "origin": 1}),
        {**STALE, "hard_timeout": 2},
        values={"fills": 1},
        why=HARD,
    ),
    "stale-while-revalidate": Row(
        stale_while_revalidate,
        Numbers({"run 1": 3, "run 2": 1}, runs=1, hits=1, stale=3, fills=1, refreshes=1, claims=1),
        {"stale_while_revalidate": 600},
    ),
    "refresh-invalidated": Row(
        invalidated_before_it_asks(leases=False),
        Numbers({"run 1": 1, "run 2": 1}, runs=1, hits=1, stale=1, fills=1, refreshes=1),
        {"stale_while_revalidate": 600},
        values={"answers": {"run 2": 2}, "misses": 1, "stale": 0, "refreshes": 0},
        why=LOOKS_BELOW,
    ),
    "refresh-invalidated-lease": Row(
        invalidated_before_it_asks(leases=True),
        Numbers({"run 1": 1, "run 2": 1}, runs=1, hits=1, stale=1, fills=1, refreshes=1, claims=1),
        {"stale_while_revalidate": 600},
        values={"answers": {"run 2": 2}, "misses": 1, "stale": 0, "refreshes": 0, "claims": 0},
        why=LOOKS_BELOW,
    ),
    "eager": Row(
        eager,
        Numbers({"run 1": 3, "run 2": 1}, runs=1, hits=4, fills=1, refreshes=1, claims=1),
        EAGER,
    ),
    "failing-refresh": Row(
        failing_refresh,
        Numbers({"run 1": 1}, runs=1, hits=1, refreshes=1, failures={"refresh": 1}, claims=1),
        EAGER,
    ),
    "exiting-refresh": Row(
        exiting_refresh,
        Numbers({"run 1": 1}, runs=1, hits=1, refreshes=1, failures={"refresh": 1}, claims=1),
        EAGER,
    ),
    "failing-refresh-stale": Row(
        failing_refresh,
        Numbers({"run 1": 1}, runs=1, hits=1, refreshes=1, failures={"refresh": 1}, claims=1),
        {**STALE, **EAGER},
    ),
    "refreshed-elsewhere": Row(
        refreshed_elsewhere,
        Numbers({"run 1": 2}, hits=2, refreshes=1, claims=2),
        {**FLEET, **EAGER},
    ),
    "lost-lease": Row(
        lost_lease,
        Numbers(
            {"run 1": 3},
            runs=1,
            misses=1,
            coalesced=2,
            fills=1,
            failures={"coalesce-timeout": 1},
            claims=4,
        ),
        {**FLEET, "coalesce_timeout": 0.5},
    ),
    "found-elsewhere": Row(found_elsewhere, Numbers({"run 1": 3}, coalesced=3, claims=2), FLEET),
    "held-lease": Row(
        held_lease,
        Numbers({"run 1": 3}, runs=1, misses=1, coalesced=2, fills=1, claims=1),
        FLEET,
    ),
    "unchanged": Row(
        unchanged,
        Numbers({"run 1": 5}, hits=3, coalesced=2, fills=2, validations=2),
        VALIDATED,
    ),
    "unchanged-fleet": Row(
        unchanged,
        Numbers({"run 1": 5}, hits=3, coalesced=2, fills=2, validations=2, claims=2),
        {**VALIDATED, **FLEET},
    ),
    "unchanged-below": Row(
        unchanged_below,
        Numbers({"run 1": 1}, hits=1, fills=1, validations=1),
        VALIDATED,
    ),
    "unchanged-background": Row(
        unchanged_in_background,
        Numbers({"run 1": 4}, hits=1, stale=3, fills=1, refreshes=1, validations=1, claims=1),
        {**VALIDATED, "stale_while_revalidate": 600},
    ),
    "unchanged-early": Row(
        unchanged_early,
        Numbers({"run 1": 4}, hits=4, fills=1, refreshes=1, validations=1, claims=1),
        {**VALIDATED, **EAGER},
    ),
    "changed": Row(
        changed,
        Numbers({"run 2": 4}, runs=1, hits=1, misses=1, coalesced=2, fills=2, validations=1),
        VALIDATED,
    ),
    "changed-during": Row(
        changed_during_the_run,
        Numbers({"run 1": 1, "run 2": 1}, runs=2, misses=2, fills=2),
        VALIDATED,
    ),
    "version-unknown": Row(
        says(1, None), Numbers({"run 2": 1}, runs=1, misses=1, fills=1), VALIDATED
    ),
    "version-never-known": Row(
        says(None, None), Numbers({"run 2": 1}, runs=1, misses=1, fills=1), VALIDATED
    ),
    "version-not-known-before": Row(
        says(None, 1), Numbers({"run 2": 1}, runs=1, misses=1, fills=1), VALIDATED
    ),
    "version-of-another-type": Row(
        says(1, "1"), Numbers({"run 2": 1}, runs=1, misses=1, fills=1), VALIDATED
    ),
    "validator-fails": Row(
        says(1, LookupError("no such row")),
        Numbers({"run 2": 1}, runs=1, misses=1, fills=1, failures={"validator": 1}),
        VALIDATED,
    ),
    "version-of-no-kind": Row(
        says(1, [1]),
        Numbers({"run 2": 1}, runs=1, misses=1, fills=1, failures={"validator": 1}),
        VALIDATED,
    ),
    "invalidated-unchanged": Row(
        invalidated_unchanged, Numbers({"run 2": 1}, runs=1, misses=1, fills=1), VALIDATED
    ),
    "invalidated-while-asked": Row(
        invalidated_while_asked,
        Numbers({"run 2": 1, "run 3": 2}, runs=2, hits=1, misses=2, fills=1),
        VALIDATED,
    ),
    "kept-to-be-validated": Row(
        kept_to_be_validated,
        Numbers({"run 1": 1, "run 2": 1}, runs=1, hits=1, misses=1, fills=2, validations=1),
        VALIDATED,
    ),
    "kept-no-longer": Row(
        kept_no_longer, Numbers({"run 1": 1}, runs=1, misses=1, fills=1), VALIDATED
    ),
    "lease-slow-write": Row(
        slow_write_under_a_lease,
        Numbers({"run 1": 1}, runs=1, misses=1, fills=1, claims=1),
        FLEET,
    ),
    "nested": Row(
        nested,
        Numbers({"within: run 2": 1, "run 1": 1}, runs=2, misses=1, passes={"nested": 1}, fills=1),
        values={"answers": {"CacheError": 1}, "runs": 1, "fills": 0},
        why="a request is answered by the application alone; a function is told that it nests",
    ),
    "closing": Row(
        closing,
        Numbers({"left": 1, "run 2": 2}, runs=2, misses=2, coalesced=1, fills=1),
        values={
            "answers": {"RunCancelled": 1, "CacheError": 2},
            "runs": 1,
            "misses": 1,
            "coalesced": 2,
            "fills": 0,
        },
        why="a request is answered by the application all the same; a caller is told",
    ),
}
"""The events. Those whose run waits at its gate last no time but what `pass_time` lets pass."""


@pytest.mark.parametrize("door_type", [Responses, Values])
@pytest.mark.parametrize("name", ROWS)
async def test_an_event_gives_the_same_numbers_at_both_doors(
    name: str,
    door_type: type[Door],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is run, counted, stored and answered; and nothing is left."""
    monkeypatch.setattr("asgi_multitier.manager.lifecycle._CLOSE_PATIENCE", 0.01)
    row = ROWS[name]
    before = asyncio.all_tasks()
    door = door_type(row.policy, row.settings)
    await door.start()
    try:
        await row.event(door)
        await door.ended()
        flights = door.manager.engine.flights
        expected = replace(row.expected, **row.values) if door_type is Values else row.expected

        assert door.numbers() == expected, row.why
        assert bool(row.values) == bool(row.why)
        assert not any("None" in message for message in caplog.messages), (
            "a log line names what failed"
        )
        assert (len(flights), flights.running) == (0, 0)
    finally:
        await door.manager.close()
    await settled()

    assert asyncio.all_tasks() - before == set()
