"""What a cache does for all is done outside of the request that happened to begin it.

Else a trace would never end, log lines would carry a stranger's request id, and what a request has
put into its context would stay in memory for as long as a connection.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from typing import Any

import pytest

from asgi_multitier import CacheManager, InvalidationConfig
from tests.patience import until
from tests.servers import FaultProxy
from tests.support import settled

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")

OF_A_REQUEST = {"asgi-multitier flight", "asgi-multitier invalidation"}
"""Runs of the application, and what a client waits for."""


class Contexts:
    """Notes for each task of the running event loop which request it stands in."""

    def __init__(self) -> None:
        self._tasks: list[tuple[asyncio.Task[Any], str]] = []
        asyncio.get_running_loop().set_task_factory(self._make)

    def _make(
        self, loop: Any, work: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> Any:
        task = asyncio.Task(work, loop=loop, context=context)
        around = copy_context() if context is None else context
        self._tasks.append((task, around.get(REQUEST, "none")))
        return task

    def of_ours(self) -> dict[str, set[str]]:
        """The requests that tasks of the cache stood in, by the tasks' name."""
        found: dict[str, set[str]] = {}
        for task, request in self._tasks:
            if task.get_name().startswith("asgi-multitier"):
                found.setdefault(task.get_name(), set()).add(request)
        return found


def _manager(kind: str, url: str, place: Path, namespace: str) -> CacheManager:
    if kind == "redis":
        audit = InvalidationConfig(enable_audit_stream=True)
        return CacheManager(redis_url=url, namespace=namespace, invalidation=audit)
    if kind == "sqlite":
        return CacheManager(sqlite=str(place / "cache.db"), namespace=namespace)
    return CacheManager(redis_url=None, namespace=namespace)


@pytest.mark.parametrize("kind", ["redis", "sqlite", "memory"])
async def test_no_work_for_all_stands_in_a_request(
    kind: str, proxy: FaultProxy, tmp_path: Path, namespace: str
) -> None:
    """All of it begins in the first request: following the log, connections, reads and writes."""
    contexts = Contexts()
    manager = _manager(kind, proxy.url, tmp_path, namespace)
    REQUEST.set("first")
    async with manager:
        await until(lambda: manager.engine.log.trusted)
        await manager.get_or_compute("a", lambda: 1, 60, coalesce="fleet")
        await manager.engine.stack.settle()
        manager.engine.stack.local.clear()
        await manager.get("a")
        await manager.invalidate_tags("t")
        await settled()

    found = contexts.of_ours()
    assert {name for name, requests in found.items() if requests != {"none"}} <= OF_A_REQUEST
    assert {"asgi-multitier start", "asgi-multitier home"} <= set(found)
    if kind != "memory":
        wanted = {"log tail", "log sender", "read"}
        assert {f"asgi-multitier {name}" for name in wanted} <= set(found)
    if kind == "redis":
        wanted = {"connecting", "connections", "lease", "audit"}
        assert {f"asgi-multitier {name}" for name in wanted} <= set(found)
