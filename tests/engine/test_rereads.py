"""What a shared tier is asked for again and again: equal bytes are decoded once.

The tier is asked each time, and so is the log.
"""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from asgi_multitier.coherence.local import LocalLog
from asgi_multitier.config.process import CacheConfig
from asgi_multitier.engine.formats import Format
from asgi_multitier.engine.placed import Placed
from asgi_multitier.engine.reads import Found
from asgi_multitier.engine.rereads import Rereads
from asgi_multitier.engine.stack import TierStack
from asgi_multitier.entry import UNSIZED, Born, Entry, Slot, StoredResponse, Variants
from asgi_multitier.events import Events
from asgi_multitier.policy.key import storage_key
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.base import Held, LocalTier, TierConfig
from asgi_multitier.tiers.memory import MemoryTier
from asgi_multitier.tiers.null import NullLocalTier
from tests.manager.support import SeenTier

LIFE = 100.0
RESPONSE = StoredResponse(200, ((b"content-type", b"text/plain"),), b"hello" * 100)


class Site:
    """A shared tier below a local one, with one entry in it."""

    def __init__(
        self,
        local: LocalTier | None = None,
        config: TierConfig | None = None,
        compress_over: int | None = None,
        secret: bytes | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.log = LocalLog(self.clock)
        self.tier = SeenTier(self.clock)
        events, settings = Events(), CacheConfig(redis_url=None)
        self.placed = Placed(self.tier, config or TierConfig.l2(), events, settings, self.clock)
        form = Format(clock=self.clock, wall=self.clock, compress_over=compress_over, secret=secret)
        first = NullLocalTier() if local is None else local
        self.stack = TierStack(first, [self.placed], self.log, events, form=form)

    def entry(self, payload: StoredResponse | Variants | bytes = RESPONSE) -> Entry:
        """An entry that is filled now."""
        now = self.clock()
        return Entry(
            key="k",
            payload=payload,
            born=self.log.index.born(),
            created=now,
            fresh_until=now + LIFE,
            keep_until=now + LIFE,
            filled_at=now,
            tags=("t",),
        )

    async def written(self, entry: Entry) -> None:
        """Put an entry into the shared tier."""
        self.stack.share(entry)
        await self.stack.settle()

    async def found(self) -> Slot | None:
        """What a read finds."""
        found = await self.stack.fetch("k")
        return None if found is None else found.slot

    def held(self, change: Callable[[bytes, float], tuple[bytes, float]]) -> None:
        """Change the bytes in the tier, and the end of their life."""
        items = self.tier.items
        items[storage_key("k")] = change(*items[storage_key("k")])


@pytest.mark.parametrize("secret", [None, b"s" * 32], ids=["sum", "mac"])
@pytest.mark.parametrize("compress_over", [None, 1], ids=["plain", "compressed"])
@pytest.mark.parametrize("payload", [RESPONSE, b"value" * 50, Variants((b"accept",))])
async def test_equal_bytes_are_decoded_once(
    payload: StoredResponse | Variants | bytes, compress_over: int | None, secret: bytes | None
) -> None:
    """The tier is asked each time, and the same objects answer, with what readers have prepared."""
    site = Site(compress_over=compress_over, secret=secret)
    await site.written(site.entry(payload))
    first = await site.found()
    site.clock.advance(LIFE / 2)
    second = await site.found()

    assert first is not None
    assert second is first
    assert first.entry.payload == payload
    assert site.tier.calls["get"] == 2
    assert site.placed.hits == 2


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda value, until: (value, until - 30), LIFE - 30),
        (lambda value, until: (value, until + 30), LIFE),
        (lambda value, until: (value, until - 0.0005), LIFE),
    ],
    ids=["shorter", "longer", "within a millisecond"],
)
async def test_nothing_lives_longer_than_the_tier_says(
    change: Callable[[bytes, float], tuple[bytes, float]], left: float
) -> None:
    """A life that was shortened in the tier is read again; a longer one is not believed."""
    site = Site()
    await site.written(site.entry())
    await site.found()
    site.held(change)
    again = await site.found()

    assert again is not None
    assert again.entry.keep_until - site.clock() == pytest.approx(left)


async def test_what_is_over_by_its_first_reading_is_decoded_again() -> None:
    """Also where the tier still has it: the bytes say how long they may live."""
    site = Site()
    await site.written(site.entry())
    await site.found()
    site.held(lambda value, until: (value, until + LIFE))
    site.clock.advance(LIFE + 1)
    first = await site.found()
    site.clock.advance(10)

    assert first is not None
    assert first.entry.keep_until <= site.clock()
    assert await site.found() is None
    assert site.placed.unreadable["expired"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda value, until: (value[:-1] + b"!", until), "checksum"),
        (lambda value, until: (b"\x00" + value[1:], until), "magic"),
        (lambda value, until: (value[:60] + b"\x7f" + value[61:], until), "checksum"),
        (lambda value, until: (value[:-500] + b"!" + value[-500:], until), "length"),
        (lambda value, until: (value + b"!", until), "length"),
        (lambda value, until: (value[:-1], until), "length"),
    ],
    ids=["end", "start", "metadata", "between", "longer", "shorter"],
)
async def test_a_byte_that_differs_is_seen(
    change: Callable[[bytes, float], tuple[bytes, float]], reason: str
) -> None:
    """Wherever it is."""
    site = Site()
    await site.written(site.entry())
    await site.found()
    site.held(change)

    assert await site.found() is None
    assert site.placed.unreadable[reason] == 1


