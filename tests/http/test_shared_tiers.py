"""What is learned from the origin later on reaches the tiers below too."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from asgi_multitier import Policy
from asgi_multitier.selectors import Selector
from asgi_multitier.tiers.base import Held
from tests.engine.doors import FakeLeases
from tests.http.support import FULL, PLAIN, PROFILES, Answered, Lines, Step, World
from tests.support import settled

MAX_AGE = ("Cache-Control", "max-age=3600")
SHORT = ("Cache-Control", "max-age=2")
ETAG = ("ETag", '"abc"')
RANGE: Lines = (("Range", "bytes=0-4"),)


class DictTier:
    """A shared tier in a dict, which keeps everything until it is told to forget.

    Attributes:
        held: What it has.
        late: Reads that come before anything is there.
    """

    name = "dict"

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.late = 0

    async def get(self, key: str) -> Held | None:
        value = self.held.get(key)
        return None if value is None else Held(value, None)

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        if self.late:
            self.late -= 1
            return [None for _ in keys]
        return [await self.get(key) for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self.held[key] = value

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        for key, (value, ttl) in items.items():
            await self.set(key, value, ttl)

    async def delete(self, keys: Iterable[str]) -> int:
        return sum(self.held.pop(key, None) is not None for key in keys)

    async def clear(self) -> None:
        self.held.clear()

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return


@pytest.fixture
def tier() -> DictTier:
    """The tier below."""
    return DictTier()


def over(tier: DictTier, profile: str = PLAIN) -> World:
    """A world whose cache has a second tier."""
    return World(PROFILES[profile], settings={"l2": tier})


async def elsewhere(world: World, step: Step) -> Answered:
    """Ask when the first tier has nothing, as on an instance that has just started."""
    await world.settle()
    world.manager.engine.stack.local.clear()
    return await world.ask(step)


async def test_a_freshened_response_is_shared(tier: DictTier) -> None:
    """After a 304 others find the new fields and the new life."""
    world = over(tier)
    await world.ask(Step(fields=(SHORT, ETAG, ("A", "1"))))
    world.now = 3.0
    await world.ask(Step(status=304, fields=(MAX_AGE, ("A", "2"))))

    got = await elsewhere(world, Step())

    assert "hit; ttl=3600; detail=l2" in got.cache_status
    assert (got.values("a"), got.body) == (["2"], b"content 1")
    await world.close()


async def test_a_stale_response_is_validated_from_below(tier: DictTier) -> None:
    """An instance that has just started asks with the validators that others stored."""
    world = over(tier)
    await world.ask(Step(fields=(SHORT, ETAG)))
    world.now = 3.0

    got = await elsewhere(world, Step(status=304, fields=(MAX_AGE,)))

    assert world.seen[-1].values("if-none-match") == ['"abc"']
    assert (got.status, got.body) == (200, b"content 1")
    await world.close()


async def test_what_a_head_has_renewed_is_shared(tier: DictTier) -> None:
    """Others find the stored GET with a new life."""
    world = over(tier)
    await world.ask(Step(fields=(SHORT, ETAG)))
    world.now = 3.0
    await world.ask(Step(method="HEAD", fields=(MAX_AGE, ETAG)))

    got = await elsewhere(world, Step())

    assert "hit" in got.cache_status
    await world.close()


async def test_what_a_head_has_ended_is_gone_everywhere(tier: DictTier) -> None:
    """Another length: the stored GET is out of date in every tier."""
    world = over(tier)
    await world.ask(Step(fields=(SHORT, ETAG)))
    world.now = 3.0
    await world.ask(Step(method="HEAD", fields=(MAX_AGE, ("Content-Length", "400"))))
    await world.settle()

    assert not tier.held
    await world.close()


async def test_what_an_unstorable_answer_displaces_is_gone_everywhere(tier: DictTier) -> None:
    """Nobody revalidates, or serves while stale, what the origin no longer wants stored."""
    world = over(tier)
    await world.ask(Step(fields=(SHORT, ETAG)))
    await world.settle()
    assert tier.held
    world.now = 3.0
    await world.ask(Step(fields=(("Cache-Control", "no-store"),)))
    await world.settle()

    assert not tier.held
    await world.close()


def failing(request: object) -> str:
    raise RuntimeError("no tag today")


def many(request: object) -> list[str]:
    return [f"t{number}" for number in range(1000)]


@pytest.mark.parametrize("tags", [failing, many])
async def test_the_answer_to_a_post_without_its_tags_is_not_kept(tags: object) -> None:
    """What cannot be named cannot be dropped by name; the POST itself is answered."""
    policy = Policy.from_origin(methods=["GET", "POST"], tags=[tags])  # type: ignore[list-item]
    world = World(policy)
    located = (MAX_AGE, ("Content-Location", "/thing"))
    posted = await world.ask(Step(method="POST", fields=located))

    assert posted.status == 200
    assert "; fwd=" in (await world.ask(Step())).cache_status
    await world.close()


async def test_variants_are_found_below(tier: DictTier) -> None:
    """Marker and variant both come from the tier below."""
    world = over(tier)
    for value in ("1", "2"):
        await world.ask(Step(fields=(MAX_AGE, ("Vary", "Foo")), ask=(("Foo", value),)))

    got = await elsewhere(world, Step(ask=(("Foo", "1"),)))

    assert "hit" in got.cache_status
    assert got.body == b"content 1"
    await world.close()


async def test_a_part_is_found_below(tier: DictTier) -> None:
    """It answers ranges within it, and nothing else."""
    world = over(tier, FULL)
    part = (MAX_AGE, ETAG, ("Content-Range", "bytes 0-4/10"))
    await world.ask(Step(fields=part, status=206, body=b"01234", ask=RANGE))

    got = await elsewhere(world, Step(ask=(("Range", "bytes=1-2"),)))
    whole = await elsewhere(world, Step(fields=(MAX_AGE,)))

    assert (got.status, got.body) == (206, b"12")
    assert (whole.status, whole.body) == (200, b"content 2")
    await world.close()


async def test_a_younger_part_below_is_no_answer_for_all(tier: DictTier) -> None:
    """It lies where an older whole was, which this instance has still: the whole is asked for."""
    world = over(tier, FULL)
    await world.ask(Step(fields=(SHORT, ETAG)))
    await world.settle()
    [whole] = world.manager.engine.stack.local.select(lambda _: True)
    world.manager.engine.stack.local.clear()
    await tier.clear()
    world.now = 3.0
    part = (MAX_AGE, ETAG, ("Content-Range", "bytes 0-4/10"))
    await world.ask(Step(fields=part, status=206, body=b"01234", ask=RANGE))
    await world.settle()
    world.manager.engine.stack.local.set(whole)

    got = await world.ask(Step(fields=(MAX_AGE,)))

    assert (got.status, got.body) == (200, b"content 3")
    await world.close()


async def test_a_part_of_another_process_is_no_answer_for_a_run_for_all(tier: DictTier) -> None:
    """The fleet's runs are one at a time: what the last one brought is looked at before the next.

    It was asked for a part, which it has stored under the same key.
    """
    world = World(replace(PROFILES[FULL], coalesce="fleet"), settings={"l2": tier})
    part = (MAX_AGE, ETAG, ("Content-Range", "bytes 0-4/10"))
    await world.ask(Step(fields=part, status=206, body=b"01234", ask=RANGE))
    await world.settle()
    world.manager.engine.stack.local.clear()
    leases = FakeLeases()
    object.__setattr__(world.manager.engine, "leases", leases)
    tier.late = 1

    got = await world.ask(Step(fields=(MAX_AGE,)))

    assert (got.status, got.body) == (200, b"content 2")
    assert leases.claims == 1
    await world.close()


async def test_what_was_invalidated_while_another_process_ran_is_not_validated(
    tier: DictTier,
) -> None:
    """The run here begins after that: a 304 would bring the dropped content back as a new one."""
    world = World(replace(PROFILES[FULL], coalesce="fleet"), settings={"l2": tier})
    await world.ask(Step(fields=(SHORT, ETAG)))
    world.now = 3.0
    leases = FakeLeases()
    leases.hold_elsewhere()
    object.__setattr__(world.manager.engine, "leases", leases)
    asking = asyncio.create_task(world.ask(Step(fields=(MAX_AGE, ETAG))))
    await settled()
    await world.manager.clear()
    leases.give_back_elsewhere()
    got = await asking

    assert got.body == b"content 2"
    assert world.seen[-1].values("if-none-match") == []
    await world.close()


async def test_what_is_as_old_below_is_looked_at_once(tier: DictTier) -> None:
    """The tier below has the same stale response: it is not counted as another one."""
    world = over(tier)
    await world.ask(Step(fields=(SHORT,)))
    world.now = 3.0
    await world.settle()

    got = await world.ask(Step(fields=(SHORT,)))

    assert got.body == b"content 2"
    assert world.manager.stats().unused == {"stale": 1}
    await world.close()


async def test_the_answer_to_a_post_stays_in_its_process(tier: DictTier) -> None:
    """Another instance could not tell on which side of the invalidation it was born."""
    world = over(tier, FULL)
    located = (MAX_AGE, ("Content-Location", "/thing"))
    await world.ask(Step(method="POST", fields=located))
    await world.settle()

    assert not tier.held
    assert "hit" in (await world.ask(Step())).cache_status
    await world.close()


@pytest.mark.parametrize("parts", [(), (b"a", b"b")], ids=["whole", "streamed"])
@pytest.mark.parametrize("early", [True, False])
async def test_a_change_during_a_post_ends_its_answer(
    tier: DictTier, early: bool, parts: tuple[bytes, ...]
) -> None:
    """A response to a POST is not stored if its URL was invalidated while it ran."""
    world = over(tier, FULL)
    inner = world.middleware.app

    async def meanwhile(scope, receive, send):  # type: ignore[no-untyped-def]
        if scope["method"] == "GET":
            await inner(scope, receive, send)
        elif early:
            await world.manager.invalidate_selectors([Selector("path", "/thing")])
            await inner(scope, receive, send)
            assert "fwd=" in (await world.ask(Step())).cache_status
        else:
            await inner(scope, receive, send)
            await world.manager.invalidate_selectors([Selector("path", "/thing")])

    world.middleware.app = meanwhile
    located = (MAX_AGE, ("Content-Location", "/thing"))
    await world.ask(Step(method="POST", fields=located, parts=parts))

    assert "fwd=uri-miss" in (await world.ask(Step())).cache_status
    await world.close()


async def test_what_a_get_stores_during_a_post_is_dropped_with_it(tier: DictTier) -> None:
    """It may have read what the POST changed afterwards; the older answer does not come back."""
    world = over(tier, FULL)
    inner = world.middleware.app
    located = (MAX_AGE, ("Content-Location", "/thing"))
    renewing = Step(fields=(MAX_AGE,), ask=(("Cache-Control", "no-cache"),))

    async def meanwhile(scope, receive, send):  # type: ignore[no-untyped-def]
        await inner(scope, receive, send)
        if scope["method"] == "POST":
            assert (await world.ask(renewing)).body == b"content 2"

    world.middleware.app = meanwhile
    await world.ask(Step(method="POST", fields=located))

    assert (await world.ask(Step())).body == b"content 3"
    await world.close()


async def test_a_displaced_entry_is_not_written_later(tier: DictTier) -> None:
    """A write that still waits for its turn is taken back."""
    world = over(tier, FULL)
    await world.ask(Step(fields=(MAX_AGE,)))
    request = Step(fields=(("Cache-Control", "no-store"),), ask=(("Cache-Control", "no-cache"),))
    await world.ask(request)
    await world.settle()

    assert not tier.held
    await world.close()
