"""What a change drops, when, and that nothing read before it is served after it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import (
    CacheStrategy,
    InvalidationError,
    Rule,
    cached,
    escape_pattern,
    invalidates,
)
from asgi_multitier._types import Receive, Scope, Send
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
    """When `http.response.start` of the change arrives, a GET is already answered anew."""
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


class Shop:
    """A value, an endpoint that reads it, and endpoints that change it in all usual ways."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0

    def app(self) -> FastAPI:
        """The application."""
        app = FastAPI()

        @app.get("/products/{number}")
        @cached(CacheStrategy.SHORT_TERM, tags=["product:{number}", "products"])
        async def product(number: int, lang: str = "en") -> int:
            self.reads += 1
            return self.value

        @app.get("/products")
        @cached(CacheStrategy.SHORT_TERM, tags=["products"], key="all-products")
        async def products() -> int:
            return self.value

        @app.get("/reports/{year}")
        @cached(CacheStrategy.LONG_TERM)
        async def report(year: int) -> int:
            return self.value

        async def session() -> AsyncIterator[None]:
            """Commits after the response was sent, as FastAPI's own documentation has it."""
            yield
            self.value += 1

        def sync_session() -> Iterator[None]:
            yield
            self.value += 1

        @app.put("/products/{number}", dependencies=[Depends(session)])
        @invalidates(tags=["product:{number}"])
        async def commit_late(number: int) -> str:
            return "ok"

        @app.post("/products/{number}", dependencies=[Depends(sync_session)])
        @invalidates(tags=["product:{number}"])
        def commit_late_in_a_thread(number: int) -> str:
            return "ok"

        @app.delete("/products/{number}")
        @invalidates(tags=["products"], routes=[report], patterns=["/reports/*"])
        async def delete(number: int) -> str:
            self.value += 1
            return "ok"

        @app.patch("/products/{number}")
        @invalidates(paths=["/products", "/products/{number}"])
        async def in_background(number: int) -> Response:
            async def work() -> None:
                await asyncio.sleep(0)
                self.value += 1

            return PlainTextResponse("ok", background=BackgroundTask(work))

        return app


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_a_commit_after_the_response_is_never_hidden_by_an_older_read(method: str) -> None:
    """GETs all the time while the change runs: once it has returned, nobody gets the old value."""
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


async def test_annotations_drop_tags_paths_routes_and_patterns() -> None:
    """What `@invalidates` names goes, with templates filled; the rest stays."""
    shop = Shop()
    async with caching(shop.app(), ()) as cache:
        targets = ["/products/1", "/products/1?lang=de", "/products/2", "/products", "/reports/1"]

        async def hits() -> list[bool]:
            return [(await cache.get(target)).hit for target in targets]

        await hits()
        assert await hits() == [True] * 5
        await cache.client.request("PUT", "/products/1")
        assert await hits() == [False, False, True, True, True]
        await cache.client.request("PATCH", "/products/1")
        assert await hits() == [False, False, True, False, True]
        await cache.client.request("DELETE", "/products/9")
        assert await hits() == [False] * 5


async def test_manual_invalidation_reaches_responses() -> None:
    """By tag, path, prefix, pattern, route, name, and all."""
    shop = Shop()
    async with caching(shop.app(), ()) as cache:
        manager = cache.manager
        targets = ["/products/1", "/products/2", "/products", "/reports/1"]

        async def missed() -> list[str]:
            return [target for target in targets if not (await cache.get(target)).hit]

        await missed()
        assert await missed() == []
        for invalidation, dropped in [
            (manager.invalidate_tags("product:1"), targets[:1]),
            (manager.invalidate_path("/products/1"), targets[:1]),
            (manager.invalidate_path("/products", below=True), targets[:3]),
            (manager.invalidate_pattern("/*/1"), [targets[0], targets[3]]),
            (manager.invalidate_route("report"), targets[3:]),
            (manager.invalidate_route("product", number=2), targets[1:2]),
            (manager.invalidate("all-products"), targets[2:3]),
            (manager.clear(), targets),
        ]:
            assert await invalidation is True
            assert await missed() == dropped
            assert await missed() == []


async def test_paths_are_those_of_the_outermost_application_also_in_a_mounted_one() -> None:
    """`paths=` of an endpoint in a mount names the mount too; without it another route is meant."""

    async def read() -> str:
        return "x"

    shop = FastAPI()
    shop.get("/items")(read)

    @shop.put("/right/{number}")
    @invalidates(paths="/shop/items")
    async def right(number: int) -> str:
        return "ok"

    @shop.put("/wrong/{number}")
    @invalidates(paths="/items")
    async def wrong(number: int) -> str:
        return "ok"

    app = FastAPI()
    app.get("/items")(read)
    app.mount("/shop", shop)
    async with caching(app) as cache:
        for change, dropped in (("right", "/shop/items"), ("wrong", "/items")):
            for path in ("/items", "/shop/items"):
                await cache.get(path)
            assert (await cache.client.request("PUT", f"/shop/{change}/1")).status == 200
            missed = [p for p in ("/items", "/shop/items") if not (await cache.get(p)).hit]
            assert missed == [dropped]


