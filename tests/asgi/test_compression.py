"""Stored responses in other content codings: what each client gets, and when none is made."""

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import brotli
import pytest
import zstandard
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_multitier import (
    CacheManager,
    CacheMiddleware,
    MemoryTier,
    NullLocalTier,
    Policy,
    Rule,
)
from asgi_multitier._types import ASGIApp
from asgi_multitier.asgi.hits import Hits
from asgi_multitier.compression import Compressor
from asgi_multitier.compression.compressors import compressed
from asgi_multitier.testing import settled
from tests.fakeredis_server import Server
from tests.patience import until
from tests.support import Cache, Client, Origin, Reply, answering, caching, respond, scope_of

CODINGS = ("zstd", "br", "gzip")
BODY = b"It is a truth universally acknowledged. " * 200
TEXT = (b"content-type", b"text/plain; charset=utf-8")
TAG = (b"etag", b'"1"')
BROWSER = "gzip, deflate, br, zstd"
COMPRESS = (Rule("/*", 60, compress=True),)

_DECODERS = {
    None: bytes,
    b"zstd": lambda body: zstandard.ZstdDecompressor().decompress(body),
    b"br": brotli.decompress,
    b"gzip": lambda body: zlib.decompress(body, 31),
}


def content(reply: Reply) -> bytes:
    """The content, decoded; with the length that the field says."""
    if reply.status != 304:
        assert reply.get("content-length") == b"%d" % len(reply.body)
    return bytes(_DECODERS[reply.get("content-encoding")](reply.body))


def accepting(codings: str, *fields: tuple[str, str]) -> list[tuple[str, str]]:
    return [("accept-encoding", codings), *fields]


async def warmed(cache: Cache, *codings: str, target: str = "/x") -> None:
    """Fill, ask in each coding, and wait until all are made."""
    await cache.get(target)
    for coding in codings:
        await cache.get(target, accepting(coding))
    await settled(cache.manager)


class Press:
    """Compresses when it is let, in the compressor's thread.

    Attributes:
        gate: Jobs wait for it.
        begun: Jobs that have reached it.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = 0

    def __call__(self, body: bytes, coding: bytes) -> bytes:
        self.begun += 1
        assert self.gate.wait(60)
        return compressed(body, coding)


@asynccontextmanager
async def pressing(
    origin: ASGIApp, rules: tuple[Rule, ...] = COMPRESS, **settings: Any
) -> AsyncIterator[tuple[Cache, Press]]:
    """A cache whose compressor waits for a gate."""
    press = Press()
    async with caching(origin, rules, **settings) as cache:
        await cache.manager.start()
        cache.manager.engine.encodings.compressor = Compressor(press, idle=0.05)
        try:
            yield cache, press
        finally:
            press.gate.set()


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_second_hit_is_compressed(coding: str) -> None:
    """The client of the fill and the first hit do not wait; then the content is the same."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        first = await cache.get("/x", accepting(coding))
        second = await cache.get("/x", accepting(coding))
        await settled(cache.manager)
        third = await cache.get("/x", accepting(coding))
        stats = cache.manager.stats().compression

    assert [first.get("content-encoding"), second.get("content-encoding")] == [None, None]
    assert third.get("content-encoding") == coding.encode()
    assert [content(reply) for reply in (first, second, third)] == [BODY] * 3
    assert third.hit
    assert {reply.get("vary") for reply in (first, second, third)} == {b"Accept-Encoding"}
    assert third.get("etag") == b'"1--%b"' % coding.encode()
    assert first.get("etag") == b'"1"'
    assert stats.made == {coding: 1}
    assert stats.saved == len(BODY) - len(third.body)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("*;q=0", None),
        ("*", b"zstd"),
        ("gzip", b"gzip"),
        ("x-gzip", b"gzip"),
        (BROWSER, b"zstd"),
        ("gzip, br;q=0.9", b"gzip"),
        ("gzip;q=0.2, identity;q=0.5", None),
        ("identity;q=0, br", b"br"),
    ],
)
@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
async def test_each_client_gets_what_it_accepts(
    accept: str | None, expected: bytes | None, conditional: bool
) -> None:
    """Of what is there; by both doors of the cache."""
    other = [("if-none-match", '"another"')] if conditional else []
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, *CODINGS)
        reply = await cache.get("/x", [*(accepting(accept) if accept is not None else ()), *other])

    assert reply.get("content-encoding") == expected
    assert content(reply) == BODY
    assert reply.get("vary") == b"Accept-Encoding"


