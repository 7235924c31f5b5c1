"""Whatever a client sends, it gets the same bytes as from uvicorn's own protocol."""

import asyncio
import logging

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, cached
from asgi_multitier._types import ASGIApp
from tests.uvicorn.support import GET, PAIRS, answers, lines_of, served, timeless


def raw(start: str, *lines: str, body: str = "") -> bytes:
    """A request as it is sent; with a Host unless a line is one, or says `no host`."""
    if not any(line.lower().startswith(("host", "no host")) for line in lines):
        lines = ("Host: example.org", *lines)
    kept = [line for line in lines if line != "no host"]
    return ("\r\n".join([start, *kept, "", ""]) + body).encode("latin-1")


def get(target: str = "/", *lines: str) -> bytes:
    """A GET."""
    return raw(f"GET {target} HTTP/1.1", *lines)


BROWSER = (
    "User-Agent: Mozilla/5.0",
    "Accept: text/html,*/*;q=0.8",
    "Accept-Language: de,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    "Connection: keep-alive",
    "Sec-Fetch-Mode: navigate",
    "Cache-Control: no-cache",
)
FORWARDED = ("X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1")

ROWS: dict[str, tuple[bytes, ...]] = {
    "plain": (GET,),
    "browser": (get("/", *BROWSER),),
    "HEAD": (raw("HEAD / HTTP/1.1"),),
    "HEAD of what GET has filled": (raw("HEAD /items/1 HTTP/1.1"),),
    "one after the other": (GET, GET, GET),
    "two in one read": (GET + GET,),
    "three in one read, the second a miss": (GET + get("/fresh") + GET,),
    "a slow one and a hit in one read": (get("/slow") + GET,),
    "a hit and a slow one in one read": (GET + get("/slow"),),
    "a POST and a hit in one read": (
        raw("POST /posted HTTP/1.1", "Content-Length: 2", body="ab") + GET,
    ),
    "split in a field": (GET[:25], GET[25:]),
    "split in the method": (GET[:2], GET[2:]),
    "split before the end": (GET[:-1], GET[-1:]),
    "byte by byte": tuple(GET[i : i + 1] for i in range(len(GET))),
    "one and a half": (GET + GET[:20], GET[20:]),
    "one and a half, the rest with another": (GET + GET[:20], GET[20:] + GET),
    "a known one after half of another": (get("/", "X: y")[:-2], GET),
    "a known one as the end of a field": (get("/", "X: ")[:-4], GET),
    "a known one as content": (
        raw("POST /posted HTTP/1.1", f"Content-Length: {len(GET)}"),
        GET,
        GET,
    ),
    "a known one as content of what was answered before": (
        raw("POST /early HTTP/1.1", f"Content-Length: {len(GET)}"),
        GET,
        GET,
    ),
    "Connection: close": (get("/", "Connection: close"),),
    "Connection: Close, TE": (get("/", "Connection: TE, Close"),),
    "Connection: keep-alive": (get("/", "Connection: keep-alive"),),
    "Connection: Keep-Alive": (get("/", "Connection: Keep-Alive"),),
    "close, and one more": (get("/", "Connection: close") + GET,),
    "a hit, then close": (GET + get("/", "Connection: close"),),
    "HTTP/1.0": (raw("GET / HTTP/1.0"),),
    "HTTP/1.0, keep-alive": (raw("GET / HTTP/1.0", "Connection: keep-alive"),),
    "Upgrade to HTTP/2": (get("/", "Connection: Upgrade", "Upgrade: h2c"), GET),
    "Upgrade to WebSocket": (get("/", "Connection: Upgrade", "Upgrade: websocket"), GET),
    "Upgrade without Connection": (get("/", "Upgrade: h2c"), GET),
    "Expect": (get("/", "Expect: 100-continue"),),
    "Expect with content": (
        raw("POST /posted HTTP/1.1", "Expect: 100-continue", "Content-Length: 2"),
        b"ab",
        GET,
    ),
    "GET with content": (raw("GET / HTTP/1.1", "Content-Length: 3", body="abc"), GET),
    "GET without content, says so": (get("/", "Content-Length: 0"), GET),
    "GET with chunks": (
        raw("GET / HTTP/1.1", "Transfer-Encoding: chunked", body="1\r\na\r\n0\r\n\r\n"),
        GET,
    ),
    "POST": (raw("POST /posted HTTP/1.1", "Content-Length: 2", body="ab"), GET),
    "OPTIONS": (raw("OPTIONS / HTTP/1.1"), GET),
    "OPTIONS *": (raw("OPTIONS * HTTP/1.1"), GET),
    "Authorization": (get("/", "Authorization: Bearer x"),),
    "Cookie": (get("/", "Cookie: a=b"),),
    "Origin": (get("/", "Origin: https://example.com"),),
    "If-None-Match": (get("/", "If-None-Match: *"),),
    "Range": (get("/", "Range: bytes=0-1"),),
    "Forwarded fields": (get("/", *FORWARDED),),
    "query": (get("/items/1?a=b&c=%20"),),
    "escaped path": (get("/items/caf%C3%A9"),),
    "escaped slash": (get("/items/a%2Fb"),),
    "absolute form": (get("http://example.org/items/1"),),
    "fragment": (get("/items/1#x"),),
    "empty query": (get("/items/1?"),),
    "two slashes": (get("//"),),
    "no Host": (get("/", "no host"),),
    "two Hosts": (get("/", "Host: a", "Host: b"),),
    "Host in capitals": (get("/", "HOST: EXAMPLE.ORG"),),
    "status of its own": (get("/gone"),),
    "no content": (get("/empty"),),
    "large": (get("/large"),),
    "not cached": (get("/fresh"),),
    "unknown": (get("/unknown"),),
    "empty lines first": (b"\r\n\r\n" + GET,),
    "empty lines between": (GET + b"\r\n" + GET, b"\r\n", GET),
    "line feeds alone": (GET.replace(b"\r\n", b"\n"),),
    "method in small letters": (raw("get / HTTP/1.1"),),
    "no request": (b"hello\r\n\r\n",),
    "a hit, then no request": (GET + b"hello\r\n\r\n",),
    "a hit, then no request in the next read": (GET, b"hello\r\n\r\n"),
    "bad field": (get("/", "bad field: x"),),
    "control byte in the target": (get("/\x01"),),
    "byte above 127 in the target": (get("/\xe9"),),
    "space in the target": (get("/a b"),),
    "long field": (get("/", "X-Long: " + "x" * 5000),),
}


