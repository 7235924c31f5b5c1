"""What a client gets is what the application sends, message by message."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, cached, invalidates
from asgi_multitier._types import ASGIApp, Message, Receive, Scope, Send
from tests.asgi.support import boom, boom_after_half, boom_after_half_with_length
from tests.asgi.support import boom_after_start as boom_after_a_start
from tests.support import Answer, Client, Origin, Visit, answering, caching, respond, settled

BOTH: dict[str, Any] = {
    "the mode": ({"mode": "shadow"}, (Rule("*", 300, methods=["GET", "HEAD"]),)),
    "a rule": ({}, (Rule("*", 300, shadow=True),)),
}
"""How a cache comes to observe: settings and rules."""


def sending(*messages: Message) -> Answer:
    """An answer of these messages."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return answer


def start(*lines: tuple[bytes, bytes], status: int = 200, **more: Any) -> Message:
    """The start of a response."""
    return {"type": "http.response.start", "status": status, "headers": lines, **more}


def body(content: Any = b"", **more: Any) -> Message:
    """Some of its content."""
    return {"type": "http.response.body", "body": content, **more}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with all that was received of a request."""
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    given = [scope["method"].encode(), scope["query_string"], content]
    given += [name + b"=" + value for name, value in scope["headers"]]
    await respond(send, b"|".join(given))


async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream of Starlette's."""

    async def pieces() -> Any:
        for piece in ("a", "b", "c"):
            yield piece

    await StreamingResponse(pieces())(scope, receive, send)