@pytest.mark.parametrize("lines", [("zstd", "zstd;q=0, br"), ("zstd;q=0", "zstd, br")])
async def test_two_lines_count_as_one_list(lines: tuple[str, str]) -> None:
    """Also where one refuses what the other accepts."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, *CODINGS)
        fields = [line for codings in lines for line in accepting(codings)]
        both = [await cache.get("/x", fields) for _ in range(2)]

    assert [reply.get("content-encoding") for reply in both] == [b"br", b"br"]


async def test_another_coding_that_is_there_will_do() -> None:
    """The preferred one is made for the next request."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, "gzip")
        meanwhile = await cache.get("/x", accepting(BROWSER))
        await settled(cache.manager)
        then = await cache.get("/x", accepting(BROWSER))

    assert meanwhile.get("content-encoding") == b"gzip"
    assert then.get("content-encoding") == b"zstd"


@pytest.mark.parametrize("coding", [None, *CODINGS])
async def test_a_head_says_what_a_get_would(coding: str | None) -> None:
    """The same lines, `Content-Length` included, and no content."""
    fields = accepting(coding or "identity")
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, *CODINGS)
        for other in ([], [("if-none-match", '"another"')]):
            get = await cache.get("/x", [*fields, *other])
            head = await cache.client.request("HEAD", "/x", [*fields, *other])

            assert head.headers == get.headers
            assert (head.status, head.body) == (200, b"")


TAGS = {"identity": '"1"', "zstd": '"1--zstd"', "br": '"1--br"', "gzip": '"1--gzip"'}


@pytest.mark.parametrize("made", [(), CODINGS], ids=["none-made", "all-made"])
@pytest.mark.parametrize("held", TAGS)
@pytest.mark.parametrize("accept", [*TAGS, "zstd, gzip", "gzip, identity;q=0"])
async def test_a_client_that_has_what_it_accepts_gets_304(
    held: str, accept: str, made: tuple[str, ...]
) -> None:
    """By the tag that it has, whatever else could be sent; what it cannot read does not count."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, *made)
        weak = f"W/{TAGS[held]}"
        for listed in (TAGS[held], f'"0", {TAGS[held]}', weak):
            reply = await cache.get("/x", accepting(accept, ("if-none-match", listed)))
            if held == "identity":
                # The application alone would have confirmed it too.
                readable = not made or "identity;q=0" not in accept
            else:
                readable = held in accept

            assert reply.status == (304 if readable else 200)
            assert reply.get("vary") == b"Accept-Encoding"
            if readable:
                assert reply.get("etag") == TAGS[held].encode()
                assert reply.get("content-encoding") is None
                assert reply.body == b""
            else:
                assert content(reply) == BODY


@pytest.mark.parametrize("number", range(2), ids=["the-fill", "a-hit"])
async def test_the_first_request_of_a_process_confirms_a_tag(number: int) -> None:
    """Of a coding that another process has made, also where this one asks the application."""
    origin = Origin(answering(BODY, TEXT, TAG))
    async with caching(origin, COMPRESS) as cache:
        for _ in range(number):
            await cache.get("/x")
        reply = await cache.get("/x", accepting("br", ("if-none-match", '"1--br"')))

    assert (reply.status, reply.get("etag")) == (304, b'"1--br"')
    assert origin.calls == 1


async def test_any_tag_means_that_there_is_something() -> None:
    """`If-None-Match: *` (RFC 9110 §13.1.2)."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip", ("if-none-match", "*")))

    assert (reply.status, reply.get("etag")) == (304, b'"1--gzip"')