async def test_a_parameter_that_was_not_sent_is_dropped_by_the_default_it_stands_for() -> None:
    """Cached without it, invalidated with it, and the other way round."""
    app = FastAPI()

    @app.get("/books")
    @cached(60, tags="books:{lang}")
    async def books(lang: str = "en") -> str:
        return lang

    @app.post("/import")
    @invalidates(tags="books:{lang}")
    async def load(lang: str = "en") -> str:
        return lang

    async with caching(app, ()) as cache:
        targets = ["/books", "/books?lang=en", "/books?lang=fr"]
        for change in ("/import", "/import?lang=en"):
            for target in targets:
                await cache.get(target)
            await cache.client.request("POST", change)
            assert [(await cache.get(t)).hit for t in targets] == [False, False, True]


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    "path", ["/x?y=1", "/x?", "x", "", "?", "http://example.org/x", "*"], ids=repr
)
async def test_a_path_that_nothing_has_is_refused(path: str, below: bool) -> None:
    """The message says what is allowed; nothing is dropped, nothing is sent."""
    async with caching(Origin()) as cache:
        await cache.get("/x?y=1")
        with pytest.raises(InvalidationError) as caught:
            await cache.manager.invalidate_path(path, below=below)

        assert str(caught.value).startswith(f"path={path!r} is not allowed; expected a path that")
        assert "without a query string" in str(caught.value)
        assert (await cache.get("/x?y=1")).hit
        assert cache.manager.invalidation_stats().sent == 0


async def test_a_question_mark_in_a_path_is_dropped_by_a_pattern() -> None:
    """Sent as `%3F` it is no query."""
    async with caching(Origin()) as cache:
        await cache.get("/a%3Fb")
        assert (await cache.get("/a%3Fb")).hit
        await cache.manager.invalidate_pattern("/a?b")

        assert not (await cache.get("/a%3Fb")).hit


async def test_a_change_inside_a_mount_drops_the_mounted_path() -> None:
    """Paths are those that the whole application sees, mounts included."""
    calls = [0]

    async def item(request: Request) -> Response:
        calls[0] += 1
        return PlainTextResponse(str(calls[0]))

    inner = Starlette(routes=[Route("/items", item, methods=["GET", "POST"])])
    outer = Starlette(routes=[Mount("/api", inner), Route("/items", item)])
    async with caching(outer) as cache:
        await cache.get("/api/items")
        await cache.get("/items")
        await cache.client.request("POST", "/api/items")

        assert not (await cache.get("/api/items")).hit
        assert (await cache.get("/items")).hit


@pytest.mark.parametrize(
    ("name", "value", "drops"),
    [
        (b"location", b"/y", True),
        (b"content-location", b"http://example.org/y?q", True),
        (b"location", b"http://evil.example/y", False),
        (b"location", b"http://[", False),
        (b"location", b"\xff\xfe", False),
        (b"cache-group-invalidation", b'"group"', True),
        (b"cache-group-invalidation", b"((((", False),
    ],
)
async def test_what_the_response_names_goes_too(name: bytes, value: bytes, drops: bool) -> None:
    """`Location` and `Content-Location` of this origin, and cache groups; nobody else's."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await respond(send, b"x", (b"cache-groups", b'"group"'))
        else:
            await respond(send, b"", (name, value), status=201)

    async with caching(page) as cache:
        await cache.get("/y")
        reply = await cache.client.request("POST", "/x")

        assert reply.status == 201
        assert (await cache.get("/y")).hit is not drops


async def test_a_percent_encoded_path_is_dropped_in_every_spelling() -> None:
    """Both spellings name the path that the application sees."""
    async with caching(Origin()) as cache:
        for target in ("/caf%C3%A9", "/caf%c3%a9", "/%63af%C3%A9"):
            await cache.get(target)
        await cache.client.request("PUT", "/caf%C3%A9")

        assert not (await cache.get("/caf%c3%a9")).hit
        assert not (await cache.get("/%63af%C3%A9")).hit


async def test_a_percent_encoded_location_names_the_path_that_it_spells() -> None:
    """As the path of a request does, whichever its spelling."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        status = 200 if scope["method"] == "GET" else 201
        await respond(send, b"x", (b"location", b"/caf%C3%A9"), status=status)

    async with caching(page) as cache:
        await cache.get("/%63af%C3%A9")
        await cache.client.request("POST", "/x")

        assert not (await cache.get("/%63af%C3%A9")).hit


@pytest.mark.parametrize("target", ["/" + "a" * 20_000, "/\x00", "/%FF", "*", ""], ids=len)
async def test_an_odd_target_does_not_break_a_change(target: str) -> None:
    """The application's answer arrives whatever its URL looks like."""
    async with caching(changed) as cache:
        reply = await cache.client.request("POST", target)

        assert reply.status == 200


