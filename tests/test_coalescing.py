"""Flights by themselves: who joins, who waits, who is told what, and what is left."""

import asyncio
import gc

import pytest

from asgi_multitier.coalescing import Flight, Flights, RunCancelled, WaitExpired
from asgi_multitier.coherence.index import UNTRUSTED_AGE, Index
from asgi_multitier.entry import Born, Entry
from asgi_multitier.selectors import Selector
from tests.support import FakeClock, pass_time, settled


def probe(key: str, index: Index, path: str = "/x") -> Entry:
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
        flight = self.flights.open(probe(key, self.index))
        assert flight is not None
        return flight

    def launch(self, key: str = "k", error: BaseException | None = None) -> Flight[str]:
        """A flight that answers when the gate opens."""
        flight = self.open(key)

        async def run() -> None:
            await self.gate.wait()
            if error is not None:
                raise error
            flight.answer("answer")

        self.flights.launch(flight, run())
        return flight


async def test_a_flight_is_found_until_it_has_landed() -> None:
    """Others join it while it flies, and open their own afterwards."""
    table = Table()
    flight = table.launch()
    assert table.flights.find("k") is flight
    assert table.flights.flies(flight)
    table.gate.set()
    assert await flight.wait(None) == "answer"
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

    assert await flight.wait(None) == "first"


async def test_a_failure_is_each_members_own() -> None:
    """Every member raises it, those who ask later too, and none adds to the others' traceback."""
    table = Table()
    error = ValueError("boom")
    flight = table.launch(error=error)
    members = [asyncio.create_task(flight.wait(None)) for _ in range(50)]
    await settled()
    table.gate.set()
    depths = []
    for result in await asyncio.gather(*members, return_exceptions=True):
        assert result is error
    with pytest.raises(ValueError, match="boom") as caught:
        await flight.wait(None)
    trace = caught.value.__traceback__
    while trace is not None:
        depths.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next

    assert "run" in depths
    assert depths.count("wait") == 1


async def test_a_cancelled_run_is_not_its_members_cancellation() -> None:
    """They are told `RunCancelled`."""
    table = Table()
    flight = table.launch()
    member = asyncio.create_task(flight.wait(None))
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
        await flight.wait(0.001)

    assert flight.waiting == 0
    table.gate.set()
    assert await flight.wait(5.0) == "answer"


async def test_an_invalidation_detaches_a_flight() -> None:
    """Later requests do not join what began before it; the old one still answers its members."""
    table = Table()
    flight = table.launch()
    table.index.begin([Selector("path", "/other")])
    assert table.flights.find("k") is flight
    member = asyncio.create_task(flight.wait(None))
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
    assert new.probe.born == Born("g", 0, table.index.fence)


async def test_bounds() -> None:
    """No more flights and members than allowed."""
    table = Table(max_flights=1, max_waiters=1)
    flight = table.launch()
    assert table.flights.open(probe("other", table.index)) is None
    assert table.flights.joinable(flight)
    member = asyncio.create_task(flight.wait(None))
    await settled()
    assert not table.flights.joinable(flight)
    table.gate.set()
    await member


async def test_a_run_does_not_join_or_open_itself() -> None:
    """What runs in a flight can neither wait for it nor open it again; other keys it can."""
    table = Table()
    flight = table.open()
    seen: list[object] = []

    async def run() -> None:
        seen.append(table.flights.joinable(flight))
        table.flights.land(flight)
        seen.append(table.flights.open(probe("k", table.index)))
        seen.append(table.flights.open(probe("other", table.index)) is not None)
        flight.answer("x")

    await table.flights.launch(flight, run())

    assert seen == [False, None, True]


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
        member = asyncio.create_task(flight.wait(None))
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


async def test_joining_an_abandoned_run_keeps_it() -> None:
    """Somebody came back before the time was over."""
    table = Table(fill_timeout=5.0)
    flight = table.launch()
    table.flights.abandon(flight)
    member = asyncio.create_task(flight.wait(None))
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


async def test_close_lets_runs_finish_and_cancels_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No task, no flight and no complaint is left."""
    table = Table()
    quick, slow = table.open("quick"), table.open("slow")

    async def at_once() -> None:
        quick.answer("x")

    table.flights.launch(quick, at_once())
    table.flights.launch(slow, asyncio.sleep(3600))
    failing = table.launch("failing", ValueError())
    table.gate.set()
    table.flights.mark_solo("k", 5)
    await table.flights.close(0.01)
    del failing
    gc.collect()

    assert (len(table.flights), table.flights.running) == (0, 0)
    assert not table.flights.is_solo("k")
    assert quick.answered
    assert slow.answered
    assert caplog.text == ""
    await table.flights.close(0.01)


async def test_solo_marks_end_and_are_bounded() -> None:
    """For their time, until cleared, and never more than the flights allowed."""
    table = Table(max_flights=3)
    flights = table.flights
    for key in "abcd":
        flights.mark_solo(key, 2)
    assert [flights.is_solo(key) for key in "abcd"] == [False, True, True, True]
    flights.clear_solo("b")
    table.clock.advance(1.9)
    flights.mark_solo("c", 2)
    table.clock.advance(0.2)

    assert [flights.is_solo(key) for key in "abcd"] == [False, False, True, False]


def test_forget_drops_what_belonged_to_another_loop() -> None:
    """Nothing of it is awaited or cancelled any more."""
    table = Table()

    async def begin() -> None:
        table.launch()
        table.flights.mark_solo("k", 5)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    table.flights.forget()

    assert repr(table.flights) == "<Flights 0 in the air, 0 tasks>"
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
