"""Which requests select what equal ones have selected, and which go the general way each time."""

import pytest

from asgi_multitier import CacheManager, CacheMiddleware

from .test_hits import RULES, Lines, Told, World, scope_of, told

PROXIED = b"for=%s;proto=https"


@pytest.mark.parametrize(
    ("target", "one", "other", "alike"),
    [
        ("/named/1", (b"cookie", b"theme=dark; _ga=1"), (b"cookie", b"theme=dark; _ga=2"), True),
        ("/named/1", (b"cookie", b"theme=dark"), (b"cookie", b"theme=light"), False),
        ("/tracked/1", (b"cookie", b"_ga=1"), (b"cookie", b"_ga=2"), True),
        ("/plain/1", (b"origin", b"https://a.example"), (b"origin", b"https://b.example"), True),
        ("/varied/3", (b"origin", b"https://a.example"), (b"origin", b"https://b.example"), False),
        ("/plain/1", (b"forwarded", PROXIED % b"a"), (b"forwarded", PROXIED % b"b"), True),
        ("/plain/1", (b"Forwarded", PROXIED % b"a"), (b"forwarded", PROXIED % b"b"), True),
        ("/plain/1", (b"forwarded", PROXIED % b"a"), (b"forwarded", b"for=a;proto=http"), False),
        ("/plain/1", (b"x-forwarded-host", b"a"), (b"x-forwarded-host", b"b"), False),
        ("/vary/1", (b"accept-language", b"de"), (b"accept-language", b"en"), False),
        ("/varied/1", (b"accept-encoding", b"br"), (b"accept-encoding", b"gzip"), False),
        ("/tenant/1", (b"x-tenant", b"a"), (b"x-tenant", b"b"), False),
        ("/language/1", (b"accept-language", b"de"), (b"accept-language", b"en"), False),
    ],
)
async def test_requests_that_differ_in_what_counts_select_different_responses(
    target: str, one: tuple[bytes, bytes], other: tuple[bytes, bytes], *, alike: bool
) -> None:
    """And those that differ in what does not are answered at once by what one has selected."""
    told.clear()
    world = World(Told)
    async with world.manager:
        for _ in range(3):
            await world.ask(scope_of("GET", target, [one]))
        assert set(told) == {200}
        told.clear()
        await world.ask(scope_of("GET", target, [other]))
        assert (world.runs, told) == ((1, [200]) if alike else (2, []))


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("/asked/1", [(b"cache-control", b"max-age=3")]),
        ("/asked/1", [(b"pragma", b"no-cache")]),
        ("/origin/private", [(b"authorization", b"Bearer a")]),
        ("/plain/1", [(b"content-length", b"0")]),
        ("/plain/1", [(b"x-http-method-override", b"GET")]),
        ("/vary-spelt/1", [(b"x_tenant", b"a")]),
    ],
)
async def test_what_fields_alone_do_not_say_is_decided_each_time(target: str, lines: Lines) -> None:
    """Nothing of it is remembered."""
    told.clear()
    world = World(Told)
    async with world.manager:
        for _ in range(4):
            await world.ask(scope_of("GET", target, lines))
    assert told == []


@pytest.mark.parametrize("positions", [False, True])
async def test_a_cookie_may_have_to_be_waited_for(*, positions: bool) -> None:
    """Where it may carry the position of a client's own change in the log."""
    told.clear()
    world = World(Told)
    world.manager = CacheManager(redis_url=None, namespace="world", secret=bytes(32))
    world.middleware = CacheMiddleware(
        world.app, world.manager, rules=RULES, read_your_writes=positions
    )
    world.middleware._hits = Told(world.manager, world.middleware._planning)
    async with world.manager:
        for _ in range(4):
            await world.ask(scope_of("GET", "/named/1", [(b"cookie", b"theme=dark")]))
    assert bool(told) is not positions
