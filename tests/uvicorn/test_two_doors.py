"""One decision, two doors: random requests get the same through ASGI and in front of it."""

import random
import re
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheManager, CacheMiddleware, Rule, invalidates
from asgi_multitier.testing import FakeClock
from asgi_multitier.uvicorn.front import front_of
from tests.uvicorn.support import PAIRS, Served, served

STEPS = 250

TARGETS = (
    "/plain/1",
    "/plain/2?a=1",
    "/plain/%41",
    "/public/1",
    "/vary/1",
    "/cookies/1",
    "/vary-by/1",
    "/query/1?lang=de&x=1",
    "/query/1?x=2&lang=de",
    "/ignored/1",
    "/own-vary/1",
    "/uncached/1",
)

FIELDS = (
    (),
    (),
    ("Cookie: a=1",),
    ("Cookie: a=2; b=3",),
    ("Authorization: Bearer x",),
    ("Accept-Language: de",),
    ("Accept-Language: en",),
    ("Origin: https://example.com",),
    ("X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1"),
    ("X-Forwarded-Host: other.example",),
    ("If-None-Match: *",),
    ('If-None-Match: "none"',),
    ("If-None-Match: ETAG",),
    ("Range: bytes=0-3",),
    ("Cache-Control: no-cache",),
    ("X-Tenant: 1",),
    ("User-Agent: one",),
    ("Accept: */*", "Accept-Encoding: gzip", "Connection: keep-alive"),
)

RULES = (
    Rule("/plain/*", 300),
    Rule("/public/*", 300, public=True),
    Rule("/vary/*", 300, vary=["accept-language"]),
    Rule("/cookies/*", 300, cookies=["a"]),
    Rule("/vary-by/*", 300, vary_by=lambda request: request.headers.get("x-tenant")),
    Rule("/query/*", 300, query=["lang"]),
    Rule("/ignored/*", 300, ignore_cookies=True),
    Rule("/own-vary/*", 300),
)


class World:
    """An application whose responses say how it was asked and how often, and its cache.

    Args:
        protocol: The server's.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.clock = FakeClock()
        self.runs = 0
        self.manager = CacheManager(redis_url=None, clock=self.clock)

        async def read(request: Request) -> Response:
            self.runs += 1
            headers = {"ETag": f'"{self.runs}"'}
            if request.url.path.startswith("/own-vary"):
                headers["Vary"] = "Accept-Language"
            seen = f"{self.runs} {request.url} {request.headers.get('accept-language')}"
            return PlainTextResponse(seen, headers=headers)

        @invalidates(patterns=["/*/1"])
        async def write(request: Request) -> Response:
            return PlainTextResponse("ok")

        self.app = Starlette(
            routes=[
                Route("/edit", write, methods=["PUT"]),
                Route("/{kind}/{number}", read),
            ]
        )
        self.app.add_middleware(CacheMiddleware, cache=self.manager, rules=RULES)


def requests(seed: int) -> list[tuple[float, str, bytes]]:
    """Seconds that pass, the method, and a request, so many times."""
    choice = random.Random(seed)
    made = []
    last = b""
    for _ in range(STEPS):
        passing = choice.choice((0, 0, 0, 0.4, 1, 7, 400)) if choice.random() < 0.2 else 0
        kind = choice.random()
        if kind < 0.04:
            last = b"PUT /edit HTTP/1.1\r\nhost: example.org\r\ncontent-length: 0\r\n\r\n"
        elif kind < 0.6 or not last:
            method = "HEAD" if choice.random() < 0.1 else "GET"
            lines = (*choice.choice(FIELDS), *(choice.choice(FIELDS) if kind < 0.1 else ()))
            start = f"{method} {choice.choice(TARGETS)} HTTP/1.1"
            last = "\r\n".join((start, "host: example.org", *lines, "", "")).encode()
        made.append((passing, last[:4].decode().strip(), last))
    return made


async def replies(
    world: World, seed: int
) -> tuple[list[bytes], Mapping[str, Any], int, int, Served]:
    """What a client gets for each, and what was counted."""
    got = []
    etag = b'"none"'
    async with served(world.app, world.protocol) as server, server.connected() as (reader, writer):
        for passing, method, request in requests(seed):
            world.clock.advance(passing)
            writer.write(request.replace(b"ETAG", etag))
            head = await reader.readuntil(b"\r\n\r\n")
            # The clock of HTTP dates is the machine's; ages are of the test's clock.
            got.append(re.sub(rb"(date: )[^\r]+", rb"\1-", head))
            tag = head.partition(b"\r\netag: ")[2].partition(b"\r\n")[0]
            etag = tag or etag
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            if method != "HEAD" and not head.startswith(b"HTTP/1.1 304"):
                got.append(await reader.readexactly(length))
        total = server.state.total_requests
    return got, dict(world.manager.stats().routes), world.runs, total, server


@pytest.mark.parametrize("parser", PAIRS)
@pytest.mark.parametrize("seed", range(3))
async def test_both_doors_give_the_same(parser: str, seed: int) -> None:
    """The same bytes, runs of the application and counters, request by request."""
    own, front = PAIRS[parser]
    expected = await replies(World(own), seed)
    found = await replies(World(front), seed)

    assert found[0] == expected[0]
    assert found[1:4] == expected[1:4]
    assert len(front_of(found[4].config).requests) > 5
