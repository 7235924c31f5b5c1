"""The tiers as one: promotion, writes, failures, and that the log decides what is believed."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from asgi_multitier.coherence.index import UNTRUSTED_AGE
from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.coherence.log import Update
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.engine.formats import Format
from asgi_multitier.engine.placed import AT_ONCE, BYTES_AT_ONCE, Placed
from asgi_multitier.engine.stack import TierStack
from asgi_multitier.engine.writes import MAX_PENDING_WRITES, rescaled
from asgi_multitier.entry import MAX_USES, Born, Entry, StoredResponse, Variants
from asgi_multitier.errors import BackendError
from asgi_multitier.events import Events
from asgi_multitier.policy.key import storage_key
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.base import Held, TierConfig
from asgi_multitier.tiers.memory import MemoryTier
from tests.manager.support import SeenTier
from tests.support import settled


class Built:
    """A stack with its parts.

    Args:
        configs: Places of the shared tiers, in order.
    """

    def __init__(self, *configs: TierConfig, timeout: float = 60.0) -> None:
        self.clock = FakeClock()
        self.log = LocalLog(self.clock)
        self.events = Events()
        self.local = MemoryTier(clock=self.clock)
        self.tiers = [SeenTier(self.clock, f"l{config.level}") for config in configs]
        settings = CacheConfig(redis_url=None, redis_timeout=timeout)
        tiers = zip(self.tiers, configs, strict=True)
        placed = [Placed(tier, place, self.events, settings, self.clock) for tier, place in tiers]
        self.stack = TierStack(
            self.local,
            placed,
            self.log,
            self.events,
            form=Format(namespace="n", clock=self.clock, wall=self.clock),
        )

    def entry(self, key: str = "k", body: bytes = b"x", life: float = 100.0) -> Entry:
        """An entry that is filled now."""
        now = self.clock()
        return Entry(
            key=key,
            payload=body,
            born=self.log.index.born(),
            created=now,
            fresh_until=now + life,
            keep_until=now + life,
            filled_at=now,
            path="/x",
        )

    async def written(self, entry: Entry) -> None:
        """Put an entry into the shared tiers only."""
        self.stack.share(entry)
        await self.stack.settle()


L2, L3 = TierConfig.l2(), TierConfig.l3()


async def test_what_a_lower_tier_has_is_promoted_with_the_life_that_remains() -> None:
    """Found in the third tier, it is in the first and second, never longer than it has left."""
    built = Built(L2, L3)
    await built.written(built.entry())
    built.tiers[0].items.clear()
    built.clock.advance(60)
    found = await built.stack.fetch("k")
    await built.stack.settle()

    assert found is not None
    assert found.level == 3
    local = built.local.get("k")
    assert local is not None
    # Two hundred seconds in the third tier are one hundred in the others.
    assert local.entry.fresh_until - built.clock() == pytest.approx(70)
    assert built.tiers[0].ttl("k") == pytest.approx(70)
    assert built.tiers[1].ttl("k") == pytest.approx(140)
    again = await built.stack.fetch("k")
    assert again is not None
    assert again.level == 2


@pytest.mark.parametrize(
    ("config", "promoted"),
    [
        (TierConfig(2), [True, True, True, True]),
        (TierConfig(2, promotion=False), [False] * 4),
        (TierConfig(2, promotion_frequency=2), [False, True, False, True]),
    ],
    ids=["always", "never", "every-second"],
)
async def test_promotion_is_as_often_as_the_tier_says(
    config: TierConfig, promoted: list[bool]
) -> None:
    """All, none, or one hit in so many."""
    built = Built(config)
    await built.written(built.entry())
    seen = []
    for _ in promoted:
        built.local.clear()
        assert await built.stack.fetch("k") is not None
        seen.append(built.local.get("k") is not None)

    assert seen == promoted


async def test_a_younger_copy_is_not_replaced_by_what_a_reply_brings() -> None:
    """A fill that landed while the reply was on its way stays."""
    built = Built(L2)
    await built.written(built.entry(body=b"old"))
    built.tiers[0].gate = asyncio.Event()
    built.tiers[0].entered.clear()
    reading = asyncio.create_task(built.stack.fetch("k"))
    await built.tiers[0].entered.wait()
    built.clock.advance(1)
    built.stack.keep(built.entry(body=b"new"))
    built.tiers[0].gate.set()
    await reading
    slot = built.stack.peek("k")

    assert slot is not None
    assert slot.entry.payload == b"new"


@pytest.mark.parametrize(
    ("seq", "age", "stays"),
    [
        pytest.param(0, -5, True, id="filled later"),
        pytest.param(0, 5, False, id="filled earlier"),
        pytest.param(1, 5, True, id="born later, and came with an age"),
        pytest.param(-1, -5, False, id="born earlier, and came without one"),
    ],
)
async def test_the_place_in_the_log_says_which_copy_is_younger(
    seq: int, age: float, stays: bool
) -> None:
    """And among those of one place, when they were new."""
    built = Built(L2)
    for tag in ("one", "two"):
        await built.log.commit(built.log.begin([Selector("tag", tag)]))
    below = built.entry(body=b"below")
    below = replace(below, born=replace(below.born, seq=below.born.seq - 1), created=-1)
    await built.written(below)
    here = replace(below, payload=b"here", created=below.created - age)
    built.tiers[0].gate = asyncio.Event()
    built.tiers[0].entered.clear()
    reading = asyncio.create_task(built.stack.fetch("k"))
    await built.tiers[0].entered.wait()
    built.stack.keep(replace(here, born=replace(here.born, seq=here.born.seq + seq)))
    built.tiers[0].gate.set()
    await reading
    slot = built.stack.peek("k")

    assert slot is not None
    assert slot.entry.payload == (b"here" if stays else b"below")


async def test_nothing_older_than_what_was_served_is_taken_from_below() -> None:
    """A lagging process had read the next version; what another one filled before has a later
    place in the log, and is older all the same."""
    built = Built(L2)
    older = built.entry(body=b"older")
    built.clock.advance(1)
    built.stack.keep(built.entry(body=b"newer"))
    built.log.begin([Selector("path", "/x")])
    await built.written(replace(older, born=built.log.index.born()))
    assert built.stack.peek("k") is None
    assert await built.stack.fetch("k") is None

    await built.written(built.entry(body=b"newest"))
    found = await built.stack.fetch("k")
    assert found is not None
    assert found.slot.entry.payload == b"newest"


@pytest.mark.parametrize("meanwhile", ["invalidated", "distrusted"])
async def test_a_reply_is_judged_when_it_lands(meanwhile: str) -> None:
    """An invalidation that came while it was on its way counts, and so does the loss of trust."""
    built = Built(L2)
    await built.written(built.entry())
    built.tiers[0].gate = asyncio.Event()
    built.tiers[0].entered.clear()
    reading = asyncio.create_task(built.stack.fetch("k"))
    await built.tiers[0].entered.wait()
    if meanwhile == "invalidated":
        built.log.begin([Selector("path", "/x")])
    else:
        built.log.index.distrust()
    built.tiers[0].gate.set()

    assert await reading is None
    assert built.local.get("k") is None
    assert built.stack.shared[0].unreadable == {"invalidated": 1}


async def test_an_invalidated_entry_is_neither_kept_nor_written_nor_read() -> None:
    """In every tier, whether the invalidation came before or after it was stored."""
    built = Built(L2)
    early = built.entry()
    built.stack.keep(early)
    built.log.begin([Selector("path", "/x")])

    assert built.stack.peek("k") is None
    assert built.stack.keep(early) is None
    await built.written(early)
    assert built.tiers[0].calls["set"] == 0
    assert built.events.refused == {"invalidated": 1}


async def test_reads_of_one_turn_are_one_round_trip_and_one_for_each_key() -> None:
    """Many requests for few keys: one call; one who leaves takes nobody along."""
    built = Built(L2)
    for key in "abc":
        built.stack.share(built.entry(key))
    await built.stack.settle()
    assert built.tiers[0].calls["set"] == 1
    readings = [asyncio.create_task(built.stack.fetch(key)) for key in "abcabcabcd"]
    await asyncio.sleep(0)
    readings[0].cancel()
    found = await asyncio.gather(*readings[1:])

    assert built.tiers[0].calls["get"] == 1
    assert [one.slot.entry.key if one else None for one in found] == [*"bcabcabc", None]


async def test_a_tier_that_fails_is_a_counted_miss_and_left_out_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After three failures it is not asked for a second; then once, and if well, always."""
    caplog.set_level(logging.INFO)
    built = Built(L2)
    await built.written(built.entry())
    built.tiers[0].broken = True
    for _ in range(3):
        assert built.stack.has_shared
        assert await built.stack.fetch("k") is None
    assert not built.stack.has_shared
    assert await built.stack.fetch("k") is None
    assert built.tiers[0].calls["get"] == 3
    built.clock.advance(1.1)
    built.tiers[0].broken = False

    assert built.stack.has_shared
    assert await built.stack.fetch("k") is not None
    assert built.stack.shared[0].failures == {"get": 3}
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


