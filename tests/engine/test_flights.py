"""Flights by themselves: who joins, who waits, who is told what, and what is left."""

import asyncio
import gc

import pytest

from asgi_multitier.coherence.index import UNTRUSTED_AGE, Index
from asgi_multitier.engine.flights import (
    Flight,
    Flights,
    MayLead,
    Patience,
    RunCancelled,
    WaitExpired,
)
from asgi_multitier.entry import Born, Entry
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from tests.support import pass_time, settled, timers


def seed(key: str, index: Index, path: str = "/x") -> Entry:
    """What is known before the run."""
    return Entry(
        key=key,
        payload=b"",
        born=index.born(),
        created=0,
        fresh_until=0,
        keep_until=0,
        filled_at=0,
        path=path,
    )


class Table:
    """Flights over an index of their own."""

    def __init__(self, index: Index | None = None, **settings: object) -> None:
        self.index = Index() if index is None else index
        self.index.enter("g", 0)
        self.index.trust()
        self.clock = FakeClock()
        self.flights: Flights[str] = Flights(self.index, clock=self.clock, **settings)  # type: ignore[arg-type]
        self.gate = asyncio.Event()

    def open(self, key: str = "k") -> Flight[str]:
        """A flight that is not launched."""
        return self.flights.open(seed(key, self.index))

    def launch(self, key: str = "k", error: BaseException | None = None) -> Flight[str]:
        """A flight that answers when the gate opens."""
        flight = self.open(key)

        async def run() -> None:
            await self.gate.wait()
            if error is not None:
                raise error
            flight.answer("answer")

        self.flights.launch(flight, run)
        return flight


async def test_a_flight_is_found_until_it_has_landed() -> None:
    """Others join it while it flies, and open their own afterwards."""
    table = Table()
    flight = table.launch()
    assert table.flights.find("k") is flight
    assert table.flights.flies(flight)
    table.gate.set()
    assert await flight.wait() == "answer"
    await settled()

    assert table.flights.find("k") is None
    assert not table.flights.flies(flight)
    assert (len(table.flights), table.flights.running) == (0, 0)


async def test_the_first_answer_counts() -> None:
    """A later one, and a failure, change nothing."""
    flight = Table().open()
    flight.answer("first")
    flight.answer("second")
    flight.fail(ValueError())

    assert await flight.wait() == "first"


async def test_a_failure_is_each_members_own() -> None:
    """Every member raises it, those who ask later too, and none adds to the others' traceback."""
    table = Table()
    error = ValueError("boom")
    flight = table.launch(error=error)
    members = [asyncio.create_task(flight.wait()) for _ in range(50)]
    await settled()
    table.gate.set()
    depths = []
    for result in await asyncio.gather(*members, return_exceptions=True):
        assert result is error
    with pytest.raises(ValueError, match="boom") as caught:
        await flight.wait()
    trace = caught.value.__traceback__
    while trace is not None:
        depths.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next

    assert "run" in depths
    assert depths.count("wait") == 2  # the flight's and the waiting list's


async def test_a_cancelled_run_is_not_its_members_cancellation() -> None:
    """They are told `RunCancelled`."""
    table = Table()
    flight = table.launch()
    member = asyncio.create_task(flight.wait())
    await settled()
    assert flight.task is not None
    flight.task.cancel()

    with pytest.raises(RunCancelled, match="'k'"):
        await member
    assert len(table.flights) == 0


async def test_waiting_has_an_end() -> None:
    """`WaitExpired`; the flight goes on."""
    table = Table()
    flight = table.launch()
    with pytest.raises(WaitExpired):
        await flight.wait(limit=0.001)

    assert flight.waiting == 0
    table.gate.set()
    assert await flight.wait(limit=5.0) == "answer"


