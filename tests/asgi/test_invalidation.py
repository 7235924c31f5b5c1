"""What a change drops, when, and that nothing read before it is served after it."""

import asyncio
from contextlib import suppress

import pytest
from fastapi import FastAPI
from starlette.responses import Response

from asgi_multitier import Rule, cached, invalidates
from asgi_multitier._types import Receive, Scope, Send
from tests.asgi.support import Shop
from tests.support import Origin, Visit, caching, respond, settled


async def changed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything with 200."""
    await respond(send)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE", "UNHEARD"])
@pytest.mark.parametrize(
    ("status", "drops"),
    [(200, True), (201, True), (204, True), (303, True), (304, True)]
    + [(status, False) for status in (400, 401, 403, 404, 409, 422, 500, 503)],
)
async def test_a_successful_change_drops_its_own_url(method: str, status: int, drops: bool) -> None:
    """2xx and 3xx drop every query string and variant of the path; 4xx and 5xx drop nothing."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await respond(send, b"%d" % origin.calls, (b"vary", b"accept-language"))
        else:
            await respond(send, b"", status=status)

    origin = Origin(page)
    async with caching(origin) as cache:
        stored = [
            ("/x", []),
            ("/x?a=1", []),
            ("/x?a=1", [("accept-language", "de")]),
        ]
        for target, lines in [*stored, ("/y", [])]:
            await cache.get(target, lines)
        await cache.client.request(method, "/x?whatever=1")
        for target, lines in stored:
            assert (await cache.get(target, lines)).hit is not drops
        assert (await cache.get("/y")).hit


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_safe_methods_drop_nothing(method: str) -> None:
    """They pass by, and what is stored stays."""
    async with caching(Origin()) as cache:
        await cache.get("/x")
        reply = await cache.client.request(method, "/x")

        assert reply.cache == "fwd=method"
        assert (await cache.get("/x")).hit


async def test_one_miss_after_a_change_and_then_hits_again() -> None:
    """The second dropping, when the application returns, costs no second miss."""
    origin = Origin()
    async with caching(origin) as cache:
        await cache.get("/x")
        put = await cache.client.request("PUT", "/x")
        replies = [await cache.get("/x") for _ in range(3)]

        assert put.cache == "fwd=method"
        assert [reply.hit for reply in replies] == [False, True, True]
        assert {reply.body for reply in replies} == {b"3"}


async def test_dropped_before_the_client_can_know() -> None:
    """When `http.response.start` of the change arrives, a GET is already answered by a new run."""
    seen = []

    class Asking(Visit):
        async def send(self, message: object) -> None:
            seen.append((await cache.get("/x")).body)

    origin = Origin()
    async with caching(origin) as cache:
        await cache.get("/x")
        await cache.client.request("PUT", "/x", visit=Asking())

        assert seen[0] == b"3"
        assert (await cache.get("/x")).body >= b"4"


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_a_commit_after_the_response_is_never_hidden_by_an_older_read(method: str) -> None:
    """GETs all the time while the change runs: once it has returned, none gets the old value."""
    shop = Shop()
    async with caching(shop.app(), ()) as cache:
        for number in range(30):
            reading = True

            async def hammer() -> None:
                while reading:  # noqa: B023
                    await cache.get("/products/1")
                    await asyncio.sleep(0.0005)  # leaves the interpreter to the endpoint's thread

            readers = [asyncio.create_task(hammer()) for _ in range(3)]
            await settled(3)
            await cache.client.request(method, "/products/1")
            after = await cache.get("/products/1")
            reading = False
            await asyncio.gather(*readers)

            assert shop.value == number + 1
            assert after.body == b"%d" % shop.value
            assert (await cache.get("/products/1")).body == b"%d" % shop.value


