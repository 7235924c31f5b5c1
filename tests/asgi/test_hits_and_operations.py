"""Hits between operations of the cache: what is answered at once is what the general way gives."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from asgi_multitier.asgi.hands import Hands
from asgi_multitier.asgi.hits import Hits
from asgi_multitier.asgi.replay import Prepared
from asgi_multitier.entry import Slot

from .test_hits import USUAL, GeneralWay, Lines, World, scope_of

STEPS = 800

ASKED: list[tuple[str, Lines]] = [("/plain/1", [])]
ASKED += [(path, list(lines)) for path, usual in USUAL.items() for lines in usual]
"""So few that most of them are in hands when something happens."""

OPERATIONS = (
    *("invalidate", "delete", "flush", "clear", "forget", "watch", "leave"),
    *("off", "shadow", "later", "over"),
)


def shown(slot: Slot) -> bool:
    """Something that looks at each hit, and hides none."""
    return True


async def operate(world: World, operation: str, path: str) -> None:
    """Do something to a cache, or to what one target has in it."""
    manager, engine = world.manager, world.manager.engine
    local: Any = engine.stack.local
    match operation:
        case "invalidate":
            await manager.invalidate_path(path)
        case "delete":
            for slot in local.slots():
                if path in slot.entry.key or world.runs % 2:
                    local.delete(slot.entry.key)
        case "flush":
            local.clear()
        case "clear":
            await manager.clear()
        case "forget":
            world.middleware._planning.forget()
        case "watch":
            engine.doors.watch(shown)
        case "leave":
            engine.doors.leave(shown)
        case "off" | "shadow":
            manager.mode = operation
        case "later":
            world.clock.advance(7)
        case _:
            world.clock.advance(61)


async def answers(world: World, seed: int) -> tuple[list[Any], Mapping[str, Any], int]:
    """What clients get, request by request; what was counted; and how often the application ran."""
    got: list[Any] = []
    chance = random.Random(seed)
    async with world.manager:
        for _ in range(STEPS):
            operation = ""
            if chance.random() < 0.03:
                operation, (path, _) = chance.choice(OPERATIONS), chance.choice(ASKED)
                await operate(world, operation, path)
            elif chance.random() < 0.1:
                world.manager.mode = "on"
            path, lines = chance.choice(ASKED)
            method = "HEAD" if chance.random() < 0.1 else "GET"
            start, *rest = await world.ask(scope_of(method, path, lines))
            got.append(
                (operation, method, path, lines, start["status"], sorted(start["headers"]), rest)
            )
        return got, dict(world.manager.stats().routes), world.runs


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_to_the_cache_hits_are_what_the_general_way_gives(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes, runs and counters, one by one; many are answered by slots in hands."""
    ready: Counter[str] = Counter()
    take = Hands.take

    class Counting(Hits):
        def ready(self, *args: Any) -> Prepared | None:
            found = super().ready(*args)
            ready["at once"] += found is not None
            return found

    def taking(hands: Hands, holder: Any, slot: Slot) -> None:
        ready["taken"] += 1
        take(hands, holder, slot)

    monkeypatch.setattr(Hands, "take", taking)
    expected = await answers(World(GeneralWay), seed)
    found = await answers(World(Counting), seed)
    for one, other in zip(found[0], expected[0], strict=True):
        assert one == other
    assert found[1:] == expected[1:]
    assert ready["at once"] > STEPS / 3
    assert 10 < ready["taken"] < ready["at once"] / 2
