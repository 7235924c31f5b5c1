"""Computing values: which caller runs the function, which wait, what is stored or stands in."""

import asyncio
from typing import Any

import pytest

from asgi_multitier import CacheError, CacheManager
from asgi_multitier.engine.flights import RunCancelled
from asgi_multitier.errors import SerializationError
from asgi_multitier.testing import FakeClock
from tests.manager.support import Function, SeenTier, idle, in_memory, over, settled
from tests.support import pass_time

SHORT = 0.01
"""Seconds of a time-out that a test waits for: the function it is about never ends by itself."""


async def gathered(
    cache: CacheManager, function: Function, count: int, **options: Any
) -> list[Any]:
    """The answers of so many callers, all of which wait before the function goes on."""
    calls = [
        asyncio.create_task(cache.get_or_compute("k", function, **options)) for _ in range(count)
    ]
    await function.started.wait()
    await idle()
    function.gate.set()
    return await asyncio.gather(*calls)


# Who runs it.


async def test_value_is_computed_once_and_stored() -> None:
    """The second call is a hit."""
    async with in_memory() as cache:
        function = Function({"a": 1})

        assert await cache.get_or_compute("k", function) == {"a": 1}
        assert await cache.get_or_compute("k", function) == {"a": 1}
        assert await cache.get("k") == {"a": 1}
        assert function.runs == 1
        assert cache.stats().fills == 1


async def test_sync_functions_compute_too() -> None:
    """Whatever returns a value, or something to await."""
    async with in_memory() as cache:
        assert await cache.get_or_compute("a", lambda: 1) == 1
        assert await cache.get_or_compute("b", lambda: Function(2)()) == 2


@pytest.mark.parametrize("value", [None, "", 0, [], b""], ids=repr)
async def test_empty_results_are_results(value: Any) -> None:
    """Negative caching: that there is nothing is worth remembering."""
    async with in_memory() as cache:
        function = Function(value)
        for _ in range(3):
            assert await cache.get_or_compute("k", function) == value

        assert function.runs == 1


async def test_a_hundred_callers_share_one_run() -> None:
    """All get the value; one missed, the others were coalesced."""
    async with in_memory() as cache:
        function = Function([1]).close()
        answers = await gathered(cache, function, 100)

        assert answers == [[1]] * 100
        assert function.runs == 1
        total = cache.stats().total
        assert (total.misses, total.coalesced, total.requests) == (1, 99, 100)


async def test_leader_gets_his_own_object_and_others_copies() -> None:
    """Callers do not share an object that one of them may change."""
    async with in_memory() as cache:
        function = Function([1]).close()
        answers = await gathered(cache, function, 3)

        assert answers[0] is function.value
        assert len({id(answer) for answer in answers}) == 3


async def test_leaving_harms_nobody_else() -> None:
    """Neither the first caller nor one that waits cancels the run."""
    async with in_memory() as cache:
        function = Function("value").close()
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(3)]
        await function.started.wait()
        await idle()
        calls[0].cancel()
        calls[1].cancel()
        await idle()
        function.gate.set()

        assert await calls[2] == "value"
        assert function.runs == 1
        assert all(call.cancelled() for call in calls[:2])


async def test_run_that_everybody_left_is_stored_all_the_same() -> None:
    """It has begun: what it brings is worth keeping."""
    async with in_memory() as cache:
        function = Function("value").close()
        call = asyncio.create_task(cache.get_or_compute("k", function))
        await function.started.wait()
        call.cancel()
        await idle()
        function.gate.set()
        await settled(cache)

        assert await cache.get("k") == "value"
        assert len(cache.engine.flights) == 0


async def test_exceptions_are_the_functions_own() -> None:
    """All callers get the same exception, nothing is stored, and the next call runs it again."""
    async with in_memory() as cache:
        function = Function("value").close()
        function.error = LookupError("no such row")
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(3)]
        await function.started.wait()
        await idle()
        function.gate.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)

        assert answers == [function.error] * 3
        assert await cache.get("k") is None
        function.error = None
        assert await cache.get_or_compute("k", function) == "value"
        assert function.runs == 2
        total = cache.stats().total
        assert (total.misses, total.coalesced) == (3, 2)