async def test_an_invalidation_detaches_a_flight() -> None:
    """Later requests do not join what began before it; the old one still answers its members."""
    table = Table()
    flight = table.launch()
    table.index.begin([Selector("path", "/other")])
    assert table.flights.find("k") is flight
    member = asyncio.create_task(flight.wait())
    table.index.begin([Selector("path", "/x")])
    assert table.flights.find("k") is None
    second = table.launch()
    table.gate.set()

    assert await member == "answer"
    assert table.flights.find("k") in (second, None)
    await settled()
    assert len(table.flights) == 0


async def test_a_flight_of_untrusted_days_is_judged_again_each_time() -> None:
    """While the log is not heard of, a flight is joined for some seconds only."""
    now = [0.0]
    table = Table(index=Index(clock=lambda: now[0]))
    table.index.distrust()
    table.launch()
    assert table.flights.find("k") is not None
    now[0] = UNTRUSTED_AGE + 1

    assert table.flights.find("k") is None
    table.gate.set()


async def test_landing_the_old_one_leaves_the_new_one() -> None:
    """`land` takes out only the flight itself."""
    table = Table()
    old = table.open()
    table.flights.supersede("k")
    new = table.open()
    table.flights.land(old)

    assert table.flights.find("k") is new
    new.renew(table.index)
    assert new.seed.born == Born("g", 0, table.index.fence)


async def test_more_members_than_allowed_are_turned_away() -> None:
    """Only where there is a bound."""
    for bound, crowded in ((1, True), (2, False), (None, False)):
        table = Table(max_waiters=bound)
        flight = table.launch()
        assert not table.flights.is_crowded(flight)
        member = asyncio.create_task(flight.wait())
        await settled()
        assert table.flights.is_crowded(flight) is crowded
        table.gate.set()
        await member


async def test_a_caller_that_began_a_run_and_left_makes_no_room() -> None:
    """It was not counted while it waited, and is not afterwards."""
    table = Table(max_waiters=1)
    flight = table.launch()
    opener = asyncio.create_task(flight.wait(opened=True))
    await settled()
    assert not table.flights.is_crowded(flight)
    opener.cancel()
    member = asyncio.create_task(flight.wait())
    await settled()

    assert table.flights.is_crowded(flight)
    table.gate.set()
    assert await member == "answer"


async def test_a_run_knows_that_it_runs() -> None:
    """What runs in a flight must not wait for it; in another cache, and for other keys, it may."""
    table, other = Table(), Table()
    flight = table.open()
    seen: list[bool] = []

    async def run() -> None:
        seen.extend(table.flights.nests(key) for key in ("k", "other"))
        seen.append(other.flights.nests("k"))
        flight.answer("x")

    await table.flights.launch(flight, run)

    assert seen == [True, False, False]


async def test_a_task_that_a_run_leaves_behind_is_no_part_of_it() -> None:
    """It outlives the run, and may wait for the next one for the same key."""
    table = Table()
    flight = table.open()
    over = asyncio.Event()
    left: list[asyncio.Task[bool]] = []

    async def later() -> bool:
        await over.wait()
        return table.flights.nests("k")

    async def run() -> None:
        left.append(asyncio.create_task(later()))
        flight.answer("x")

    await table.flights.launch(flight, run)
    over.set()

    assert not await left[0]


# Runs that take too long.


async def test_one_of_all_who_wait_leads_one_more_run_a_patience() -> None:
    """The first who came, then the next, each when the newest run is that old; never two."""
    table = Table()
    flight = table.launch()
    members = [asyncio.create_task(flight.wait(patience=5.0)) for _ in range(100)]
    for number in range(3):
        await pass_time(4.9)
        assert [member.done() for member in members].count(True) == number
        await pass_time(0.2)
        with pytest.raises(MayLead):
            await members[number]
        follower = table.flights.open(seed("k", table.index), after=flight)
        assert follower.waiting_list is flight.waiting_list
        table.flights.launch(follower, asyncio.Event().wait)
    table.gate.set()

    assert await asyncio.gather(*members[3:]) == ["answer"] * 97
    await table.flights.close(0)


