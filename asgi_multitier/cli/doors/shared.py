"""The server or file of the log, without any process of the application.

This process follows the log as any instance does, and answers what can be known from it: who
runs. It is no instance itself: it tells nothing of itself.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ...manager.manager import CacheManager
from ...redis import connect
from ...redis.examination import Examination, examine
from ..exits import CommandError, Exit
from .door import Answer

_TIMEOUT = 2.0
_KNOWN = ("api/fleet",)


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
        self.cache = CacheManager(
            redis_url=url,
            namespace=namespace,
            heartbeat=False,
            workers=False,
            mode="on",
            warm=None,
            redis_timeout=_TIMEOUT,
        )
        self._link = connect(url, timeout=_TIMEOUT)
        self.name = f"namespace {namespace} at {self._link.name}"

    async def ask(
        self,
        method: str,  # noqa: ARG002
        path: str,
        query: Mapping[str, str] | None = None,  # noqa: ARG002
        body: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Answer:
        """Ask what can be known from the log. See `Door.ask`."""
        if path not in _KNOWN:
            raise CommandError(
                Exit.USAGE,
                f"{self.name}: this cannot be known from the log alone",
                "give --url of an admin application, or run it on a machine of the application",
            )
        await self._reach()
        return Answer(200, (await self.cache.instances()).as_json())

    async def _reach(self) -> None:
        await self.cache.start()
        await self.cache.attached()
        if not self.cache.engine.index.gen:
            raise CommandError(
                Exit.UNREACHABLE,
                f"{self.name}: no answer",
                "check the address, user and password, and that the server runs",
            )

    def events(self, kinds: str) -> AsyncGenerator[dict[str, Any], None]:  # noqa: ARG002
        """Not over this door.

        Raises:
            CommandError: Always.
        """
        raise CommandError(Exit.USAGE, f"{self.name}: events are not known here", "give --url")

    async def examine_server(self) -> Examination:
        """What the server tells of itself."""
        return await examine(self._link, self.cache.namespace, self.cache.invalidation.channel)

    async def close(self) -> None:
        """Stop following."""
        await self.cache.close()
        await self._link.close()