MARKED = cached(300, negative=300)


@MARKED
async def home(request: Request) -> Response:
    return PlainTextResponse("home")


@MARKED
async def item(request: Request) -> Response:
    return PlainTextResponse(request.url.path, headers={"X-Item": "1"})


@MARKED
async def gone(request: Request) -> Response:
    return PlainTextResponse("gone", 410)


@MARKED
async def empty(request: Request) -> Response:
    return Response(status_code=204)


@MARKED
async def large(request: Request) -> Response:
    return PlainTextResponse("x" * 300_000)


async def fresh(request: Request) -> Response:
    return PlainTextResponse("fresh")


async def slow(request: Request) -> Response:
    await asyncio.sleep(0)
    return PlainTextResponse("slow")


async def posted(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def early(request: Request) -> Response:
    return PlainTextResponse("without reading")


def application(wrapped: bool = False) -> ASGIApp:
    """Cached routes and others; the cache around it or as its own outermost layer."""
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/items/{name:path}", item),
            Route("/gone", gone),
            Route("/empty", empty),
            Route("/large", large),
            Route("/fresh", fresh),
            Route("/slow", slow),
            Route("/posted", posted, methods=["POST"]),
            Route("/early", early, methods=["POST"]),
        ]
    )
    manager = CacheManager(redis_url=None)
    if wrapped:
        return CacheMiddleware(app, manager)
    app.add_middleware(CacheMiddleware, cache=manager)
    return app


async def played(protocol: object, caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    """Of each row, four times: what a client gets; then the access log, and the counters so far."""
    app = application()
    got: dict[str, object] = {}
    async with served(app, protocol) as server:
        await server.send(GET, get("/items/1"))
        manager = app.user_middleware[0].kwargs["cache"]  # type: ignore[attr-defined]
        for row, parts in ROWS.items():
            caplog.clear()
            replies = [timeless(await server.send(*parts)) for _ in range(4)]
            log = [each.getMessage() for each in caplog.records if each.name == "uvicorn.access"]
            total = server.state.total_requests
            counted = {
                route: (each.hits, each.stale, each.coalesced, each.misses, each.passes)
                for route, each in manager.stats().routes.items()
            }
            got[row] = (replies, lines_of(log), total, counted)
    return got


@pytest.mark.no_cover  # it repeats what others cover
@pytest.mark.parametrize("parser", PAIRS)
async def test_same_bytes(parser: str, caplog: pytest.LogCaptureFixture) -> None:
    """The same bytes, access log and counters, whether parsed or known by its bytes."""
    caplog.set_level(logging.INFO, "uvicorn.access")
    own, front = PAIRS[parser]
    expected = await played(own, caplog)
    found = await played(front, caplog)

    for row in ROWS:
        assert found[row] == expected[row], row


@pytest.mark.parametrize("parser", PAIRS)
@pytest.mark.parametrize("wrapped", [False, True])
async def test_hits_make_no_task(parser: str, wrapped: bool) -> None:
    """Neither where the request is parsed nor where its bytes are known."""
    app = application(wrapped)
    async with served(app, PAIRS[parser][1]) as server, server.connected() as (reader, writer):
        writer.write(GET)
        await answers(reader)
        connection = server.connections[-1]
        cycle = connection.cycle
        for data in (GET, GET, GET, GET + GET, get("/", *BROWSER)):
            writer.write(data)
            got = await answers(reader, 1 + (data == GET + GET))

            assert b"; hit; " in got
            assert connection.cycle is cycle
        assert GET in server.connections[-1]._front.requests.young


async def test_after_an_upgrade_that_is_refused() -> None:
    """What httptools makes of further bytes is its own affair: nothing is answered before it."""
    app = application()
    upgrade = get("/", "Connection: Upgrade", "Upgrade: h2c")
    async with served(app, PAIRS["httptools"][1]) as server:
        await server.send(GET, GET, GET)
        async with server.connected() as (reader, writer):
            connection, cycles = server.connections[-1], set()
            for data in (upgrade, GET, GET, get("/", *BROWSER)):
                writer.write(data)
                await answers(reader)
                cycles.add(connection.cycle)

            assert len(cycles) == 4


async def test_the_bound_of_what_h11_holds() -> None:
    """That of the command, `--h11-max-incomplete-event-size`."""
    long = get("/", "X-Long: " + "x" * 2_000)
    got = []
    for protocol in PAIRS["h11"]:
        async with served(application(), protocol, h11_max_incomplete_event_size=1_000) as server:
            got.append(timeless(await server.send(long[:1_500], long[1_500:])))

    assert got[0] == got[1]
    assert got[0].startswith(b"HTTP/1.1 400 ")