async def test_a_head_that_the_application_answers_is_told_so_too() -> None:
    """Also in a 304, which has the fields of the 200 that choose it (RFC 9110 §15.4.5)."""
    rules = (Rule("/*", Policy.from_origin(compress=True)),)
    origin = Origin(answering(BODY, TEXT, TAG, (b"cache-control", b"max-age=60")))
    async with caching(origin, rules) as cache:
        whole = await cache.client.request("HEAD", "/x", accepting("br"))
        held = await cache.client.request("HEAD", "/x", accepting("br", ("if-none-match", '"1"')))

    assert (whole.status, held.status) == (200, 304)
    assert whole.get("vary") == held.get("vary") == b"Accept-Encoding"


async def test_a_weak_tag_is_the_same_in_all_codings() -> None:
    """It names what the bytes mean (RFC 9110 §8.8.1)."""
    weak = (b"etag", b'W/"1"')
    async with caching(Origin(answering(BODY, TEXT, weak)), COMPRESS) as cache:
        await warmed(cache, "gzip")
        whole = await cache.get("/x", accepting("gzip"))
        held = await cache.get("/x", accepting("zstd", ("if-none-match", 'W/"1"')))

    assert (whole.get("etag"), whole.get("content-encoding")) == (b'W/"1"', b"gzip")
    assert (held.status, held.get("etag")) == (304, b'W/"1"')


async def test_a_tag_of_the_cache_has_its_codings_too() -> None:
    """An application without `ETag` gets one here, and that of each coding differs."""
    async with caching(Origin(answering(BODY, TEXT)), COMPRESS) as cache:
        await warmed(cache, "gzip")
        plain, encoded = await cache.get("/x"), await cache.get("/x", accepting("gzip"))
        tags = plain.get("etag"), encoded.get("etag")
        again = await cache.get(
            "/x", accepting("gzip", ("if-none-match", (tags[1] or b"").decode()))
        )

    assert tags[0] is not None
    assert tags[1] == tags[0][:-1] + b'--gzip"'
    assert again.status == 304


async def test_a_failure_with_a_known_tag_is_sent_as_it_is() -> None:
    """Only a success can be not modified: a 404 with the tag that is asked for has its content."""
    rules = (Rule("/*", 60, compress=True, negative=60),)
    origin = Origin(answering(BODY, TEXT, TAG, status=404))
    async with caching(origin, rules) as cache:
        await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip", ("if-none-match", '"1--gzip"')))

    assert (reply.status, content(reply)) == (404, BODY)


