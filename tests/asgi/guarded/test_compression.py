"""Guarded responses in other content codings, where the annotation of their endpoint asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from random import Random
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi import Request as FastRequest
from fastapi import Response as FastResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Policy, Rule, cached
from asgi_multitier._types import Message, Receive, Scope, Send
from asgi_multitier.asgi.guarded.leaving import Leaving
from asgi_multitier.testing import FakeClock, settled
from tests.asgi.test_compression import BODY, BROWSER, CODINGS, accepting, content
from tests.fakeredis_server import Server
from tests.patience import until
from tests.support import Client, Reply, plain

Endpoint = Callable[[Request], Awaitable[Response]]
Mark = Callable[[Any], Any]

ASKS = cached(60, guarded=True, compress=True)


def guard(endpoint: Endpoint) -> Endpoint:
    """Lets in all but those who say that they are strangers."""

    @wraps(endpoint)
    async def guarding(request: Request) -> Response:
        if "x-stranger" in request.headers:
            return PlainTextResponse("no " + request.headers["x-stranger"] * 2000, 403)
        return await endpoint(request)

    return guarding


class Site:
    """An application with one kind of route, behind a cache of its own.

    Args:
        mark: What stands on its endpoints.
        layers: Between the cache and them.
        outside: Around the cache.
        manager: The cache; None makes one in memory.
        **settings: Of the middleware.

    Attributes:
        runs: What the endpoints were asked for.
        version: Of what they return.
        status: Likewise.
        gate: They wait for it; open unless a test closes it.
        arrived: Set when one has run.
    """

    def __init__(
        self,
        mark: Mark = ASKS,
        layers: tuple[Middleware, ...] = (),
        outside: tuple[Middleware, ...] = (),
        manager: CacheManager | None = None,
        **settings: Any,
    ) -> None:
        self.runs: list[str] = []
        self.version = 1
        self.status = 200
        self.arrived, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.clock = FakeClock()
        self.manager = manager or CacheManager(
            redis_url=None, namespace="coded", clock=self.clock, wall=self.clock
        )
        cache = Middleware(CacheMiddleware, cache=self.manager, **settings)
        endpoint = guard(mark(self._endpoint()))
        self.app = Starlette(
            routes=[Route("/{what}", endpoint)], middleware=[*outside, cache, *layers]
        )
        self.client = Client(self.app)

    def _endpoint(self) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            what = request.path_params["what"]
            self.runs.append(what)
            self.arrived.set()
            await self.gate.wait()
            fields = FIELDS.get(what, {})
            body = BODY[:900] if what == "small" else BODY + b"%d" % self.version
            return Response(body, self.status, headers={"content-type": "text/plain", **fields})

        return endpoint

    async def get(self, codings: str, *fields: tuple[str, str], path: str = "/page") -> Reply:
        """A GET that accepts these codings; then wait until what it has begun to make is made."""
        reply = await self.client.get(path, accepting(codings, *fields))
        await settled(self.manager)
        return reply


FIELDS: dict[str, dict[str, str]] = {
    "image": {"content-type": "image/png"},
    "weak": {"etag": 'W/"1"'},
    "fixed": {"cache-control": "no-transform"},
    "languages": {"vary": "Accept-Language"},
    "dated": {"last-modified": "Thu, 01 Jan 1970 00:00:00 GMT"},
    "coded": {"content-encoding": "x-own"},
    "digest": {"content-digest": "sha-256=:AA==:"},
}


@asynccontextmanager
async def site(*args: Any, **settings: Any) -> AsyncIterator[Site]:
    """One, and its cache closed at the end."""
    found = Site(*args, **settings)
    try:
        yield found
    finally:
        await found.manager.close()


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_guarded_hit_is_compressed_where_its_annotation_asks(coding: str) -> None:
    """Made once; its guard runs on each request, and the endpoint on none."""
    async with site() as asked:
        replies = [await asked.get(coding) for _ in range(4)]
        refused = await asked.get(coding, ("x-stranger", "one"))
        made = asked.manager.stats().compression.made

    assert [reply.get("content-encoding") for reply in replies] == [
        *(None, None),
        *(coding.encode(),) * 2,
    ]
    assert {content(reply) for reply in replies} == {BODY + b"1"}
    assert {reply.get("vary") for reply in replies} == {b"Accept-Encoding"}
    assert {reply.get("cache-control") for reply in replies} == {b"private, no-cache"}
    own = replies[0].get("etag") or b""
    assert replies[2].get("etag") == replies[3].get("etag") == own[:-1] + b'--%b"' % coding.encode()
    assert replies[3].hit
    assert (refused.status, refused.get("content-encoding")) == (403, None)
    assert asked.runs == ["page"]
    assert made == {coding: 1}


COMPRESSING = Policy(60, compress=True)


@pytest.mark.parametrize(
    ("mark", "asks"),
    [
        (ASKS, True),
        (cached(60, guarded="shared", compress="gzip"), True),
        (cached(Policy(60, guarded=True, compress=True)), True),
        (cached(Policy(60, guarded=True), compress=True), True),
        (cached(COMPRESSING, guarded=True, compress=True), True),
        (cached(60, guarded=True, vary_by=lambda request: "one", compress=True), True),
        (cached(60, guarded=True), False),
        (cached(COMPRESSING, guarded=True), False),
        (cached(Policy(60, compress=True, compress_personal=True), guarded=True), False),
        (cached(COMPRESSING, guarded=True, compress=False), False),
    ],
)
async def test_no_default_compresses_a_guarded_route(mark: Mark, asks: bool) -> None:
    """Neither a rule nor the middleware's own nor a policy for several routes asks for it."""
    rules = (Rule("/*", 60, compress=True, compress_personal=True),)
    async with site(mark, rules=rules, default=COMPRESSING) as asked:
        replies = [await asked.get("gzip") for _ in range(3)]

    assert replies[2].hit
    assert replies[2].get("content-encoding") == (b"gzip" if asks else None)
    assert replies[2].get("vary") == (b"Accept-Encoding" if asks else None)


