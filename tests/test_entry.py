"""Entries and slots: what the garbage collector does not look into must hold no cycle."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import Depends, FastAPI, Request, Response

from asgi_multitier import Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.entry import (
    UNSIZED,
    Born,
    Encoded,
    Entry,
    Slot,
    StoredResponse,
    Variants,
    size_of,
)
from asgi_multitier.testing.local import value_entry
from tests.support import Cache, caching, respond

RESPONSE = StoredResponse(200, ((b"etag", b'"a"'),), b"content", b'"a"')
ENTRY = msgspec.structs.replace(value_entry("key"), payload=RESPONSE, tags=("a", "b"))

MANY = 30
LARGE = 50_000


@pytest.mark.parametrize(
    "stored",
    [Born("", 1), RESPONSE, Variants((b"accept",)), ENTRY, Slot(ENTRY), Encoded()],
    ids=lambda stored: type(stored).__name__,
)
def test_the_garbage_collector_does_not_look_into_what_is_stored(stored: object) -> None:
    """However many entries there are, a full collection visits none of them."""
    assert not gc.is_tracked(stored)


def test_a_slot_is_itself_alone() -> None:
    """Two slots of one entry differ; an entry equals any with the same content."""
    assert Slot(ENTRY) != Slot(ENTRY)
    assert msgspec.structs.replace(ENTRY) == ENTRY
    assert hash(msgspec.structs.replace(ENTRY)) == hash(ENTRY)


@pytest.mark.parametrize("stored", [Born("", 1), RESPONSE, Variants((b"accept",)), ENTRY])
def test_what_is_stored_is_never_edited(stored: Any) -> None:
    """An entry is replaced."""
    name = stored.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(stored, name, getattr(stored, name))


async def test_entries_share_the_numbers_that_are_equal() -> None:
    """Each number is an object of 32 bytes, and 100,000 entries have a dozen each."""

    async def page(_scope: Scope, _receive: Receive, send: Send) -> None:
        cache.clock.advance(0.5)
        await respond(send, bytes(2_000))

    async with caching(page, [Rule("*", 10_800)]) as cache:
        for path in ("/a", "/b") * 3:
            await cache.get(path)
        tier: Any = cache.manager.engine.stack.local
        one, two = tier.select(lambda _: True)

    assert one.size is two.size
    assert one.replay.lifetime is two.replay.lifetime
    assert one.entry.cost is two.entry.cost
    assert one.entry.cost == 0.5
    assert one.entry.reuse is two.entry.reuse
    assert one.entry.refresh_at is two.entry.refresh_at
    assert one.entry.created is one.entry.filled_at


async def _user(request: Request) -> str:
    return request.headers.get("authorization", "")


def _pages() -> FastAPI:
    app = FastAPI()

    @app.get("/plain/{number}")
    @cached(600, tags=["plain:{number}"])
    async def plain(number: int) -> Response:
        return Response(b"%06d" % number + bytes(LARGE), headers={"etag": f'"{number}"'})

    @app.get("/varied/{number}")
    @cached(600)
    async def varied(number: int) -> Response:
        return Response(b"%06d" % number + bytes(LARGE), headers={"vary": "accept-language"})

    @app.get("/guarded/{number}")
    @cached(600, guarded="shared")
    async def guarded(number: int, user: Annotated[str, Depends(_user)]) -> Response:
        return Response(b"%06d" % number + bytes(LARGE))

    return app


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _ask(cache: Cache, kind: str) -> None:
    """Fill, then the usual kinds of hit, each of which may prepare something in the slot."""
    for number in range(MANY):
        for lines in ((), (("accept-language", "de"),), (("if-none-match", f'"{number}"'),)):
            await cache.get(f"/{kind}/{number}", list(lines))
            await cache.get(f"/{kind}/{number}", list(lines))


def _forget(cache: Cache) -> int:
    tier: Any = cache.manager.engine.stack.local
    anything: Callable[[Entry], bool] = lambda _: True  # noqa: E731  # a predicate
    slots = tier.select(anything)
    return sum(tier.delete(slot.entry.key) for slot in slots)


@pytest.mark.no_cover  # it repeats what others cover
@pytest.mark.parametrize("kind", ["plain", "varied", "guarded"])
async def test_entries_that_leave_are_freed(kind: str) -> None:
    """No cycle leads through an entry or its slot: none would be found."""
    async with caching(_pages(), ()) as cache:
        await _ask(cache, kind)
        assert _forget(cache) >= MANY
        tracemalloc.start()
        try:
            before = _held()
            await _ask(cache, kind)
            full = _held()
            assert _forget(cache) >= MANY
            cache.middleware._hits._hands.clear()  # some are in hands, within bounds of their own
            after = _held()
        finally:
            tracemalloc.stop()

    assert full - before > MANY * LARGE
    assert after - before < MANY * LARGE // 4


def test_a_slot_has_the_size_of_its_entry_unless_it_is_in_no_tier() -> None:
    """What no tier accounts for is not measured."""
    entry = Entry(
        key="k",
        payload=b"value",
        born=Born("", 0),
        created=0.0,
        fresh_until=1.0,
        keep_until=1.0,
        filled_at=0.0,
    )

    assert Slot(entry).size == size_of(entry)
    assert Slot(entry, 3, UNSIZED).size == UNSIZED


@pytest.mark.no_cover  # it repeats what others cover
async def test_what_is_accounted_for_is_what_the_process_holds() -> None:
    """Of many entries with the plans of their targets, each asked for more than once."""
    many = 500

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        body = b"%06d" % int(scope["path"][1:]) + bytes(949)
        await respond(send, body, (b"content-type", b"application/json"))

    async with caching(page) as cache:
        for number in range(100):  # what is made once is there
            await cache.get(f"/{number}")
        tracemalloc.start()
        try:
            before, accounted = _held(), _accounted(cache)
            for _ in range(3):
                for number in range(1_000, 1_000 + many):
                    await cache.get(f"/{number}")
            held, accounted = _held() - before, _accounted(cache) - accounted
        finally:
            tracemalloc.stop()

    assert accounted == pytest.approx(held, rel=0.2)


def _accounted(cache: Cache) -> int:
    """Bytes of entries and of plans; no plan was forgotten."""
    plans: Any = cache.middleware._planning.remembered
    return (cache.manager.stats().tiers[0].size or 0) + int(plans._bytes)
