"""The workers of this machine, by their sockets: no URL and no token, the file system decides.

One worker answers for all: statistics are those of the machine, and an invalidation reaches every
instance by the log.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ...workers import Workers
from ...workers.frames import FrameError
from ..exits import CommandError, Exit
from .door import Answer

QUESTION = "admin"
"""What workers are asked: the same as their admin application."""

TIMEOUT = 15.0


class WorkersDoor:
    """The workers of one application.

    Args:
        namespace: The application's namespace.

    Attributes:
        namespace: As given.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.name: str = f"workers of {namespace} on this machine"
        self._workers = Workers(lambda: namespace, lambda what, error: None)  # noqa: ARG005
        self._number: int | None = None

    async def is_open(self) -> bool:
        """Whether a worker answers."""
        answers = await self._workers.ask_all(QUESTION, {"worker": -1}, 1.0)
        numbers = [a.worker for a in answers if a.worker is not None and a.has_come]
        self._number = min(numbers, default=None)
        return self._number is not None

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask the worker of the lowest number. See `Door.ask`."""
        if self._number is None and not await self.is_open():
            raise self._silent()
        question = {
            "worker": self._number,
            "method": method,
            "path": path,
            "query": dict(query or {}),
            "body": None if body is None else dict(body),
        }
        try:
            answers = await self._workers.ask_all(QUESTION, question, TIMEOUT)
        except FrameError as error:
            raise CommandError(
                Exit.USAGE, f"{self.name}: the question is too long: {error}"
            ) from None
        for answer in answers:
            if answer.worker == self._number and isinstance(answer.value, dict):
                return Answer(int(answer.value["status"]), answer.value["value"])
        raise self._silent()

    def _silent(self) -> CommandError:
        return CommandError(
            Exit.UNREACHABLE,
            f"{self.name}: no answer",
            "check that the application runs on this machine, as this user and with workers=True, "
            "or give --url",
        )

    def events(self, kinds: str) -> AsyncGenerator[dict[str, Any], None]:  # noqa: ARG002
        """Not over this door.

        Raises:
            CommandError: Always.
        """
        raise CommandError(
            Exit.USAGE, f"{self.name}: events are not sent over sockets", "give --url or --redis"
        )

    async def close(self) -> None:
        """Nothing is kept open."""