async def test_value_that_cannot_be_bytes_is_an_error_for_everybody() -> None:
    """Callers that wait cannot get the value, so the first one does not either."""
    async with in_memory() as cache:
        with pytest.raises(SerializationError, match="object"):
            await cache.get_or_compute("k", Function(object()))


async def test_function_that_asks_for_itself_is_told_so() -> None:
    """It would wait for itself for ever; through another key as well."""
    async with in_memory() as cache:

        async def direct() -> Any:
            return await cache.get_or_compute("a", direct)

        async def through_another() -> Any:
            return await cache.get_or_compute("c", lambda: cache.get_or_compute("b", Function()))

        with pytest.raises(CacheError, match="'a' asks for 'a'"):
            await cache.get_or_compute("a", direct)
        with pytest.raises(CacheError, match="'b' asks for 'b'"):
            await cache.get_or_compute("b", through_another)


async def test_function_may_ask_for_other_keys() -> None:
    """Values made of values."""
    async with in_memory() as cache:

        async def outer() -> Any:
            return [await cache.get_or_compute("inner", Function(1)), await cache.get("outer")]

        assert await cache.get_or_compute("outer", outer) == [1, None]


async def test_two_functions_that_wait_for_each_other_end() -> None:
    """A waits for B's run and B for A's: after `coalesce_timeout` each is run once more."""
    async with in_memory(coalesce_timeout=SHORT) as cache:
        both = asyncio.Barrier(2)

        async def run(mine: str, other: str) -> str:
            await both.wait()
            return mine + await cache.get_or_compute(other, lambda: other)

        answers = await asyncio.gather(
            cache.get_or_compute("a", lambda: run("a", "b")),
            cache.get_or_compute("b", lambda: run("b", "a")),
        )

        assert [answer[0] for answer in answers] == ["a", "b"]


async def test_plain_get_never_waits_for_a_run() -> None:
    """It answers what there is now: nothing."""
    async with in_memory() as cache:
        function = Function().close()
        call = asyncio.create_task(cache.get_or_compute("k", function))
        await function.started.wait()

        assert await cache.get("k") is None
        function.gate.set()
        await call


async def test_without_coalescing_everybody_runs_it() -> None:
    """And each stores its own result."""
    async with in_memory() as cache:
        function = Function().close()
        await gathered(cache, function, 3, coalesce=False)

        assert function.runs == 3
        assert cache.stats().misses == 3
        assert await cache.get("k") == "value"


async def test_a_slow_function_is_run_once_more_a_patience_and_never_by_all() -> None:
    """5,000 callers: one run each `coalesce_timeout`; the first to end answers all."""
    async with in_memory(coalesce_timeout=100) as cache:
        slow = Function("value").close()
        calls = [asyncio.create_task(cache.get_or_compute("k", slow)) for _ in range(5000)]
        await slow.started.wait()
        for runs in (1, 2, 3):
            await pass_time(80)
            assert slow.runs == runs
            await pass_time(21)
        slow.gate.set()

        assert set(await asyncio.gather(*calls)) == {"value"}
        assert slow.runs == 4
        stats = cache.stats()
        assert (stats.misses, stats.total.coalesced) == (1, 4999)
        assert stats.failures == {"coalesce-timeout": 3}


async def test_who_gives_up_waiting_changes_nothing_for_others() -> None:
    """`hard_timeout` of some callers is over: all others wait on for the one run."""
    async with in_memory() as cache:
        slow = Function("value").close()
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()
        hasty = [
            asyncio.create_task(cache.get_or_compute("k", slow, hard_timeout=1)) for _ in range(2)
        ]
        await pass_time(1.1)
        assert all(isinstance(call.exception(), TimeoutError) for call in hasty)
        others = [asyncio.create_task(cache.get_or_compute("k", slow)) for _ in range(20)]
        await idle()
        slow.gate.set()

        assert await asyncio.gather(first, *others) == ["value"] * 21
        assert slow.runs == 1


async def test_one_with_less_patience_leads_one_more_run_for_all() -> None:
    """What it brings answers the opener too, and what the slow run brings later is not stored."""
    async with in_memory() as cache:
        slow, own = Function("slow").close(), Function("own")
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()

        assert await cache.get_or_compute("k", own, coalesce_timeout=SHORT) == "own"
        assert await first == "own"
        slow.gate.set()
        await settled(cache)
        assert await cache.get("k") == "own"
        assert cache.stats().failures == {"coalesce-timeout": 1}


