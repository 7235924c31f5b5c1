"""What is kept has bounds in bytes, and what waits has one in number."""

import asyncio
import gc
from time import perf_counter
from typing import Any

import pytest

from asgi_multitier import Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.shadowing import observer as observers
from asgi_multitier.asgi.shadowing.budget import AHEAD, LIMIT, Budget
from asgi_multitier.asgi.shadowing.curiosity import Curiosity
from asgi_multitier.asgi.shadowing.later import PAUSE, PIECES, Later
from asgi_multitier.asgi.shadowing.observer import AT_ONCE, CONTENT, WAITING
from asgi_multitier.asgi.shadowing.places import SMALL
from asgi_multitier.testing import FakeClock
from tests.asgi.shadowing.support import observing
from tests.support import Origin, answering, respond, settled, timers

BOUND = 400_000


async def test_a_flood_of_targets() -> None:
    """The entries that would be held, and the ledger, stay within `shadow_bytes`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b'{"at": "%b"}' % scope["path"].encode(), *JSON)

    rules = (Rule("*", 300, tags=["t"]),)
    async with observing(answer, rules, shadow_bytes=BOUND) as seen:
        for number in range(900):
            await seen.cache.get(f"/{number}", [("x-a", str(number))])
            if number % 100 == 0:
                seen.told.clear()
                seen.finish()
        seen.finish()
        store = seen.observer._store

        assert 50 < len(store) < 500
        assert BOUND / 4 < store.bytes <= BOUND / 2
        assert seen.cache.manager.ledger.bytes <= BOUND / 2
        names = store._tier._by_name
        assert len(names) == len(store) + 1
        assert sum(map(len, names.values())) == 2 * len(store)
        assert not seen.observer._unstored
        assert not seen.observer._leaders


JSON = ((b"content-type", b"application/json"),)


async def test_of_what_waits_there_is_a_bound() -> None:
    """What is beyond it is answered, and not noted."""
    async with observing(Origin(answering())) as seen:
        for number in range(WAITING + 5):
            await seen.cache.get(f"/{number % 7}", [("cookie", "a=1")])

        assert seen.observer.unseen == 5
        assert len(seen.finish()) == WAITING


async def test_work_is_done_in_pieces_between_others() -> None:
    """A few at a time, each time after what else is to be done."""
    done: list[int] = []
    later: Later[int] = Later(done.append, 100)
    before = timers()
    for number in range(20):
        later.add(number)
    assert done == []
    assert timers() == before + 1

    later._some()
    sizes = [len(done)]
    for _ in range(3):
        await asyncio.sleep(0)
        sizes.append(len(done))
    assert sizes == [8, 16, 20, 20]
    assert len(later) == 0
    later.cancel()


async def test_what_waits_is_worked_on_by_itself() -> None:
    """Without any further request; in no request's context."""
    over = asyncio.Event()
    later: Later[int] = Later(lambda _: over.set(), 10)
    later.add(1)

    await asyncio.wait_for(over.wait(), 10)


def test_another_event_loop_goes_on_with_what_waits() -> None:
    """The one before has ended."""
    done: list[int] = []
    later: Later[int] = Later(done.append, 10)

    async def add(number: int) -> None:
        later.add(number)
        if number == 2:
            later.all()

    asyncio.run(add(1))
    asyncio.run(add(2))

    assert done == [1, 2]


async def test_of_content_that_waits_no_more_than_digests_is_kept() -> None:
    """What is beyond the bound is digested at once, and not read: a request's end works on no
    others."""
    text = b'{"a": "%b"}' % (b"x" * (SMALL - 100))
    count = CONTENT // len(text) + 5

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, text, *JSON)

    async with observing(answer) as seen:
        for number in range(count):
            await seen.cache.get(f"/{number}")
        observer = seen.observer
        assert len(observer._later) == count
        assert CONTENT - len(text) <= observer._content <= CONTENT

        told = seen.finish()
        assert observer._content == 0
        assert [one.would for one in told] == ["miss"] * count
        digests = {one.answer.digest for one in told if one.answer}
        assert len(digests) == 1
        read = [one.answer is not None and one.answer.places is not None for one in told]
        assert read == [number < count - 5 for number in range(count)]


async def test_content_that_tags_are_read_from_cannot_be_a_digest() -> None:
    """Where there is no room for it, the answer is not noted."""
    rules = (Rule("*", 300, tags_from=lambda response: ["t"]),)
    half = CONTENT // 2 + 1
    async with observing(Origin(answering(b"x" * half)), rules, max_entry=CONTENT) as seen:
        for number in range(2):
            await seen.cache.get(f"/{number}")

        assert seen.observer.unseen == 1
        (told,) = seen.finish()
        assert told.tags == {"t"}


async def test_names_of_places_are_accounted_for() -> None:
    """An application may have long ones, which no other answer has."""
    sizes = []
    for name in ("a", "a" * 60):

        async def answer(scope: Scope, receive: Receive, send: Send, name: str = name) -> None:
            members = b",".join(b'"%b%d":1' % (name.encode(), number) for number in range(100))
            await respond(send, b"{%b}" % members, *JSON)

        async with observing(answer) as seen:
            await seen.cache.get("/a")
            seen.finish()
            sizes.append(seen.observer._store.bytes)

    assert sizes[1] - sizes[0] >= 100 * 59


