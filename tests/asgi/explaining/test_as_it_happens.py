"""An explanation says what then happens, and what then happens is not changed by it."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from asgi_multitier import CacheManager, CacheMiddleware, MemoryTier, Policy
from asgi_multitier._types import Scope
from asgi_multitier.asgi.hits import Hits
from asgi_multitier.events import CacheStats
from asgi_multitier.events.durations import Durations
from asgi_multitier.explain import Explanation, Verdict
from asgi_multitier.policy.cache_status import Forward
from asgi_multitier.policy.status_field import CacheStatus, cache_status
from tests.asgi.test_hits import RULES, TAG, TARGETS, World, scope_of, steps
from tests.http.test_shared_tiers import DictTier

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
        scope["method"], url, scope["headers"], run_callables=True, shared=True, reveal=True
    )


def agrees(explanation: Explanation, status: CacheStatus) -> bool:
    """Whether an explanation says what `Cache-Status` says of the response."""
    verdict = explanation.verdict
    if verdict is Verdict.HIT:
        # A note of variants that is copied up may take the place of the variant itself.
        copied = any(one.tier == 2 and one.kind == "variants" for one in explanation.entries)
        told = (f"l{explanation.tier}", "l2" if copied else "")
        return status.hit and status.detail in told
    if verdict is Verdict.STALE:
        return status.hit and status.detail in ("stale", "stale-while-revalidate")
    if status.hit or status.forward != explanation.forward:
        return False
    if verdict is Verdict.BYPASS and explanation.forward == Forward.METHOD:
        return status.detail is None
    if verdict is Verdict.BYPASS:
        return status.detail == explanation.reason
    return verdict in GOES


class SharedWorld(World):
    """The same with a small first tier over a shared one, which others write to and empty."""

    def __init__(self, hits: Callable[..., Hits]) -> None:
        super().__init__(hits)
        self.tier = DictTier()
        self.manager = CacheManager(
            MemoryTier(max_entries=12, clock=self.clock),
            self.tier,
            redis_url=None,
            clock=self.clock,
            wall=self.clock,
            namespace="world",
        )
        self.middleware = CacheMiddleware(
            self.app, self.manager, rules=RULES, default=Policy.from_origin()
        )


async def story(
    make: Callable[..., World], seed: int, *, asks: bool
) -> tuple[list[Any], Any, int, list[Any], Counter[str]]:
    """All answers, statistics, runs, the entries in their order of leaving, and the verdicts."""
    world = make(Hits)
    got: list[Any] = []
    verdicts: Counter[str] = Counter()
    tags: dict[str, bytes] = {}
    chance = random.Random(seed)
    async with world.manager:
        await world.ask(scope_of("GET", "/unruled", []))  # from here on its rules are known
        for passing, method, target, lines in steps(seed):
            world.clock.advance(passing)
            if chance.random() < 0.01 and isinstance(world, SharedWorld):
                world.tier.held.popitem()
            if chance.random() < 0.02:
                await world.manager.invalidate_path(chance.choice(TARGETS))
            tag = tags.get(target, b'"1"')
            sent = [(name.lower(), value.replace(TAG, tag)) for name, value in lines]
            scope = scope_of(method, target, sent)
            explanation = await explained(world, dict(scope)) if asks else None
            start, *rest = await world.ask(scope)
            if explanation is not None:
                verdicts[explanation.verdict] += 1
                verdicts[f"tier {explanation.tier}"] += 1
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
        held = tier.statistics()
        return got, (world.manager.stats(), held), world.runs, entries, verdicts


STORIES = [(World, 0), (World, 1), (SharedWorld, 0)]


@pytest.mark.no_cover
@pytest.mark.parametrize(("make", "seed"), STORIES)
async def test_it_says_what_happens_and_changes_nothing(
    make: Callable[..., World], seed: int
) -> None:
    """Random requests: answers, statistics, runs and entries are the same without it."""
    *expected, _ = await story(make, seed, asks=False)
    *found, verdicts = await story(make, seed, asks=True)

    for one, other in zip(found[0], expected[0], strict=True):
        assert one == other
    assert _counted(found[1]) == _counted(expected[1])
    assert found[2:] == expected[2:]
    assert set(verdicts) >= {
        Verdict.HIT,
        Verdict.STALE,
        Verdict.MISS,
        Verdict.EXPIRED,
        Verdict.BYPASS,
        "tier 1",
        "tier 2" if make is SharedWorld else "tier None",
    }


def _counted(readings: tuple[CacheStats, object]) -> tuple[object, ...]:
    """What was counted, less how long runs and operations took."""
    stats, held = readings
    tiers = [replace(tier, operations={}) for tier in stats.tiers]
    routes = {
        route: replace(read, runs=Durations(), waits=Durations())
        for route, read in stats.routes.items()
    }
    total = replace(stats.total, runs=Durations(), waits=Durations())
    return replace(stats, tiers=tuple(tiers), routes=routes, total=total), held
