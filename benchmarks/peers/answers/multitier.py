"""This package: annotations, memory, and Redis where there is one."""

import os
from typing import Any, Literal

from fastapi import FastAPI

from asgi_multitier import CacheManager, CacheMiddleware, invalidates
from asgi_multitier import cached as annotated

from . import data, endpoints

# Without these the application does not start: it says that a hit would not tell users apart.
_APART: dict[str, dict[str, Any]] = {
    "accept_language": {"vary": ["accept-language"]},
    "authorization": {"vary": ["authorization"]},
    "session": {"cookies": ["session"]},
}


def _cached(path: str, *names: str) -> Any:
    stale = 60 if path.startswith("/fragile") else None
    apart = _APART.get(names[-1], {})
    coalesce: Literal[True, "fleet"] = "fleet" if os.environ["PEER_REDIS_URL"] else True
    return annotated(
        data.lifetime(path), tags=[path], stale_if_error=stale, coalesce=coalesce, **apart
    )


def _edits(path: str, *names: str) -> Any:
    return invalidates(tags=[path])


def app() -> FastAPI:
    """The application."""
    app = endpoints.application(cached=_cached, edits=_edits)
    manager = CacheManager(redis_url=os.environ["PEER_REDIS_URL"] or None, namespace="answers")
    app.add_middleware(CacheMiddleware, cache=manager)
    return app
