"""Which requests with content get one response, and what is no question at all."""

import sys
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, ConfigError, Policy, Rule, cached
from asgi_multitier.routing import RouteTable
from tests.asgi.bodies.support import JSON, Chunks, Reader, post, searches
from tests.support import Client, caching


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param({}, True, id="the-same"),
        pytest.param({"body": b"other"}, False, id="content"),
        pytest.param({"body": b""}, False, id="no-content"),
        pytest.param({"method": "QUERY"}, False, id="method"),
        pytest.param({"method": "GET", "body": b""}, False, id="get"),
        pytest.param({"method": "HEAD", "body": b""}, False, id="head"),
        pytest.param({"target": "/y"}, False, id="path"),
        pytest.param({"target": "/x?a"}, False, id="query"),
        pytest.param({"fields": (("content-type", "text/plain"),)}, False, id="type"),
        pytest.param({"fields": (JSON, ("content-encoding", "gzip"))}, False, id="coding"),
        pytest.param({"fields": (JSON, ("expect", "100-continue"))}, True, id="expect"),
        pytest.param(
            {"fields": (JSON, ("transfer-encoding", "chunked")), "length": False}, True, id="chunks"
        ),
        pytest.param({"length": False}, True, id="no-length"),
        pytest.param({"fields": (JSON, ("x-other", "1"))}, True, id="another-field"),
        pytest.param({"fields": (JSON, ("origin", "https://a.example"))}, False, id="origin"),
        pytest.param({"fields": (JSON, ("accept-language", "fr"))}, False, id="vary"),
    ],
)
async def test_what_is_asked_is_what_counts(other: dict[str, Any], same: bool) -> None:
    """Method, target, type, coding, content, and what a rule adds; not how it was sent."""
    origin = Reader()
    asked: dict[str, Any] = {"body": b"[1, 2]", "fields": (JSON,)}

    async def ask(body: bytes, fields: Any, **others: Any) -> Any:
        return await post(cache, body, *fields, **others)

    async with caching(origin, searches(vary=["accept-language"])) as cache:
        assert (await ask(**asked)).stored
        again = await ask(**asked | other)

    assert again.hit is same
    assert len(origin.asked) == (1 if same else 2)


async def test_content_counts_by_its_meaning_where_the_rule_says_so() -> None:
    """The answer is that to the spelling which came first."""
    origin = Reader()
    async with caching(origin, searches(body="json")) as cache:
        first = await post(cache, b'{"a": 1, "b": 2}', JSON)
        again = await post(cache, b'{"b":2,"a":1}', JSON)
        other = await post(cache, b'{"b":2,"a":1.0}', JSON)
        text = await post(cache, b'{"b":2,"a":1}', ("content-type", "text/plain"))

    assert again.hit
    assert again.body == first.body
    assert other.stored
    assert text.stored


async def test_chunks_are_put_together() -> None:
    """However they are cut; empty ones do not matter."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        for chunks in ([b"abc"], [b"a", b"b", b"c"], [b"", b"abc", b""], [b"ab", b"", b"c"]):
            await post(cache, visit=Chunks(chunks), length=False)

    assert origin.asked == [("POST", b"abc")]


async def test_the_application_gets_the_request_as_it_came() -> None:
    """Method, fields and content, also where the answer is to be stored."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        await post(cache, b"question", JSON)
        await post(cache, b"question", JSON, method="QUERY")

    assert origin.asked == [("POST", b"question"), ("QUERY", b"question")]
    for fields in origin.fields:
        assert fields[b"content-length"] == b"8"
        assert fields[b"content-type"] == b"application/json"


class Query(BaseModel):
    """What is searched for."""

    text: str


def starlette(calls: list[str], **options: Any) -> Any:
    @cached(60, body="json", **options)
    async def search(request: Request) -> Response:
        calls.append((await request.json())["text"])
        return PlainTextResponse(f"{request.method} {calls[-1]} {len(calls)}")

    return Starlette(routes=[Route("/s", search, methods=["POST", "QUERY"])])


def endpoint_class(calls: list[str], **options: Any) -> Any:
    @cached(60, body="json", **options)
    class Search(HTTPEndpoint):
        async def post(self, request: Request) -> Response:
            calls.append((await request.json())["text"])
            return PlainTextResponse(f"{request.method} {calls[-1]} {len(calls)}")

        query = post

    return Starlette(routes=[Route("/s", Search)])


