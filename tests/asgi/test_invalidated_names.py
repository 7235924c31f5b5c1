"""What a change drops besides its own URL: tags, paths, routes, patterns and what it answers."""

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from asgi_multitier import InvalidationError, Rule, cached, escape_pattern, invalidates
from asgi_multitier._types import Receive, Scope, Send
from tests.asgi.support import Shop
from tests.support import Origin, caching, respond


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
    """`Location` and `Content-Location` of this origin, and cache groups; not those of others."""

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
