"""Tags that a response names: by `Cache-Tag`, and by its content with `tags_from=`."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, Response

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Policy, Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.policy.coding import MOST_DECODED
from tests.servers import ValkeyServer
from tests.support import Answer, Client, Origin, answering, caching, respond, settled

TAGGED = (b"cache-tag", b"book:1, author:2,,author:2")


def blog(strategy: Any = 60, **options: Any) -> tuple[FastAPI, CacheManager]:
    """A small application whose articles know their tags only when they were loaded."""
    manager = CacheManager(redis_url=None)
    app = FastAPI(title="Blog")
    app.add_middleware(CacheMiddleware, cache=manager)
    titles = {"1": "A", "2": "B"}

    @app.get("/articles/{id}")
    @cached(strategy, **options)
    async def article(id: str, response: Response) -> dict[str, Any]:  # noqa: A002
        response.headers["Cache-Tag"] = f"article:{id},author:7"
        return {"id": id, "title": titles[id], "author": {"id": 7}, "topics": ["a", "b"]}

    @app.put("/authors/{id}")
    async def rename(id: int) -> None:  # noqa: A002
        for each in titles:
            titles[each] += "!"
        await manager.invalidate_tags(f"author:{id}")

    return app, manager


def http(app: FastAPI) -> httpx.AsyncClient:
    """A client of an application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://blog")


async def test_a_change_drops_what_names_it_in_cache_tag() -> None:
    """The field is removed before the client sees it, on a miss and on a hit."""
    app, manager = blog()
    async with http(app) as client, manager:
        for expected in ("stored", "hit"):
            reply = await client.get("/articles/1")
            assert expected in reply.headers["cache-status"]
            assert "cache-tag" not in reply.headers
        await client.put("/authors/8")
        assert (await client.get("/articles/1")).json()["title"] == "A"

        await client.put("/authors/7")
        assert (await client.get("/articles/1")).json()["title"] == "A!!"


@pytest.mark.parametrize(
    "options",
    [
        {"tags_from": "author:{author.id}"},
        {"tags_from": ["x:{topics}", "author:{author.id}"]},
        {"tags_from": lambda response: [f"author:{response.json()['author']['id']}"]},
        {"tags_from": lambda response: response.headers["Cache-Tag"].split(",")[1]},
        {"tags_from": lambda response: "author:7" if response.status == 200 else []},
        {"tags_from": lambda response: "author:7" if b"author" in response.body else []},
        {"tags": "article:{id}", "tags_from": "author:{author.id}"},
    ],
)
async def test_a_change_drops_what_names_it_in_its_content(options: Any) -> None:
    """By a template over the JSON, or by a function of the response."""
    app, manager = blog(**options)
    async with http(app) as client, manager:
        await client.get("/articles/1")
        await manager.invalidate_tags("author:8")
        assert "hit" in (await client.get("/articles/1")).headers["cache-status"]
        await manager.invalidate_tags("author:7")
        assert "hit" not in (await client.get("/articles/1")).headers["cache-status"]
    assert not manager.stats().failures


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        ([TAGGED], ["book:1", "author:2"]),
        ([(b"cache-tag", b"a"), (b"Cache-Tag", b"b , c d")], ["a", "b", "c d"]),
        ([(b"cache-tag", b"caf\xe9")], ["café"]),
        ([(b"cache-tag", "café".encode())], ["café"]),
        ([(b"cache-tag", b"x" * 128)], ["x" * 128]),
        ([(b"cache-tag", b",".join(b"%d" % n for n in range(64)))], ["0", "63"]),
    ],
)
async def test_the_members_of_the_field(lines: Any, tags: list[str]) -> None:
    """Each of them drops the response."""
    for tag in tags:
        async with caching(Origin(answering(b"x", *lines))) as cache:
            assert (await cache.get("/a")).stored
            assert (await cache.get("/a")).hit
            await cache.manager.invalidate_tags(tag)
            assert (await cache.get("/a")).stored


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (b"x" * 129, {}),
        (b",".join(b"%d" % n for n in range(65)), {}),
        (b",".join(b"%d" % n for n in range(64)), {"tags": "one"}),
        (b",".join(b"%d" % n for n in range(64)), {"tags_from": lambda response: ["one"]}),
        (b"a", {"tags_from": lambda response: ["x" * 129]}),
        (b"a", {"tags_from": lambda response: map(str, range(1_000_000))}),
    ],
)
async def test_beyond_the_bounds_nothing_is_stored(value: bytes, options: Any) -> None:
    """No tag is left out: an invalidation by it would not find the response."""
    rules = [Rule("*", 60, **options)]
    async with caching(Origin(answering(b"x", (b"cache-tag", value))), rules) as cache:
        replies = [await cache.get("/a") for _ in range(2)]
        assert not any(reply.hit or reply.stored for reply in replies)
        assert replies[0].detail == "tags"
        assert [reply.get("cache-tag") for reply in replies] == [None, None]


