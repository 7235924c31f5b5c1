"""A plain request that a shared tier answers: by the short way, and by that of all other requests.

What is sent, counted and asked for is the same. Each case is played twice, and the second time the
short way is closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

import pytest

from asgi_multitier import MemoryTier, NullLocalTier, Rule
from asgi_multitier._types import Header
from asgi_multitier.asgi import middleware
from asgi_multitier.tiers.base import Held
from tests.http.test_shared_tiers import DictTier
from tests.support import Cache, Origin, Reply, answering, caching, settled

Play: TypeAlias = Callable[[Cache], Awaitable[list[Reply]]]


class CountedTier(DictTier):
    """Notes what it is asked for.

    Attributes:
        reads: How many keys.
        gate: Reads wait for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        """As in any tier."""
        self.reads += len(keys)
        await self.gate.wait()
        return await super().get_many(keys)


async def _hits(cache: Cache) -> list[Reply]:
    return [await cache.get("/x"), await cache.client.request("HEAD", "/x")]


async def _together(cache: Cache) -> list[Reply]:
    return list(await asyncio.gather(*(cache.get("/x") for _ in range(5))))


async def _aged(cache: Cache) -> list[Reply]:
    cache.clock.advance(20)
    return [await cache.get("/x")]


async def _stale(cache: Cache) -> list[Reply]:
    cache.clock.advance(65)
    return [await cache.get("/x"), await cache.get("/x")]


async def _absent(cache: Cache) -> list[Reply]:
    return [await cache.get("/y"), await cache.get("/y")]


async def _invalidated(cache: Cache) -> list[Reply]:
    await cache.manager.invalidate_path("/x")
    return [await cache.get("/x")]


async def _unreadable(cache: Cache) -> list[Reply]:
    tier = cache.manager.engine.stack.shared[0].tier
    assert isinstance(tier, DictTier)
    tier.held = dict.fromkeys(tier.held, b"?")
    return [await cache.get("/x")]


async def _harmless(cache: Cache) -> list[Reply]:
    return [await cache.get("/x", [("cache-control", "no-cache"), ("accept", "*/*")])]


async def _special(cache: Cache) -> list[Reply]:
    fields = [("range", "bytes=1-2")], [("if-none-match", '"a"')], [("authorization", "a")]
    return [await cache.get("/x", one) for one in fields]


async def _known(cache: Cache) -> list[Reply]:
    return [await cache.get("/x", user="anna")]


async def _switched_off(cache: Cache) -> list[Reply]:
    replies = [await cache.get("/x")]
    ON.remove("cache")
    try:
        return [*replies, await cache.get("/x")]
    finally:
        ON.append("cache")


async def _left(cache: Cache) -> list[Reply]:
    tier: Any = cache.manager.engine.stack.shared[0].tier
    tier.gate.clear()
    gone, stays = cache.client.begin("/x"), cache.client.begin("/x")
    await settled()
    gone.cancel()
    tier.gate.set()
    return [await stays]


ON = ["cache"]
"""What is switched on."""

CASES: dict[str, tuple[Play, tuple[Header, ...], dict[str, Any]]] = {
    "hits": (_hits, (), {}),
    "together": (_together, (), {}),
    "aged": (_aged, (), {}),
    "stale": (_stale, (), {}),
    "stale while revalidating": (_stale, (), {"stale_while_revalidate": 60}),
    "due for renewal": (_aged, (), {"eager_refresh": 0.1}),
    "absent": (_absent, (), {}),
    "invalidated": (_invalidated, (), {}),
    "unreadable": (_unreadable, (), {}),
    "variants": (_hits, ((b"vary", b"accept-language"),), {}),
    "always validated": (_hits, ((b"cache-control", b"no-cache"), (b"etag", b'"a"')), {}),
    "harmless fields": (_harmless, (), {}),
    "special fields": (_special, ((b"etag", b'"a"'),), {}),
    "for everyone": (_special, ((b"cache-control", b"public"),), {"public": True}),
    "a user is known": (_known, (), {}),
    "one leaves": (_left, (), {}),
    "chosen by a field": (_hits, (), {"vary": ["accept-language"]}),
    "switched off": (_switched_off, (), {"enabled": lambda: "cache" in ON}),
}


async def _played(case: str, local: Any, *, closed: bool, patch: pytest.MonkeyPatch) -> Any:
    """What was sent, counted and asked for; and how many took the short way."""
    play, lines, options = CASES[case]
    tier, short = CountedTier(), []
    shared_hit = middleware.shared_hit

    async def noted(*given: Any, **named: Any) -> Any:
        left = await shared_hit(*given, **named)
        short.append(left is None)
        return left

    with patch.context() as patched:
        patched.setattr(middleware, "shared_hit", noted)
        if closed:
            patched.setattr(middleware, "is_plain", lambda *_: False)
        rules = [Rule("*", 60, **options)]
        app = Origin(answering(b"hello", *lines))
        async with caching(app, rules, l1=local(), l2=tier) as cache:
            await cache.get("/x")
            await cache.manager.engine.stack.settle()
            cache.manager.engine.stack.local.clear()
            tier.reads = 0
            short.clear()
            replies = await play(cache)
            await settled()
            await cache.manager.engine.stack.settle()
            stats = cache.manager.stats()
            seen = (
                [(reply.status, reply.headers, reply.body) for reply in replies],
                {route: asdict(one) for route, one in stats.routes.items()},
                [(one.hits, one.promotions, one.unreadable) for one in stats.tiers],
                app.calls,
                tier.reads,
            )
    return seen, sum(short)


@pytest.mark.parametrize("local", [NullLocalTier, MemoryTier])
@pytest.mark.parametrize("case", CASES)
async def test_both_ways_answer_alike(
    case: str, local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes, the same figures, the same reads and runs of the application."""
    direct, _ = await _played(case, local, closed=False, patch=monkeypatch)
    around, short = await _played(case, local, closed=True, patch=monkeypatch)

    assert direct == around
    assert short == 0


@pytest.mark.parametrize(
    ("case", "answers"),
    [("hits", 2), ("together", 5), ("aged", 1), ("harmless fields", 1), ("one leaves", 1)],
)
async def test_the_short_way_is_taken(
    case: str, answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it can answer; else the cases above compare one way with itself."""
    _, short = await _played(case, NullLocalTier, closed=False, patch=monkeypatch)

    assert short == answers


@pytest.mark.parametrize(
    ("case", "wanted"), [("absent", 2), ("stale", 2), ("invalidated", 1), ("variants", 4)]
)
async def test_what_was_found_is_not_asked_for_again(
    case: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that the short way cannot answer takes along what it has found."""
    ((*_, reads), _) = await _played(case, NullLocalTier, closed=False, patch=monkeypatch)

    assert reads == wanted