def user_of(request: Request) -> str:
    """Who asks."""
    return request.headers["x-user"]


async def test_each_copy_has_its_own() -> None:
    """What is made of one user's response is not sent to another."""
    mark = cached(
        60, guarded=True, vary_by=lambda request: request.headers["x-user"], compress=True
    )
    async with site(mark) as asked:
        for user in "ab":
            asked.version = ord(user)
            for _ in range(3):
                await asked.get("gzip", ("x-user", user))
        a, b = [await asked.get("gzip", ("x-user", user)) for user in "ab"]
        made = asked.manager.stats().compression.made

    assert (content(a), content(b)) == (BODY + b"97", BODY + b"98")
    assert a.get("content-encoding") == b.get("content-encoding") == b"gzip"
    assert a.get("etag") != b.get("etag")
    assert made == {"gzip": 2}


@pytest.mark.parametrize("mark", [ASKS, cached(60, compress=True)], ids=["guarded", "open"])
async def test_another_process_compresses_what_its_clients_ask_for(
    server: Server, namespace: str, mark: Mark
) -> None:
    """The layers get what it reads from the shared tier as a plain hit: without a coding."""
    settings: dict[str, Any] = {"redis": server.target, "namespace": namespace}
    managers = [CacheManager(**settings) for _ in range(2)]
    async with managers[0], managers[1]:
        await until(lambda: all(one.engine.log.trusted for one in managers))
        first, second = (Site(mark, manager=one) for one in managers)
        await first.get("gzip")
        await settled(*managers)
        replies = [await second.get("gzip") for _ in range(4)]
        made = managers[1].stats().compression.made

    assert [reply.detail for reply in replies] == ["l2", "l1", "l1", "l1"]
    assert [reply.get("content-encoding") for reply in replies] == [
        *(None, None),
        *(b"gzip", b"gzip"),
    ]
    assert {content(reply) for reply in replies} == {BODY + b"1"}
    assert (made, second.runs) == ({"gzip": 1}, [])


ACCEPTED = (
    *("", "identity", "gzip", "br", "zstd", BROWSER, "*", "gzip;q=0", "*;q=0", "gzip, br;q=0.9"),
    *("gzip;q=0.2, identity;q=0.5", "identity;q=0, br", "identity;q=0, *;q=0", "br;q=x, gzip"),
)
PATHS = (*["page"] * 12, "small", *FIELDS)


