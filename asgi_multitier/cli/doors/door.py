"""What every way to reach a cache offers."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple, Protocol

from ..exits import CommandError, Exit


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: A status code of HTTP.
        value: The JSON.
    """

    status: int
    value: Any


class Door(Protocol):
    """A way to reach a cache. What it answers is what the admin application answers."""

    @property
    def name(self) -> str:
        """What is reached, for people; without credentials."""

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask one thing.

        Args:
            method: `"GET"` or `"POST"`.
            path: Below the admin application, such as `"api/stats"`.
            query: Parameters.
            body: The object to send.

        Raises:
            CommandError: If nothing answers, or this door cannot answer that.
        """

    def events(self, kinds: str) -> AsyncGenerator[dict[str, Any], None]:
        """What happens, as it happens.

        Args:
            kinds: Words separated by commas; "" for all.

        Raises:
            CommandError: As `ask`.
        """

    async def close(self) -> None:
        """Release everything."""


async def get(door: Door, where: str, /, **query: str | int | None) -> Any:
    """What is at a path below the admin application.

    Raises:
        CommandError: If it cannot be had.
    """
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return checked(door, await door.ask("GET", where, given)).value


def checked(door: Door, answer: Answer) -> Answer:
    """An answer, if it is none that refuses.

    Raises:
        CommandError: Otherwise.
    """
    if answer.status < 400:
        return answer
    problem = answer.value if isinstance(answer.value, dict) else {}
    detail = str(problem.get("detail") or f"answered with status {answer.status}")
    said = f"{door.name}: {detail}"
    if answer.status == 401:
        remedy = (
            "put the token of cache.admin(token=...) into ASGI_MULTITIER_ADMIN_TOKEN, or use "
            "--token-file; if one was given, it is not that of this application"
        )
        raise CommandError(Exit.NOT_ALLOWED, said, remedy)
    if answer.status in (403, 421, 429):
        raise CommandError(Exit.NOT_ALLOWED, said, str(problem.get("allowed") or ""))
    if answer.status == 404:
        remedy = (
            "check the URL: it is that of the mounted cache.admin(...), which answers 404 as long "
            "as it has no token; an older release may not know this command"
        )
        raise CommandError(Exit.UNREACHABLE, said, remedy)
    if answer.status < 500:
        allowed = problem.get("allowed")
        raise CommandError(Exit.USAGE, said, f"allowed: {allowed}" if allowed else "")
    raise CommandError(Exit.UNREACHABLE, said, "look into the log of the application")