async def test_the_next_of_many_does_not_wait_until_all_are_read() -> None:
    """Of answers that came at the same time, the last are."""
    release = asyncio.Event()
    numbers = iter(range(100))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await respond(send, b'{"a": %d}' % next(numbers), *JSON)

    async with observing(answer) as seen:
        asked = [seen.cache.client.begin("/a") for _ in range(20)]
        await settled()
        release.set()
        await asyncio.gather(*asked)
        await seen.cache.get("/a")
        told = seen.finish()

        read = [one.answer is not None and one.answer.places is not None for one in told]
        assert read == [False] * (20 - AT_ONCE) + [True] * (AT_ONCE + 1)


async def test_a_report_lets_others_have_their_turn() -> None:
    """What waits is told before it, in pieces."""
    async with observing(Origin()) as seen:
        for number in range(5 * PIECES):
            await seen.cache.get(f"/{number}")
        turns: list[int] = []
        loop = asyncio.get_running_loop()

        def turn() -> None:
            turns.append(len(seen.observer._later))
            if turns[-1]:
                loop.call_soon(turn)

        loop.call_soon(turn)
        assert (await seen.cache.manager.report()).requests == 5 * PIECES
        assert len(set(turns)) > 4


async def test_work_that_takes_long_ends_a_piece() -> None:
    """Others have their turn after it."""
    loop = asyncio.get_running_loop()
    turns: list[int] = []
    later: Later[int]

    def work(one: int) -> None:
        turns.append(one)
        until = perf_counter() + 2 * PAUSE
        while perf_counter() < until:
            pass
        assert len(later) == 3 - one
        loop.call_soon(turns.append, 0)

    later = Later(work, 10)
    for number in range(1, 4):
        later.add(number)
    await later.rest()
    await asyncio.sleep(0)

    assert turns == [1, 0, 2, 0, 3, 0]


async def test_what_fails_harms_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted; neither the answer nor the next request is another one."""
    async with observing(Origin()) as seen:
        failures = seen.cache.manager.engine.events.failures
        for name in ("begin", "end", "_settle", "_tell"):
            with monkeypatch.context() as patched:

                def fail(*_: Any, **__: Any) -> Any:
                    raise RuntimeError("broken")

                before = sum(failures.values())
                patched.setattr(observers.Observer, name, fail)
                reply = await seen.cache.get("/a")
                assert reply.status == 200
                seen.observer._later.all()
                assert sum(failures.values()) > before, name


async def test_at_the_end_nothing_is_left() -> None:
    """No timer, no task, and no entry that nothing refers to."""
    before = timers()
    async with observing(Origin()) as seen:
        for target in ("/a", "/a", "/b"):
            await seen.cache.get(target)
        assert timers() > before

    assert len(seen.told) == 3
    assert timers() == before


def test_what_takes_too_long_is_done_for_fewer_targets() -> None:
    """A burst is observed whole; then as many as there is time for, and all of them again."""
    budget = Budget(0.0)
    keys = [f"k{number}" for number in range(4_000)]
    budget.spent(AHEAD, 0.0)
    assert (budget.share, all(map(budget.takes, keys))) == (1.0, True)

    now, chosen = 0.0, set(keys)
    for share in (1 / 2, 1 / 4, 1 / 8):
        budget.spent(AHEAD / 3, now)
        fewer = {key for key in keys if budget.takes(key)}
        assert budget.share == share
        assert fewer < chosen
        assert share / 2 < len(fewer) / len(keys) < share * 2
        chosen = fewer
    assert budget.passed > 4_000

    for share in (1 / 4, 1 / 2, 1.0):
        now += AHEAD / LIMIT
        budget.spent(0.0, now)
        assert budget.share == share
    for _ in range(50):
        budget.spent(AHEAD, now)
    assert 0 < budget.share < 1 / 500


async def test_a_target_that_is_left_out_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is noted of it."""
    async with observing(Origin()) as seen:
        await seen.cache.get("/a")
        monkeypatch.setattr(seen.observer, "takes", lambda plan: False)
        assert (await seen.cache.get("/a")).body == b"2"
        assert seen.would() == ["miss"]


async def test_what_is_read_in_answers_is_rationed() -> None:
    """The first of each kind at once, then some a second."""
    clock = FakeClock()
    curiosity = Curiosity(clock)

    def wanted(number: int, *, stored: bool = True) -> int:
        return sum(curiosity.wants(f"k{n}", n, stored=stored) for n in range(number))

    assert wanted(2_000) == 1_000
    clock.advance(1)
    assert wanted(2_000) == 50
    assert not curiosity.wants("new", 1, stored=False)
    clock.advance(1)
    assert curiosity.wants("new", 2, stored=False)
    assert not curiosity.wants("new", 2, stored=False)


async def test_the_keys_whose_answers_are_compared_have_a_bound() -> None:
    """The oldest are forgotten."""
    curiosity = Curiosity(FakeClock())
    for number in range(10_000):
        curiosity.wants(str(number), 1, stored=False)

    assert len(curiosity._seen) == 4_096


async def test_a_cache_that_is_collected_takes_its_entries_along() -> None:
    """No cycle leads through what the garbage collector does not look into."""
    async with observing(Origin(answering(b"{}", *JSON))) as seen:
        await seen.cache.get("/a")
        seen.finish()
        (slot,) = seen.observer._store._tier.slots()
        assert not any(held is seen.observer for held in gc.get_referents(slot.replay))
    await settled()
