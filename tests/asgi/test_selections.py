"""What requests select is known from the first hit on, as long as it holds."""

from typing import Any

import pytest
from msgspec.structs import replace

from asgi_multitier import CacheManager, CacheMiddleware, MemoryTier, TierConfig
from asgi_multitier.entry import Slot, Variants

from .test_hits import RULES, Told, World, scope_of, told


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/plain/1", (b"origin", b"https://shop.example")),
        ("/plain/1", (b"x-forwarded-host", b"other.example")),
        ("/named/1", (b"cookie", b"theme=dark; _ga=1")),
        ("/tracked/1", (b"cookie", b"_ga=1")),
        ("/vary/1", (b"accept-language", b"de")),
        ("/tenant/1", (b"x-tenant", b"a")),
        ("/varied/1", (b"accept-encoding", b"br")),
    ],
)
async def test_the_first_hit_is_ready(target: str, line: tuple[bytes, bytes]) -> None:
    """What the general way has stored is found at once, before anything was learnt of it."""
    told.clear()
    world = World(Told)
    async with world.manager:
        for _ in range(2):
            await world.ask(scope_of("GET", target, [line]))
        assert set(told) == {200}
        assert world.runs == 1


@pytest.mark.parametrize(
    ("changed", "at_once"),
    [
        ({}, [200]),
        ({"payload": Variants((b"accept-language",))}, []),
        ({"keep_until": 0.0}, []),
        ({"path": "/else"}, []),
    ],
    ids=["the same", "other fields", "of no use any more", "invalidated"],
)
async def test_what_a_request_selects_holds_while_the_marker_of_its_url_says_so(
    changed: dict[str, Any], at_once: list[int]
) -> None:
    """Also where the response that was selected is still valid."""
    told.clear()
    world = World(Told)
    asked = scope_of("GET", "/varied/1", [(b"accept-encoding", b"br")])
    async with world.manager:
        for _ in range(3):
            await world.ask(dict(asked))
        assert told
        told.clear()
        local: Any = world.manager.engine.stack.local
        (marker,) = (
            slot.entry for slot in local._slots.values() if isinstance(slot.entry.payload, Variants)
        )
        slot = Slot(replace(marker, **{"keep_until": marker.keep_until, **changed}))
        slot.view = world.manager.engine.index.view
        assert local.set(slot)  # the one before has left: a reader that holds it looks again
        if "path" in changed:
            await world.manager.invalidate_path(changed["path"])
        await world.ask(dict(asked))
        assert told == at_once


@pytest.mark.parametrize("max_idle", [None, 60])
async def test_a_tier_that_must_see_each_use_is_asked_for_the_marker(max_idle: int | None) -> None:
    """Any other is asked for neither the marker nor the response while those at hand are valid."""
    world = World(Told)
    tier = MemoryTier(max_idle=max_idle, clock=world.clock)
    found: list[str] = []
    find = tier.find

    def noting(key: str) -> Slot | None:
        found.append(key)
        return find(key)

    tier.find = noting
    tiers = [(tier, TierConfig(level=1))]
    world.manager = CacheManager(redis_url=None, clock=world.clock, tiers=tiers, namespace="world")
    world.middleware = CacheMiddleware(world.app, world.manager, rules=RULES)
    asked = scope_of("GET", "/varied/1", [(b"accept-encoding", b"br")])
    async with world.manager:
        for _ in range(4):
            await world.ask(dict(asked))
        found.clear()
        for _ in range(3):
            await world.ask(dict(asked))
        assert len(found) == (0 if max_idle is None else 6)


async def test_nothing_is_remembered_of_what_is_not_asked_for_again() -> None:
    """A response that was stored and no hit yet costs no memory but its own."""
    world = World(Told)
    async with world.manager:
        for number in range(10):
            await world.ask(scope_of("GET", "/tenant/1", [(b"x-tenant", b"%d" % number)]))
        assert world.runs == 10
        assert len(world.middleware._hits.selections.remembered) == 0
