"""What a router leaves in the scope, told to the layers outside where no router has run.

Layers that measure and trace requests look for the route once there is an answer. A hit tells them
what a run of the application would have told: the route that was predicted, which `confirms`
compares with what the router chooses at each run.
"""

import inspect
from typing import Any, TypeAlias

from ..._types import Message, Scope, Send
from ...routing import Resolved
from .harmless import FASTAPI, HARMLESS, PROXY, STARLETTE

Routed: TypeAlias = tuple[Any, Any, Any]
"""The endpoint, the route and the outermost router, as the framework names them in a scope."""

_PASSED = HARMLESS | {PROXY, STARLETTE, FASTAPI}
_OWN = "asgi_multitier."
_SERVERS = ("uvicorn.", "hypercorn.", "granian.", "daphne.", "gunicorn.", _OWN + "asgi.own_client")
"""Modules of what asks the outermost layer, and does not look into a scope: warm-ups as well."""


class Looking:
    """What is known of the layers around one cache.

    Attributes:
        found: One of them may look into a scope once there is an answer, so it is told of the
            route. That costs a hit some time, and a hit does not look for such layers itself.
    """

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: bool = False

    def look(self) -> bool:
        """Look, for all requests that follow; called by what has led to one that is no hit."""
        self.found = self.found or is_looked_at()
        return self.found

    def telling(self, scope: Scope, resolved: Resolved, router: Any, send: Send) -> Send:
        """A `send` that tells the layers of the route with the start of a response; it looks first.

        Args:
            scope: That of the layers. If a router has run until then, it has told them itself.
            resolved: The route that was predicted.
            router: The application's.
            send: Takes the messages.
        """
        routed = routed_of(resolved, router) if self.look() else None
        if routed is None:
            return send
        before = scope.get("endpoint")  # of a router around the cache

        async def telling_first(message: Message) -> None:
            if message["type"] == "http.response.start" and scope.get("endpoint") is before:
                tell(scope, routed, dict(resolved.path_params))
            await send(message)

        return telling_first


def is_looked_at() -> bool:
    """Whether a layer around the cache may look into the scope once there is an answer.

    Asked of the calls that have led to this one, from the inside out, by code that is not on the
    hit path. Only where a server is found, and nothing before it that may look, it is sure that
    there is none: a layer may call the application in a task of its own.
    """
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_SERVERS) and (module, frame.f_code.co_qualname) != PROXY:
            return False
        is_own = module.startswith(_OWN)
        if not is_own and (module, frame.f_code.co_qualname) not in _PASSED:
            return True
        frame = frame.f_back
    return True


def routed_of(resolved: Resolved, router: Any) -> Routed | None:
    """What a router would leave; None if no route is known that it would choose, or its
    framework leaves nothing of that in a scope.

    Args:
        resolved: The route that was predicted.
        router: The application's.
    """
    leaf = resolved.leaf
    if leaf is None or leaf.endpoint is None or leaf.framework:
        return None
    # Where FastAPI puts an object in a route's place, it leaves the one that was written.
    return leaf.endpoint, getattr(leaf.matcher, "original_route", leaf.matcher), router


def tell(scope: Scope, routed: Routed, path_params: dict[str, Any]) -> None:
    """Leave in the layers' scope what a router would have left there.

    Args:
        scope: That of the layers.
        routed: See `routed_of`.
        path_params: Converted path parameters, with those of mounts: for this scope alone.
    """
    scope["endpoint"], scope["route"], router = routed
    if "router" not in scope:  # that of a router around the cache stays, as in a run
        scope["router"] = router
    scope["path_params"] = path_params