class Refusing(SeenTier):
    """A back end that does some things and refuses others."""

    refused = ""

    async def _enter(self, call: str) -> None:
        await super()._enter(call)
        if call == self.refused:
            raise BackendError(f"no permission to {call}")


@pytest.mark.parametrize("refused", ["get", "set", "delete"])
async def test_what_is_refused_is_left_out_alone_and_said_once(
    refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Other operations that go well are no sign that this one does: one try a second, one line."""
    caplog.set_level(logging.INFO)
    built = Built(L2)
    tier = Refusing(built.clock, "l2")
    tier.refused = refused
    (placed,) = built.stack.shared
    placed.tier = tier
    for _ in range(100):
        await built.written(built.entry())
        await built.stack.fetch("k")
        await built.stack.drop(["k"])
        built.clock.advance(0.1)

    assert placed.failures == {refused: tier.calls[refused]}
    assert tier.calls[refused] <= 3 + 10
    assert {tier.calls[call] for call in {"get", "set", "delete"} - {refused}} == {100}
    assert len(caplog.messages) == 1
    assert f"l2: circuit breaker open, {refused} fails: no permission" in caplog.messages[0]
    built.clock.advance(1.1)
    assert placed.state(built.clock()).value == "half-open"
    tier.refused = ""
    await built.written(built.entry())
    await built.stack.fetch("k")
    await built.stack.drop(["k"])
    assert placed.state(built.clock()).value == "closed"
    assert len(caplog.messages) == 2
    assert "answers again" in caplog.messages[1]


async def test_a_tier_that_hangs_is_not_waited_for() -> None:
    """Each operation has its time."""
    built = Built(L2, timeout=0.001)
    built.tiers[0].gate = asyncio.Event()

    assert await built.stack.fetch("k") is None
    assert await built.stack.write([built.entry()]) == (0, "TimeoutError")
    assert await built.stack.shared[0].ping() is False
    await built.stack.drop(["k"])
    assert built.stack.shared[0].failures == {"get": 1, "set": 1, "ping": 1, "delete": 1}


@pytest.mark.parametrize("call", ["get", "set", "delete"])
async def test_a_tier_that_fails_is_not_asked_for_the_rest_of_many_keys(call: str) -> None:
    """Each part of them would take its whole time."""
    built = Built(L2)
    built.tiers[0].broken = True
    keys = [str(number) for number in range(2 * AT_ONCE + 1)]
    if call == "get":
        assert await asyncio.gather(*map(built.stack.fetch, keys)) == [None] * len(keys)
    elif call == "set":
        assert (await built.stack.write([built.entry(key) for key in keys]))[0] == 0
    else:
        await built.stack.drop(keys)

    assert built.tiers[0].calls == {call: 1}


async def test_no_write_has_more_bytes_than_its_time_allows() -> None:
    """Large entries are written a few at a time."""
    built = Built(L2)
    body = bytes(BYTES_AT_ONCE // 3)
    taken = await built.stack.write([built.entry(str(number), body) for number in range(5)])

    assert taken == (1, "")
    assert built.tiers[0].calls == {"set": 3}


class Strange(SeenTier):
    """A back end that breaks its contract."""

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        if keys and self.broken:
            raise KeyError("not a BackendError")
        return [Held(b"\x00 no entry", None)] * (len(keys) + 1)


@pytest.mark.parametrize("broken", [True, False], ids=["raises", "too-many"])
async def test_a_users_tier_that_breaks_its_contract_is_a_counted_miss(broken: bool) -> None:
    """A foreign exception, or the wrong number of replies."""
    built = Built(L2)
    strange = Strange(built.clock)
    strange.broken = broken
    built.stack.shared[0].tier = strange

    assert await built.stack.fetch("k") is None
    assert built.stack.shared[0].failures == {"get": 1}
    assert built.events.failures == {}


async def test_bytes_that_cannot_be_read_are_counted_by_reason() -> None:
    """And not deleted: another release may read them."""
    built = Built(L2)
    await built.written(built.entry())
    (name,) = built.tiers[0].items
    value, until = built.tiers[0].items[name]
    built.tiers[0].items[name] = (value[:-1], until)

    assert await built.stack.fetch("k") is None
    assert sum(built.stack.shared[0].unreadable.values()) == 1
    assert name in built.tiers[0].items
    built.stack.updated([Update("k", b"no entry", 5.0)], built.log.index.born())
    assert built.events.failures == {"update-unreadable": 1}


async def test_an_untrusted_node_asks_and_writes_no_shared_tier() -> None:
    """It does not know whether what it holds or finds is still true."""
    built = Built(L2)
    assert built.stack.has_shared

    class Untrusted:
        index = built.log.index
        trusted = False

    built.stack._log = built.stack._writes._log = Untrusted()  # type: ignore[assignment]

    assert not built.stack.has_shared
    assert (await built.stack.write([built.entry()]))[0] == 0
    assert built.tiers[0].calls["set"] == 0
    assert built.stack.shared[0].failures == {"untrusted": 1}


@pytest.mark.parametrize("looked_at", ["read", "stored", "renewed"])
async def test_what_an_untrusted_node_looks_at_is_judged_again(looked_at: str) -> None:
    """That it was permitted once is not noted: its few seconds count from when it was filled."""
    built = Built()
    slot = built.stack.keep(built.entry())
    built.log.index.distrust()
    if looked_at == "read":
        assert built.stack.peek("k") is slot is not None
    elif looked_at == "stored":
        built.stack.keep(built.entry())
    elif slot is not None:
        built.stack.renew(slot)
    built.clock.advance(UNTRUSTED_AGE + 0.1)

    assert built.stack.peek("k") is None


def test_all_that_is_left_of_a_life_is_scaled() -> None:
    """Until it is stale, until it is over, and until it is renewed ahead of time."""
    built = Built()
    built.clock.advance(10)
    now = built.clock()
    entry = replace(built.entry(), keep_until=now + 200, refresh_at=now + 80)
    half = rescaled(entry, 0.5, now)

    times = half.fresh_until, half.keep_until, half.refresh_at
    assert [time - now for time in times] == [50, 100, 40]
    assert half.created == entry.created


async def test_waiting_writes_are_bounded() -> None:
    """Beyond the bound they are left out and counted."""
    built = Built(L2)
    built.tiers[0].gate = asyncio.Event()
    for number in range(MAX_PENDING_WRITES + 5):
        built.stack.share(built.entry(str(number)))

    assert built.events.failures == {"write-dropped": 5}
    built.tiers[0].gate.set()
    await built.stack.settle()
    assert len(built.tiers[0].items) == MAX_PENDING_WRITES


async def test_what_is_over_leaves_the_first_tier() -> None:
    """And is not written to any other."""
    built = Built(L2)
    entry = built.entry(life=5)
    built.stack.keep(entry)
    built.clock.advance(5)

    assert built.stack.peek("k") is None
    assert len(built.local) == 0
    assert await built.stack.write([entry]) == (1, "")
    assert built.tiers[0].calls["set"] == 0


async def test_the_oldest_variant_leaves() -> None:
    """A URL keeps so many; the marker lives as long as the longest of them."""
    built = Built()
    for number, life in enumerate((100, 10, 10)):
        built.stack.keep(built.entry(f"v{number}"))
        marker = built.entry("url", life=life)
        built.stack.keep_variant(_marker(marker), f"v{number}", 2)
    slot = built.stack.peek("url")

    assert built.stack.peek("v0") is None
    assert built.stack.peek("v1") is not None
    assert slot is not None
    assert slot.entry.keep_until == built.clock() + 100


def _marker(entry: Entry) -> Entry:
    return replace(entry, payload=Variants((b"accept",)), path="")


async def test_drop_reaches_every_tier() -> None:
    """Housekeeping: the bytes are gone."""
    built = Built(L2, L3)
    built.stack.keep(built.entry())
    await built.written(built.entry())
    await built.stack.drop(["k", "absent"])

    assert len(built.local) == 0
    assert all(not tier.items for tier in built.tiers)
    built.stack.keep(built.entry())
    built.stack.forget_soon("k")
    await built.stack.settle()
    assert len(built.local) == 0


async def test_close_ends_what_hangs_and_releases_the_tiers() -> None:
    """No task is left; closing again is harmless."""
    before = asyncio.all_tasks()
    built = Built(L2, timeout=60)
    built.tiers[0].gate = asyncio.Event()
    built.stack.share(built.entry())
    reading = asyncio.create_task(built.stack.fetch("k"))
    await settled()
    await built.stack.close(0.001)

    assert await reading is None
    assert asyncio.all_tasks() - before == set()
    assert built.tiers[0].calls["close"] == 1
    await built.stack.close(0.001)


async def test_a_read_that_is_cancelled_before_it_begins_is_answered() -> None:
    """Nothing waits for ever, and the next read begins as any other."""
    built = Built(L2)
    await built.written(built.entry())
    asked = [built.stack.ask(key) for key in ("k", "k", "other")]
    (reading,) = built.stack.tasks
    reading.cancel()

    assert [await one for one in asked] == [None] * 3
    assert built.tiers[0].calls["get"] == 0
    assert await built.stack.fetch("k") is not None


async def test_a_read_that_is_cancelled_takes_none_that_begins_after_it() -> None:
    """Those who wait for it are answered, and what was asked for since is read."""
    built = Built(L2)
    await built.written(built.entry())
    built.tiers[0].gate = asyncio.Event()
    asked = built.stack.ask("other")
    await settled()
    (reading,) = built.stack.tasks
    reading.cancel()
    later = built.stack.ask("k")
    built.tiers[0].gate.set()

    assert await asked is None
    assert await later is not None


async def test_a_bug_in_a_background_write_is_counted_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The cache goes on without the copy."""
    built = Built(L2)

    def breaks(*args: object, **options: object) -> bytes:
        raise RuntimeError("a bug")

    monkeypatch.setattr("asgi_multitier.engine.formats.encode", breaks)
    await built.written(built.entry())

    assert built.events.failures == {"internal": 1}
    assert "the cache broke" in caplog.text


def test_it_says_what_it_is() -> None:
    """For people who debug."""
    text = repr(Built(L2).stack)

    assert "MemoryTier" in text
    assert "<L2 l2, breaker closed>" in text


async def test_responses_travel_whole() -> None:
    """Status, field lines in order with duplicates, and body, through bytes and back."""
    built = Built(L2)
    lines = ((b"link", b"<a>"), (b"x", b"\xff"), (b"link", b"<b>"))
    response = StoredResponse(203, lines, bytes(range(256)), b'"e"', None)
    await built.written(replace(built.entry("\x00r"), payload=response))
    found = await built.stack.fetch("\x00r")

    assert found is not None
    assert found.slot.entry.payload == response


# What was born elsewhere.


async def test_what_was_born_beyond_the_log_is_a_miss_and_removed() -> None:
    """No record could refuse it, and a tier that keeps the younger would keep it for its life."""
    built = Built(L2)
    entry = built.entry()
    beyond = replace(entry, born=replace(entry.born, seq=entry.born.seq + 2**40))
    await built.written(beyond)

    assert await built.stack.fetch("k") is None
    await built.stack.settle()
    assert built.tiers[0].items == {}
    assert built.stack.shared[0].unreadable == {"ahead": 1}
    # The next one is kept as any other.
    await built.written(built.entry())
    assert await built.stack.fetch("k") is not None


async def test_what_another_node_filled_a_little_ahead_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This node gets where the youngest was born while it waits, and then judges all."""
    built = Built(L2)
    born = built.log.index.born()
    for key, steps in {"k": 1, "l": 2, "m": 1}.items():
        await built.written(replace(built.entry(key), born=replace(born, seq=born.seq + steps)))
    waited: list[Born] = []

    async def reached(position: Born, timeout: float) -> bool:
        waited.append(position)
        for tag in ("one", "another"):
            await built.log.commit(built.log.begin([Selector("tag", tag)]))
        return True

    monkeypatch.setattr(built.log, "reached", reached)

    found = await asyncio.gather(*map(built.stack.fetch, "klm"))
    assert None not in found
    assert [each.seq for each in waited] == [born.seq + 2]


def test_what_an_event_loop_left_behind_is_not_waited_for_in_the_next_one() -> None:
    """A write that hung there keeps no other from being written, and nothing from being closed."""
    built = Built(L2)
    left = asyncio.new_event_loop()

    async def begin() -> None:
        built.tiers[0].gate = asyncio.Event()
        built.stack.share(built.entry("left"))
        await settled()

    async def go_on() -> None:
        built.tiers[0].gate = None
        await built.written(built.entry("next"))
        await built.stack.close(60)

    left.run_until_complete(begin())
    built.stack.forget()
    asyncio.run(go_on())
    tasks = asyncio.all_tasks(left)
    for task in tasks:
        task.cancel()
    left.run_until_complete(asyncio.wait(tasks))
    left.close()

    assert set(built.tiers[0].items) == {storage_key("next")}


def test_emptying_the_first_tier_reaches_readers_that_hold_its_slots() -> None:
    """At once, by any call that empties it: no slot's view equals the index's any more."""
    built = Built()
    slot = built.stack.keep(built.entry())
    assert slot is not None
    assert slot.view == built.log.index.view
    built.local.clear()

    assert slot.view != built.log.index.view


def test_looking_up_what_was_just_stored_is_not_a_use() -> None:
    """A first tier keeps what is asked for; that the cache itself looks says nothing of that."""
    built = Built()
    slot = built.stack.keep(built.entry())

    assert built.stack.find("k") is slot is not None
    assert slot.uses == 0


def test_a_large_value_that_is_set_is_kept_though_others_leave() -> None:
    """It is wanted; what a run brings comes into a full tier when it is asked for again."""
    built = Built()
    built.local = MemoryTier(500_000, clock=built.clock)
    built.stack = TierStack(
        built.local,
        [],
        built.log,
        built.events,
        form=Format(namespace="n", clock=built.clock, wall=built.clock),
    )
    for number in range(10):
        built.stack.keep(built.entry(f"other {number}", bytes(50_000)))
    large = built.entry("large", bytes(100_000))

    built.stack.keep(large)
    assert built.stack.peek("large") is None
    built.stack.keep(large)
    assert built.stack.peek("large") is not None
    built.stack.keep(built.entry("set", bytes(100_000)), wanted=True)
    assert built.stack.peek("set") is not None


async def test_requests_count_as_uses_and_looks_do_not() -> None:
    """What is asked for stays; that the cache itself looks at an entry says nothing of that."""
    built = Built()
    slot = built.stack.keep(built.entry())
    assert built.stack.peek("k") is slot is not None
    assert slot.uses == 0
    for _ in range(5):
        assert built.stack.read("k") is slot

    assert slot.uses == MAX_USES
    assert built.stack.read("absent") is None