def fastapi(calls: list[str], **options: Any) -> Any:
    app = FastAPI()

    @app.api_route("/s", methods=["POST", "QUERY"], response_class=PlainTextResponse)
    @cached(60, body="json", **options)
    def search(query: Query, request: Request) -> str:
        calls.append(query.text)
        return f"{request.method} {query.text} {len(calls)}"

    return app


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@pytest.mark.parametrize(
    ("framework", "guarded"),
    [
        (starlette, False),
        (starlette, True),
        (endpoint_class, False),
        (fastapi, False),
        (fastapi, True),
    ],
)
async def test_annotated_endpoints(framework: Any, method: str, guarded: bool) -> None:
    """In every way in which an endpoint can be written; a guarded one is asked after its guard."""
    calls: list[str] = []
    async with caching(framework(calls, methods=[method], guarded=guarded), ()) as cache:
        replies = [
            await post(cache, body, JSON, target="/s", method=method)
            for body in (b'{"text":"a"}', b'{ "text": "a" }', b'{"text":"b"}')
        ]
        sent = cache.manager.invalidation_stats().sent

    assert [reply.body.decode() for reply in replies] == [
        f"{method} a 1", f"{method} a 1", f"{method} b 2"
    ]  # fmt: skip
    assert [reply.hit for reply in replies] == [False, True, False]
    assert calls == ["a", "b"]
    assert sent == 0


@pytest.mark.parametrize("method", ["POST", "QUERY"])
async def test_methods_that_the_rule_does_not_name_are_none_of_its_questions(method: str) -> None:
    """They go to the application; a POST is a change, and QUERY is safe (its registration)."""
    origin = Reader()
    other = {"POST": "QUERY", "QUERY": "POST"}[method]
    async with caching(origin, searches(methods=["GET", other])) as cache:
        await post(cache, b"", method="GET")
        reply = await post(cache, b"x", method=method)
        after = await post(cache, b"", method="GET")

    assert reply.cache == "fwd=method"
    assert origin.asked[1] == (method, b"x")
    assert after.hit is (method == "QUERY")


async def test_a_get_with_content_is_none_either() -> None:
    """Its content is in no key: it bypasses the cache, under such a rule as well."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        reply = await post(cache, b"x", method="GET")

    assert (reply.cache, origin.asked) == ("fwd=bypass; detail=request-body", [("GET", b"x")])


async def test_the_plan_of_a_question_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The routes are searched once for each target, however often it is asked."""
    origin = Reader()
    async with caching(origin, searches()) as cache:
        await post(cache)
        monkeypatch.setattr(RouteTable, "resolve", None)
        assert (await post(cache)).hit


async def test_an_old_plan_is_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not made again when the younger half has filled meanwhile."""
    origin = Reader()
    async with caching(origin, searches(), l1_entries=2) as cache:
        for target in ("/x", "/y", "/z"):  # the first is in the old half now
            await post(cache, target=target)
        monkeypatch.setattr(RouteTable, "resolve", None)
        await post(cache)


@pytest.mark.parametrize("with_starlette", [True, False])
async def test_callables_see_the_content(
    with_starlette: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bytes, in whatever way the application's framework presents the request."""
    if not with_starlette:
        monkeypatch.delitem(sys.modules, "starlette.requests")
    origin, seen = Reader(), list[bytes]()

    def tags(request: Any) -> str:
        seen.append(request.body)
        return "about:" + bytes(request.body).decode()

    def whose(request: Any) -> str:
        seen.append(request.body)
        return "me"

    def when(request: Any) -> bool:
        seen.append(request.body)
        return True

    async with caching(origin, searches(tags=tags, vary_by=whose, when=when)) as cache:
        await post(cache, b"tea")
        await post(cache, b"", method="GET")
        assert (await post(cache, b"tea")).hit
        await cache.manager.invalidate_tags("about:tea")
        assert not (await post(cache, b"tea")).hit
        assert (await post(cache, b"", method="GET")).hit

    assert set(seen) == {b"tea", b""}
    assert all(isinstance(one, bytes) for one in seen)


async def test_starlette_reads_the_content_in_its_own_ways() -> None:
    """`await request.body()`, `json()` and `stream()` give what was read."""
    origin = Reader()
    read: list[Any] = []

    async def when(request: Request) -> bool:
        read.append((await request.body(), await request.json(), await request.json()))
        read.append([chunk async for chunk in request.stream()])
        return True

    async with caching(origin, searches(when=when, methods=["POST"])) as cache:
        await post(cache, b"[1]", JSON)

    assert read == [(b"[1]", [1], [1]), [b"[1]", b""]]


async def test_a_request_for_callables_ends() -> None:
    """Who reads it to the end and beyond is told that there is no more."""
    origin, seen = Reader(), list[str]()

    async def when(request: Request) -> bool:
        seen.extend([(await request.receive())["type"] for _ in range(2)])
        return True

    async with caching(origin, searches(when=when)) as cache:
        await post(cache)

    assert seen == ["http.request", "http.disconnect"]


