"""An invalidation between finding something and using it: what was found is not used after it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asgi_multitier import CacheManager, CacheMiddleware, MemoryTier, Policy, TierConfig
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.testing import FakeClock
from asgi_multitier.tiers.base import Held
from tests.support import EVERYTHING, Client, respond, settled

NOON = b"Thu, 01 Jan 1970 00:10:00 GMT"
FRESH = (b"cache-control", b"max-age=10")


class Gated:
    """A shared tier in a dictionary, whose reads wait for a gate."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: dict[str, bytes] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    def close_gate(self) -> None:
        """Let the next read wait, and tell of it."""
        self.asked.clear()
        self.gate.clear()

    async def get(self, key: str) -> Held | None:
        return (await self.get_many([key]))[0]

    async def get_many(self, keys: Sequence[str]) -> list[Held | None]:
        self.asked.set()
        await self.gate.wait()
        return [Held(self.held[key], 300.0) if key in self.held else None for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self.held[key] = value

    async def set_many(self, items: Mapping[str, tuple[bytes, float]]) -> None:
        self.held |= {key: value for key, (value, _) in items.items()}

    async def delete(self, keys: Iterable[str]) -> int:
        return 0

    async def clear(self) -> None:
        self.held.clear()

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


class Page:
    """An origin whose content a PUT changes."""

    def __init__(self, *fields: tuple[bytes, bytes]) -> None:
        self.body = b"old"
        self.fields = fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            self.body = b"new"
        await respond(send, self.body, *self.fields)


def cache_over(app: ASGIApp, *tiers: Gated, **options: Any) -> tuple[Client, CacheManager]:
    """The application behind memory and these tiers."""
    clock = FakeClock()
    below = [(tier, TierConfig(level)) for level, tier in enumerate(tiers, 2)]
    manager = CacheManager(
        redis_url=None,
        redis_timeout=60,
        clock=clock,
        wall=clock,
        tiers=[(MemoryTier(clock=clock), TierConfig.l1()), *below],
    )
    return Client(CacheMiddleware(app, manager, **options)), manager


async def test_a_key_found_above_is_not_served_later_for_one_that_is_still_looked_for() -> None:
    """Found in L2 while another key of the tick waits for L3: after a PUT it is read anew."""
    upper, lower = Gated("upper"), Gated("lower")
    client, manager = cache_over(Page(), upper, lower, rules=EVERYTHING)
    async with manager:
        await client.get("/a")
        await manager.engine.stack.settle()
        manager.engine.stack.local.clear()
        lower.close_gate()
        early = [client.begin("/a"), client.begin("/b")]
        await lower.asked.wait()

        await client.request("PUT", "/a")
        late = client.begin("/a")
        await settled()
        lower.gate.set()

        assert (await late).body == b"new"
        await asyncio.gather(*early)


async def test_an_answer_to_head_does_not_revive_what_was_dropped() -> None:
    """A stale entry, a HEAD that waits for the shared tier, a PUT in between: a GET is new."""
    tier = Gated("l2")
    client, manager = cache_over(Page(FRESH), tier, default=Policy.from_origin())
    async with manager:
        await client.get("/a")
        await manager.engine.stack.settle()
        manager.engine.clock.advance(11)  # type: ignore[attr-defined]
        tier.held.clear()
        tier.close_gate()
        head = asyncio.create_task(client.request("HEAD", "/a"))
        await tier.asked.wait()

        await client.request("PUT", "/a")
        tier.gate.set()
        await head

        assert (await client.get("/a")).body == b"new"


async def test_a_validation_does_not_revive_what_was_dropped() -> None:
    """A waiter with a stale entry goes alone after a PUT: it does not validate the dropped one."""
    gate, arrived = asyncio.Event(), asyncio.Semaphore(0)
    state = {"body": b"old", "own": False}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            state["body"] = b"new"
            await respond(send, b"")
            return
        own, state["own"] = state["own"], False
        arrived.release()
        await gate.wait()
        asked = dict(scope["headers"]).get(b"if-modified-since")
        if asked == NOON and not own:
            start = {"type": "http.response.start", "status": 304}
            await send({**start, "headers": [(b"last-modified", NOON), FRESH]})
            await send({"type": "http.response.body", "body": b""})
            return
        cookie = [(b"set-cookie", b"a=b")] if own else []
        await respond(send, state["body"], FRESH, (b"last-modified", NOON), *cookie)  # type: ignore[arg-type]

    client, manager = cache_over(app, default=Policy.from_origin())
    async with manager:
        gate.set()
        await client.get("/a")
        manager.engine.clock.advance(11)  # type: ignore[attr-defined]
        state["own"] = True
        gate.clear()
        await arrived.acquire()
        leader = client.begin("/a")
        await arrived.acquire()
        waiter = client.begin("/a")
        await settled()

        await client.request("PUT", "/a")
        gate.set()
        await leader

        assert (await waiter).body == b"new"
        assert (await client.get("/a")).body == b"new"
