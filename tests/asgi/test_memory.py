"""What strangers can make a process remember is bounded in bytes."""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.policy.key import bounded
from tests.support import Cache, caching, respond

pytestmark = pytest.mark.no_cover  # it repeats what others cover

MANY = 60
LONG = 20_000
ALLOWED = 1024 * 1024
"""Bytes: less than the texts of `MANY` such requests, and more than what may be kept of them."""

Hostile = Callable[[Cache, int], Awaitable[object]]

KINDS: dict[str, Hostile] = {
    "paths of changes": lambda c, n: c.client.request("POST", f"/{n}" + "a" * LONG),
    "paths of wide characters": lambda c, n: c.client.request(
        "POST", f"/{n}" + "%F0%9F%98%80" * (LONG // 12)
    ),
    "queries of changes": lambda c, n: c.client.request("POST", f"/x?{n}" + "a" * LONG),
    "methods": lambda c, n: c.client.request(f"M{n}" + "A" * LONG, "/x"),
    "hosts": lambda c, n: c.get("/x", [("host", f"h{n}" + "a" * LONG)]),
    "paths": lambda c, n: c.get(f"/{n}" + "a" * LONG),
    "queries": lambda c, n: c.get(f"/x?{n}" + "a" * LONG),
    "fields of Vary": lambda c, n: c.get(f"/vary/{n}", [("accept-language", "a" * LONG)]),
    "cookies": lambda c, n: c.get("/x", [("cookie", f"a={n}" + "a" * LONG)]),
    "what is not storable": lambda c, n: c.get(
        f"/no-store/{n}", [("accept", f"{n}" + "a" * LONG), ("cookie", "b" * LONG)]
    ),
    "names of fields": lambda c, n: c.get("/x", [(f"x-{n}-" + "a" * LONG, "1")]),
}


async def anything(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything, as a catch-all does."""
    path = scope["path"]
    lines = [(b"vary", b"accept-language")] if path.startswith("/vary") else []
    lines.append((b"cache-control", b"no-store" if path.startswith("/no-store") else b"max-age=60"))
    await respond(send, b"x", *lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("usual_hold")
async def test_hundreds_of_long_requests_leave_little(kind: str) -> None:
    """Whatever in a request is long and distinct: it is not kept, or by a digest."""
    async with caching(anything, (), default=Policy.from_origin(), l1_bytes=200_000) as cache:
        await KINDS[kind](cache, 0)
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(MANY):
                await KINDS[kind](cache, number)
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert held < ALLOWED, f"{held / MANY:.0f} bytes a request"


@pytest.mark.parametrize(("names", "stored"), [(16, True), (17, False), (1_000, False)])
async def test_a_vary_with_many_names_is_not_stored(names: int, stored: bool) -> None:
    """16 are far more than anything that is meant to be shared depends on."""
    vary = ", ".join(f"x-{number}" for number in range(names)).encode()

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", (b"vary", vary))

    async with caching(page, [Rule("*", 60)]) as cache:
        reply = await cache.get("/x")

        assert reply.stored is stored
        assert reply.detail == ("" if stored else "vary-names")


def test_a_long_part_of_a_key_is_a_digest() -> None:
    """Each of its own; a short one stays, and none looks like a digest."""
    assert bounded("1:a") == "1:a"
    assert len({bounded("a" * 10_000), bounded("a" * 10_001)}) == 2
    assert len(bounded("a" * 10_000)) == 65
