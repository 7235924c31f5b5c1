"""The few places where a framework is asked for something, if one is there.

Nothing is imported: what an application does not use is not in `sys.modules`.
"""

import sys
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from ._types import Receive, Scope, Send

SCOPE_KEY = "asgi_multitier"
"""Under which name the manager stands in the scope of every request that the application gets."""


class PlainRequest:
    """What a rule's callables get where Starlette is not in use; the same names mean the same.

    Attributes:
        scope: The ASGI scope.
        method: The request method.
        path: The decoded path.
        headers: Field values by lower-case name; the last line of a name.
        query_params: Query values by name; the last of a name.
        path_params: What the router found, where it is known.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        query = scope["query_string"].decode("latin-1")
        self.query_params: Mapping[str, str] = dict(parse_qsl(query, keep_blank_values=True))
        self.path_params: Mapping[str, Any] = scope.get("path_params", {})

    @property
    def cookies(self) -> dict[str, str]:
        """Cookie values by name; empty if the field cannot be read."""
        try:
            jar = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}


def request_of(scope: Scope, path_params: Mapping[str, Any]) -> Any:
    """The request as the application's own framework presents it, for a rule's callables."""
    seen = {**scope, "path_params": dict(path_params)}
    starlette = sys.modules.get("starlette.requests")
    return PlainRequest(seen) if starlette is None else starlette.Request(seen)


async def answer_exception(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as if the endpoint had raised: by the application's own exception handlers.

    Raises:
        Exception: The error itself, where the application has no handler for it.
    """

    async def raising(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    exceptions = sys.modules.get("starlette.middleware.exceptions")
    handlers = getattr(scope.get("app"), "exception_handlers", None)
    if exceptions is None or handlers is None:
        raise error
    own = {kind: handler for kind, handler in handlers.items() if kind not in (500, Exception)}
    await exceptions.ExceptionMiddleware(raising, handlers=own)(scope, receive, send)
