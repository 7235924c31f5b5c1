"""What is particular to Falcon: paths that a component changes, hooks, templates."""

from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, ConfigError, Rule, cached
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


async def asking(*_: Any) -> None:
    """A hook that may read who asks."""


async def asking_too(*_: Any) -> None:
    """Another."""


def above() -> Any:
    """A mark, and a hook above it."""

    class Hooked:
        @falcon.before(asking)
        @cached(60)
        async def on_get(self, req: Any, resp: Any) -> None: ...

    return Hooked()


def below() -> Any:
    """A hook, and one that runs afterwards around it, below a mark."""

    class Hooked:
        @cached(60)
        @falcon.after(asking_too)
        @falcon.before(asking)
        async def on_get(self, req: Any, resp: Any) -> None: ...

    return Hooked()


def of_class() -> Any:
    """A hook of all responders."""

    @falcon.before(asking)
    class Hooked:
        @cached(60)
        async def on_get(self, req: Any, resp: Any) -> None: ...

    return Hooked()


def of_base() -> Any:
    """A hook of an inherited responder."""

    class Hooked(type(of_class())):  # type: ignore[misc]
        pass

    return Hooked()


@pytest.mark.parametrize("hooked", [above, below, of_class, of_base])
def test_a_responder_with_a_hook_before_it_is_refused(hooked: Any) -> None:
    """A hit runs no hook, and what the hook reads may select the response, or refuse it."""
    app = asgi.App()
    app.add_route("/hooked", hooked())

    with pytest.raises(ConfigError, match="the hook asking: a hit runs no authentication"):
        RouteTable(app).check()
    with pytest.raises(ConfigError, match="depends on the hook asking, and a hit runs no"):
        RouteTable(app, rules=[Rule("/hooked", 60, override=True)]).check()
    found = RouteTable(app).resolve("GET", "/hooked")
    assert (found.policy, found.reason) == (None, "security")


def test_a_hook_without_a_name_is_refused_too() -> None:
    """An object that can be called."""

    class Asking:
        async def __call__(self, *_: Any) -> None: ...

    class Hooked:
        @falcon.before(Asking())
        @cached(60)
        async def on_get(self, req: Any, resp: Any) -> None: ...

    app = asgi.App()
    app.add_route("/hooked", Hooked())

    with pytest.raises(ConfigError, match=r"the hook .*Asking: a hit .*; expected what separates"):
        RouteTable(app).check()


async def test_a_hook_that_takes_nothing_from_the_user_is_allowed() -> None:
    """With `public=True`, or `vary_by=`; a hook after the responder runs when it does."""

    class Hooked:
        @falcon.before(asking)
        @cached(60, public=True)
        async def on_get(self, req: Any, resp: Any) -> None: ...

        @falcon.after(asking)
        @cached(60)
        async def on_get_after(self, req: Any, resp: Any) -> None: ...

        @falcon.before(asking)
        async def on_put_after(self, req: Any, resp: Any) -> None: ...

    app = asgi.App()
    app.add_route("/public", Hooked())
    app.add_route("/after", Hooked(), suffix="after")
    async with served(CacheMiddleware(app, memory())) as client:
        for path in ("/public", "/after"):
            assert [(await client.get(path)).hit for _ in range(2)] == [False, True]


async def test_many_tables_add_one_component() -> None:
    """Each of them knows what ran, and the application does not grow."""
    app = asgi.App()
    app.add_route("/a/{id:int}", Marked())
    before = len(app._unprepared_middleware)
    caches = [CacheMiddleware(app, memory()) for _ in range(3)]
    for cache in caches:
        async with served(cache) as client:
            assert [(await client.get("/a/1")).hit for _ in range(2)] == [False, True]

    assert len(app._unprepared_middleware) == before + 1


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