async def test_a_read_between_response_and_commit_is_dropped_by_the_second_time() -> None:
    """The fill began after the first dropping and read the old value: the second one selects it."""
    committed = asyncio.Event()
    values = [0]

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            await respond(send)
            await committed.wait()
            values[0] += 1
        else:
            await respond(send, b"%d" % values[0])

    async with caching(page) as cache:
        visit = Visit()
        change = asyncio.create_task(cache.client.request("PUT", "/x", visit=visit))
        await visit.heard.wait()
        before = await cache.get("/x")
        assert before.stored
        assert (await cache.get("/x")).hit
        committed.set()
        await change
        after = await cache.get("/x")

        assert (before.body, after.body) == (b"0", b"1")


@pytest.mark.parametrize("ends", ["raises", "cancelled"])
@pytest.mark.parametrize("when", ["after-start", "before-start"])
async def test_a_change_that_does_not_return_well_is_dropped_too(ends: str, when: str) -> None:
    """Raised or cancelled before the start or after it: what was committed is committed."""
    waiting, value = asyncio.Event(), [0]

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await respond(send, b"%d" % value[0])
            return
        if when == "after-start":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        value[0] += 1
        waiting.set()
        if ends == "raises":
            raise ValueError("after the commit")
        await asyncio.Event().wait()

    async with caching(page) as cache:
        await cache.get("/x")
        change = asyncio.create_task(cache.client.request("PUT", "/x"))
        await waiting.wait()
        if when == "after-start":
            await cache.get("/x")
        change.cancel() if ends == "cancelled" else None
        with pytest.raises((ValueError, asyncio.CancelledError)):
            await change
        await settled()

        assert (await cache.get("/x")).body == b"1"


async def test_a_change_cancelled_while_it_is_being_announced_is_announced() -> None:
    """The dropping goes on without the request that began it."""
    reached, free = asyncio.Event(), asyncio.Event()
    async with caching(changed) as cache:
        await cache.get("/x")
        log = cache.manager.engine.log
        commit = log.commit

        async def slow(operation: object) -> object:
            reached.set()
            await free.wait()
            return await commit(operation)  # type: ignore[arg-type]

        log.commit = slow  # type: ignore[method-assign,assignment]
        change = asyncio.create_task(cache.client.request("PUT", "/x"))
        await reached.wait()
        change.cancel()
        await settled()
        assert not (await cache.get("/x")).hit
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await change


async def test_a_change_is_not_answered_before_it_is_announced() -> None:
    """`http.response.start` waits for the log."""
    reached, free = asyncio.Event(), asyncio.Event()
    async with caching(changed) as cache:
        await cache.get("/x")
        log = cache.manager.engine.log
        commit = log.commit

        async def slow(operation: object) -> object:
            reached.set()
            await free.wait()
            return await commit(operation)  # type: ignore[arg-type]

        log.commit = slow  # type: ignore[method-assign,assignment]
        visit = Visit()
        change = asyncio.create_task(cache.client.request("PUT", "/x", visit=visit))
        await reached.wait()
        await settled()
        assert visit.reply.messages == []
        free.set()
        await change
        assert visit.reply.complete


@pytest.mark.parametrize("target", ["/" + "a" * 20_000, "/\x00", "/%FF", "*", ""], ids=len)
async def test_an_odd_target_does_not_break_a_change(target: str) -> None:
    """The application's answer arrives whatever its URL looks like."""
    async with caching(changed) as cache:
        reply = await cache.client.request("POST", target)

        assert reply.status == 200