async def test_a_tag_too_long_to_be_stored_does_not_break_a_change() -> None:
    """Nothing can carry it, so nothing is dropped for it."""
    app = FastAPI()

    @app.post("/x")
    @invalidates(tags=["tag:{q}", "short"])
    async def change(q: str) -> str:
        return "ok"

    async with caching(app) as cache:
        await cache.get("/y")
        reply = await cache.client.request("POST", "/x?q=" + "a" * 20_000)

        assert reply.status == 200
        assert (await cache.get("/y")).stored is False


async def test_names_that_cannot_be_found_out_drop_everything() -> None:
    """A callable of `@invalidates` raises: the change is answered, and nothing stale can stay."""
    app = FastAPI()

    def raising(request: Request) -> list[str]:
        raise ValueError("boom")

    @app.post("/x")
    @invalidates(tags=[raising])
    async def change() -> str:
        return "ok"

    @app.get("/y")
    async def page() -> str:
        return "y"

    async with caching(app) as cache:
        await cache.get("/y")
        reply = await cache.client.request("POST", "/x")

        assert reply.status == 200
        assert cache.manager.stats().failures == {"invalidates": 1}
        assert not (await cache.get("/y")).hit


async def test_a_path_too_long_to_be_dropped_is_not_stored() -> None:
    """Whatever `max_url` allows: what no invalidation can name must not stay."""
    async with caching(Origin(), [Rule("*", 300)], max_url=100_000) as cache:
        assert (await cache.get("/" + "a" * 20_000)).detail == "target"
        assert (await cache.get("/a?" + "a" * 20_000)).stored


def users() -> FastAPI:
    """Pages below users, and a change that drops all of one user's."""
    app = FastAPI()

    @app.get("/users/{user}/page")
    @cached(60)
    async def page(user: str) -> str:
        return user

    @app.put("/users/{user}")
    @invalidates(patterns=["/users/{user}/*"])
    async def change(user: str, fails: bool = False) -> None:
        if fails:
            raise ValueError("after the commit")

    return app


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", ["a" * 300, "*", "%3F", "%2A%2A", "a%5C"], ids=len)
async def test_a_pattern_drops_what_its_values_name_and_no_more(name: str, fails: bool) -> None:
    """An id that is long, or holds wildcards: one user's pages, also when the endpoint raises."""
    async with caching(users(), ()) as cache:
        for user in (name, "b", "bc"):
            await cache.get(f"/users/{user}/page")
        change = cache.client.request("PUT", f"/users/{name}?fails={fails}")
        if fails:
            with pytest.raises(ValueError, match="after the commit"):
                await change
        else:
            assert (await change).status == 200

        assert not (await cache.get(f"/users/{name}/page")).hit
        assert (await cache.get("/users/b/page")).hit
        assert (await cache.get("/users/bc/page")).hit
        assert cache.manager.stats().failures.get("invalidates", 0) == 0


async def test_a_pattern_by_hand_is_built_with_escapes() -> None:
    """`escape_pattern` makes a text stand for itself; without it a star is a star."""
    async with caching(users(), ()) as cache:
        for pattern, hit in ((f"/users/{escape_pattern('*')}/*", True), ("/users/*/*", False)):
            await cache.get("/users/b/page")
            await cache.get("/users/*/page")
            await cache.manager.invalidate_pattern(pattern)
            assert not (await cache.get("/users/*/page")).hit
            assert (await cache.get("/users/b/page")).hit is hit


async def test_hundreds_of_patterns_do_not_drop_everything() -> None:
    """More than are kept apart, without a beginning: others' pages stay."""
    async with caching(Origin()) as cache:
        await cache.get("/other")
        for number in range(600):
            await cache.manager.invalidate_pattern(f"*/sku-{number}/*")

        assert (await cache.get("/other")).hit
        assert cache.manager.invalidation_stats().forgotten == 0


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
        pytest.param("UNHEARD", "/expensive", 405, id="a method that nobody knows"),
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


async def test_a_group_lies_within_its_origin() -> None:
    """RFC 9875 §2: one host drops nothing of another's; by hand the group is dropped everywhere."""

    async def grouped(scope: Scope, receive: Receive, send: Send) -> None:
        kind = b"cache-groups" if scope["method"] == "GET" else b"cache-group-invalidation"
        await respond(send, b"x", (kind, b'"a"'))

    async with caching(Origin(grouped)) as cache:
        hosts = [[("host", name)] for name in ("a.example", "b.example")]
        for host in hosts:
            await cache.get("/page", host)
        await cache.client.request("POST", "/edit", hosts[0])

        assert [(await cache.get("/page", host)).hit for host in hosts] == [False, True]
        await cache.manager.invalidate_tags("group:a")
        assert [(await cache.get("/page", host)).hit for host in hosts] == [False, False]


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