def some_request(random: Random, seen: list[str]) -> tuple[str, str, list[tuple[str, str]]]:
    """A method, a path and fields: with conditions and ranges, also by tags that were seen."""
    path = f"/{random.choice(PATHS)}"
    fields = [] if random.random() < 0.1 else accepting(random.choice(ACCEPTED))
    tags = ["*", '"0"', 'W/"1"', *random.choices(seen, k=8)]
    if random.random() < 0.4:
        fields.append(("if-none-match", ", ".join(random.sample(tags, random.choice((1, 1, 3))))))
    if random.random() < 0.1:
        fields.append(("if-modified-since", "Thu, 01 Jan 1970 01:00:00 GMT"))
    if random.random() < 0.2:
        wanted = random.choice(("bytes=0-9", "bytes=5-", "bytes=-3", "bytes=99999-", "lines=1"))
        fields.append(("range", wanted))
        if random.random() < 0.5:
            fields.append(("if-range", random.choice(tags[1:])))
    if path == "/languages":
        fields.append(("accept-language", random.choice(("en", "de"))))
    return random.choice(("GET", "GET", "GET", "HEAD")), path, fields


def compared(reply: Reply) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """What two clients compare: a guarded one is told `private` as well."""
    kept = [line for line in reply.headers if line[0] != b"cache-control"]
    return reply.status, reply.body, sorted(kept)


@pytest.mark.parametrize("seed", range(3))
async def test_a_guard_changes_no_byte_of_what_is_sent(seed: int) -> None:
    """Random requests to the same endpoint, with a guard and without one."""
    random, seen = Random(seed), ['"1"']
    coded = hits = 0
    async with site() as guarded, site(cached(60, compress=True)) as open_to_all:
        for _ in range(200):
            method, path, fields = some_request(random, seen)
            chance, replies = random.random(), []
            for one in (guarded, open_to_all):
                if chance < 0.01:
                    one.version += 1
                    await one.manager.clear()
                one.clock.advance(20 if chance > 0.97 else 0)
                replies.append(await one.client.request(method, path, fields))
                await settled(one.manager)
            own, other = replies

            assert compared(own) == compared(other), (method, path, fields)
            seen += [tag.decode() for tag in own.all("etag")]
            coded += own.get("content-encoding") is not None
            hits += own.hit

    assert hits > 80
    assert coded > 20


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
async def test_a_layer_that_compresses_is_left_alone(inside: bool) -> None:
    """Inside of the cache it chooses; outside it finds content that has a coding already."""
    layer = (Middleware(GZipMiddleware),)
    async with site(**{"layers" if inside else "outside": layer}) as asked:
        for _ in range(3):
            replies = [await asked.get(codings) for codings in ("gzip", "zstd, gzip", "identity")]
        made = asked.manager.stats().compression.made

    found = [reply.get("content-encoding") for reply in replies]
    assert found == [b"gzip", b"gzip" if inside else b"zstd", None]
    assert {content(reply) for reply in replies} == {BODY + b"1"}
    assert len({reply.get("etag") for reply in replies}) == (2 if inside else 3)
    assert made == ({} if inside else {"gzip": 1, "zstd": 1})
    assert asked.runs == ["page"]