async def test_who_comes_when_a_run_is_late_leads_one_more() -> None:
    """And who comes next waits for that one."""
    table = Table()
    flight = table.launch()
    assert not flight.is_late(5.0)
    await pass_time(5.1)
    assert flight.is_late(5.0)
    assert not flight.is_late(None)
    follower = table.flights.open(seed("k", table.index), after=flight)

    assert not follower.is_late(5.0)
    assert table.flights.find("k") is follower
    table.gate.set()


async def test_the_shortest_patience_of_those_who_wait_counts() -> None:
    """Also when the one who had it has left: then the next one's does."""
    table = Table()
    flight = table.launch()
    patient = asyncio.create_task(flight.wait(patience=9.0))
    never = asyncio.create_task(flight.wait())
    leaving = asyncio.create_task(flight.wait(patience=2.0))
    await settled()
    leaving.cancel()
    await pass_time(2.1)
    assert not patient.done()
    await pass_time(7.0)

    with pytest.raises(MayLead):
        await patient
    table.gate.set()
    assert await never == "answer"


async def test_one_who_leaves_when_called_to_lead_is_replaced_at_once() -> None:
    """Cancelled in the same turn of the loop: the next one leads, without another patience."""
    table = Table()
    flight = table.launch()
    first, second = (asyncio.create_task(flight.wait(patience=5.0)) for _ in range(2))
    await settled()
    flight.hurry()
    first.cancel()
    await settled()

    assert second.done()
    with pytest.raises(MayLead):
        await second
    table.gate.set()


async def test_a_hurried_run_is_late_for_who_comes_next() -> None:
    """Where nobody waits, the next one leads."""
    table = Table()
    flight = table.launch()
    flight.hurry()

    assert flight.is_late(3600.0)
    table.gate.set()


async def test_any_run_answers_all_and_what_is_older_is_not_kept() -> None:
    """The first answer counts, of whichever run; what was begun before it is superseded."""
    table = Table()
    old = table.launch()
    member = asyncio.create_task(old.wait(patience=5.0))
    new = table.flights.open(seed("k", table.index), after=old)

    async def quick() -> None:
        table.flights.overtake(new)
        new.answer("new")

    await table.flights.launch(new, quick)

    assert await member == "new"
    assert (old.superseded, new.superseded) == (True, False)
    assert table.flights.find("k") is None
    table.gate.set()


async def test_a_flight_of_an_answered_waiting_list_is_not_joined() -> None:
    """What has answered them is older than the request that comes now."""
    table = Table()
    old = table.launch()
    new = table.flights.open(seed("k", table.index), after=old)
    old.answer("old")

    assert table.flights.find("k") is None
    assert (
        table.flights.open(seed("k", table.index), after=new).waiting_list is not old.waiting_list
    )
    table.gate.set()


async def test_a_failure_is_told_when_no_other_run_may_answer() -> None:
    """Only who has opened the failed run hears of it before that."""
    table = Table()
    old = table.open()
    new = table.flights.open(seed("k", table.index), after=old)
    opener = asyncio.create_task(new.wait(opened=True))
    member = asyncio.create_task(old.wait())
    await settled()
    new.fail(ValueError("new"))

    with pytest.raises(ValueError, match="new"):
        await opener
    assert not member.done()
    old.fail(ValueError("old"))
    with pytest.raises(ValueError, match="old"):
        await member


async def test_what_follows_an_invalidated_run_has_a_waiting_list_of_its_own() -> None:
    """Who comes after the invalidation must not get what was begun before it."""
    table = Table()
    old = table.launch()
    table.index.begin([Selector("path", "/x")])
    assert table.flights.follows(old)
    new = table.flights.open(seed("k", table.index), after=old)

    assert new.waiting_list is not old.waiting_list
    assert not table.flights.follows(old)
    table.flights.launch(new, table.gate.wait)
    table.flights.supersede("k")
    assert (
        table.flights.open(seed("k", table.index), after=new).waiting_list is not new.waiting_list
    )
    table.gate.set()


