"""The application's own answers: to HEAD where it has one, and one that breaks off."""

from typing import Any

import pytest
import starlette
from packaging.version import Version
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from asgi_multitier import Policy, Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Origin, Visit, caching, respond


@cached(60)
async def page(request: Request) -> Response:
    return PlainTextResponse("content")


async def head_of_page(request: Request) -> Response:
    return PlainTextResponse(headers={"x-own": "yes"})


@pytest.mark.parametrize("rules", [[], [Rule("*", 60)]], ids=["annotated", "ruled"])
async def test_an_endpoint_for_head_is_asked_and_confuses_nothing(rules: list[Rule]) -> None:
    """Two endpoints at one path: neither is a mismatch of the other."""
    site = Starlette(
        routes=[
            Route("/page", head_of_page, methods=["HEAD"]),
            Route("/page", page, methods=["GET"]),
            Route("/other", page, methods=["GET"]),
        ]
    )
    async with caching(site, rules) as cache:
        await cache.get("/page")
        await cache.get("/other")
        plans = len(cache.middleware._plans)
        heads = [await cache.client.request("HEAD", "/page") for _ in range(2)]

        assert [head.get("x-own") for head in heads] == [b"yes", b"yes"]
        assert [head.cache for head in heads] == ["fwd=bypass; detail=method"] * 2
        assert len(cache.middleware._plans) == plans + 1
        assert (await cache.get("/page")).hit
        assert (await cache.client.request("HEAD", "/other")).hit


async def raising_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"yes")]})
    raise RuntimeError("the database is gone")


async def raising_later(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"yes")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("the database is gone")


async def of_a_known_length(scope: Scope, receive: Receive, send: Send) -> None:
    lines = [(b"x-own", b"yes"), (b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": lines})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("the database is gone")


@pytest.mark.parametrize(
    ("answer", "body"),
    [(raising_at_once, b""), (raising_later, b"half"), (of_a_known_length, b"half")],
)
async def test_an_answer_that_breaks_off_has_begun(answer: Any, body: bytes) -> None:
    """Its client gets what it would have had without the cache, and the exception goes on."""
    async with caching(Origin(answer), [Rule("*", Policy(60))]) as cache:
        visit = Visit()
        with pytest.raises(RuntimeError, match="the database is gone"):
            await cache.get("/x", visit=visit)

        assert (visit.reply.status, visit.reply.body) == (200, body)
        assert visit.reply.get("x-own") == b"yes"
        assert not visit.reply.complete
        assert not visit.reply.stored


@pytest.mark.skipif(
    Version(starlette.__version__) < Version("0.39"),
    reason="streams of this Starlette raise groups of exceptions",
)
async def test_a_stream_that_raises_at_once_is_no_500() -> None:
    """A streaming response has sent its start before its generator is asked."""

    async def broken(request: Request) -> Response:
        async def parts() -> Any:
            raise RuntimeError("the database is gone")
            yield

        return StreamingResponse(parts())

    site = Starlette(routes=[Route("/x", broken)])
    async with caching(site, [Rule("*", 60)]) as cache:
        visit = Visit()
        with pytest.raises(RuntimeError, match="the database is gone"):
            await cache.get("/x", visit=visit)

        assert visit.reply.status == 200


@pytest.mark.parametrize("lifetime", [300, 300.5])
async def test_the_first_answer_and_the_first_hit_say_the_same_ttl(lifetime: float) -> None:
    """A fraction of a second is cut off in the same way."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x")
        cache.clock.advance(0.01)

    async with caching(Origin(slow), [Rule("*", lifetime)]) as cache:
        replies = [await cache.get("/x"), await cache.get("/x")]

        assert [reply.cache.partition("ttl=")[2].split(";")[0] for reply in replies] == ["300"] * 2


async def test_a_stale_answer_after_a_failure_is_no_hit() -> None:
    """RFC 9211: the application was asked, and what it said was no good."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x", status=200 if origin.calls == 1 else 503)

    origin = Origin(failing)
    async with caching(origin, [Rule("*", 60, stale_if_error=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(63)
        stale = await cache.get("/x")

        assert stale.cache == "fwd=stale; fwd-status=503; ttl=-3; detail=stale-if-error"
        assert stale.body == b"x"


async def test_a_stale_answer_after_an_exception_has_no_status_to_tell() -> None:
    """None was received."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        if origin.calls > 1:
            raise RuntimeError("the database is gone")
        await respond(send, b"x")

    origin = Origin(failing)
    async with caching(origin, [Rule("*", 60, stale_if_error=60)]) as cache:
        await cache.get("/x")
        cache.clock.advance(63)

        assert (await cache.get("/x")).cache == "fwd=stale; ttl=-3; detail=stale-if-error"


async def test_content_beyond_its_own_length_loses_nothing() -> None:
    """The first part is as long as the field says, and more comes: the client gets all of it."""

    async def longer(scope: Scope, receive: Receive, send: Send) -> None:
        lines = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        for part in (b"this", b" is ", b"all "):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"of it"})

    async with caching(Origin(longer), [Rule("*", Policy(60))]) as cache:
        for _ in range(2):
            reply = await cache.get("/x")

            assert reply.body == b"this is all of it"
            assert not reply.stored


async def test_an_application_that_answers_head_alone_is_asked_with_it() -> None:
    """What refuses GET, and what is not shared, is asked with the request's own method."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await respond(send, b"", (b"x-own", b"head"), length=False)
        elif scope["path"] == "/private":
            await respond(send, b"content", (b"cache-control", b"private"))
        else:
            await respond(send, b"no", (b"allow", b"HEAD"), status=405)

    async with caching(Origin(answer), [Rule("*", Policy(60))]) as cache:
        await cache.get("/private")
        heads = [
            await cache.client.request("HEAD", path)
            for path in ("/private", "/private", "/only", "/only")
        ]

        assert [(head.status, head.get("x-own")) for head in heads] == [(200, b"head")] * 4
        assert (await cache.get("/only")).status == 405
