"""The few places where a framework is asked for something, if one is in use.

Nothing is imported: what an application does not use is not in `sys.modules`.
"""

import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from .._types import ASGIApp, Header, Message, Receive, Scope, Send
from ..errors import ConfigError
from .receiving import from_the_start

SCOPE_KEY = "asgi_multitier"
"""The key of the manager in the scope of every request that the application gets."""


FILL_KEY = "asgi_multitier.fill"
"""The key of the cache in the scope of a run whose answer it shares."""


SHADOW_KEY = "asgi_multitier.shadow"
"""The key of what a cache notes of a request that it only observes."""


_BOUND = "starlette.max_body_size"
"""The key of the bytes of content that a layer of Starlette's or FastAPI's lets through."""


def bound_of(scope: Scope) -> int | None:
    """The bytes of content after which a layer around the cache raises; None if none says so.

    The route may still raise that bound, so what is beyond it is not for the cache to read.
    """
    bound = scope.get(_BOUND)
    return bound if isinstance(bound, int) else None


class PlainRequest:
    """What a rule's callables get where Starlette is not in use; the same names mean the same.

    Attributes:
        scope: The ASGI scope.
        method: The request method.
        path: The decoded path.
        headers: Field values by lower-case name; the last line of a name.
        query_params: Query values by name; the last of a name.
        path_params: What the router found, where it is known.
        body: The content that was read for the cache.
        state: What stands in the scope's state: `cache` is the manager.
    """

    def __init__(self, scope: Scope, body: bytes = b"") -> None:
        # The rest is made when it is asked for: a rule's callable reads one or two of these.
        self.scope = scope
        self.body = body
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.path_params: Mapping[str, Any] = scope.get("path_params", {})

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Field values by name."""
        return FieldValues(self.scope["headers"])

    @cached_property
    def query_params(self) -> Mapping[str, str]:
        """Query values by name."""
        query = self.scope["query_string"].decode("latin-1")
        return dict(parse_qsl(query, keep_blank_values=True))

    @cached_property
    def state(self) -> SimpleNamespace:
        """What stands in the scope's state."""
        return SimpleNamespace(**self.scope.get("state", {}))

    @property
    def cookies(self) -> dict[str, str]:
        """Cookie values by name; empty if the field cannot be read."""
        try:
            jar = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}


class FieldValues(Mapping[str, str]):
    """Field values by name, in any letter case; the last line of a name. Reads what is asked for.

    Args:
        lines: The field lines of a request.
    """

    def __init__(self, lines: Collection[Header]) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1", "replace")
        found = None
        for line in self._lines:
            if line[0].lower() == wanted:
                found = line[1]
        if found is None:
            raise KeyError(name)
        return found.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self._lines))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._lines})


class Body(bytes):
    """The content of a request; Starlette's `await request.body()` gives it as well."""

    async def __call__(self) -> bytes:
        return self


def request_of(scope: Scope, path_params: Mapping[str, Any], body: bytes | None = None) -> Any:
    """The request as the application's own framework presents it, for a rule's callables.

    Args:
        scope: The request.
        path_params: What the router found.
        body: The content that was read for the cache; None where the rule is not for content.
    """
    seen = dict(scope)  # faster than a display
    seen["path_params"] = dict(path_params)
    starlette = sys.modules.get("starlette.requests")
    if starlette is None:
        return PlainRequest(seen, body or b"")
    if body is None:
        return starlette.Request(seen)
    request = starlette.Request(seen, from_the_start(_ended, body))
    request.body = Body(body)
    return request


async def _ended() -> Message:
    return {"type": "http.disconnect"}


def single_callable(app: Any) -> ASGIApp:
    """An application as ASGI 3 calls it: `app(scope, receive, send)`.

    Args:
        app: One of ASGI 3, or of ASGI 2: `app(scope)` returns what takes `receive` and `send`.

    Raises:
        ConfigError: If it cannot be called, or is a WSGI application.
    """
    allowed = "an ASGI application"
    if not callable(app):
        raise ConfigError.of("app", app, allowed, where="CacheMiddleware")
    taken = _positional(app)
    if taken == 2 and not inspect.iscoroutinefunction(app):
        allowed += "; a WSGI application is made one by a2wsgi.WSGIMiddleware(app)"
        raise ConfigError.of("app", app, allowed, where="CacheMiddleware")
    if taken != 1:
        return app  # type: ignore[no-any-return]  # its signature shows no more

    async def single(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    single.app = app  # type: ignore[attr-defined]  # so that its routes are found
    return single


def _positional(app: Any) -> int | None:
    """How many arguments a call takes by position; None if that is not known."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional for each in parameters)


def answer_to(error: Exception, scope: Scope, app: object) -> ASGIApp | None:
    """What answers an exception of a rule's callable as if the endpoint had raised it.

    That is Starlette's own for its `HTTPException`, and the application's handler where it has one
    for exceptions of this kind. None for any other: it does not determine the answer.

    Args:
        error: The exception.
        scope: The request.
        app: The application, where the scope does not say which one it is.
    """

    async def raising(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    exceptions = sys.modules.get("starlette.middleware.exceptions")
    applications = sys.modules.get("starlette.applications")
    app = scope.get("app", app)
    # Other frameworks call their handlers so as well, but with other arguments.
    if exceptions is None or applications is None or not isinstance(app, applications.Starlette):
        return None
    handlers: Mapping[Any, Any] = app.exception_handlers
    own = {kind: handler for kind, handler in handlers.items() if kind not in (500, Exception)}
    handled = isinstance(error, sys.modules["starlette.exceptions"].HTTPException)
    if not handled and own.keys().isdisjoint(type(error).__mro__):
        return None
    answering: ASGIApp = exceptions.ExceptionMiddleware(raising, handlers=own)
    return answering
