"""An explanation says what then happens, and what then happens is not changed by it."""

import random
from collections import Counter
from typing import Any

import pytest

from asgi_multitier._types import Scope
from asgi_multitier.asgi.hits import Hits
from asgi_multitier.explain import Explanation, Verdict
from asgi_multitier.policy.status_field import CacheStatus, cache_status
from tests.asgi.test_hits import TAG, TARGETS, World, scope_of, steps

SEEDS = range(2)

GOES = {
    Verdict.MISS,
    Verdict.EXPIRED,
    Verdict.DROPPED,
    Verdict.VALIDATE,
    Verdict.REFUSED,
}
"""Verdicts by which the application is asked, and its response may be stored."""


async def explained(world: World, scope: Scope) -> Explanation:
    """What would become of the request."""
    url = f"{scope['scheme']}://shop.example{scope['path']}"
    return await world.manager.explain(
        scope["method"], url, scope["headers"], run_callables=True, reveal=True
    )


def agrees(explanation: Explanation, status: CacheStatus) -> bool:
    """Whether an explanation says what `Cache-Status` says of the response."""
    verdict = explanation.verdict
    if verdict is Verdict.HIT:
        return status.hit and status.detail == f"l{explanation.entries[-1].tier}"
    if verdict is Verdict.STALE:
        return status.hit and status.detail in ("stale", "stale-while-revalidate")
    if status.hit or status.forward != explanation.forward:
        return False
    if verdict is Verdict.BYPASS:
        return status.detail == explanation.reason
    return verdict in GOES


async def story(seed: int, *, asks: bool) -> tuple[list[Any], Any, int, list[Any], Counter[str]]:
    """All answers, statistics, runs, the entries in their order of leaving, and the verdicts."""
    world = World(Hits)
    got: list[Any] = []
    verdicts: Counter[str] = Counter()
    tags: dict[str, bytes] = {}
    chance = random.Random(seed)
    async with world.manager:
        await world.ask(scope_of("GET", "/unruled", []))  # from here on its rules are known
        for passing, method, target, lines in steps(seed):
            world.clock.advance(passing)
            if chance.random() < 0.02:
                await world.manager.invalidate_path(chance.choice(TARGETS))
            tag = tags.get(target, b'"1"')
            sent = [(name.lower(), value.replace(TAG, tag)) for name, value in lines]
            scope = scope_of(method, target, sent)
            explanation = await explained(world, dict(scope)) if asks else None
            start, *rest = await world.ask(scope)
            if explanation is not None:
                verdicts[explanation.verdict] += 1
                status = cache_status(start["headers"])
                assert agrees(explanation, status), (sent, method, target, explanation, status)
            fields = sorted(start["headers"])
            tags[target] = dict(fields).get(b"etag", tag)
            got.append((method, target, sent, start["status"], fields, rest))
        tier: Any = world.manager.engine.stack.local
        entries = [
            (slot.entry.key, slot.uses, slot.rank, slot.view, slot.size)
            for slot in tier._slots.values()
        ]
        held = (tier.statistics(), tier._order.__dict__ if hasattr(tier._order, "__dict__") else 0)
        return got, (world.manager.stats(), held[0]), world.runs, entries, verdicts


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", SEEDS)
async def test_it_says_what_happens_and_changes_nothing(seed: int) -> None:
    """Random requests: answers, statistics, runs and entries are the same without it."""
    *expected, _ = await story(seed, asks=False)
    *found, verdicts = await story(seed, asks=True)

    for one, other in zip(found[0], expected[0], strict=True):
        assert one == other
    assert found[1:] == expected[1:]
    assert set(verdicts) >= {
        Verdict.HIT,
        Verdict.STALE,
        Verdict.MISS,
        Verdict.EXPIRED,
        Verdict.DROPPED,
        Verdict.BYPASS,
    }