@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ([("range", "bytes=0-9")], 206, BODY[:10]),
        ([("range", "bytes=0-9"), ("if-range", '"1"')], 206, BODY[:10]),
        ([("range", "bytes=0-9"), ("if-range", '"1--gzip"')], 200, BODY),
        ([("range", "bytes=999999-")], 416, b""),
    ],
    ids=["range", "if-range", "if-range-of-a-coding", "outside"],
)
async def test_ranges_are_of_the_content_without_a_coding(
    fields: list[tuple[str, str]], status: int, expected: bytes
) -> None:
    """A part of what is encoded could not be told from a part of what is not."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip", *fields))

    assert (reply.status, reply.body) == (status, expected)
    assert reply.get("content-encoding") is None


@pytest.mark.parametrize(
    "lines",
    [
        [(b"content-type", b"image/png")],
        [],
        [TEXT, (b"content-encoding", b"gzip")],
        [TEXT, (b"cache-control", b"no-transform")],
        [TEXT, (b"cache-control", b"public, No-Transform=1")],
        [TEXT, (b"cdn-cache-control", b"max-age=60, no-transform")],
        [TEXT, (b"content-digest", b"sha-256=:AA==:")],
        [TEXT, (b"repr-digest", b"sha-256=:AA==:")],
        [TEXT, (b"signature", b"sig=:AA==:")],
    ],
    ids=lambda lines: "-".join(name.decode() for name, _ in lines) or "no-type",
)
async def test_what_must_not_be_changed_is_not(lines: list[tuple[bytes, bytes]]) -> None:
    """Nor does anything say that it depends on `Accept-Encoding`."""
    async with caching(Origin(answering(BODY, *lines)), COMPRESS) as cache:
        await warmed(cache, *CODINGS)
        reply = await cache.get("/x", accepting(BROWSER))
        made = cache.manager.stats().compression.made

    assert (reply.body, reply.get("vary"), made) == (BODY, None, {})
    assert reply.hit


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
async def test_a_layer_that_compresses_is_left_alone(inside: bool) -> None:
    """Inside of the cache it chooses; outside it finds content that has a coding already."""

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(BODY)

    layer = [Middleware(GZipMiddleware)]
    manager = CacheManager(redis_url=None, namespace="test")
    cached = Middleware(CacheMiddleware, cache=manager, rules=COMPRESS)
    layers = [cached, *layer] if inside else [*layer, cached]
    app = Starlette(routes=[Route("/x", page)], middleware=layers)
    client = Client(app)
    for _ in range(3):
        gzipped = await client.get("/x", accepting("gzip"))
        newer = await client.get("/x", accepting("zstd, gzip"))
        plain = await client.get("/x")
        await settled(manager)
    made = manager.stats().compression.made
    await manager.close()

    assert gzipped.get("content-encoding") == b"gzip"
    assert plain.get("content-encoding") is None
    assert newer.get("content-encoding") == (b"gzip" if inside else b"zstd")
    assert {content(gzipped), content(newer), content(plain)} == {BODY}
    assert made == ({} if inside else {"gzip": 1, "zstd": 1})


NOISE = Random(1).randbytes(4000)


@pytest.mark.parametrize(
    ("body", "settings", "made", "skipped"),
    [
        (b"x" * 1023, {}, {}, {"small": 1}),
        (b"x" * 1024, {}, {"gzip": 1}, {}),
        (b"x" * 99, {"compress_min_bytes": 100}, {}, {"small": 1}),
        (b"x" * 100, {"compress_min_bytes": 100}, {"gzip": 1}, {}),
        (NOISE, {}, {}, {"incompressible": 1}),
    ],
    ids=["small", "large", "small-by-setting", "large-by-setting", "noise"],
)
async def test_only_what_is_worth_it_is_made(
    body: bytes, settings: dict[str, Any], made: dict[str, int], skipped: dict[str, int]
) -> None:
    """What is small, and what does not get smaller, stays as it is, and is tried once."""
    async with caching(Origin(answering(body, TEXT)), COMPRESS, **settings) as cache:
        for _ in range(3):
            await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip"))
        stats = cache.manager.stats().compression

    assert (stats.made, stats.skipped) == (made, skipped)
    assert reply.get("content-encoding") == (b"gzip" if made else None)
    assert content(reply) == body


async def test_without_the_option_nothing_is_compressed() -> None:
    """And nothing depends on `Accept-Encoding`."""
    async with caching(Origin(answering(BODY, TEXT, TAG))) as cache:
        await warmed(cache, *CODINGS)
        reply = await cache.get("/x", accepting(BROWSER))
        stats = cache.manager.stats().compression

    assert (reply.body, reply.get("vary")) == (BODY, None)
    assert (stats.made, stats.skipped) == ({}, {})


CREDENTIALS = [("cookie", "a=1"), ("authorization", "Bearer x"), ("x-api-key", "x")]


@pytest.mark.parametrize("field", CREDENTIALS, ids=lambda field: field[0])
@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, False), ({"compress_personal": True}, True), ({"public": True}, True)],
    ids=["default", "asked-for", "public"],
)
async def test_what_belongs_to_one_user_is_not_compressed(
    field: tuple[str, str], options: dict[str, bool], expected: bool
) -> None:
    """Unless the rule asks for it, or says that it is the same for all."""
    lines = [TEXT, TAG, (b"cache-control", b"public, max-age=60")]
    policy = Policy.from_origin(compress=True, **options)  # type: ignore[arg-type]
    async with caching(Origin(answering(BODY, *lines)), (), default=policy) as cache:
        for _ in range(3):
            reply = await cache.get("/x", accepting("gzip", field))
            await settled(cache.manager)

    assert content(reply) == BODY
    if reply.hit:
        assert (reply.get("content-encoding") is not None) is expected
    else:
        assert field[0] == "x-api-key"
        assert reply.get("content-encoding") is None


async def test_a_field_that_a_setting_calls_personal_separates_users() -> None:
    """What the rule could not know when it was made."""
    rules = (Rule("/*", 60, compress=True, vary=["x-zone"]),)
    origin = Origin(answering(BODY, TEXT))
    async with caching(origin, rules, credential_headers=["x-zone"]) as cache:
        for _ in range(3):
            reply = await cache.get("/x", accepting("gzip", ("x-zone", "1")))
            await settled(cache.manager)

    assert reply.hit
    assert reply.get("content-encoding") is None


@pytest.mark.parametrize("honoured", [True, False])
async def test_a_request_may_forbid_it_where_its_directives_count(honoured: bool) -> None:
    """`no-transform` of a request (RFC 9111 §5.2.1.6)."""
    rules = (Rule("/*", 60, compress=True, honor_request_directives=honoured),)
    async with caching(Origin(answering(BODY, TEXT)), rules) as cache:
        await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip", ("cache-control", "no-transform")))

    assert (reply.get("content-encoding") is None) is honoured


async def test_an_invalidation_meanwhile_drops_what_is_made() -> None:
    """What was made of the old content is not found with the new one."""
    origin = Origin()
    bodies = iter([b"old " * 1000, b"new " * 1000])

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, next(bodies), TEXT)

    origin = Origin(answer)
    async with pressing(origin) as (cache, press):
        await cache.get("/x")
        await cache.get("/x", accepting("gzip"))
        await until(lambda: press.begun)
        await cache.manager.invalidate_path("/x")
        fresh = await cache.get("/x", accepting("gzip"))
        press.gate.set()
        await settled(cache.manager)
        after = await cache.get("/x", accepting("gzip"))
        await settled(cache.manager)
        later = await cache.get("/x", accepting("gzip"))
        stats = cache.manager.stats().compression

    assert not fresh.hit
    assert after.get("content-encoding") is None
    assert later.get("content-encoding") == b"gzip"
    assert {content(reply) for reply in (fresh, after, later)} == {b"new " * 1000}
    assert (stats.made, stats.skipped) == ({"gzip": 1}, {"left": 1})


async def test_what_is_made_of_an_invalid_entry_brings_it_not_back() -> None:
    """The next request asks the application, also if nothing came in between."""
    origin = Origin(answering(BODY, TEXT))
    async with pressing(origin) as (cache, press):
        await cache.get("/x")
        await cache.get("/x", accepting("gzip"))
        await until(lambda: press.begun)
        await cache.manager.invalidate_path("/x")
        press.gate.set()
        await settled(cache.manager)
        reply = await cache.get("/x", accepting("gzip"))

    assert not reply.hit
    assert origin.calls == 2


async def test_it_lives_no_longer_than_its_entry() -> None:
    """When the lifetime is over, the application is asked."""
    origin = Origin(answering(BODY, TEXT))
    async with caching(origin, COMPRESS) as cache:
        await warmed(cache, "gzip")
        cache.clock.advance(61)
        reply = await cache.get("/x", accepting("gzip"))

    assert (reply.hit, reply.get("content-encoding"), origin.calls) == (False, None, 2)


async def test_a_stale_response_may_be_compressed() -> None:
    """It is the same entry, past its lifetime."""
    rules = (Rule("/*", 60, compress=True, stale_if_error=60),)
    statuses = iter([200, 503])

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, BODY, TEXT, status=next(statuses))

    async with caching(Origin(answer), rules) as cache:
        await warmed(cache, "gzip")
        cache.clock.advance(61)
        reply = await cache.get("/x", accepting("gzip"))

    assert (reply.status, reply.detail) == (200, "stale-if-error")
    assert reply.get("content-encoding") == b"gzip"
    assert content(reply) == BODY


async def test_its_bytes_count_in_the_tier() -> None:
    """And leave it with the entry."""
    tier = MemoryTier()
    async with caching(Origin(answering(BODY, TEXT)), COMPRESS, l1=tier) as cache:
        await cache.get("/x")
        before = tier.statistics().bytes
        await warmed(cache, "gzip")
        after = tier.statistics().bytes
        encoded = await cache.get("/x", accepting("gzip"))
        await cache.manager.invalidate_path("/x")
        await cache.get("/x")
        renewed = tier.statistics().bytes

    assert after >= before + len(encoded.body)
    assert renewed == before


async def test_a_full_tier_keeps_the_entry_without_it() -> None:
    """What has no room is not made again and again."""
    async with caching(Origin(answering(BODY, TEXT)), COMPRESS) as cache:
        await cache.get("/x")
        (slot,) = cache.manager.engine.stack.local.select(lambda entry: True)  # type: ignore[attr-defined]
        size = slot.size
    tier = MemoryTier(max_bytes=size + 10)
    async with caching(Origin(answering(BODY, TEXT)), COMPRESS, l1=tier) as cache:
        for _ in range(3):
            await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip"))
        stats = cache.manager.stats().compression

    assert (reply.hit, reply.get("content-encoding")) == (True, None)
    assert stats.skipped == {"left": 1}


class Plain:
    """A local tier that cannot account for more bytes."""

    def __init__(self) -> None:
        self.name = "plain"
        self._slots: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._slots.get(key)

    def set(self, slot: Any) -> bool:
        self._slots[slot.entry.key] = slot
        return True

    def delete(self, key: str) -> bool:
        return self._slots.pop(key, None) is not None

    def clear(self) -> None:
        self._slots.clear()

    def __len__(self) -> int:
        return len(self._slots)


async def test_a_tier_that_cannot_account_for_it_keeps_none() -> None:
    """Nothing grows without a bound."""
    async with caching(Origin(answering(BODY, TEXT)), COMPRESS, l1=Plain()) as cache:
        await warmed(cache, "gzip")
        reply = await cache.get("/x", accepting("gzip"))
        stats = cache.manager.stats().compression

    assert (reply.hit, content(reply), reply.get("content-encoding")) == (True, BODY, None)
    assert stats.skipped == {"tier": 1}


async def test_without_a_first_tier_none_is_made(server: Server, namespace: str) -> None:
    """Shared tiers hold the content as the application made it."""
    settings = {"redis": server.target, "namespace": namespace, "l1": NullLocalTier()}
    manager = CacheManager(**settings)
    client = Client(CacheMiddleware(Origin(answering(BODY, TEXT)), manager, rules=COMPRESS))
    async with manager:
        for _ in range(3):
            reply = await client.get("/x", accepting("gzip"))
            await settled(manager)
        stats = manager.stats().compression

    assert (reply.hit, content(reply), reply.get("vary")) == (True, BODY, b"Accept-Encoding")
    assert stats.made == {}


async def test_another_process_compresses_what_its_clients_ask_for(
    server: Server, namespace: str
) -> None:
    """What it reads from the shared tier is the content without a coding."""
    origin = Origin(answering(BODY, TEXT))
    settings = {"redis": server.target, "namespace": namespace}
    first, second = CacheManager(**settings), CacheManager(**settings)
    clients = [Client(CacheMiddleware(origin, one, rules=COMPRESS)) for one in (first, second)]
    async with first, second:
        for client in clients:
            for _ in range(4):
                reply = await client.get("/x", accepting("br"))
                await settled(first, second)

            assert reply.get("content-encoding") == b"br"
            assert content(reply) == BODY
        made = second.stats().compression.made

    assert made == {"br": 1}
    assert origin.calls == 1


async def test_a_full_queue_leaves_content_as_it_is() -> None:
    """What it has no room for is asked for again by a later request."""
    async with pressing(Origin(answering(BODY, TEXT))) as (cache, press):
        cache.manager.engine.encodings.compressor = Compressor(press, most_jobs=1, idle=0.05)
        for target in ("/1", "/2", "/3"):
            await cache.get(target)
        await cache.get("/1", accepting("gzip"))
        await until(lambda: press.begun)
        await cache.get("/2", accepting("gzip"))
        busy = await cache.get("/3", accepting("gzip"))
        skipped = cache.manager.stats().compression.skipped
        press.gate.set()
        await settled(cache.manager)
        await warmed(cache, "gzip", target="/3")
        then = await cache.get("/3", accepting("gzip"))

    assert (busy.get("content-encoding"), skipped) == (None, {"busy": 1})
    assert then.get("content-encoding") == b"gzip"


async def test_each_coding_is_made_once() -> None:
    """However many requests ask for it meanwhile."""
    async with pressing(Origin(answering(BODY, TEXT))) as (cache, press):
        await cache.get("/x")
        await asyncio.gather(*(cache.get("/x", accepting("gzip")) for _ in range(20)))
        press.gate.set()
        await settled(cache.manager)
        stats = cache.manager.stats().compression

    assert press.begun == 1
    assert stats.made == {"gzip": 1}


async def test_a_compressor_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Clients get the content as it is."""

    def fail(body: bytes, coding: bytes) -> bytes:
        raise ValueError("no memory")

    async with caching(Origin(answering(BODY, TEXT)), COMPRESS) as cache:
        cache.manager.engine.encodings.compressor = Compressor(fail, idle=0.05)
        for target in ("/1", "/2"):
            await warmed(cache, "gzip", target=target)
            reply = await cache.get(target, accepting("gzip"))
        failures = cache.manager.stats().failures["compression"]

    assert (content(reply), reply.get("content-encoding")) == (BODY, None)
    assert failures == 2
    assert len([r for r in caplog.records if "compressed by gzip" in r.message]) == 1