async def test_a_set_while_one_waits_answers_who_was_to_lead() -> None:
    """Patience is over, and there is a value by then: no run is begun for it."""
    async with in_memory() as cache:
        slow, own = Function("slow").close(), Function("own")
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()
        waiter = asyncio.create_task(cache.get_or_compute("k", own, coalesce_timeout=5))
        await idle()
        await cache.set("k", "set")
        await pass_time(5.1)

        assert await waiter == "set"
        assert own.runs == 0
        slow.gate.set()
        assert await first == "slow"


async def test_a_run_of_ones_own_does_not_overwrite_a_later_set() -> None:
    """Also without coalescing, what was set while the function ran stays."""
    async with in_memory() as cache:
        slow = Function("old").close()
        first = asyncio.create_task(cache.get_or_compute("k", slow, coalesce=False))
        await slow.started.wait()
        await cache.set("k", "new")
        slow.gate.set()

        assert await first == "old"
        assert await cache.get("k") == "new"


async def test_a_further_run_cannot_ask_for_itself_either() -> None:
    """Its caller is told so, although the first run goes on."""
    async with in_memory() as cache:
        slow = Function("slow").close()
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()

        async def own() -> Any:
            return await cache.get_or_compute("k", Function())

        with pytest.raises(CacheError, match="asks for"):
            await cache.get_or_compute("k", own, coalesce_timeout=SHORT)
        slow.gate.set()
        assert await first == "slow"


@pytest.mark.parametrize("bounds", [{"max_flights": 1}, {"max_waiters": 1}])
async def test_beyond_the_bounds_there_is_one_run_too(bounds: dict[str, int]) -> None:
    """With more keys or more waiting callers than allowed, no caller runs the function alone."""
    async with in_memory(**bounds) as cache:
        slow, own = Function("slow").close(), Function("own").close()
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()
        key = "k" if "max_waiters" in bounds else "other"
        calls = [asyncio.create_task(cache.get_or_compute(key, own)) for _ in range(30)]
        await idle()
        slow.gate.set()
        own.gate.set()

        assert len(set(await asyncio.gather(*calls))) == 1
        assert slow.runs + own.runs == (1 if key == "k" else 2)
        await first


async def test_more_callers_than_allowed_are_refused_where_that_is_asked_for() -> None:
    """`overload="refuse"`: a `CacheError` that says so, or what is stale, and no run."""
    clock = FakeClock()
    async with in_memory(clock, max_waiters=1, overload="refuse") as cache:
        slow = Function("slow").close()
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        second = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()
        await idle()

        with pytest.raises(CacheError, match="'k': max_waiters=1 callers wait"):
            await cache.get_or_compute("k", slow)
        slow.gate.set()
        assert await first == await second == "slow"
        await cache.set("k", "stale", 10, stale_if_error=60)
        clock.advance(11)
        slow.close()
        calls = [asyncio.create_task(cache.get_or_compute("k", slow)) for _ in range(3)]
        await idle()
        slow.gate.set()
        assert await asyncio.gather(*calls) == ["slow", "slow", "stale"]
        assert cache.stats().total.passes == {"overloaded": 1}


# What is stored.


async def test_run_begun_before_an_invalidation_is_not_stored() -> None:
    """Its caller gets what it brings; the next one asks again, at once."""
    async with in_memory() as cache:
        old, new = Function("old").close(), Function("new")
        call = asyncio.create_task(cache.get_or_compute("k", old, tags=["t"]))
        await old.started.wait()
        await cache.invalidate_tags("t")

        assert await cache.get_or_compute("k", new) == "new"
        old.gate.set()
        assert await call == "old"
        assert await cache.get("k") == "new"