async def test_patience_counts_from_its_beginning() -> None:
    """Soft and hard times are over at their time, however often one looks again meanwhile."""
    table = Table()
    flight = table.launch()
    patience = Patience(None, soft=2.0, hard=5.0)
    await pass_time(1.9)
    waiting = asyncio.create_task(patience.wait(flight, lambda: "stale"))
    await pass_time(0.2)
    assert await waiting == "stale"
    waiting = asyncio.create_task(patience.wait(flight, lambda: None))
    await pass_time(2.0)
    assert not waiting.done()
    await pass_time(1.0)

    with pytest.raises(WaitExpired):
        await waiting
    whole = Patience(None, soft=2.0, hard=5.0)
    waiting = asyncio.create_task(whole.wait(flight, lambda: None))
    for seconds in (2.1, 3.0):
        assert not waiting.done()
        await pass_time(seconds)
    assert waiting.done()
    with pytest.raises(WaitExpired):
        await waiting
    late = Patience(None, soft=5.0, hard=5.0)
    waiting = asyncio.create_task(late.wait(flight, lambda: "stale"))
    await pass_time(5.1)
    with pytest.raises(WaitExpired):
        await waiting
    table.gate.set()


# Runs in the background.


async def test_background_runs_are_bounded() -> None:
    """Beyond the bound there is none, until one of them is over; never two for a key."""
    table = Table(max_refreshes=2)
    for key in "ab":
        flight = table.flights.refresh(seed(key, table.index))
        assert flight is not None
        table.flights.launch(flight, table.gate.wait)
    assert table.flights.refresh(seed("c", table.index)) is None
    table.gate.set()
    await settled()

    assert table.flights.refresh(seed("c", table.index)) is not None
    assert table.flights.refresh(seed("c", table.index)) is None
    table.flights.forget()


async def test_no_background_run_is_begun_beyond_the_bound_of_flights() -> None:
    """What is in the background waits for a better time."""
    table = Table(max_flights=1)
    table.launch()

    assert table.flights.refresh(seed("other", table.index)) is None
    table.gate.set()


async def test_beyond_the_bound_of_flights_a_run_ends_with_its_last_member() -> None:
    """So there are no more runs than requests and the bound together."""
    table = Table(max_flights=1)
    table.launch("a")
    flight = table.launch("b")
    member = asyncio.create_task(flight.wait())
    await settled()
    member.cancel()
    await settled()
    table.flights.abandon(flight)
    await pass_time(0.01)

    assert table.flights.find("b") is None
    assert table.flights.running == 1
    table.gate.set()


async def test_a_stream_that_nobody_hears_ends_soon() -> None:
    """It has some seconds to be worth storing, and none when the cache is closed."""
    table = Table()
    first, second = table.launch("a"), table.launch("b")
    first.streams = second.streams = True
    table.flights.abandon(first)
    await pass_time(5.1)
    assert table.flights.running == 1
    await table.flights.close(3600)

    assert table.flights.running == 0


async def test_an_abandoned_run_is_given_up_in_time() -> None:
    """When the last member left, it has `fill_timeout` to answer."""
    table = Table(fill_timeout=5.0)
    flight = table.launch()
    table.flights.abandon(flight)
    await pass_time(4.9)
    assert table.flights.running == 1

    await pass_time(0.1)
    assert table.flights.running == len(table.flights) == 0


@pytest.mark.parametrize("who", ["led", "waiting", "answered"])
async def test_a_run_that_somebody_wants_or_that_has_answered_is_not_given_up(who: str) -> None:
    """A leader, a member, or work that goes on after the answer."""
    table = Table(fill_timeout=0.0)
    flight = table.launch()
    member = None
    if who == "led":
        flight.led = True
    elif who == "waiting":
        member = asyncio.create_task(flight.wait())
        await settled()
    else:
        flight.answer("early")
    table.flights.abandon(flight)
    await pass_time(60)

    assert table.flights.running == 1
    table.gate.set()
    assert flight.task is not None
    await flight.task
    if member is not None:
        assert await member == "answer"


