"""How the content of a request is read, and what passes by.

What is not read, or not kept, reaches the application as it came, and nothing is dropped.
"""

from typing import Any

import pytest
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.asgi.receiving import read_within
from asgi_multitier.policy.reasons import Reason
from tests.asgi.bodies.support import JSON, Chunks, Reader, post, searches
from tests.support import Client, Visit, caching, scope_of

LIMIT = 10
DATE = "Sat, 01 Jan 2000 00:00:00 GMT"


@pytest.mark.parametrize(
    ("chunks", "leaves", "reason"),
    [
        pytest.param([b"x" * LIMIT], False, None, id="at-the-bound"),
        pytest.param([b"x"] * LIMIT, False, None, id="at-the-bound-in-chunks"),
        pytest.param([b"x" * LIMIT, b""], False, None, id="at-the-bound-with-an-empty-end"),
        pytest.param([], False, None, id="nothing"),
        pytest.param([b"x" * 11], False, "request-body-oversized", id="beyond"),
        pytest.param([b"x" * LIMIT, b"y"], False, "request-body-oversized", id="beyond-late"),
        pytest.param(
            [b"x" * 11, b"y" * LIMIT, b"", b"z"], False, "request-body-oversized", id="far-beyond"
        ),
        pytest.param([b"x", b"y"], True, "request-body", id="left-in-between"),
        pytest.param([], True, "request-body", id="left-at-once"),
        pytest.param([b"x" * LIMIT, b"y"], True, "request-body-oversized", id="left-beyond"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_content_is_read_within_the_bound(
    chunks: list[bytes], leaves: bool, reason: str | None, method: str
) -> None:
    """Beyond it, and where its end never comes, the application gets what it gets alone."""
    alone, origin = Reader(), Reader()
    await post(Client(alone), method=method, visit=Chunks(chunks or [b""] * (not leaves),
                                                          leaves=leaves), length=False)  # fmt: skip
    async with caching(origin, searches(max_body=LIMIT)) as cache:
        visit = Chunks(chunks or [b""] * (not leaves), leaves=leaves)
        reply = await post(cache, method=method, visit=visit, length=False)
        passes = cache.manager.stats().total.passes

    assert origin.asked == alone.asked
    assert passes == ({} if reason is None else {Reason(reason): 1})
    if not leaves:
        told = "fwd=uri-miss; stored" if reason is None else f"fwd=bypass; detail={reason}"
        assert reply.cache.startswith(told)


@pytest.mark.parametrize(
    ("fields", "read", "reason"),
    [
        pytest.param([("content-length", "10")], True, None, id="at-the-bound"),
        pytest.param(
            [("content-length", "11")], False, Reason.REQUEST_BODY_OVERSIZED, id="beyond-the-bound"
        ),
        pytest.param(
            [("content-length", "9" * 5000)], False, Reason.REQUEST_BODY_OVERSIZED, id="enormous"
        ),
        pytest.param(
            [("content-length", " 11 ")], False, Reason.REQUEST_BODY_OVERSIZED, id="with-spaces"
        ),
        pytest.param([("content-length", "x")], True, None, id="malformed"),
        pytest.param([("transfer-encoding", "Chunked")], True, None, id="chunked"),
        pytest.param(
            [("transfer-encoding", "gzip, chunked")], False, Reason.REQUEST_BODY, id="coded"
        ),
        pytest.param(
            [("transfer-encoding", "chunked")] * 2, False, Reason.REQUEST_BODY, id="coded-twice"
        ),
        pytest.param([("expect", "100-Continue")], True, None, id="continue"),
        pytest.param([("expect", "a-miracle")], False, Reason.REQUEST_BODY, id="expectation"),
    ],
)
@pytest.mark.parametrize("conditional", [False, True])
async def test_fields_tell_what_is_not_read(
    fields: list[tuple[str, str]], read: bool, reason: Reason | None, conditional: bool
) -> None:
    """Then the application gets the client's own channel, before anything was taken from it.

    Where `when=` decides which POSTs are questions, it cannot be asked about these.
    """
    visit = Visit(body=b"x" * LIMIT)
    untouched: list[bool] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        untouched.append(not visit._asked)
        await origin.read(scope, receive, send)

    origin = Reader()
    options: dict[str, Any] = {"when": lambda request: True} if conditional else {}
    async with caching(answer, searches(max_body=LIMIT, **options)) as cache:
        reply = await post(cache, b"", *fields, visit=visit, length=False)
        sent = cache.manager.invalidation_stats().sent
        passes = cache.manager.stats().total.passes

    assert untouched == [not read]
    assert origin.asked == [("POST", b"x" * LIMIT)]
    assert passes == ({} if reason is None else {reason: 1})
    if reason is not None:
        assert reply.cache == f"fwd={'method' if conditional else 'bypass'}; detail={reason}"
    assert (sent > 0) is (conditional and reason is not None)


@pytest.mark.parametrize(
    ("fields", "post_reason", "query_reason"),
    [
        ([("authorization", "Basic eDp5")], "authorization", "authorization"),
        ([("x-api-key", "k")], "credentials", "credentials"),
        ([("cookie", "a=1")], "cookie", "cookie"),
        ([("x_odd", "1")], "field-name", "field-name"),
        ([("upgrade", "h2c")], "upgrade", "upgrade"),
        ([("range", "bytes=0-1")], "range", "range"),
        ([("if-range", '"1"')], "range", "range"),
        ([("if-none-match", "*")], "precondition", None),
        ([("if-modified-since", DATE)], "precondition", None),
        ([("if-match", '"1"')], "precondition", "precondition"),
        ([("if-unmodified-since", DATE)], "precondition", "precondition"),
        ([("x-http-method-override", "DELETE")], None, "method-override"),
    ],
    ids=lambda value: value[0][0] if isinstance(value, list) else None,
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_fields_that_keep_a_question_out(
    fields: list[tuple[str, str]],
    post_reason: str | None,
    query_reason: str | None,
    method: str,
) -> None:
    """The same as for GET, and for POST its conditions: the application answers as it would alone,
    and nothing is dropped.
    """
    reason = post_reason if method == "POST" else query_reason
    origin = Reader()
    async with caching(origin, searches(tags="all")) as cache:
        await post(cache, method=method)
        reply = await post(cache, b"q", *fields, method=method)
        again = await post(cache, method=method)

    if reason is not None:
        assert reply.cache == f"fwd=bypass; detail={reason}"
        assert origin.asked == [(method, b"q"), (method, b"q")]
        assert all(origin.fields[1][name.encode()] == text.encode() for name, text in fields)
        assert again.hit
    elif method == "QUERY":
        assert reply.hit
    else:
        assert reply.cache == "fwd=method; detail=method-override"
        assert not again.hit


async def test_a_post_that_names_a_condition_is_never_told_304() -> None:
    """RFC 9110 §13.1.2: 412 is what a condition of a POST that does not hold means."""
    origin = Reader((b"etag", b'"1"'))
    async with caching(origin, searches()) as cache:
        await post(cache)
        assert (await post(cache)).hit
        reply = await post(cache, b"q", ("if-none-match", '"1"'))

    assert (reply.status, reply.body) == (200, b"2:q")


async def test_a_query_is_conditional_as_a_get_is() -> None:
    """It is safe: who has the response is told so."""
    origin = Reader((b"etag", b'"1"'))
    async with caching(origin, searches()) as cache:
        first = await post(cache, b"q", ("if-none-match", '"1"'), method="QUERY")
        again = await post(cache, b"q", ("if-none-match", '"1"'), method="QUERY")
        other = await post(cache, b"q", ("if-none-match", '"2"'), method="QUERY")

    assert (first.status, first.body) == (304, b"")
    assert (again.status, again.body, again.hit) == (304, b"", True)
    assert (other.status, other.body, other.hit) == (200, b"1:q", True)
    assert b"if-none-match" not in origin.fields[0]


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ({"lines": []}, "host"),
        ({"lines": [(b"host", b"a"), (b"host", b"b")]}, "host"),
        ({"raw_path": b"/x#y"}, "target"),
    ],
)
async def test_targets_that_cannot_be_keyed(scope: dict[str, Any], reason: str) -> None:
    """The application answers."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        for _ in range(2):
            visit = Visit(body=b"q")
            await cache.middleware(scope_of("POST", "/x", **scope), visit.receive, visit.send)
            assert visit.reply.cache == f"fwd=bypass; detail={reason}"

    assert origin.asked == [("POST", b"q")] * 2


@pytest.mark.parametrize(
    ("options", "settings", "reason"),
    [
        ({"enabled": False}, {}, "disabled"),
        ({"enabled": lambda: False}, {}, "disabled"),
        ({}, {"mode": "off"}, "off"),
    ],
)
@pytest.mark.parametrize("decides", [False, True])
async def test_switches(
    options: dict[str, Any], settings: dict[str, Any], reason: str, decides: bool
) -> None:
    """A question of a route, or of a process, that is switched off is the application's.

    It gets the client's own channel, unless `when=` has to say whether it is a change.
    """
    origin = Reader()
    untouched: list[bool] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        untouched.append(not visit._asked)
        await origin.read(scope, receive, send)

    if decides:
        options = {**options, "when": lambda request: True}
    async with caching(answer, searches(**options), **settings) as cache:
        for _ in range(2):
            visit = Visit(body=b"q")
            assert (await post(cache, visit=visit)).cache == f"fwd=bypass; detail={reason}"

    assert origin.asked == [("POST", b"q")] * 2
    is_static = not callable(options.get("enabled"))
    assert untouched == [is_static and not decides] * 2


async def test_http_2_tells_no_length() -> None:
    """The content is read to its end, whatever the fields say of it."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        for _ in range(2):
            reply = await cache.client.request(
                "POST", "/x", visit=Chunks([b"a", b"b"]), http_version="2"
            )

    assert reply.hit
    assert origin.asked == [("POST", b"ab")]


async def test_the_same_cache_twice_reads_once() -> None:
    """The inner one passes on what the outer one asks."""
    origin = Reader()
    asked: list[bytes] = []

    def when(request: Any) -> bool:
        asked.append(request.body)
        return True

    manager = CacheManager(redis_url=None, namespace="twice")
    async with caching(origin, searches(when=when)) as cache:
        inner = cache.middleware
        outer = type(inner)(inner, cache.manager, rules=searches(when=when))
        reply = await post(Client(outer), b"q", JSON)
        again = await post(Client(outer), b"q", JSON)

    await manager.close()
    assert (reply.body, again.body, again.hit) == (b"1:q", b"1:q", True)
    assert origin.asked == [("POST", b"q")]
    assert asked == [b"q", b"q"]


def test_outside_of_asyncio_nothing_is_a_question() -> None:
    """A POST is there what it is without a rule."""
    origin = Reader()
    manager = CacheManager(redis_url=None, namespace="none")
    middleware = CacheMiddleware(origin, manager, rules=searches())
    visit = Visit(body=b"q")

    trio.run(middleware, scope_of("POST", "/x"), visit.receive, visit.send)

    assert visit.reply.cache == "fwd=method"
    assert origin.asked == [("POST", b"q")]


@pytest.mark.parametrize("leaves", [False, True])
async def test_what_was_read_is_held_as_one_message(leaves: bool) -> None:
    """However small its chunks were: a message takes far more room than a byte."""
    chunks = [b"x"] * 500 if leaves else [b"x"] * 1000
    reading = await read_within(Chunks(chunks, leaves=leaves).receive, 500)
    first, second = await reading.receive(), await reading.receive()

    assert first["body"] == b"x" * (500 if leaves else 501)
    assert first["more_body"] is True
    assert second["type"] == ("http.disconnect" if leaves else "http.request")
    assert reading.content is None


@pytest.mark.parametrize("chunks", [[], [b"ab", b"c"]])
@pytest.mark.parametrize("method", ["GET", "POST", "QUERY"])
@pytest.mark.parametrize("decides", [False, True])
async def test_what_a_channel_raises_is_the_application_s_to_answer(
    chunks: list[bytes], method: str, decides: bool
) -> None:
    """A layer around the cache that bounds what is received raises where it is read."""
    read: list[bytes] = []

    async def answer(request: Request) -> None:
        read.append(b"")
        async for chunk in request.stream():
            read[-1] += chunk

    app = Starlette(routes=[Route("/x", answer, methods=[method])])
    options: dict[str, Any] = {"when": lambda request: True} if decides else {}
    replies = []
    async with caching(app, searches(**options)) as cache:
        for client in (Client(app), cache.client):
            visit = Chunks(chunks, fails=HTTPException(413))
            replies.append(await client.request(method, "/x", visit=visit, http_version="2"))
        sent = cache.manager.invalidation_stats().sent

    assert [reply.status for reply in replies] == [413, 413]
    assert read == [b"".join(chunks)] * 2
    changes = decides and method == "POST"
    assert replies[1].cache == f"fwd={'method' if changes else 'bypass'}; detail=request-body"
    assert sent == 0


async def test_a_client_that_left_before_anything_came_sent_no_message() -> None:
    """The application hears of it at once, as it would alone."""
    reading = await read_within(Chunks([], leaves=True).receive, 500)

    assert (await reading.receive())["type"] == "http.disconnect"


@pytest.mark.parametrize(
    ("fields", "content", "known"),
    [
        ([("content-length", "2")], b"ab", True),
        ([("content-length", "2"), ("content-length", "2")], b"ab", True),
        ([("content-length", "0")], b"", True),
        ([], b"", True),
        ([], b"ab", True),
        ([("transfer-encoding", "chunked")], b"ab", True),
        ([("content-length", "2")], b"", False),
        ([("content-length", "2")], b"a", False),
        ([("content-length", "2")], b"abc", False),
        ([("content-length", "0")], b"a", False),
        ([("transfer-encoding", "chunked")], b"", False),
    ],
)
@pytest.mark.parametrize("decides", [False, True])
async def test_content_that_a_layer_has_taken_is_not_known(
    fields: list[tuple[str, str]], content: bytes, known: bool, decides: bool
) -> None:
    """What a layer around the cache has read for itself, or replaced, may decide the answer."""
    origin = Reader()
    options: dict[str, Any] = {"when": lambda request: True} if decides else {}
    async with caching(origin, searches(**options)) as cache:
        for _ in range(2):
            reply = await post(cache, content, *fields, length=False)

    told = f"fwd={'method' if decides else 'bypass'}; detail=request-body"
    assert reply.cache == ("hit; ttl=300; detail=l1" if known else told)
    assert origin.asked == [("POST", content)] * (1 if known else 2)


@pytest.mark.parametrize(
    ("fields", "bound", "reason"),
    [
        ([("content-length", "10")], 10, None),
        ([("content-length", "10")], 9, "request-body-oversized"),
        ([("content-length", "10")], None, None),
        ([("transfer-encoding", "chunked")], 10, "request-body"),
        ([("transfer-encoding", "chunked")], 100, None),
    ],
)
async def test_what_a_layer_bounds_is_not_read(
    fields: list[tuple[str, str]], bound: int | None, reason: str | None
) -> None:
    """The route may raise what Starlette bounds for an application, and is only chosen later."""
    origin, visit = Reader(), Visit(body=b"x" * 10)
    untouched: list[bool] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        untouched.append(not visit._asked)
        await origin.read(scope, receive, send)

    async with caching(answer, searches(max_body=100)) as cache:
        scope = scope_of("POST", "/x", fields, **{"starlette.max_body_size": bound})
        await cache.middleware(scope, visit.receive, visit.send)

    told = "fwd=uri-miss; stored; ttl=300" if reason is None else f"fwd=bypass; detail={reason}"
    assert visit.reply.cache == told
    assert untouched == [reason is not None]
    assert origin.asked == [("POST", b"x" * 10)]
