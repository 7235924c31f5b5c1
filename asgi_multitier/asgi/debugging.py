"""The middleware in debug mode: each answer says in `Cache-Debug` what the cache did for it.

A class of its own, so that the usual one has no question about it on its way. The field is added to
what leaves, and nothing that is stored has it.
"""

from functools import lru_cache
from typing import Any, Protocol

from .._types import Header, Message, Receive, Scope, Send
from ..engine.noting import Noted, noting
from ..manager.manager import CacheManager
from ..policy.debug_field import debug_line
from ..policy.key import storage_key
from ..routing import Resolved
from .replay import whole_seconds

_GEN = 8
"""Characters of a generation of the log that are shown."""


class _Middleware(Protocol):
    """What is asked of the middleware."""

    manager: CacheManager

    def resolve(self, scope: Scope) -> Resolved:
        """The route of a request, and its rule."""


class Debugging:
    """Comes before the middleware: see the module."""

    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI scope."""
        answer = super().__call__  # type: ignore[misc]
        if scope["type"] != "http":
            await answer(scope, receive, send)
            return
        with noting() as noted:
            await answer(scope, receive, _telling(self, scope, noted, send))


def class_of(middleware: Any) -> Any:
    """The class that a middleware is to have: its own, or in debug mode one made of that."""
    kind: Any = type(middleware)
    debug = middleware.manager.config.debug and not issubclass(kind, Debugging)
    return _made(kind) if debug else kind


@lru_cache(16)
def _made(kind: Any) -> Any:
    return type(kind.__name__, (Debugging, kind), {"__module__": kind.__module__})


def _telling(middleware: _Middleware, scope: Scope, noted: Noted, send: Send) -> Send:
    asked = dict(scope)  # the router writes into the scope

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            line = _line(middleware.manager, middleware.resolve(asked), noted)
            message = {**message, "headers": [*message.get("headers", ()), line]}
        await send(message)

    return telling


def _line(manager: CacheManager, resolved: Resolved, noted: Noted) -> Header:
    """What is known when the answer begins."""
    found: dict[str, Any] = {"key": storage_key(noted.key)} if noted.key else {}
    if (entry := noted.entry) is not None:
        born = f"{entry.born.gen[:_GEN]}/{entry.born.seq}"
        age = max(0, whole_seconds(manager.engine.clock() - entry.created))
        found |= {"age": age, "born": born, "tags": len(entry.tags)}
    return debug_line(rule=resolved.reason, route=resolved.label, looks=noted.looks, **found)