async def test_nothing_waits_any_longer_for_a_run_that_has_ended() -> None:
    """The time at which it would be given up holds the run, and all that it brought."""
    table = Table(fill_timeout=600.0)
    flight = table.launch()
    waiting = timers()
    table.flights.abandon(flight)
    assert timers() == waiting + 1
    table.gate.set()
    assert flight.task is not None
    await flight.task
    await settled()

    assert timers() == waiting


@pytest.mark.parametrize("ends", ["answered", "left"])
async def test_nothing_is_left_of_one_who_waited(ends: str) -> None:
    """Neither a place among those who wait nor a timer, however the waiting ends."""
    table = Table()
    flight = table.launch()
    waiting = timers()
    member = asyncio.create_task(flight.wait(patience=300.0, limit=600.0))
    await settled()
    assert (flight.waiting, timers()) == (1, waiting + 2)
    if ends == "left":
        member.cancel()
        await settled()
        assert (flight.waiting, timers()) == (0, waiting)
    table.gate.set()
    await asyncio.gather(member, return_exceptions=True)
    await settled()

    assert (flight.waiting, timers()) == (0, waiting)


async def test_joining_an_abandoned_run_keeps_it() -> None:
    """Somebody came back before the time was over."""
    table = Table(fill_timeout=5.0)
    flight = table.launch()
    table.flights.abandon(flight)
    member = asyncio.create_task(flight.wait())
    await pass_time(60)
    table.gate.set()

    assert await member == "answer"


async def test_abandoning_what_is_over_is_harmless() -> None:
    """Also before it was launched."""
    table = Table()
    flight = table.open()
    table.flights.abandon(flight)
    table.gate.set()
    other = table.launch("other")
    assert other.task is not None
    await other.task
    table.flights.abandon(other)

    assert table.flights.running == 0


async def test_a_run_that_is_cancelled_before_it_begins_leaves_nothing() -> None:
    """Its members have an error; no coroutine is left that Python would warn of."""
    table = Table()
    flight = table.open()
    begun: list[bool] = []

    async def run() -> None:
        begun.append(True)

    task = table.flights.launch(flight, run)
    task.cancel()
    await settled()
    gc.collect()

    assert not begun
    assert flight.answered
    assert table.flights.running == 0


async def test_close_lets_runs_finish_and_cancels_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No task, no flight and no complaint is left."""
    table = Table()
    quick, slow = table.open("quick"), table.open("slow")

    async def at_once() -> None:
        quick.answer("x")

    table.flights.launch(quick, at_once)
    table.flights.launch(slow, asyncio.Event().wait)
    failing = table.launch("failing", ValueError())
    table.gate.set()
    table.flights.mark_hit_for_miss("k")
    await table.flights.close(0.01)
    del failing
    gc.collect()

    assert (len(table.flights), table.flights.running) == (0, 0)
    assert not table.flights.is_hit_for_miss("k")
    assert quick.answered
    assert slow.answered
    assert caplog.text == ""
    await table.flights.close(0.01)


async def test_solo_marks_end_and_are_bounded() -> None:
    """For their time, until cleared, and never more than the flights allowed."""
    table = Table(max_flights=3, hit_for_miss=2)
    flights = table.flights
    for key in "abcd":
        flights.mark_hit_for_miss(key)
    assert [flights.is_hit_for_miss(key) for key in "abcd"] == [False, True, True, True]
    flights.clear_hit_for_miss("b")
    table.clock.advance(1.9)
    flights.mark_hit_for_miss("c")
    table.clock.advance(0.2)

    assert [flights.is_hit_for_miss(key) for key in "abcd"] == [False, False, True, False]


def test_forget_drops_what_belonged_to_another_loop() -> None:
    """Nothing of it is awaited or cancelled any more."""
    table = Table()

    async def begin() -> None:
        table.launch()
        table.flights.mark_hit_for_miss("k")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    table.flights.forget()

    assert repr(table.flights) == "<Flights 0 in the air, 0 tasks>"
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
