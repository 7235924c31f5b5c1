"""What never meets the cache, is never stored and never shared, and the reason that is told."""

import logging

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheStrategy, Rule, cached, no_cache
from asgi_multitier._types import Receive, Scope, Send
from tests.support import Origin, answering, caching, respond

CREDENTIALS = [
    ("authorization", "Bearer x", "authorization"),
    ("Authorization", "Basic x", "authorization"),
    ("AUTHORIZATION", "", "authorization"),
    ("proxy-authorization", "x", "credentials"),
    ("x-api-key", "x", "credentials"),
    ("api-key", "x", "credentials"),
    ("x-auth-token", "x", "credentials"),
    ("x-access-token", "x", "credentials"),
    ("cookie", "sid=1", "cookie"),
    ("cookie", "", "cookie"),
]


async def secret(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with everything that the request carries."""
    await respond(send, repr(sorted(scope["headers"])).encode())


@pytest.mark.parametrize(("name", "value", "reason"), CREDENTIALS)
async def test_a_request_that_says_who_asks_passes_by(name: str, value: str, reason: str) -> None:
    """It is neither answered from the cache nor stored, and the next client gets nothing of it."""
    origin = Origin(secret)
    async with caching(origin) as cache:
        for _ in range(2):
            reply = await cache.get("/x", lines=[(b"host", b"h"), (name.encode(), value.encode())])

            assert reply.detail == reason
            assert "fwd=bypass" in reply.cache
        clean = await cache.get("/x", [("host", "h")])
        after = await cache.get("/x", lines=[(b"host", b"h"), (name.encode(), value.encode())])

        assert clean.stored
        assert name.lower().encode() not in clean.body.lower()
        assert after.detail == reason
        assert origin.calls == 4


@pytest.mark.parametrize("name", [name for name, _, _ in CREDENTIALS[3:9]] + ["authorization"])
async def test_a_field_that_the_rule_keys_on_separates_users(name: str) -> None:
    """With the field in `vary=`, each value has its own copy, and no value's meets another."""
    origin = Origin(secret)
    async with caching(origin, [Rule("*", 300, vary=[name])]) as cache:
        for who in ("ann", "bob", ""):
            lines = [(name, who)] if who else []
            first, second = await cache.get("/x", lines), await cache.get("/x", lines)

            assert not first.hit
            assert second.hit
            assert first.body == second.body


@pytest.mark.parametrize(("name", "value", "reason"), CREDENTIALS)
async def test_public_shares_whoever_asks(name: str, value: str, reason: str) -> None:
    """`public=True` says that credentials change nothing."""
    async with caching(Origin(), [Rule("*", 300, public=True)]) as cache:
        await cache.get("/x")

        assert (await cache.get("/x", lines=[(b"host", b"example.org"), (name.encode(), b"v")])).hit


async def test_further_credential_fields_can_be_named() -> None:
    """`credential_headers` adds to those that are known; `harmless_headers` takes away."""
    settings = {"credential_headers": {"x-zone"}, "harmless_headers": {"x-badge"}}
    async with caching(Origin(), **settings) as cache:
        assert (await cache.get("/x", [("x-zone", "a")])).detail == "credentials"
        assert (await cache.get("/x", [("x-api-key", "a")])).detail == "credentials"
        assert (await cache.get("/x", [("x-badge", "a")])).stored


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([("content-length", "5")], "request-body"),
        ([("content-length", "0, 5")], "request-body"),
        ([("content-length", "0"), ("content-length", "5")], "request-body"),
        ([("transfer-encoding", "chunked")], "request-body"),
        ([("expect", "100-continue")], "request-body"),
        ([("upgrade", "h2c")], "upgrade"),
        ([("if-match", '"a"')], "precondition"),
        ([("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")], "precondition"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_requests_that_must_reach_the_origin_do(
    lines: list[tuple[str, str]], reason: str
) -> None:
    """A body on a GET, an upgrade, a precondition: neither served nor stored, passed untouched."""
    origin = Origin(secret)
    async with caching(origin) as cache:
        await cache.get("/x")
        replies = [await cache.get("/x", lines) for _ in range(2)]

        assert [reply.detail for reply in replies] == [reason] * 2
        assert origin.calls == 3
        assert set(origin.scopes[-1]["headers"]) > {(n.encode(), v.encode()) for n, v in lines}


async def test_an_empty_body_on_a_get_is_none() -> None:
    """`Content-Length: 0` is what some clients send with every request."""
    async with caching(Origin()) as cache:
        await cache.get("/x")

        assert (await cache.get("/x", [("content-length", "0")])).hit


@pytest.mark.parametrize(
    "lines", [("cache-control", "no-cache"), ("pragma", "no-cache"), ("cache-control", "no-store")]
)
async def test_a_client_cannot_make_the_cache_ask_the_origin(lines: tuple[str, str]) -> None:
    """Requests' own directives are not honoured unless a rule says so."""
    origin = Origin()
    async with caching(origin) as cache:
        for _ in range(20):
            await cache.get("/x", [lines])

        assert origin.calls == 1


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([(b"set-cookie", b"a=b")], "set-cookie"),
        ([(b"Set-Cookie", b"a=b")], "set-cookie"),
        ([(b"cache-control", b"private")], "private"),
        ([(b"cache-control", b"PRIVATE, max-age=60")], "private"),
        ([(b"cache-control", b"no-store")], "no-store"),
        ([(b"cache-control", b"max-age=60"), (b"cache-control", b"No-Store")], "no-store"),
        ([(b"vary", b"*")], "vary-star"),
        ([(b"vary", b"accept, *")], "vary-star"),
        ([(b"content-type", b"text/event-stream")], "event-stream"),
        ([(b"x-bad name", b"x")], "bad-headers"),
        ([(b"x-bad", b"a\r\nset-cookie: a=b")], "bad-headers"),
        ([(b"x-bad", b"a\x00")], "bad-headers"),
        ([(b"", b"x")], "bad-headers"),
        ([(b"x-many", b"%d" % n) for n in range(101)], "headers-oversized"),
        ([(b"x-large", b"x" * 17_000)], "headers-oversized"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_responses_that_are_their_clients_own(
    lines: list[tuple[bytes, bytes]], reason: str
) -> None:
    """They are passed on as they are, and nobody else gets them."""
    origin = Origin(answering(b"x", *lines))
    async with caching(origin) as cache:
        first, second = await cache.get("/x"), await cache.get("/x")

        assert first.detail == second.detail == reason
        assert origin.calls == 2
        assert [(n.lower(), v) for n, v in lines] == second.headers[: len(lines)]
        assert cache.manager.stats().refused == {reason: 2}


async def test_fields_of_one_connection_are_not_stored() -> None:
    """`Connection` and what it names, `Keep-Alive`, `Proxy-*` stay with the first client."""
    lines = [
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-authenticate", b"x"),
        (b"x-end", b"2"),
    ]
    async with caching(Origin(answering(b"x", *lines))) as cache:
        await cache.get("/x")
        names = {name for name, _ in (await cache.get("/x")).headers}

        assert b"x-end" in names
        assert not names & {b"connection", b"x-hop", b"keep-alive", b"proxy-authenticate"}


async def raising_http(request: Request) -> None:
    raise HTTPException(401, "who are you", headers={"www-authenticate": "Bearer"})


async def raising_async(request: Request) -> str:
    await raising_http(request)
    return "never"


def raising_value(request: Request) -> str:
    raise ValueError("boom")


def page(request: Request) -> Response:
    return PlainTextResponse("x")


def told_value_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"told": str(error)}, status_code=422)


@pytest.mark.parametrize("vary_by", [raising_http, raising_async])
async def test_a_partition_that_refuses_is_answered_as_the_framework_would(
    vary_by: object,
) -> None:
    """`vary_by` may raise `HTTPException`: the client gets that answer, with a `Cache-Status`."""
    origin = Starlette(routes=[Route("/x", page)])
    async with caching(origin, [Rule("*", 300, vary_by=vary_by)]) as cache:  # type: ignore[arg-type]
        reply = await cache.get("/x", app=origin)

        assert reply.status == 401
        assert reply.body == b"who are you"
        assert reply.get("www-authenticate") == b"Bearer"
        assert reply.cache == "fwd=bypass; detail=partition"
        assert cache.manager.stats().total.passes == {"partition": 1}
        assert cache.manager.stats().fills == 0


async def test_a_partitions_error_reaches_the_applications_own_handler() -> None:
    """An exception that the application handles is handled the same way."""
    origin = Starlette(
        routes=[Route("/x", page)], exception_handlers={ValueError: told_value_error}
    )
    async with caching(origin, [Rule("*", 300, vary_by=raising_value)]) as cache:
        reply = await cache.get("/x", app=origin)

        assert reply.status == 422
        assert reply.body == b'{"told":"boom"}'


@pytest.mark.parametrize("option", ["vary_by", "when"])
async def test_an_error_that_nobody_answers_passes_by(
    option: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The application answers alone; it is counted, and said once with the route."""
    caplog.set_level(logging.WARNING, "asgi_multitier")
    origin = Starlette(routes=[Route("/x", page)])
    rule = Rule("*", 300, **{option: raising_value})  # type: ignore[arg-type]
    async with caching(origin, [rule]) as cache:
        replies = [await cache.get("/x") for _ in range(100)]

        assert {reply.body for reply in replies} == {b"x"}
        assert {reply.detail for reply in replies} == {
            "partition" if option == "vary_by" else "when"
        }
        assert cache.manager.stats().failures[option] == 100
        (line,) = caplog.messages
        assert line.startswith(f"{option}= of /x raised ")


async def test_a_refusal_is_answered_where_the_cache_is_wrapped_around() -> None:
    """The scope does not say then which application it is."""
    origin = Starlette(routes=[Route("/x", page)])
    async with caching(origin, [Rule("*", 300, vary_by=raising_http)]) as cache:
        assert (await cache.get("/x")).status == 401


async def test_an_errors_text_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Line ends and control characters are written as escapes."""
    caplog.set_level(logging.WARNING, "asgi_multitier")

    def forging(request: Request) -> str:
        raise ValueError("\r\n\x1b[31mforged" + "x" * 10_000)

    async with caching(Origin(), [Rule("*", 300, vary_by=forging)]) as cache:
        await cache.get("/x")

        (record,) = caplog.records
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 400


async def test_no_partition_passes_by() -> None:
    """`vary_by` returns None for what is not to be cached."""
    origin = Origin()
    async with caching(origin, [Rule("*", 300, vary_by=lambda request: None)]) as cache:
        assert (await cache.get("/x")).detail == "partition"
        assert (await cache.get("/x")).body == b"2"


async def test_when_decides_for_each_request() -> None:
    """`when=` that is False bypasses the cache."""

    def when(request: Request) -> bool:
        return "cache" in request.query_params

    async with caching(Origin(), [Rule("*", 300, when=when)]) as cache:
        assert (await cache.get("/x?not")).detail == "when"
        await cache.get("/x?cache")
        assert (await cache.get("/x?cache")).hit
        assert cache.manager.stats().total.passes == {"when": 1}


async def test_what_no_rule_asks_to_cache_passes_untouched() -> None:
    """Without a rule, with `@no_cache` and with a rule of None the application answers alone."""

    @no_cache
    async def never(request: Request) -> Response:
        return PlainTextResponse("never")

    @cached(CacheStrategy.SHORT_TERM)
    async def always(request: Request) -> Response:
        return PlainTextResponse("always")

    async def plain(request: Request) -> Response:
        return PlainTextResponse("plain")

    inner = Starlette(
        routes=[Route("/never", never), Route("/always", always), Route("/plain", plain)]
    )
    rules = [Rule("/static/*", None), Rule("/never", 5)]
    async with caching(inner, rules) as cache:
        for target, reason in [
            ("/never", "no-cache-annotation"),
            ("/plain", "no-rule"),
            ("/static/x", "no-cache-annotation"),
            ("/absent", "no-rule"),
        ]:
            assert (await cache.get(target)).detail == reason
        await cache.get("/always")
        assert (await cache.get("/always")).hit


async def test_tags_beyond_bounds_keep_a_response_out() -> None:
    """More than 64 tags, or one of more than 128 bytes: the request is answered alone."""
    rule = Rule("*", 300, tags=[lambda request: ["t" * int(request.query_params["n"])]])
    async with caching(Origin(), [rule]) as cache:
        assert (await cache.get("/x?n=65536")).detail == "tags"
        assert (await cache.get("/x?n=128")).stored


async def test_tags_that_raise_are_counted_and_the_client_is_answered() -> None:
    """A callable of the rule that fails costs the copy, not the answer."""

    def tags(request: Request) -> list[str]:
        raise ValueError("boom")

    async with caching(Origin(), [Rule("*", 300, tags=[tags])]) as cache:
        reply = await cache.get("/x")

        assert reply.status == 200
        assert reply.detail == "broken"
        assert cache.manager.stats().failures == {"tags": 1}
