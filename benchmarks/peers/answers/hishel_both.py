"""hishel: its middleware around routes that say how long they are fresh."""

import os
from typing import Any

import anysqlite
from fastapi import FastAPI
from hishel import AsyncRedisStorage, AsyncSqliteStorage
from hishel.asgi import ASGICacheMiddleware
from hishel.fastapi import cache
from redis.asyncio import Redis

from . import data, endpoints


def _arguments(path: str) -> dict[str, Any]:
    if path.startswith("/private"):
        return {}
    if path.startswith("/fragile"):
        return {"dependencies": [cache(max_age=data.SHORT, stale_if_error=60)]}
    return {"dependencies": [cache(max_age=data.LIFETIME)]}


async def _storage() -> Any:
    url = os.environ.get("PEER_REDIS_URL")
    if url:
        return AsyncRedisStorage(client=Redis.from_url(url))
    return AsyncSqliteStorage(connection=await anysqlite.connect(":memory:"))


def app() -> Any:
    """The application; connects when it gets its first message."""
    fields = {"Cache-Control": f"max-age={data.LIFETIME}"}
    inner: FastAPI = endpoints.application(arguments=_arguments, stream_fields=fields)
    made: list[Any] = []

    async def connecting(scope: Any, receive: Any, send: Any) -> None:
        if not made:
            made.append(ASGICacheMiddleware(inner, storage=await _storage()))
        await made[0](scope, receive, send)

    return connecting
