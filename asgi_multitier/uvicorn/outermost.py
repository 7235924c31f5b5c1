"""Where the cache stands in the application that uvicorn calls, and what is around it.

A hit may be answered in front of all layers only if none of them would have changed the answer or
noted the request. Layers are known by the code of their `__call__`, so that a subclass with one of
its own, or a tool that has replaced it, is not taken for the original.
"""

from dataclasses import dataclass
from enum import Enum, auto
from types import FunctionType
from typing import Any

from ..asgi.layers.harmless import FASTAPI, HARMLESS, PROXY, STARLETTE
from ..asgi.middleware import CacheMiddleware
from ..routing.layers import MAX_DEPTH, attribute

_CACHE = (CacheMiddleware.__module__, f"{CacheMiddleware.__name__}.__call__")


@dataclass(frozen=True, slots=True)
class Outermost:
    """A cache that is the outermost layer which could change an answer.

    Attributes:
        cache: The middleware.
        root_path: What the application gives the scope as its root path; None: it leaves the
            server's.
        proxy: uvicorn's layer that believes a proxy's fields; None where there is none.
    """

    cache: CacheMiddleware
    root_path: str | None = None
    proxy: Any = None


class Missing(Enum):
    """Why there is no cache to ask."""

    NOT_BUILT = auto()
    """The application builds its layers with the first scope that it gets."""
    NOWHERE = auto()
    """No layer that can be seen is a cache."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A layer around the cache that could change an answer, or that wants to know of requests.

    Attributes:
        layer: What it is called: module and name.
    """

    layer: str


def outermost(app: object) -> Outermost | Outside | Missing:
    """Find the cache from the outside in.

    Args:
        app: What uvicorn calls: its configuration's `loaded_app`.
    """
    root_path: str | None = None
    proxy: object = None
    layer = app
    for _ in range(MAX_DEPTH):
        code = _code_of(layer)
        if code == _CACHE:
            assert isinstance(layer, CacheMiddleware)  # noqa: S101  # it has that very method
            return Outermost(layer, root_path, proxy)
        if code == PROXY and proxy is None:
            proxy = layer
        elif code in (STARLETTE, FASTAPI) and _is_plain(layer):
            if attribute(layer, "middleware_stack") is None:
                return Missing.NOT_BUILT
            if code == FASTAPI:
                root_path = attribute(layer, "root_path") or root_path
        elif code not in HARMLESS:
            break
        layer = _inner(layer)
    return Outside(_name_of(layer)) if _has_cache(layer) else Missing.NOWHERE


def _inner(layer: object) -> object:
    """What a layer calls; None where that cannot be seen."""
    inner = attribute(layer, "app")
    return attribute(layer, "middleware_stack") if inner is None else inner


def _code_of(layer: object) -> tuple[str, str] | None:
    """Module and name of the code that runs when a layer is called; None if that is no method."""
    return _code(attribute(type(layer), "__call__"))


def _code(call: object) -> tuple[str, str] | None:
    # What `functools.wraps` copies is not read here: a wrapper is not what it wraps.
    if not isinstance(call, FunctionType):
        return None
    return call.__globals__.get("__name__", ""), call.__code__.co_qualname


def _is_plain(app: object) -> bool:
    """Whether Starlette's own calls lead from an application to its layers, and nothing else.

    FastAPI's calls Starlette's, which tools replace to see all requests; and FastAPI notes requests
    itself as soon as OpenTelemetry has a provider.
    """
    calls = [vars(kind)["__call__"] for kind in type(app).__mro__ if "__call__" in vars(kind)]
    if not {_code(call) for call in calls} <= {STARLETTE, FASTAPI}:
        return False
    enabled = attribute(attribute(app, "_native_telemetry"), "enabled")
    return enabled is None or enabled() is False


def _has_cache(layer: object) -> bool:
    """Whether a cache stands in a layer, or is it."""
    for _ in range(MAX_DEPTH):
        if isinstance(layer, CacheMiddleware):
            return True
        layer = _inner(layer)
    return False


def _name_of(layer: object) -> str:
    kind = layer if isinstance(layer, FunctionType) else type(layer)
    return f"{kind.__module__}.{kind.__qualname__}"
