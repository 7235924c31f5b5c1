"""What a sample of requests tells other processes: nothing that a key veils, or that is for few."""

from collections.abc import Callable
from typing import Any

import pytest

from asgi_multitier import Policy, Rule
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.sample import MOST, WARM_KEY
from asgi_multitier.warming.popularity import LONGEST
from asgi_multitier.warming.targets import Origin as At
from asgi_multitier.warming.targets import Target
from tests.asgi.bodies.support import post, searches
from tests.support import Cache, Origin, caching, respond

HERE = At("http", b"example.org")


def varying(*names: bytes, **options: Any) -> Callable[..., Any]:
    """An application whose answers depend on these fields."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", (b"vary", b", ".join(names)), **options)

    return answer


def told(cache: Cache, count: int = 10) -> list[Target]:
    """What was noted since the last call; so many are noted from here on."""
    door = cache.manager._door
    assert door is not None
    return door.sampled(count)


PLAIN = [Rule("*", 300)]


@pytest.mark.parametrize(
    ("target", "headers", "rules", "expected"),
    [
        ("/x?b=1&a=2", [], PLAIN, Target(HERE, b"/x", b"b=1&a=2")),
        ("/%C3%A4", [], PLAIN, Target(HERE, b"/%C3%A4")),
        ("/x", [("host", "a:8000")], PLAIN, Target(At("http", b"a:8000"), b"/x")),
        ("/x", [("cookie", "a=b")], [Rule("*", 9, ignore_cookies=True)], Target(HERE, b"/x")),
        ("/x?b=1&a=2&z", [], [Rule("*", 9, query=["a", "b"])], Target(HERE, b"/x", b"a=2&b=1")),
    ],
    ids=["plain", "encoded", "host", "ignored cookies", "allow-list"],
)
async def test_what_anyone_gets_is_told(
    target: str, headers: Any, rules: list[Rule], expected: Target
) -> None:
    """As a client has asked for it; of a query what counts."""
    async with caching(Origin(), rules) as cache:
        told(cache)
        await cache.get(target, headers)

        assert told(cache) == [expected]
        assert told(cache) == []


def own(_: Any) -> str:
    return "me"


@pytest.mark.parametrize(
    ("target", "headers", "rules"),
    [
        ("/x", [("accept-language", "fi")], [Rule("*", 9, vary="accept-language")]),
        ("/x", [], [Rule("*", 9, vary="accept-language")]),
        ("/x", [("cookie", "a=b")], [Rule("*", 9, cookies="a")]),
        ("/x", [], [Rule("*", 9, vary_by=own)]),
        ("/x", [], [Rule("*", 9, when=own)]),
        ("/x?token=1", [], PLAIN),
        ("/x?api_key=1", [], [Rule("*", 9, query=["api_key"])]),
        ("/x", [], [Rule("/x", None)]),
        ("/x", [("authorization", "Bearer x")], PLAIN),
        ("/" + "x" * LONGEST, [], PLAIN),
        ("/x", [("host", "a" * LONGEST)], PLAIN),
    ],
    ids=[
        "vary",
        "vary without the field",
        "cookies",
        "vary_by",
        "when",
        "credential in the query",
        "credential in the key",
        "no rule",
        "nothing stored",
        "long target",
        "long host",
    ],
)
async def test_what_is_for_few_is_not_told(target: str, headers: Any, rules: list[Rule]) -> None:
    """Though it is asked for, and stored."""
    async with caching(Origin(), rules) as cache:
        told(cache)
        for _ in range(2):
            await cache.get(target, headers)

        assert told(cache) == []


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_questions_with_content_are_not_told(method: str) -> None:
    """A target does not say what they ask, and its GET may be for few."""
    async with caching(Origin(), searches()) as cache:
        told(cache)
        await cache.get("/x")
        assert told(cache) == [Target(HERE, b"/x")]
        await post(cache, method=method)

        assert told(cache) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/rewritten"},
        {"raw_path": None},
        {"root_path": "/\udcff"},
        {WARM_KEY: True},
    ],
    ids=["rewritten", "no raw path", "no text", "a warm-up"],
)
async def test_what_no_client_has_sent_so_is_not_told(changes: dict[str, Any]) -> None:
    """A layer around the cache has changed it, or the process itself asks."""
    async with caching(Origin()) as cache:
        told(cache)
        await cache.get("/x", **changes)

        assert told(cache) == []


@pytest.mark.parametrize(
    ("names", "codings", "headers"),
    [
        ((b"accept-encoding",), ["gzip, br"], ((b"accept-encoding", b"br, gzip"),)),
        ((b"accept-encoding",), [], ()),
        ((b"accept-encoding",), ["x-mine"], None),
        ((b"accept-encoding",), [", ".join(["gzip"] * 5_000)], None),
        ((b"accept-encoding",), ["gzip", "br"], ((b"accept-encoding", b"br, gzip"),)),
        ((b"accept-language",), ["gzip"], None),
        ((b"accept-encoding", b"accept-language"), ["gzip"], None),
    ],
    ids=["known", "none", "unknown", "long", "two lines", "another field", "more fields"],
)
async def test_of_variants_only_codings_are_told(
    names: tuple[bytes, ...], codings: list[str], headers: Any
) -> None:
    """Compression does not tell who asks, as long as it is what browsers know."""
    async with caching(varying(*names)) as cache:
        told(cache)
        await cache.get("/x", [("accept-encoding", coding) for coding in codings])
        expected = [] if headers is None else [Target(HERE, b"/x", b"", headers)]

        assert told(cache) == expected


@pytest.mark.parametrize(
    ("lines", "proxied"),
    [
        (
            [("X-Forwarded-Proto", "https"), ("x-forwarded-for", "10.1.1.1"), ("x-host", "a")],
            ((b"x-forwarded-proto", b"https"), (b"x-host", b"a")),
        ),
        (
            [("forwarded", "For=10.1.1.1;proto=https;host=Shop.example; by=10.2.2.2")],
            ((b"forwarded", b"proto=https;host=shop.example"),),
        ),
        ([("forwarded", "for=10.1.1.1")], ((b"forwarded", b""),)),
        ([("forwarded", "proto=https, proto=http")], None),
        ([("x-forwarded-host", "a" * LONGEST)], None),
        ([("x-forwarded-host", "a\x00b")], None),
    ],
    ids=["several", "forwarded", "a client alone", "two proxies", "long", "not sendable"],
)
async def test_fields_of_a_proxy_belong_to_a_target(lines: Any, proxied: Any) -> None:
    """They are in every key of its clients; what names a client is left out."""
    async with caching(Origin()) as cache:
        told(cache)
        await cache.get("/x", lines)
        expected = [] if proxied is None else [Target(HERE._replace(proxied=proxied), b"/x")]
        found = told(cache)
        assert found == expected

        await cache.manager.warm(["/y"], base_url="http://example.org")
        assert (await cache.get("/y", lines)).hit is (proxied is not None)


async def test_only_so_many_are_noted_and_the_others_are_plain_hits() -> None:
    """When a sample is full, what is looked up is the map itself again."""
    async with caching(Origin()) as cache:
        plans = cache.middleware._planning.remembered
        await cache.get("/x")
        await cache.get("/x")
        before = plans.at_hand[1]
        told(cache, count=3)
        assert plans.at_hand[1] is not before
        hits = [await cache.get("/x") for _ in range(9)]

        assert all(reply.hit for reply in hits)
        assert plans.at_hand[1] is before
        assert len(told(cache, count=0)) == 3
        await cache.get("/x")
        assert plans.at_hand[1] is before
        await cache.get("/y")
        assert told(cache, count=0) == []
        assert len(plans) == 2


async def test_what_waits_to_be_looked_at_is_bounded() -> None:
    """New targets are noted as well as sampled ones."""
    async with caching(Origin()) as cache:
        told(cache, count=1)
        for number in range(MOST + 9):
            await cache.get(f"/{number}")

        assert len(told(cache)) == MOST


async def test_under_from_origin_it_is_the_same() -> None:
    """A response that says that it may be shared is told; one that is not stored is not."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        control = b"max-age=60" if scope["path"] == "/a" else b"private"
        await respond(send, b"x", (b"cache-control", control))

    async with caching(app, (), default=Policy.from_origin()) as cache:
        told(cache)
        for path in ("/a", "/b"):
            await cache.get(path)

        assert told(cache) == [Target(HERE, b"/a")]
