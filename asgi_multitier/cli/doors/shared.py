"""The server or file of the log, without any process of the application.

This process follows the log as any instance does, and answers what can be known from it: who runs,
and what is invalidated. It is no instance itself: it tells nothing of itself.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ...admin.inside import Inside
from ...manager.manager import CacheManager
from ...redis import connect
from ...redis.examination import Examination, examine
from ..exits import CommandError, Exit
from .door import Answer

_TIMEOUT = 2.0
_KNOWN = ("api/fleet", "api/invalidate", "api/log")


class SharedDoor:
    """The log of one namespace.

    Args:
        url: The address of Redis.
        namespace: The application's namespace.

    Attributes:
        cache: What follows the log.

    Raises:
        ConfigError: If one of them is none.
    """

    def __init__(self, url: str, namespace: str) -> None:
        self.cache: CacheManager = CacheManager(
            redis_url=url,
            namespace=namespace,
            heartbeat=False,
            workers=False,
            mode="on",
            warm=None,
            redis_timeout=_TIMEOUT,
        )
        self._link = connect(url, timeout=_TIMEOUT)
        self.name: str = f"namespace {namespace} at {self._link.name}"
        self._inside = Inside(self.cache)

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask what can be known from the log. See `Door.ask`."""
        if path not in _KNOWN:
            raise CommandError(
                Exit.USAGE,
                f"{self.name}: this needs a process of the application; the log alone does not do",
                "give --url of an admin application, or run it on a machine of the application",
            )
        await self._reach()
        if method == "POST":
            await self._check_secret()
        status, value = await self._inside.ask(method, path, query, body)
        return Answer(status, value)

    async def _reach(self) -> None:
        await self.cache.start()
        await self.cache.attached()
        if not self.cache.engine.index.gen:
            raise CommandError(
                Exit.UNREACHABLE,
                f"{self.name}: no answer",
                "check the address, user and password, and that the server runs",
            )

    async def _check_secret(self) -> None:
        """Write nothing that instances cannot read: they would drop everything."""
        fleet = await self.cache.instances()
        if any(finding.kind == "secret" for finding in fleet.findings):
            raise CommandError(
                Exit.NOT_ALLOWED,
                f"{self.name}: instances there have another secret, and could not read a record",
                "set ASGI_MULTITIER_SECRET as it is set for the application",
            )

    async def events(self, kinds: str) -> AsyncGenerator[dict[str, Any], None]:
        """The records of the log, as they are applied here. See `Door.events`."""
        await self._reach()
        async for event in self._inside.events(kinds):
            yield event

    async def examine_server(self) -> Examination:
        """What the server tells of itself."""
        return await examine(self._link, self.cache.namespace, self.cache.invalidation.channel)

    async def close(self) -> None:
        """Stop following."""
        await self.cache.close()
        await self._link.close()