ANSWERS: dict[str, Answer] = {
    "a text": answering(b"hello"),
    "no fields at all": sending({"type": "http.response.start", "status": 200}, body(b"x")),
    "a tuple of fields": sending(start((b"x-a", b"1"), (b"X-A", b"2")), body(b"x")),
    "its own validators": answering(b"x", (b"etag", b'"1"'), (b"cache-control", b"max-age=9")),
    "its own age": answering(b"x", (b"age", b"7")),
    "a cookie": answering(b"x", (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")),
    "private": answering(b"x", (b"cache-control", b"private")),
    "varies": answering(b"x", (b"vary", b"accept-language, x-tenant")),
    "no content": sending(start(status=204), body()),
    "not modified": sending(start(status=304), body()),
    "not found": answering(b"gone", status=404),
    "a failure": answering(b"boom", status=500),
    "a redirect": answering(b"", (b"location", b"/b"), status=307),
    "a part": answering(b"bc", (b"content-range", b"bytes 1-2/5"), status=206),
    "tags": answering(b"x", (b"cache-tag", b"a, b")),
    "a lie about its length": sending(start((b"content-length", b"9")), body(b"x")),
    "a bytearray": sending(start(), body(bytearray(b"x"))),
    "a view": sending(start(), body(memoryview(b"xy"), more_body=True), body()),
    "no body in its last message": sending(start(), {"type": "http.response.body"}),
    "more than an entry": answering(b"x" * 5000),
    "pieces": sending(start(), body(b"a", more_body=True), body(b"", more_body=True), body(b"b")),
    "a stream": streamed,
    "events": sending(start((b"content-type", b"text/event-stream")), body(b"data: 1")),
    "a hint before": sending({"type": "http.response.early_hint", "links": []}, start(), body()),
    "trailers": sending(
        start(trailers=True), body(b"x"), {"type": "http.response.trailers", "headers": []}
    ),
    "a path": sending(start(), {"type": "http.response.pathsend", "path": "/a"}),
    "nothing": sending(),
    "a start alone": sending(start()),
    "half a body": sending(start(), body(b"a", more_body=True)),
    "an echo": echo,
    "raises": boom,
    "raises after a start": boom_after_a_start,
    "raises after half": boom_after_half,
    "raises after half with a length": boom_after_half_with_length,
}


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str = "GET"
    target: str = "/a?x=1&y=2"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    version: str = "1.1"


REQUESTS = {
    "plain": Sent(),
    "conditional": Sent(headers=(("if-none-match", '"1"'),)),
    "since": Sent(headers=(("if-modified-since", "Sat, 01 Jan 2022 00:00:00 GMT"),)),
    "a range": Sent(headers=(("range", "bytes=1-2"),)),
    "credentials": Sent(headers=(("authorization", "Bearer secret"),)),
    "cookies": Sent(headers=(("cookie", "a=1; b=2"),)),
    "a coding": Sent(headers=(("accept-encoding", "gzip"),)),
    "no cache": Sent(headers=(("cache-control", "no-cache"),)),
    "only if cached": Sent(headers=(("cache-control", "only-if-cached"),)),
    "a head": Sent("HEAD"),
    "a body": Sent(headers=(("content-length", "3"),), body=b"abc"),
    "HTTP/2": Sent(version="2"),
    "HTTP/2 with a body": Sent(body=b"abc", version="2"),
    "an odd target": Sent(target="/a b#c"),
    "a question": Sent("OPTIONS"),
    "a post": Sent("POST", body=b"abc"),
    "a put": Sent("PUT", body=b"abc"),
    "a delete": Sent("DELETE"),
    "a query": Sent("QUERY", body=b"abc"),
}


async def told(app: ASGIApp, sent: Sent) -> tuple[list[Message], type[BaseException] | None]:
    """What a client gets, and what the server is told in the end."""
    visit, error = Visit(body=sent.body), None
    try:
        await Client(app).request(
            sent.method, sent.target, sent.headers, visit=visit, http_version=sent.version
        )
    except Exception as raised:  # noqa: BLE001  # of any kind
        error = type(raised)
    return visit.reply.messages, error


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_each_message_is_the_application_s(answer: str, how: str) -> None:
    """Of each kind of request, asked twice: the second would be a hit."""
    settings, rules = BOTH[how]
    own = {"the mode": REQUESTS, "a rule": {n: r for n, r in REQUESTS.items() if n in _READS}}
    async with caching(Origin(ANSWERS[answer]), rules, max_entry=4096, **settings) as cache:
        await cache.manager.start()
        for name, sent in own[how].items():
            bare = await told(Origin(ANSWERS[answer]), sent)
            for _ in range(2):
                assert await told(cache.middleware, sent) == bare, name


_READS = {name for name, sent in REQUESTS.items() if sent.method in ("GET", "HEAD")}
"""Those that a rule is for; others are not those of the rule."""

POLICIES: dict[str, Callable[[], Policy]] = {
    "headers decide": Policy.from_origin,
    "headers decide, posts too": lambda: Policy.from_origin(methods=["GET", "POST"]),
    "a coding": lambda: Policy(60, compress=True),
    "few parameters": lambda: Policy(60, query=["x"]),
    "few cookies": lambda: Policy(60, cookies=["a"]),
    "no cookies": lambda: Policy(60, ignore_cookies=True),
    "a client's time": lambda: Policy(60, client_cache=9, public=True),
    "a user": lambda: Policy(60, vary_by=lambda request: "u"),
    "a user that is not known": lambda: Policy(60, vary_by=lambda request: 1 / 0),
    "sometimes": lambda: Policy(60, when=lambda request: False),
    "by the request": lambda: Policy(60, honor_request_directives=True),
    "questions with content": lambda: Policy(60, methods=["GET", "POST", "QUERY"], body=True),
    "questions and changes": lambda: Policy(
        60, methods=["GET", "POST"], body=True, when=lambda request: 1 / 0
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
async def test_no_option_of_a_rule_changes_a_message(policy: str) -> None:
    """Not what the application gets of the request either."""
    async with caching(Origin(echo), (Rule("*", POLICIES[policy]()),), mode="shadow") as cache:
        await cache.manager.start()
        for name, sent in REQUESTS.items():
            for _ in range(2):
                assert await told(cache.middleware, sent) == await told(Origin(echo), sent), name


async def test_what_a_callable_raises_is_no_answer() -> None:
    """Not even where the framework would answer it."""
    from fastapi import FastAPI, HTTPException

    def refused(request: Any) -> str:
        raise HTTPException(401)

    app = FastAPI()

    @app.get("/a")
    @cached(60, vary_by=refused)
    async def a() -> str:
        return "a"

    @app.post("/b")
    @cached(60, methods=["POST"], body=True, when=refused)
    async def b() -> str:
        return "b"

    app.add_middleware(
        CacheMiddleware, cache=CacheManager(redis_url=None, namespace="t", mode="shadow")
    )
    assert (await Client(app).get("/a")).status == 200
    assert (await Client(app).request("POST", "/b")).status == 200


async def test_a_mutation_drops_and_adds_nothing() -> None:
    """Neither a field of the cache, nor the cookie of `read_your_writes`."""

    @invalidates(tags=["a"])
    async def change(request: Any) -> None: ...

    manager = CacheManager(redis_url=None, namespace="t", mode="shadow", secret=b"0123456789abcdef")
    origin = Origin(answering(b"ok"))
    app = CacheMiddleware(origin, manager, rules=(Rule("*", 60),), read_your_writes=True)
    async with manager:
        fence = manager.engine.index.fence
        reply = await Client(app).request("PUT", "/a")
        assert reply.messages == (await Client(origin).request("PUT", "/a")).messages
        assert manager.engine.index.fence == fence + 2


async def test_a_stream_is_delayed_by_nothing() -> None:
    """Each message is with the client when the application's `send` returns."""
    visit, seen = Visit(), []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (start(), body(b"a", more_body=True), body(b"b", more_body=True), body()):
            await send(message)
            seen.append(len(visit.reply.messages))

    async with caching(Origin(answer), mode="shadow") as cache:
        await cache.client.get("/a", visit=visit)

    assert seen == [1, 2, 3, 4]


async def test_a_client_that_leaves() -> None:
    """The application learns it at its next message, as without a cache."""
    visit, raised = Visit(broken=True), []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await respond(send, b"x")
        except OSError as error:
            raised.append(error)
            raise

    async with caching(Origin(answer), mode="shadow") as cache:
        with pytest.raises(OSError, match="gone"):
            await cache.client.get("/a", visit=visit)

    assert len(raised) == 1


async def test_a_request_that_is_cancelled() -> None:
    """So is the application, in the same task."""
    ended: list[BaseException] = []
    begun = asyncio.Event()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            ended.append(error)
            raise

    async with caching(Origin(answer), mode="shadow") as cache:
        task = cache.client.begin("/a")
        await begun.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await settled()

    assert len(ended) == 1
