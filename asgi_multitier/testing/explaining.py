"""Asking in a test what would become of a request."""

import asyncio
from asyncio.events import _get_running_loop as loop_here
from typing import Any

from ..explain import Explanation
from ..manager.identity.loading import caches_of
from ..manager.manager import CacheManager


def explain(client: Any, method: str, url: str, *, reveal: bool = True, **options: Any) -> Any:
    """What would become of a request that a test client would send; see `CacheManager.explain`.

    Args:
        client: A test client of httpx or Starlette.
        method: The method of the request.
        url: Its URL, as the client would take it.
        reveal: Whether paths, names and tags are shown with their values.
        **options: What the client's `build_request` takes, such as `headers`; and `run_callables`
            and `shared`.

    Returns:
        The explanation; where an event loop runs, as in an async test, what is to be awaited.

    Raises:
        AssertionError: If the client's application is not known, or has no cache.
    """
    asked = {name: options.pop(name) for name in ("run_callables", "shared") if name in options}
    request = client.build_request(method, url, **options)
    explaining = _cache_of(client).explain(
        request.method,
        str(request.url),
        request.headers.raw,
        body=request.read() or None,
        reveal=reveal,
        **asked,
    )
    return explaining if loop_here() is not None else _run(explaining)


def _run(explaining: Any) -> Explanation:
    found: Explanation = asyncio.run(explaining)
    return found


def _cache_of(client: Any) -> CacheManager:
    app = getattr(client, "app", None) or getattr(getattr(client, "_transport", None), "app", None)
    if app is None:
        raise AssertionError(
            f"explain: the application of {type(client).__name__} is not known; give it a client"
            " that asks an application in this process, such as TestClient(app)"
        )
    for found in caches_of(app):
        if isinstance(found, CacheManager):
            return found
    raise AssertionError(
        "explain: the application has no CacheMiddleware with a manager; write"
        " app.add_middleware(CacheMiddleware, cache=cache)"
    )