async def test_set_during_a_run_wins() -> None:
    """What was set is younger than what the run has read."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        old = Function("old").close()
        call = asyncio.create_task(cache.get_or_compute("k", old))
        await old.started.wait()
        await cache.set("k", "new")
        old.gate.set()

        assert await call == "old"
        await settled(cache)
        assert await cache.get("k") == "new"
        cache.engine.stack.local.clear()
        assert await cache.get("k") == "new"


async def test_value_below_spares_the_run() -> None:
    """Another instance has computed it."""
    clock = FakeClock()
    below = SeenTier(clock)
    function = Function()
    async with over(clock, below) as one, over(clock, below) as two:
        # The same generation of the log, as instances on one server have it.
        two.engine.index.enter(one.engine.index.gen, 0)
        await one.get_or_compute("k", function)
        await settled(one)

        assert await two.get_or_compute("k", function) == "value"
        assert function.runs == 1
        assert two.stats().l2_hits == 1


# Stale values.


async def test_stale_while_revalidate_answers_and_renews() -> None:
    """Past its lifetime a value is served, and renewed once in the background; not for ever."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        function = Function(1)
        options: dict[str, Any] = {"strategy": 10, "stale_while_revalidate": 5}
        await cache.get_or_compute("k", function, **options)
        clock.advance(12)
        function.value = 2
        function.close()
        function.started.clear()

        assert await cache.get_or_compute("k", function, **options) == 1
        assert await cache.get_or_compute("k", function, **options) == 1
        await function.started.wait()
        function.gate.set()
        await settled(cache)
        assert await cache.get_or_compute("k", function, **options) == 2
        assert function.runs == 2
        clock.advance(15)
        function.value = 3
        assert await cache.get_or_compute("k", function, **options) == 3
        stats = cache.stats()
        assert (stats.total.stale, stats.refreshes, stats.misses) == (2, 1, 2)


async def test_stale_if_error_stands_in_for_a_failure() -> None:
    """For as long as it says, and for all callers that wait."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        function = Function(1)
        options: dict[str, Any] = {"strategy": 10, "stale_if_error": 60}
        await cache.get_or_compute("k", function, **options)
        clock.advance(69)
        function.error = OSError("down")
        function.close()
        function.started.clear()

        assert await gathered(cache, function, 3, **options) == [1, 1, 1]
        clock.advance(1)
        with pytest.raises(OSError, match="down"):
            await cache.get_or_compute("k", function, **options)
        stats = cache.stats()
        assert (stats.total.stale, stats.misses, stats.failures) == (3, 2, {"origin": 1})


async def test_nothing_stands_in_after_an_invalidation() -> None:
    """Not even when it comes while the function runs."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        function = Function(1)
        options: dict[str, Any] = {"strategy": 10, "stale_if_error": 60}
        await cache.get_or_compute("k", function, **options)
        clock.advance(11)
        function.error = OSError("down")
        function.close()
        function.started.clear()
        call = asyncio.create_task(cache.get_or_compute("k", function, **options))
        await function.started.wait()
        await cache.invalidate("k")
        function.gate.set()

        with pytest.raises(OSError, match="down"):
            await call


async def test_stale_if_error_alone_does_not_spare_the_run() -> None:
    """A function that works is asked first."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        function = Function(1)
        await cache.get_or_compute("k", function, 10, stale_if_error=60)
        clock.advance(11)
        function.value = 2

        assert await cache.get_or_compute("k", function, 10) == 2


async def test_soft_timeout_serves_the_stale_value_and_completes_in_the_background() -> None:
    """The caller has waited long enough; the run goes on and is stored."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        function = Function(1)
        options: dict[str, Any] = {"strategy": 10, "stale_if_error": 60, "soft_timeout": SHORT}
        await cache.get_or_compute("k", function, **options)
        clock.advance(11)
        function.value = 2
        function.close()

        assert await cache.get_or_compute("k", function, **options) == 1
        function.gate.set()
        await settled(cache)
        assert await cache.get("k") == 2
        assert cache.stats().total.stale == 1


async def test_soft_timeout_without_a_stale_value_waits() -> None:
    """There is nothing else to answer with, so the function's answer is waited for."""
    async with in_memory() as cache:
        function = Function(1).close()
        call = asyncio.create_task(
            cache.get_or_compute("k", function, soft_timeout=SHORT, hard_timeout=60)
        )
        await function.started.wait()
        await pass_time(2 * SHORT)
        assert not call.done()
        function.gate.set()

        assert await call == 1