async def test_a_rule_without_body_shows_none() -> None:
    """There `request.body` is the framework's own."""
    kinds: list[type] = []

    def when(request: Any) -> bool:
        kinds.append(type(request.body))
        return True

    async with caching(Reader(), [Rule("*", 60, when=when)]) as cache:
        await cache.get("/x")

    assert kinds == [type(Request({"type": "http"}).body)]


def test_a_default_is_for_no_questions() -> None:
    """It would make a question of every POST of the application."""
    policy = Policy(60, methods=["POST"], body=True)
    with pytest.raises(ConfigError, match=r"default=.*expected a Policy without body="):
        CacheMiddleware(Reader(), CacheManager(redis_url=None), default=policy)


async def test_a_post_that_is_stored_for_get_is_a_change() -> None:
    """`from_origin` without `body`: it runs each time, and its rule is for GET; a condition, which
    is about the change, does not matter there.
    """
    origin = Reader((b"cache-control", b"max-age=60"), (b"content-location", b"/x"))
    policy = Policy.from_origin(methods=["GET", "POST"])
    async with caching(origin, [Rule("*", policy)]) as cache:
        for fields in ((), (("if-none-match", '"1"'),)):
            assert (await post(cache, b"q", *fields)).cache == "fwd=method"
        assert (await cache.get("/x")).body == b"2:q"


@pytest.mark.parametrize(
    ("lines", "method", "stored"),
    [
        ([(b"cache-control", b"max-age=60")], "POST", True),
        ([(b"cache-control", b"max-age=60")], "QUERY", True),
        ([(b"last-modified", b"Sat, 01 Jan 2000 00:00:00 GMT")], "POST", False),
        ([(b"last-modified", b"Sat, 01 Jan 2000 00:00:00 GMT")], "QUERY", True),
        ([(b"cache-control", b"no-store")], "POST", False),
        ([(b"cache-control", b"no-cache"), (b"etag", b'"1"')], "POST", False),
        ([(b"cache-control", b"no-cache"), (b"etag", b'"1"')], "QUERY", True),
    ],
)
async def test_the_responses_may_decide(
    lines: list[tuple[bytes, bytes]], method: str, stored: bool
) -> None:
    """Under `from_origin` a POST needs explicit freshness (RFC 9110 §9.3.3), and no validator does
    for one: it has no conditions.
    """
    policy = Policy.from_origin(methods=["POST", "QUERY"], body=True, heuristics=True)
    origin = Reader(*lines)
    async with caching(origin, [Rule("*", policy)]) as cache:
        reply = await post(cache, method=method)
        got = await cache.get("/x")

    assert reply.stored is stored
    assert not got.hit


@pytest.mark.parametrize(
    ("options", "safe"),
    [({}, False), ({"public": True}, True), ({"vary": ["authorization"]}, True)],
)
@pytest.mark.parametrize("rule", [True, False])
def test_questions_behind_authentication_are_refused(
    options: dict[str, Any], safe: bool, rule: bool
) -> None:
    """As a GET is: a hit runs no dependency, so the rule says how users are told apart."""
    app = FastAPI()
    options = {"methods": ["POST"], "body": True, **options}

    @app.post("/s", dependencies=[Depends(HTTPBearer())])
    @(no_mark if rule else cached(60, **options))
    async def search(query: Query) -> None: ...

    table = RouteTable(app, rules=[Rule("/s", 60, **options)] if rule else [])
    if safe:
        table.check()
        return
    with pytest.raises(ConfigError, match="a hit runs no authentication"):
        table.check()


def no_mark(endpoint: Any) -> Any:
    """It stays as it is."""
    return endpoint


async def test_layers_on_both_sides_may_read_the_content() -> None:
    """What one around the cache has read, it passes on; one inside reads what is replayed."""
    calls: list[str] = []
    sizes: list[tuple[str, int]] = []

    def reading(name: str) -> Any:
        async def read(request: Request, call_next: Any) -> Response:
            sizes.append((name, len(await request.body())))
            response: Response = await call_next(request)
            return response

        return read

    inner = BaseHTTPMiddleware(fastapi(calls, methods=["POST"], max_body=50), reading("in"))
    async with caching(inner, ()) as cache:
        outer = Client(BaseHTTPMiddleware(cache.middleware, reading("out")))
        for text in ("tea", "tea", "x" * 50):
            reply = await post(outer, b'{"text": "%b"}' % text.encode(), JSON, target="/s")

    assert reply.detail == "request-body-oversized"
    assert calls == ["tea", "x" * 50]
    assert sizes == [("out", 15), ("in", 15), ("out", 15), ("out", 62), ("in", 62)]
