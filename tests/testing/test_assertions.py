"""The assertions, with clients of both kinds; each failure says what was found and what to do."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi_multitier import CacheManager, CacheMiddleware, cached, invalidates
from asgi_multitier.testing import (
    assert_bypassed,
    assert_hit,
    assert_invalidates,
    assert_stored,
    assert_varies_on,
    cache_status,
)


@cached(60, tags=["book:{id}"], vary=["accept-language"])
async def book(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.headers.get("accept-language", "en"))


@cached(60, query=["page"], ignore_cookies=True)
async def books(request: Request) -> PlainTextResponse:
    return PlainTextResponse("all")


@invalidates(tags=["book:{id}"])
async def edit(request: Request) -> PlainTextResponse:
    return PlainTextResponse("edited", int(request.query_params.get("status", 200)))


@cached(60)
async def stream(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return StreamingResponse(parts())


async def quiet(request: Request) -> PlainTextResponse:
    return PlainTextResponse("quiet", headers={"cache-control": "no-store"})


def application() -> CacheMiddleware:
    routes = [
        Route("/books", books),
        Route("/books/{id}", book, methods=["GET"]),
        Route("/books/{id}", edit, methods=["PUT"]),
        Route("/stream", stream),
        Route("/quiet", quiet, methods=["GET", "PUT"]),
    ]
    manager = CacheManager(redis_url=None, namespace="assertions")
    return CacheMiddleware(Starlette(routes=routes), manager)


@pytest.fixture
def client() -> TestClient:
    return TestClient(application())


def test_what_holds_passes(client: TestClient) -> None:
    """Each of them, with each form of a request."""
    assert_stored(client.get("/books/1"))
    assert_hit(client.get("/books/1"))
    assert_bypassed(client.get("/quiet"))
    assert_bypassed(client.get("/quiet"), "no-rule")
    assert_bypassed(client.get("/books/1", headers={"authorization": "x"}), "authorization")
    assert_invalidates(client, "PUT /books/1", "/books/1")
    assert_invalidates(client, ("PUT", "/books/1", {"json": {}}), ["/books/1"])
    assert_invalidates(client, lambda: client.put("/books/1"), ["/books/1"])
    assert_varies_on(client, "/books/1", "Accept-Language")
    assert_varies_on(client, "/books", "query:page", ["1", "2"])


async def test_what_holds_passes_with_a_client_that_is_awaited() -> None:
    """The result is awaited then."""
    transport = httpx.ASGITransport(app=application())
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert_stored(await client.get("/books/1"))
        await assert_invalidates(client, "PUT /books/1", ["/books/1"])
        await assert_invalidates(client, client.build_request("PUT", "/books/1"), ["/books/1"])
        await assert_varies_on(client, "/books/1", "accept-language", ["fr", "it"])
        with pytest.raises(AssertionError, match="is still used"):
            await assert_invalidates(client, "PUT /quiet", ["/books/1"])
        with pytest.raises(TypeError, match=r"await client\.get"):
            assert_hit(client.get("/books/1"))


FAILURES: dict[str, tuple[Callable[[TestClient], object], str]] = {
    "a miss is no hit": (
        lambda c: assert_hit(c.get("/books/1")),
        "expected a hit\nfound    Cache-Status: fwd=uri-miss; stored; ttl=60\nwhat to do: the ",
    ),
    "an authorized request": (
        lambda c: assert_hit(c.get("/books/1", headers={"authorization": "x"})),
        "The request has Authorization, which says who asks",
    ),
    "no rule": (lambda c: assert_stored(c.get("/quiet")), "Put @cached(...) on the endpoint"),
    "stored before": (
        lambda c: (c.get("/books/1"), assert_stored(c.get("/books/1"))),
        "something in this test or its fixtures has asked for it already",
    ),
    "no bypass": (
        lambda c: assert_bypassed(c.get("/books/1"), "cookie"),
        "expected a bypass because of 'cookie'",
    ),
    "another reason": (
        lambda c: assert_bypassed(c.get("/quiet"), "cookie"),
        "the reason is 'no-rule'",
    ),
    "passed on early": (
        lambda c: assert_stored(c.get("/stream")),
        "the response was passed on before it was complete",
    ),
    "nothing dropped": (
        lambda c: assert_invalidates(c, "PUT /quiet", "/books/1"),
        "add it to @invalidates(...) of that route",
    ),
    "an edit that fails": (
        lambda c: assert_invalidates(c, "PUT /books/1?status=409", "/books/1"),
        "the request PUT /books/1?status=409 was answered 409",
    ),
    "nothing to drop": (lambda c: assert_invalidates(c, "PUT /quiet", []), "urls is empty"),
    "not cached": (
        lambda c: assert_invalidates(c, "PUT /quiet", ["/quiet"]),
        "expected a hit for /quiet when it is asked again",
    ),
    "a field": (
        lambda c: assert_varies_on(c, "/books", "accept-currency"),
        "Write vary=['accept-currency'] at the route",
    ),
    "a cookie": (
        lambda c: assert_varies_on(c, "/books", "cookie:theme"),
        "Write cookies=['theme'] at the route",
    ),
    "a parameter": (
        lambda c: assert_varies_on(c, "/books", "query:lang"),
        "Add 'lang' to query= of the route",
    ),
    "no cache": (
        lambda c: assert_hit(TestClient(PlainTextResponse("bare")).get("/")),
        "no CacheMiddleware has seen it",
    ),
}


@pytest.mark.parametrize(("check", "said"), FAILURES.values(), ids=list(FAILURES))
def test_what_does_not_hold_is_said(
    client: TestClient, check: Callable[[TestClient], object], said: str
) -> None:
    """In words, with what to do."""
    with pytest.raises(AssertionError) as failure:
        check(client)

    assert said in str(failure.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-status": "Edge; hit, asgi-multitier; fwd=miss; stored"},
        [(b"Cache-Status", b"Edge; hit"), (b"cache-status", b"asgi-multitier; fwd=miss; stored")],
        [("cache-status", "asgi-multitier; fwd=miss; stored, Edge; hit")],
    ],
    ids=["mapping", "lines", "texts"],
)
def test_the_member_of_this_cache_counts(headers: object) -> None:
    """Whatever other caches say, and however the fields are given."""
    status = cache_status(headers)

    assert (status.hit, status.stored, status.forward) == (False, True, "miss")
