"""hishel: an ASGI middleware that follows RFC 9111, with its SQLite storage, here in memory."""

from typing import Any

import anysqlite
from hishel import AsyncSqliteStorage
from hishel.asgi import ASGICacheMiddleware
from hishel.fastapi import cache

from .routes import routes


def app() -> Any:
    """The application; connects when it gets its first message."""
    inner = routes(dependencies=[cache(max_age=10_800, public=True)])
    made: list[Any] = []

    async def connecting(scope: Any, receive: Any, send: Any) -> None:
        if not made:
            connection = await anysqlite.connect(":memory:")
            storage = AsyncSqliteStorage(connection=connection)
            made.append(ASGICacheMiddleware(inner, storage=storage))
        await made[0](scope, receive, send)

    return connecting