async def test_soft_timeout_of_a_value_too_old_to_stand_in_goes_on_waiting() -> None:
    """Kept for `stale_while_revalidate` only, it does not stand in; `hard_timeout` still counts."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("k", 1, 10, stale_while_revalidate=1, stale_if_error=2)
        slot = cache.engine.stack.local.get("k")
        assert slot is not None
        clock.advance(11.5)
        function = Function(2).close()
        call = asyncio.create_task(
            cache.get_or_compute("k", function, soft_timeout=SHORT, hard_timeout=2 * SHORT)
        )
        await function.started.wait()
        clock.advance(1)

        with pytest.raises(TimeoutError, match="hard_timeout"):
            await call
        function.gate.set()
        await settled(cache)


async def test_hard_timeout_ends_the_wait_but_not_the_run() -> None:
    """The caller gets an error that names the option; what the run brings is stored."""
    async with in_memory() as cache:
        function = Function(1).close()
        with pytest.raises(TimeoutError, match=r"'k' takes longer than hard_timeout=0\.01 s"):
            await cache.get_or_compute("k", function, hard_timeout=SHORT)
        function.gate.set()
        await settled(cache)

        stats = cache.stats()
        assert (stats.misses, stats.failures) == (1, {"hard-timeout": 1})
        assert await cache.get("k") == 1


async def test_hard_timeout_lets_the_stale_value_stand_in() -> None:
    """It counts as a failure of the function."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("k", 1, 10, stale_if_error=60)
        clock.advance(11)
        function = Function(2).close()

        assert await cache.get_or_compute("k", function, hard_timeout=SHORT) == 1
        assert cache.stats().failures == {"hard-timeout": 1, "origin": 1}
        function.gate.set()
        await settled(cache)


async def test_hard_timeout_counts_for_who_waits_and_for_who_leads_one_more() -> None:
    """Whatever a caller waits for, it waits no longer, and runs begun meanwhile go on."""
    async with in_memory() as cache:
        slow, own = Function("slow").close(), Function("own").close()
        first = asyncio.create_task(cache.get_or_compute("k", slow))
        await slow.started.wait()
        with pytest.raises(TimeoutError, match="hard_timeout"):
            await cache.get_or_compute("k", own, hard_timeout=SHORT)
        with pytest.raises(TimeoutError):
            await cache.get_or_compute("k", own, hard_timeout=2 * SHORT, coalesce_timeout=SHORT)
        slow.gate.set()
        own.gate.set()
        await first

        total = cache.stats().total
        assert (total.misses, total.coalesced, total.passes) == (2, 1, {})


async def test_a_run_nobody_waits_for_ends_within_its_time() -> None:
    """`fill_timeout` after the last caller left it is cancelled; the next call runs it again."""
    async with in_memory() as cache:
        cache.engine.flights._fill_timeout = SHORT
        function = Function().close()
        with pytest.raises(TimeoutError):
            await cache.get_or_compute("k", function, hard_timeout=SHORT)
        await settled(cache)
        function.gate.set()

        assert await cache.get_or_compute("k", function) == "value"
        assert function.runs == 2


# Renewing early.


async def test_eager_refresh_renews_before_the_end() -> None:
    """Past its share of the lifetime a hit starts one run in the background."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        function = Function(1)
        options: dict[str, Any] = {"strategy": 10, "eager_refresh": 0.5}
        await cache.get_or_compute("k", function, **options)
        clock.advance(4.9)
        await cache.get_or_compute("k", function, **options)
        await settled(cache)
        assert function.runs == 1
        clock.advance(0.2)
        function.value = 2

        assert await cache.get_or_compute("k", function, **options) == 1
        assert await cache.get_or_compute("k", function, **options) == 1
        await settled(cache)
        assert await cache.get("k") == 2
        assert function.runs == 2
        assert cache.stats().refreshes == 1
        clock.advance(9)
        assert await cache.get("k") == 2


async def test_eager_refresh_asks_the_shared_tier_first() -> None:
    """Another instance has renewed it already: nothing is computed here."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        function = Function("old")
        options: dict[str, Any] = {"strategy": 10, "eager_refresh": 0.5}
        await cache.get_or_compute("k", function, **options)
        await settled(cache)
        old = cache.engine.stack.local.get("k")
        assert old is not None
        clock.advance(6)
        await cache.set("k", "new", 10, eager_refresh=0.5)
        cache.engine.stack.local.set(old)

        assert await cache.get_or_compute("k", function, **options) == "old"
        await settled(cache)
        assert function.runs == 1
        assert await cache.get("k") == "new"


