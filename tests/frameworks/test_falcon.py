"""What is particular to Falcon: paths that a component changes, hooks, templates."""

from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, cached
from asgi_multitier.routing import RouteTable

from .support import logging_as_before, memory, served

__all__ = ["logging_as_before"]

falcon = pytest.importorskip("falcon")
asgi = pytest.importorskip("falcon.asgi")


class Marked:
    """A resource that is cached."""

    @cached(60)
    async def on_get(self, req: Any, resp: Any, **_: Any) -> None:
        resp.text = "marked"

    async def on_websocket(self, req: Any, ws: Any) -> None: ...


class Other:
    """A resource without a mark."""

    async def on_get(self, req: Any, resp: Any) -> None:
        resp.text = "other"


async def test_another_resource_than_expected_is_not_stored() -> None:
    """A component of the application's middleware gives the router another path."""

    class Moves:
        async def process_request(self, req: Any, resp: Any) -> None:
            req.path = "/other"

    app = asgi.App(middleware=[Moves()])
    app.add_route("/marked", Marked())
    app.add_route("/other", Other())
    async with served(CacheMiddleware(app, manager := memory())) as client:
        replies = [await client.get("/marked") for _ in range(2)]
        assert manager.stats().failures["route-mismatch"] > 0

    assert [(reply.hit, reply.body) for reply in replies] == [(False, b"other")] * 2


async def test_a_hook_above_the_mark() -> None:
    """Falcon's hooks are decorators; the mark is found below them."""

    async def hook(*_: Any) -> None: ...

    class Hooked:
        @falcon.before(hook)
        @cached(60)
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = "hooked"

    app = asgi.App()
    app.add_route("/hooked", Hooked())
    async with served(CacheMiddleware(app, memory())) as client:
        assert [(await client.get("/hooked")).hit for _ in range(2)] == [False, True]


async def test_a_slash_at_the_end_counts_as_the_application_says() -> None:
    """`strip_url_path_trailing_slash`."""
    for strips in (True, False):
        app = asgi.App()
        app.req_options.strip_url_path_trailing_slash = strips
        app.add_route("/marked", Marked())
        reason = RouteTable(app).resolve("GET", "/marked/").reason

        assert reason == ("annotation" if strips else "no-rule")


async def test_routes_that_are_added_later_are_seen() -> None:
    """An application may add them while it runs."""
    app = asgi.App()
    table = RouteTable(app)
    assert table.resolve("GET", "/a/7").reason == "no-rule"
    app.add_route("/a/{id:int(2)}", Marked())
    app.add_route("/b/{rest:path}", Marked())

    assert table.resolve("GET", "/a/7").reason == "no-rule"
    assert table.resolve("GET", "/a/17").texts == {"id": "17"}
    assert [leaf.path for leaf in table.tree.leaves()] == ["/a/{id}", "/b/{rest:path}"]


def test_an_application_of_wsgi_is_left_alone() -> None:
    """Behind an adapter it is no ASGI application, and takes no async component."""

    class Adapter:
        app = falcon.App()

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    class Sync:
        def on_get(self, req: Any, resp: Any) -> None: ...

    Adapter.app.add_route("/marked", Sync())
    table = RouteTable(Adapter())

    assert table.resolve("GET", "/marked").reason == "no-rule"
    assert list(table.tree.leaves()) == []