@pytest.mark.parametrize(
    ("template", "body", "tags"),
    [
        ("a:{id}", {"id": 1}, {"a:1"}),
        ("a:{id}", {"id": "x y"}, {"a:x y"}),
        ("a:{id}", {"id": True}, {"a:true"}),
        ("a:{id}", {"id": None}, set()),
        ("a:{id}", {"id": []}, set()),
        ("a:{id}", [], set()),
        ("a:{id}", [{"id": 1}, {"id": 2}], {"a:1", "a:2"}),
        ("a:{items.id}", {"items": [{"id": 1}, {"id": 2}]}, {"a:1", "a:2"}),
        ("a:{items.tags}", {"items": [{"tags": ["x", "y"]}, {"tags": []}]}, {"a:x", "a:y"}),
        ("{kind}:{id}", {"kind": "k", "id": 1}, {"k:1"}),
        ("{kind}:{id}", {"kind": None, "id": 1}, set()),
        ("a:{id}", {"name": 1}, None),
        ("a:{id}", {"id": {"x": 1}}, None),
        ("a:{id.x}", {"id": 1}, None),
        ("a:{items.id}", {"items": [{"id": 1}, {}]}, None),
        ("a:{id}", b"<html>", None),
        ("a:{id}", b"", None),
        ("a:{id}", list(range(3)), None),
    ],
)
async def test_what_a_template_reads(template: str, body: Any, tags: set[str] | None) -> None:
    """A response that it does not fit is not stored, and that is counted."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    rules = [Rule("*", 60, tags_from=template)]
    async with caching(Origin(answering(content)), rules) as cache:
        reply = await cache.get("/a")
        if tags is None:
            assert reply.detail == "tags"
            assert not (await cache.get("/a")).hit
            assert cache.manager.stats().failures["tags_from"] == 2
            return
        assert (await cache.get("/a")).hit
        for tag in tags:
            await cache.manager.invalidate_tags(tag)
            assert (await cache.get("/a")).stored


@pytest.mark.parametrize(
    ("coding", "compress", "tagged"),
    [
        (b"gzip", gzip.compress, True),
        (b"GZIP", gzip.compress, True),
        (b"deflate", zlib.compress, True),
        (b"gzip, deflate", lambda body: zlib.compress(gzip.compress(body)), True),
        (b"br", bytes, False),
        (b"gzip", bytes, False),
        (b"gzip", lambda body: gzip.compress(body)[:-9], False),
        (b"gzip", lambda body: gzip.compress(b" " * MOST_DECODED + body), False),
    ],
)
@pytest.mark.parametrize("source", ["a:{id}", lambda response: f"a:{response.json()['id']}"])
async def test_compressed_content_is_read(
    coding: bytes, compress: Callable[[bytes], bytes], tagged: bool, source: Any
) -> None:
    """As a compression inside the cache makes it."""
    answer = answering(compress(b'{"id": 7}'), (b"content-encoding", coding))
    async with caching(Origin(answer), [Rule("*", 60, tags_from=source)]) as cache:
        await cache.get("/a")
        assert (await cache.get("/a")).hit is tagged
        await cache.manager.invalidate_tags("a:7")
        assert not (await cache.get("/a")).hit


def _fails(response: Any) -> Any:
    raise RuntimeError(response.status)


@pytest.mark.parametrize("answer", [_fails, lambda response: 1, lambda response: [1]])
async def test_a_function_that_fails_keeps_the_response_out(answer: Callable[[Any], Any]) -> None:
    """Its client gets it as usual."""
    async with caching(Origin(), [Rule("*", 60, tags_from=answer)]) as cache:
        assert [(await cache.get("/a")).body for _ in range(2)] == [b"1", b"2"]
        assert cache.manager.stats().failures["tags_from"] == 2


async def _soon(response: Any) -> list[str]:
    return [str(response)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("products", "a tag without one belongs in tags="),
        (_soon, "a plain function"),
        (7, "a callable taking the response"),
        ("a:{}", "placeholders"),
    ],
)
def test_what_is_no_source_of_tags_is_refused(value: Any, words: str) -> None:
    """When the decorator runs."""
    with pytest.raises(ConfigError, match=words):
        Policy(60, tags_from=value)


# An invalidation while the response is being made.


def pausing(*lines: tuple[bytes, bytes], body: bytes = b'{"id": 7}', stream: bool = False) -> Any:
    """An application that reads, waits for `gate`, and then answers; in parts if it streams."""

    class Pausing:
        def __init__(self) -> None:
            self.read, self.gate = asyncio.Event(), asyncio.Event()

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if stream:
                await send({"type": "http.response.start", "status": 200, "headers": [*lines]})
                await send({"type": "http.response.body", "body": body[:3], "more_body": True})
            self.read.set()
            await self.gate.wait()
            if stream:
                await send({"type": "http.response.body", "body": body[3:]})
            else:
                await respond(send, body, *lines)

    return Pausing()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("lines", "options"),
    [([(b"cache-tag", b"author:7")], {}), ([], {"tags_from": "author:{id}"})],
)
async def test_a_change_while_it_is_made_catches_it(lines: Any, options: Any, stream: bool) -> None:
    """The tag is known only after the change; what was read before it is not served after it."""
    app = pausing(*lines, stream=stream)
    async with caching(app, [Rule("*", 60, **options)]) as cache:
        under_way = cache.client.begin("/a")
        await app.read.wait()
        await cache.manager.invalidate_tags("author:7")
        app.gate.set()
        reply = await under_way
        assert reply.body == b'{"id": 7}'
        assert reply.get("cache-tag") is None
        assert not (await cache.get("/a")).hit
        assert (await cache.get("/a")).hit


async def test_a_second_path_is_no_tag_of_the_response() -> None:
    """It does not count for the bounds, and drops the response as before."""
    app, manager = FastAPI(title="Blog"), CacheManager(redis_url=None)
    app.add_middleware(CacheMiddleware, cache=manager)
    long = f"/{'x' * 200}"

    @app.get(long + "/{id}")
    @cached(60)
    async def article(id: int, response: Response) -> int:  # noqa: A002
        response.headers["Cache-Tag"] = ",".join(map(str, range(64)))
        return id

    async with http(app) as client, manager:
        for drop in (manager.invalidate_path(f"{long}/7"), manager.invalidate_tags("63")):
            assert "stored" in (await client.get(f"{long}/007")).headers["cache-status"]
            assert "hit" in (await client.get(f"{long}/007")).headers["cache-status"]
            await drop
        assert "stored" in (await client.get(f"{long}/007")).headers["cache-status"]


# Every way to a client.


def _of(answer: Answer, **options: Any) -> Any:
    return caching(Origin(answer), [Rule("*", 60, **options)])


async def test_no_client_sees_the_field() -> None:
    """Whether by a miss, a hit, a 304, a HEAD, a range, a bypass, or with the cache off."""
    async with _of(answering(b"0123456789", TAGGED)) as cache:
        get, head = cache.get, [("range", "bytes=0-1")]
        replies = [await get("/a"), await get("/a"), await get("/a", head)]
        etag = replies[1].get("etag")
        replies += [await get("/a", [("if-none-match", etag)])]
        replies += [await cache.client.request("HEAD", "/a")]
        replies += [await get("/a", [("authorization", "x")]), await get("/a", [("cookie", "x")])]
        cache.manager.mode = "off"
        replies += [await get("/a")]
        assert [reply.status for reply in replies] == [200, 200, 206, 304, 200, 200, 200, 200]
        assert not any(reply.all("cache-tag") for reply in replies)


async def test_no_client_of_a_response_that_is_not_stored_sees_it() -> None:
    """Nor where the responses decide themselves."""
    async with _of(answering(b"x", TAGGED, (b"set-cookie", b"a=b"))) as cache:
        assert not (await cache.get("/a")).all("cache-tag")
    async with _of(answering(b"x", (b"Cache-Tag", b"a"), (b"X-Tagged-By", b"b"))) as cache:
        reply = await cache.get("/a", [("authorization", "x")])
        assert [name for name, _ in reply.headers][:1] == [b"x-tagged-by"]
    origin = Origin(answering(b"x", TAGGED, (b"cache-control", b"max-age=60")))
    async with caching(origin, (), default=Policy.from_origin()) as cache:
        for hit in (False, True):
            reply = await cache.get("/a")
            assert (reply.hit, reply.all("cache-tag")) == (hit, [])
        await cache.manager.invalidate_tags("book:1")
        assert (await cache.get("/a")).stored
        assert not (await cache.client.request("HEAD", "/b")).all("cache-tag")


async def test_an_option_keeps_it_for_a_cdn_downstream() -> None:
    """On misses and hits, as the application sent it; it still names the entry."""
    async with _of(answering(b"x", TAGGED), keep="Cache-Tag") as cache:
        for _ in range(2):
            assert (await cache.get("/a")).get("cache-tag") == TAGGED[1]
        await cache.manager.invalidate_tags("author:2")
        assert (await cache.get("/a")).stored


async def test_where_no_rule_applies_it_stays() -> None:
    """It may be for another cache; nor is the answer to a change touched."""
    async with caching(Origin(answering(b"x", TAGGED)), [Rule("/a", 60)]) as cache:
        assert (await cache.get("/b")).get("cache-tag") == TAGGED[1]
        assert (await cache.client.request("POST", "/a")).get("cache-tag") == TAGGED[1]


@pytest.mark.parametrize(
    ("newer", "dropping", "not_dropping"), [(None, "old", "new"), (b"new", "new", "old")]
)
async def test_a_validation_keeps_the_tags_or_brings_others(
    newer: bytes | None, dropping: str, not_dropping: str
) -> None:
    """A 304 without the field says nothing of them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        held = b"if-none-match" in dict(scope["headers"])
        tag = newer if held else b"old"
        lines = [(b"cache-control", b"max-age=10"), (b"etag", b'"1"')]
        lines += [] if tag is None else [(b"cache-tag", tag)]
        await respond(send, b"" if held else b"x", *lines, status=304 if held else 200)

    async with caching(Origin(answer), (), default=Policy.from_origin()) as cache:
        await cache.get("/a")
        cache.clock.advance(11)
        validated = await cache.get("/a")
        assert "fwd-status=304" in validated.cache
        assert not validated.all("cache-tag")
        await cache.manager.invalidate_tags(not_dropping)
        assert (await cache.get("/a")).hit
        await cache.manager.invalidate_tags(dropping)
        assert not (await cache.get("/a")).hit