async def test_failed_refresh_leaves_the_value_and_is_counted() -> None:
    """No caller waits for it, so none gets the exception."""
    clock = FakeClock()
    below = SeenTier(clock)
    async with over(clock, below) as cache:
        function = Function(1)
        options: dict[str, Any] = {"strategy": 10, "eager_refresh": 0.5}
        await cache.get_or_compute("k", function, **options)
        clock.advance(6)
        function.error = OSError("down")

        assert await cache.get_or_compute("k", function, **options) == 1
        await settled(cache)
        assert await cache.get("k") == 1
        assert cache.stats().failures == {"refresh": 1}


async def test_refresh_is_not_begun_beyond_the_bound_of_flights() -> None:
    """What is in the background waits for a better time."""
    clock = FakeClock()
    async with in_memory(clock, max_flights=1) as cache:
        await cache.set("k", 1, 10, eager_refresh=0.5)
        slow, function = Function().close(), Function(2)
        call = asyncio.create_task(cache.get_or_compute("other", slow))
        await slow.started.wait()
        clock.advance(6)

        assert await cache.get_or_compute("k", function) == 1
        assert function.runs == 0
        slow.gate.set()
        await call


# The end.


async def test_close_waits_for_runs_and_writes() -> None:
    """What was begun is stored below before the tiers are released."""
    clock = FakeClock()
    below = SeenTier(clock)
    function = Function("value").close()
    async with over(clock, below) as cache:
        call = asyncio.create_task(cache.get_or_compute("k", function))
        await function.started.wait()
        asyncio.get_running_loop().call_soon(function.gate.set)
    assert await call == "value"
    assert below.ttl("k") == 300
    assert below.calls["close"] == 1


async def test_close_cancels_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting caller gets an error; its own task is not cancelled."""
    monkeypatch.setattr("asgi_multitier.manager.lifecycle._CLOSE_PATIENCE", SHORT)
    function = Function().close()
    async with in_memory() as cache:
        call = asyncio.create_task(cache.get_or_compute("k", function))
        await function.started.wait()
    with pytest.raises(RunCancelled):
        await call
    assert not call.cancelled()


async def test_callers_who_wait_when_the_cache_is_closed_begin_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are told, or have what is stale; no run begins in a cache that is closed."""
    monkeypatch.setattr("asgi_multitier.manager.lifecycle._CLOSE_PATIENCE", SHORT)
    before = asyncio.all_tasks()
    function = Function().close()
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("stale", "old", 10, stale_if_error=600)
        clock.advance(11)
        calls = [asyncio.create_task(cache.get_or_compute("k", function)) for _ in range(3)]
        calls += [asyncio.create_task(cache.get_or_compute("stale", function)) for _ in range(3)]
        await function.started.wait()
        await idle()
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert [isinstance(answer, CacheError) for answer in answers] == 3 * [True] + 3 * [False]
    assert answers[3:] == 3 * ["old"]
    assert function.runs == 2
    assert asyncio.all_tasks() == before
    assert cache.stats().routes["manager"].requests == 6


async def test_a_stale_value_stands_in_for_a_run_that_cancels_itself() -> None:
    """For who began it as for any failure; those who wait run again."""
    clock = FakeClock()
    async with in_memory(clock) as cache:
        await cache.set("k", "old", 10, stale_if_error=600)
        clock.advance(11)
        function = Function()
        function.error = asyncio.CancelledError()

        assert await cache.get_or_compute("k", function) == "old"


async def test_how_long_a_value_took_is_known_to_the_first_tier() -> None:
    """From before its run to its end, for a tier that keeps what was slow."""
    clock = FakeClock()

    async def slow() -> str:
        clock.advance(2.5)
        return "value"

    async with in_memory(clock) as cache:
        await cache.get_or_compute("computed", slow, 60)
        await cache.set("set", "value", 60)
        slots = (cache.engine.stack.find(key) for key in ("computed", "set"))
        costs = [slot.entry.cost for slot in slots if slot is not None]

    assert costs == [2.5, 0.0]
