"""What of a connection says how its requests are read: proxies, TLS, and the root path."""

import logging
import ssl
from typing import Any

import fastapi
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from asgi_multitier import CacheMiddleware, Rule, cached
from asgi_multitier._types import Receive, Scope, Send
from asgi_multitier.uvicorn.front import front_of
from tests.uvicorn.support import (
    GET,
    PAIRS,
    answers,
    cache,
    get,
    hot,
    in_front,
    lines_of,
    manager,
    served,
)

pytestmark = pytest.mark.parametrize("protocol", [pair[1] for pair in PAIRS.values()], ids=PAIRS)


async def test_root_path(protocol: Any) -> None:
    """It is part of what is asked, as it is behind uvicorn's own protocol."""
    app = cache()
    async with served(app, protocol, root_path="/api") as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            writer.write(GET)

            assert b"; hit; " in await answers(reader)
            assert server.connections[-1].cycle is None


async def test_root_path_of_fastapi(protocol: Any) -> None:
    """The application gives it to each request, so the plans have it."""
    app = fastapi.FastAPI()
    app.root_path = "/api"

    @app.get("/")
    @cached(300)
    async def read(request: Request) -> str:
        return str(request.url)

    app.add_middleware(CacheMiddleware, cache=manager())
    async with served(app, protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            for request in (GET, get("/", "x: 1")):
                writer.write(request)
                assert b"; hit; " in await answers(reader)
            assert server.connections[-1].cycle is None


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.9"])
async def test_fields_of_a_proxy(
    protocol: Any, trusted: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The scheme and the client that a trusted proxy names hold; those of others do not."""
    caplog.set_level(logging.INFO, "uvicorn.access")

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"] + " " + scope["path"])(scope, receive, send)

    https = get("/a", "x-forwarded-for: 192.0.2.1")
    with_proto = get("/", "x-forwarded-proto: https", "x-forwarded-for: 192.0.2.1")
    async with served(cache(seen), protocol, forwarded_allow_ips=trusted) as server:
        await hot(server, GET)
        await hot(server, https)
        await hot(server, with_proto)
        caplog.clear()
        number = len(server.connections)
        plain = await server.send(GET)
        forwarded = await server.send(with_proto)
        await server.send(https)
        assert [one.cycle for one in server.connections[number:]] == [None, None, None]
    scheme = b"https /" if trusted == "127.0.0.1" else b"http /"
    client = "192.0.2.1:0" if trusted == "127.0.0.1" else "127.0.0.1"

    assert plain.endswith(b"http /")
    assert forwarded.endswith(scheme)
    assert lines_of(caplog.messages) == [
        '127.0.0.1 - "GET / HTTP/1.1" 200',
        f'{client} - "GET / HTTP/1.1" 200',
        f'{client} - "GET /a HTTP/1.1" 200',
    ]


async def test_the_same_bytes_of_a_client_that_is_not_trusted(protocol: Any) -> None:
    """What was learnt on the connection of a trusted proxy does not hold on any other."""

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"])(scope, receive, send)

    request = get("/", "x-forwarded-proto: https")
    async with served(cache(seen), protocol) as server:
        await hot(server, request)
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            connection.client = ("192.0.2.7", 1)
            connection._origin = connection._front.origin_of("http", connection.client)
            for _ in range(4):
                writer.write(request)

                assert (await answers(reader)).endswith(b"\r\n\r\nhttp")


async def test_the_same_bytes_over_tls(protocol: Any) -> None:
    """They ask for another URL."""

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"])(scope, receive, send)

    async with served(cache(seen), protocol) as server:
        await hot(server)
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            connection.scheme = "https"
            connection._origin = connection._front.origin_of("https", connection.client)
            for _ in range(4):
                writer.write(GET)

                assert (await answers(reader)).endswith(b"\r\n\r\nhttps")


async def test_what_was_asked_before_the_layers_were_known(protocol: Any) -> None:
    """A connection that is older than them is of a trusted proxy all the same."""

    async def seen(request: Request) -> Response:
        return PlainTextResponse(request.url.scheme)

    app = Starlette(routes=[Route("/", seen)])
    app.add_middleware(CacheMiddleware, cache=manager(), rules=[Rule("*", 300)])
    request = get("/", "x-forwarded-proto: https")
    async with served(app, protocol, lifespan="off") as server:
        async with server.connected() as (reader, writer):
            for _ in range(4):
                writer.write(request)
                assert (await answers(reader)).endswith(b"https")
                server.state.default_headers = [*server.state.default_headers]
        assert request in front_of(server.config).requests.young
        async with server.connected() as (reader, writer):
            connection = server.connections[-1]
            connection.client = ("192.0.2.7", 1)
            connection._origin = connection._front.origin_of("http", connection.client)
            writer.write(request)

            assert (await answers(reader)).endswith(b"\r\n\r\nhttp")


async def test_tls(protocol: Any, tmp_path: Any) -> None:
    """Over TLS; the scheme is part of what is asked."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["scheme"])(scope, receive, send)

    settings = {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}
    async with served(cache(seen), protocol, **settings) as server:
        for _ in range(2):
            secure = {"ssl": context, "server_hostname": "localhost"}
            async with server.connected(**secure) as (reader, writer):
                for number in range(4):
                    writer.write(GET)
                    got = await answers(reader)

                    assert got.endswith(b"\r\n\r\nhttps")
                    assert (b"; hit; " in got) is (number > 0 or in_front(server) > 0)
        assert server.connections[-1].cycle is None
        assert GET in front_of(server.config).requests.young