@pytest.mark.parametrize(
    "options",
    [
        {"tags_from": "a:{id}"},
        {"tags_from": lambda response: "x" * 129},
    ],
)
async def test_an_answer_to_post_that_does_not_fit_is_not_kept(options: Any) -> None:
    """As one to GET."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"cache-control", b"max-age=60"), (b"content-location", scope["raw_path"])]
        await respond(send, b"text", *lines)

    policy = Policy.from_origin(methods=["GET", "POST"], **options)
    async with caching(Origin(answer), (), default=policy) as cache:
        assert (await cache.client.request("POST", "/a")).body == b"text"
        assert cache.manager.stats().refused == {"tags": 1}
        assert not (await cache.get("/a")).hit


async def test_a_part_has_no_tags_by_content() -> None:
    """It shows some of the content only."""
    part = answering(
        b"12", (b"content-range", b"bytes 0-1/4"), (b"cache-control", b"max-age=60"), status=206
    )
    policy = Policy.from_origin(partial=True, tags_from=lambda response: "a")
    async with caching(Origin(part), (), default=policy) as cache:
        for _ in range(2):
            reply = await cache.get("/a", [("range", "bytes=0-1")])
            assert reply.status == 206
            assert not reply.hit


@pytest.mark.parametrize(
    ("tag", "options", "runs"),
    [
        (b"a", {}, 1),
        (b"a", {"tags_from": lambda response: "a"}, 3),
        (b"x" * 129, {}, 3),
    ],
)
async def test_waiting_heads_share_an_answer_whose_tags_are_known(
    tag: bytes, options: Any, runs: int
) -> None:
    """Else each asks alone: a change meanwhile could not be seen to be about it."""
    lines = [(b"cache-control", b"max-age=60"), (b"cache-tag", tag)]
    origin = Origin(answering(b"", *lines))
    async with caching(origin, (), default=Policy.from_origin(**options)) as cache:
        origin.gate.clear()
        heads = [asyncio.create_task(cache.client.request("HEAD", "/a")) for _ in range(3)]
        await origin.arrived.acquire()
        await settled()
        origin.gate.set()
        for head in heads:
            assert not (await head).all("cache-tag")
    assert origin.calls == runs


async def test_an_answer_to_post_has_tags_too() -> None:
    """It is kept for a later GET under the same terms."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"cache-control", b"max-age=60"), (b"content-location", scope["raw_path"])]
        await respond(send, scope["method"].encode(), *lines, (b"cache-tag", b"a"))

    policy = Policy.from_origin(methods=["GET", "POST"])
    async with caching(Origin(answer), (), default=policy) as cache:
        await cache.client.request("POST", "/a")
        assert (await cache.get("/a")).body == b"POST"
        await cache.manager.invalidate_tags("a")
        assert (await cache.get("/a")).body == b"GET"


async def test_another_instance_drops_it_by_the_tag(valkey: ValkeyServer, namespace: str) -> None:
    """Also one that has the entry from the shared tier."""
    shared = {"redis_url": valkey.url, "namespace": namespace}
    origin = Origin(answering(b"x", TAGGED))
    async with CacheManager(**shared) as one, CacheManager(**shared) as other:
        first, second = (
            Client(CacheMiddleware(origin, each, rules=[Rule("*", 60)])) for each in (one, other)
        )
        await first.get("/a")
        await one.engine.stack.close(1.0)
        reply = await second.get("/a")
        assert reply.hit
        assert not reply.all("cache-tag")
        await second.get("/a")
        await other.invalidate_tags("author:2")
        assert not (await second.get("/a")).hit