class Changing:
    """A layer that changes the content of each response, without a word in its fields."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.number += 1

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": message["body"][:-1] + b"%d" % (self.number % 10)}
            await send(message)

        await self.app(scope, receive, changed)


async def test_what_a_layer_has_changed_is_not_sent_as_it_was_stored() -> None:
    """A coding that was made of what is stored is for that content alone."""
    async with site(layers=(Middleware(Changing),)) as asked:
        replies = [await asked.get("gzip") for _ in range(4)]
        made = asked.manager.stats().compression.made

    assert [reply.body for reply in replies] == [BODY + b"%d" % number for number in (1, 2, 3, 4)]
    assert {reply.get("content-encoding") for reply in replies} == {None}
    assert made == {}


@pytest.mark.parametrize(
    "line",
    [
        (b"content-encoding", b"x-own"),
        (b"vary", b"Accept-Encoding"),
        (b"cache-control", b"no-transform"),
    ],
)
async def test_what_a_layer_says_of_a_hit_is_heeded(line: tuple[bytes, bytes]) -> None:
    """It has chosen by the codings itself, or forbids what changes the content."""

    class Saying:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def said(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], line]}
                await send(message)

            await self.app(scope, receive, said)

    async with site(layers=(Middleware(Saying),)) as asked:
        replies = [await asked.get("gzip") for _ in range(4)]
        made = asked.manager.stats().compression.made

    assert {reply.body for reply in replies} == {BODY + b"1"}
    assert made == {}


async def test_a_stale_copy_is_compressed_too() -> None:
    """Where another request renews it, and where it stands in for a failure."""
    mark = cached(60, guarded=True, compress=True, stale_while_revalidate=60, stale_if_error=600)
    async with site(mark) as asked:
        for _ in range(2):
            await asked.get("gzip")
        asked.clock.advance(70)
        asked.gate.clear()
        asked.arrived.clear()
        renewing = asked.client.begin("/page")
        await asked.arrived.wait()
        meanwhile = await asked.client.get("/page", accepting("gzip"))
        asked.status = 503
        asked.gate.set()
        await renewing
        instead = await asked.get("gzip")
        tag = (instead.get("etag") or b"").decode()
        unchanged = await asked.get("gzip", ("if-none-match", tag))

    assert (meanwhile.hit, meanwhile.detail) == (True, "stale-while-revalidate")
    assert (instead.status, instead.detail) == (200, "stale-if-error")
    assert {content(reply) for reply in (meanwhile, instead)} == {BODY + b"1"}
    assert meanwhile.get("content-encoding") == instead.get("content-encoding") == b"gzip"
    assert (unchanged.status, unchanged.get("etag")) == (304, instead.get("etag"))


@pytest.mark.parametrize("codings", ["gzip", "gzip;q=0"])
async def test_a_hit_that_leaves_as_the_last_one_did_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch, codings: str
) -> None:
    """Nor is its 304, in a coding as without one; age and `Cache-Status` are of the moment."""
    async with site() as asked:
        for _ in range(2):
            await asked.get("gzip")
        first = await asked.get(codings)
        tag = ("if-none-match", (first.get("etag") or b"").decode())
        other = await asked.get(codings, tag)
        monkeypatch.setattr(Leaving, "__init__", None)
        for age in (1, 2):
            asked.clock.advance(1)
            again, unchanged = await asked.get(codings), await asked.get(codings, tag)

            assert (again.status, again.body) == (200, first.body)
            assert (unchanged.status, unchanged.body) == (304, b"")
            for reply, before in ((again, first), (unchanged, other)):
                assert reply.get("age") == b"%d" % age
                assert f"ttl={60 - age}" in reply.cache
                assert sorted(plain(reply.headers)) == sorted(plain(before.headers))


async def test_what_a_layer_says_now_is_on_a_hit_in_a_coding() -> None:
    """What was prepared is made again when the fields of the application have changed."""

    class Numbering:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def said(message: Message) -> None:
                if message["type"] == "http.response.start":
                    line = (b"x-number", b"%d" % number)
                    message = {**message, "headers": [*message["headers"], line]}
                await send(message)

            await self.app(scope, receive, said)

    number = 1
    async with site(layers=(Middleware(Numbering),)) as asked:
        for number in (1, 1, 1, 1, 2, 2, 2, 3, 3):
            reply = await asked.get("gzip")

            assert reply.get("x-number") == b"%d" % number
    assert reply.get("content-encoding") == b"gzip"


async def test_what_a_dependency_sets_reaches_this_client_alone() -> None:
    """Also on a hit in a coding; what it says of the codings is heeded."""
    app, manager = FastAPI(title="Sets"), CacheManager(redis_url=None, namespace="sets")
    left = iter(range(99))

    def limit(request: FastRequest, response: FastResponse) -> None:
        response.headers["x-left"] = str(next(left))
        if "x-say" in request.headers:
            response.headers["content-encoding"] = request.headers["x-say"]

    @app.get("/x", dependencies=[Depends(limit)])
    @cached(60, guarded=True, compress="gzip")
    async def x() -> str:
        return BODY.decode()

    client = Client(CacheMiddleware(app, manager))
    replies = []
    for fields in ([], [], [], [], [("x-say", "x-own")], []):
        replies.append(await client.get("/x", accepting("gzip", *fields)))
        await settled(manager)
    await manager.close()

    assert [reply.get("x-left") for reply in replies] == [b"%d" % number for number in range(6)]
    codings = [reply.get("content-encoding") for reply in replies]
    assert codings == [None, None, b"gzip", b"gzip", b"x-own", b"gzip"]
    assert {content(reply) for reply in (replies[2], replies[5])} == {replies[0].body}
    assert replies[4].body == replies[0].body
