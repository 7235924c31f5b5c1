"""Where the cache stands in an application, and which layers may be passed by."""

from collections.abc import Callable
from typing import Any

import fastapi
import fastapi.applications
import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from uvicorn.middleware.message_logger import MessageLoggerMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from asgi_multitier import CacheManager, CacheMiddleware
from asgi_multitier._types import ASGIApp, Receive, Scope, Send
from asgi_multitier.uvicorn.outermost import Missing, Outermost, Outside, outermost


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """An application."""


def cache(app: ASGIApp = plain) -> CacheMiddleware:
    """A cache around it."""
    return CacheMiddleware(app, CacheManager(redis_url=None))


def built(app: Any, *layers: Any) -> Any:
    """An application with these layers, the last one outermost, as after its first scope."""
    for layer in layers:
        options = {"cache": CacheManager(redis_url=None)} if layer is CacheMiddleware else {}
        app.add_middleware(layer, **options)
    app.middleware_stack = app.build_middleware_stack()
    return app


def given(app: Any = None, **settings: Any) -> Any:
    """An application with settings that some versions do not take, or warn of."""
    app = app or fastapi.FastAPI()
    for name, value in settings.items():
        setattr(app, name, value)
    return app


class Own(Starlette):
    """An application whose calls do more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


class Derived(fastapi.FastAPI):
    """An application with further methods only."""


class OwnCache(CacheMiddleware):
    """A cache that does more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


def hidden(app: ASGIApp) -> ASGIApp:
    """A layer that is a plain function, and shows what it wraps."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    layer.app = app  # type: ignore[attr-defined]
    return layer


def closed(app: ASGIApp) -> ASGIApp:
    """A layer that is a plain function and shows nothing."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return layer


STANDS: dict[str, tuple[Callable[[], Any], str | None, bool]] = {
    "around everything": (lambda: cache(), None, False),
    "around Starlette": (lambda: cache(Starlette()), None, False),
    "behind uvicorn's layer": (lambda: ProxyHeadersMiddleware(cache()), None, True),
    "added to Starlette": (lambda: built(Starlette(), CacheMiddleware), None, False),
    "added last": (lambda: built(Starlette(), GZipMiddleware, CacheMiddleware), None, False),
    "added to FastAPI": (lambda: built(fastapi.FastAPI(), CacheMiddleware), None, False),
    "with a root path": (
        lambda: ProxyHeadersMiddleware(
            built(given(root_path="/api"), CacheMiddleware)  # type: ignore[arg-type]
        ),
        "/api",
        True,
    ),
    "with a name that Starlette does not read": (
        lambda: built(given(Starlette(), root_path="/api"), CacheMiddleware),
        None,
        False,
    ),
    "a bound of content": (
        lambda: built(given(max_body_size=10), CacheMiddleware),
        None,
        False,
    ),
    "a class derived from FastAPI": (lambda: built(Derived(), CacheMiddleware), None, False),
}


@pytest.mark.parametrize("name", STANDS)
def test_the_cache_is_found(name: str) -> None:
    """With what the layers before it do to a request."""
    app, root_path, proxied = STANDS[name]
    found = outermost(app())

    assert isinstance(found, Outermost)
    assert isinstance(found.cache, CacheMiddleware)
    assert found.root_path == root_path
    assert (found.proxy is not None) is proxied


OUTSIDE: dict[str, tuple[Callable[[], Any], str]] = {
    "added later": (lambda: built(Starlette(), CacheMiddleware, GZipMiddleware), "GZipMiddleware"),
    "around the cache": (lambda: GZipMiddleware(cache()), "GZipMiddleware"),
    "uvicorn's trace": (lambda: MessageLoggerMiddleware(cache()), "MessageLoggerMiddleware"),
    "a second layer for proxies": (
        lambda: ProxyHeadersMiddleware(ProxyHeadersMiddleware(cache())),  # type: ignore[arg-type]
        "ProxyHeadersMiddleware",
    ),
    "a function": (lambda: hidden(cache()), "hidden.<locals>.layer"),
    "calls of its own": (lambda: built(Own(), CacheMiddleware), "Own"),
    "a cache with calls of its own": (
        lambda: OwnCache(plain, CacheManager(redis_url=None)),
        "OwnCache",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_other_layers_are_named(name: str) -> None:
    """The first that could change an answer."""
    app, layer = OUTSIDE[name]
    found = outermost(app())

    assert isinstance(found, Outside)
    assert found.layer.endswith(f".{layer}")


MISSING: dict[str, tuple[Callable[[], Any], Missing]] = {
    "not built yet": (lambda: Starlette(), Missing.NOT_BUILT),
    "no cache": (lambda: built(Starlette()), Missing.NOWHERE),
    "plain": (lambda: plain, Missing.NOWHERE),
    "behind a layer that shows nothing": (lambda: closed(cache()), Missing.NOWHERE),
    "in a mount": (
        lambda: built(Starlette(routes=[Mount("/in", built(Starlette(), CacheMiddleware))])),
        Missing.NOWHERE,
    ),
    "None": (lambda: None, Missing.NOWHERE),
}


@pytest.mark.parametrize("name", MISSING)
def test_no_cache_is_found(name: str) -> None:
    """There is none, or none that can be seen, or the layers are not there yet."""
    app, missing = MISSING[name]

    assert outermost(app()) is missing


def test_a_tool_that_replaces_a_call_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitoring wraps the calls of Starlette or of single layers to see all requests."""
    for kind, module in ((Starlette, "starlette.applications"), (CacheMiddleware, None)):
        app = built(Derived(), CacheMiddleware)
        original = kind.__call__

        async def watched(self: Any, *args: Any, call: Any = original) -> None:
            await call(self, *args)

        watched.__module__, watched.__qualname__ = module or "", original.__qualname__
        with monkeypatch.context() as patch:
            patch.setattr(kind, "__call__", watched)

            assert isinstance(outermost(app), Outside), kind
        assert isinstance(outermost(app), Outermost)


def test_telemetry_of_fastapi_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """It notes each request as soon as there is a provider, which may be while the server runs."""
    app = built(fastapi.FastAPI(), CacheMiddleware)
    if not hasattr(app, "_native_telemetry"):
        pytest.skip("this FastAPI has no telemetry of its own")
    trace = pytest.importorskip("opentelemetry.trace")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())

    found = outermost(app)

    assert isinstance(found, Outside)
    assert found.layer == "fastapi.applications.FastAPI"