async def test_another_response_takes_its_place() -> None:
    """And then it is the one that is known."""
    site = Site()
    await site.written(site.entry())
    await site.found()
    site.clock.advance(1)
    await site.written(site.entry(replace(RESPONSE, body=b"other")))
    second, third = await site.found(), await site.found()

    assert second is not None
    assert second.entry.payload == replace(RESPONSE, body=b"other")
    assert third is second


async def test_the_log_is_asked_each_time() -> None:
    """What is known from an earlier reply is refused as any other once it is invalidated."""
    site = Site()
    await site.written(site.entry())
    first = await site.found()
    site.log.index.begin([Selector("tag", "other")])
    unchanged = await site.found()
    site.log.index.begin([Selector("tag", "t")])

    assert unchanged is first
    assert await site.found() is None
    assert site.placed.unreadable["invalidated"] == 1


async def test_what_was_refused_is_not_remembered() -> None:
    """It is decoded the next time, and waited for where it is ahead of this process."""
    site = Site()
    await site.written(site.entry())
    first = await site.found()
    site.log.index.distrust()
    await site.found()
    site.log.index.trust()
    second = await site.found()

    assert second is not None
    assert second is not first


async def test_nothing_is_known_where_the_log_is_not_trusted() -> None:
    """As for what is read the first time."""
    site = Site()
    await site.written(site.entry())
    await site.found()
    site.log.index.distrust()
    while_untrusted = await site.found()
    site.log.index.trust()

    assert while_untrusted is None
    assert await site.found() is not None


async def test_what_the_tier_has_no_more_is_not_found() -> None:
    """Nothing is answered from what was read before."""
    site = Site()
    await site.written(site.entry())
    await site.found()
    site.tier.items.clear()

    assert await site.found() is None


@pytest.mark.parametrize(
    ("local", "config", "known"),
    [
        (NullLocalTier, TierConfig(2), True),
        (MemoryTier, TierConfig(2), False),
        (MemoryTier, TierConfig(2, promotion=False), True),
        (MemoryTier, TierConfig(2, promotion_frequency=3), True),
    ],
)
async def test_only_what_is_not_promoted_is_remembered(
    local: Callable[[], LocalTier], config: TierConfig, known: bool
) -> None:
    """What is copied into the first tier is not read a second time."""
    site = Site(local(), config)
    await site.written(site.entry())
    first, second = await site.found(), await site.found()

    assert first is not None
    assert (first is second) is known


async def test_a_promoted_copy_has_a_slot_of_its_own() -> None:
    """One hit in so many is promoted, whether or not its bytes were known."""
    site = Site(MemoryTier(), TierConfig(2, promotion_frequency=3))
    await site.written(site.entry())
    first, _, third = await site.found(), await site.found(), await site.found()
    local = site.stack.peek("k")

    assert third is first
    assert local is not None
    assert local is not first
    assert local.size > 0


async def test_history_that_was_lost_frees_it() -> None:
    """As the entries in memory."""
    site = Site()
    await site.written(site.entry())
    first = await site.found()
    site.stack.flushed()

    assert await site.found() is not first


def _reading(number: int, body: bytes) -> tuple[str, Held, Found]:
    entry = Entry(
        key=f"k{number}",
        payload=body,
        born=Born("", 0),
        created=0.0,
        fresh_until=LIFE,
        keep_until=LIFE,
        filled_at=0.0,
    )
    return entry.key, Held(b"head" + body, LIFE), Found(Slot(entry, size=UNSIZED), 2)


def test_the_bytes_that_are_remembered_have_a_bound() -> None:
    """The oldest leaves first; what is large is not remembered at all."""
    rereads = Rereads(200_000)
    readings = [_reading(number, b"x" * 1000) for number in range(500)]
    for key, held, found in readings:
        rereads.remember(key, held, found, 0.0)
    large = _reading(1000, b"x" * 10_000)
    rereads.remember(*large, 0.0)
    known = rereads.find_all(
        [key for key, _, _ in (*readings, large)], [held for _, held, _ in (*readings, large)], 1.0
    )

    assert 100_000 < rereads.bytes <= 200_000
    assert known[:10] == [None] * 10
    assert known[499] is readings[499][2]
    assert known[500] is None
    assert len(rereads) == len([one for one in known if one is not None])
    rereads.clear()
    assert (len(rereads), rereads.bytes) == (0, 0)


def test_a_tier_that_tells_no_life_has_its_bytes_decoded() -> None:
    """What is left is then computed from the bytes and the clock of the wall."""
    rereads = Rereads(200_000)
    key, held, found = _reading(1, b"x")
    rereads.remember(key, held._replace(remaining=None), found, 0.0)
    unknown = rereads.find_all([key], [held], 1.0)
    rereads.remember(key, held, found, 0.0)

    assert unknown == [None]
    assert rereads.find_all([key], [held], 1.0) == [found]
    assert rereads.find_all([key], [held._replace(remaining=None)], 1.0) == [None]
    assert rereads.find_all([key], [None], 1.0) == [None]


@pytest.mark.parametrize(("travelled", "known"), [(0.2, True), (0.05, False)])
def test_a_reply_that_took_long_says_less_of_the_life(travelled: float, known: bool) -> None:
    """A tier that answers faster afterwards seems to give less, by what the first reply took."""
    rereads = Rereads(200_000)
    key, held, found = _reading(1, b"x")
    rereads.remember(key, held, found, travelled)

    assert rereads.find_all([key], [held._replace(remaining=LIFE - 0.1)], 0.0) == [
        found if known else None
    ]
