"""An edit that commits where a dependency of FastAPI ends: after its answer has been sent.

A module of its own, because most processes of the probe need no FastAPI, which takes long to load.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI

from asgi_multitier import invalidates


def unit_of_work(commit: Callable[[int], Awaitable[None]]) -> FastAPI:
    """The application of that edit, to be mounted.

    Args:
        commit: Raises the number of a key.
    """
    app = FastAPI(openapi_url=None)

    async def committed(key: int) -> AsyncIterator[None]:
        yield
        await commit(key)

    @app.put("/{key}")
    @invalidates(tags=["v:{key}"])
    async def edit(key: int, _: Annotated[None, Depends(committed)]) -> str:
        return "soon"

    return app