async def test_closing_does_not_wait_for_the_compressor() -> None:
    """What it makes afterwards lands nowhere."""
    async with pressing(Origin(answering(BODY, TEXT))) as (cache, press):
        await cache.get("/x")
        await cache.get("/x", accepting("gzip"))
        await until(lambda: press.begun)
        await cache.manager.close()
        compressor = cache.manager.engine.encodings.compressor

        assert compressor.pending == 0
        press.gate.set()
    stats = cache.manager.stats().compression

    assert (stats.made, stats.skipped) == ({}, {})


async def test_a_question_is_answered_in_a_coding() -> None:
    """A POST with `body=` as well: its answer is stored like any."""
    rules = (Rule("/*", 60, compress=True, methods=["POST"], body=True),)
    async with caching(Origin(answering(BODY, TEXT)), rules) as cache:
        for _ in range(3):
            reply = await cache.client.request("POST", "/x", accepting("gzip"))
            await settled(cache.manager)

    assert reply.hit
    assert (content(reply), reply.get("content-encoding")) == (BODY, b"gzip")


async def test_variants_have_their_own_codings(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Vary` of the response and of the coding stand together, on the short way too."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        language = dict(scope["headers"]).get(b"accept-language", b"none")
        await respond(send, language * 2000, TEXT, (b"vary", b"Accept-Language"))

    async with caching(Origin(answer), COMPRESS) as cache:
        for language in ("de", "fr"):
            fields = accepting("gzip", ("accept-language", language))
            for _ in range(3):
                await cache.get("/x", fields)
                await settled(cache.manager)
            with monkeypatch.context() as patch:
                patch.setattr(CacheMiddleware, "_meet", None)
                reply = await cache.get("/x", fields)

            assert content(reply) == language.encode() * 2000
            assert reply.get("content-encoding") == b"gzip"
            assert reply.get("vary") == b"Accept-Language, Accept-Encoding"


async def test_a_bypass_says_that_others_may_get_a_coding() -> None:
    """A cache downstream is not to take it for all."""
    async with caching(Origin(answering(BODY, TEXT)), COMPRESS) as cache:
        reply = await cache.get("/x", [("cookie", "a=1")])

    assert (reply.detail, reply.get("vary")) == ("cookie", b"Accept-Encoding")


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize("compress", [True, False])
async def test_a_change_may_name_the_tag_of_a_coding(method: str, compress: bool) -> None:
    """`If-Match` with what the client got; the application finds its own tag there."""
    origin = Origin(answering(BODY, TEXT, TAG))
    async with caching(origin, (Rule("/*", 60, compress=compress),)) as cache:
        await cache.client.request(method, "/x", [("if-match", '"1--gzip"')])
    sent = dict(origin.scopes[0]["headers"])[b"if-match"]

    assert sent == (b'"1--gzip", "1"' if compress else b'"1--gzip"')


SINGLE = [
    [],
    [("range", "bytes=0-9")],
    [("origin", "https://shop.example")],
    *([("if-none-match", tag)] for tag in TAGS.values()),
]


@pytest.mark.parametrize("made", [(), CODINGS], ids=["none-made", "all-made"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", [None, *TAGS, BROWSER, "gzip, identity;q=0", "br;q=0.1, gzip"])
@pytest.mark.parametrize("vary", [[], ["accept-language"]], ids=["one-response", "vary"])
async def test_the_short_way_decides_as_the_general_one(
    vary: list[str],
    accept: str | None,
    method: str,
    made: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a request gets first, and what it gets when it comes again."""
    rules = (Rule("/*", 60, compress=True, vary=vary),)
    async with caching(Origin(answering(BODY, TEXT, TAG)), rules) as cache:
        for other in SINGLE:
            own = [one for one in other if one[0] == "origin"]
            for coding in ("identity", *made):  # an entry of its own
                await cache.get("/x", accepting(coding, *own))
                await cache.get("/x", accepting(coding, *own))
            await settled(cache.manager)
            if not made:  # so that none is asked for
                cache.manager.engine.encodings.compressor = Compressor(most_jobs=0)
            fields = [*(accepting(accept) if accept is not None else ()), *other]
            with monkeypatch.context() as patch:
                patch.setattr(Hits, "ready", lambda *_: None)
                general = await cache.client.request(method, "/x", fields)
                patch.undo()
                if not any(name in ("range", "if-none-match") for name, _ in other):
                    patch.setattr(CacheMiddleware, "_meet", None)
                short = [await cache.client.request(method, "/x", fields) for _ in range(2)]

            for reply in short:
                assert (reply.status, reply.body) == (general.status, general.body), fields
                assert sorted(reply.headers) == sorted(general.headers), fields


async def test_a_server_that_asks_in_front_gets_the_coding_once_it_is_there() -> None:
    """It holds on to what it found of a request; what answers that is decided each time."""
    async with caching(Origin(answering(BODY, TEXT, TAG)), COMPRESS) as cache:
        await cache.get("/x")
        scope = scope_of("GET", "/x", accepting("gzip"))
        found = cache.middleware.in_front.find(scope)
        assert found is not None
        before = cache.middleware.in_front.ready(found)
        await settled(cache.manager)
        after = cache.middleware.in_front.ready(found)

    assert before is not None
    assert before.body == BODY
    assert after is not None
    assert dict(after.lines)[b"content-encoding"] == b"gzip"
    assert _DECODERS[b"gzip"](bytes(after.body)) == BODY