def site() -> FastAPI:
    """A page that costs much, a login, and changes that answer by redirects."""
    app = FastAPI()

    @app.get("/expensive")
    @cached(60, tags=["page"])
    async def expensive() -> str:
        return "page"

    @app.get("/sub/")
    @cached(60)
    async def sub() -> str:
        return "sub"

    @app.post("/sub/")
    async def change_sub() -> None: ...

    @app.post("/login")
    async def login(next: str) -> Response:  # noqa: A002
        return Response(status_code=303, headers={"location": next})

    @app.put("/expensive")
    async def change(status: int) -> Response:
        return Response(status_code=status, headers={"location": "/sub/"})

    @app.post("/tagged")
    @invalidates(tags=["page"])
    async def tagged(status: int) -> Response:
        return Response(status_code=status, headers={"location": "/"})

    return app


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        pytest.param("POST", "/login?next=/expensive", 303, id="a redirect of the client's choice"),
        pytest.param("POST", "/expensive/", 307, id="the router's own redirect"),
        pytest.param("POST", "/sub", 307, id="the router's own redirect to a slash"),
        pytest.param("POST", "/expensive", 405, id="a method that the route does not take"),
        pytest.param("UNHEARD", "/expensive", 405, id="an unknown method"),
        pytest.param("POST", "/nothing", 404, id="no route"),
        pytest.param("PUT", "/expensive?status=x", 422, id="a request that is refused"),
    ],
)
async def test_a_request_that_no_endpoint_has_acted_on_drops_nothing(
    method: str, target: str, status: int
) -> None:
    """Anybody may send these, as often as they like."""
    async with caching(site(), [Rule("/*", 60)]) as cache:
        for path in ("/expensive", "/sub/", "/sub", "/expensive/"):
            await cache.get(path)
        before = cache.manager.engine.index.fence
        assert (await cache.client.request(method, target)).status == status

        assert (await cache.get("/expensive")).hit
        assert (await cache.get("/sub/")).hit
        if status != 303:
            assert cache.manager.engine.index.fence == before


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("status", [200, 204, 301, 302, 303, 307, 308])
async def test_an_endpoint_s_redirect_is_a_change(status: int, copied: bool) -> None:
    """POST, redirect, GET: its own URL and what it names go, also behind another scope."""
    app = site()

    async def other_scope(scope: Scope, receive: Receive, send: Send) -> None:
        await app(dict(scope), receive, send)

    other_scope.app = app  # type: ignore[attr-defined]
    async with caching(other_scope if copied else app, ()) as cache:
        for change in (f"PUT /expensive?status={status}", f"POST /tagged?status={status}"):
            await cache.get("/expensive")
            method, target = change.split()
            assert (await cache.client.request(method, target)).status == status
            turned_away = copied and status in (307, 308)
            assert (await cache.get("/expensive")).hit is turned_away


async def test_where_no_routes_are_known_a_catch_all_s_answer_counts() -> None:
    """An application without a table: its 2xx is a change whatever the method; its 307 is none."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        status = int(scope["query_string"] or b"200")
        await respond(send, b"", (b"location", b"/y"), status=status)

    async with caching(page) as cache:
        for method in ("POST", "UNHEARD"):
            for status, drops in ((200, True), (303, True), (307, False), (308, False)):
                await cache.get("/x")
                await cache.client.request(method, f"/x?{status}")
                assert (await cache.get("/x")).hit is not drops


class UnavailableError(Exception):
    """What the application has a handler for."""


@pytest.mark.parametrize("raises", [ValueError, UnavailableError])
async def test_an_endpoint_that_fails_halfway_drops_what_it_names(raises: type[Exception]) -> None:
    """Its first half may be committed: whether a handler answers the exception or not."""
    app = FastAPI()
    stored = ["old"]

    @app.exception_handler(UnavailableError)
    async def answered(request: object, error: Exception) -> Response:
        return Response(status_code=503)

    @app.get("/page")
    @cached(60, tags=["page"])
    async def page() -> str:
        return stored[-1]

    @app.get("/other")
    @cached(60, tags=["other"])
    async def other() -> str:
        return "other"

    @app.post("/change")
    @invalidates(tags=["page"])
    async def change() -> None:
        stored.append("new")
        raise raises

    @app.put("/other")
    async def unnamed() -> None:
        raise raises

    async with caching(app, ()) as cache:
        await cache.get("/page")
        await cache.get("/other")
        with suppress(ValueError):
            await cache.client.request("POST", "/change")

        assert (await cache.get("/page")).body == b'"new"'
        assert (await cache.get("/other")).hit
        with suppress(ValueError):
            await cache.client.request("PUT", "/other")
        assert (await cache.get("/other")).hit is (raises is UnavailableError)
