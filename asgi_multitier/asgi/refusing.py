"""In place of a middleware whose settings are wrong: the server is told, and does not start."""

from asyncio.events import _get_running_loop as loop_here
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, NoReturn, TypeVar

from .._types import Receive, Scope, Send
from ..errors import ConfigError

Init = TypeVar("Init", bound=Callable[..., None])


class Refusing:
    """The `__call__` of a middleware with wrong arguments, or a wrong environment.

    A framework makes its layers at the first message of a server. An error there would count as
    "no lifespan is supported": the server would start, and each request would fail.

    Attributes:
        complaint: What is wrong.
    """

    complaint: ConfigError

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take what there is: the names of options may be wrong, too."""

    @property
    def manager(self) -> NoReturn:
        """There is none. Who asks for it reads why.

        Raises:
            ConfigError: What is wrong.
        """
        raise self.complaint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse to start; where a server does not ask, refuse each request and connection."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self.complaint)})
        raise self.complaint


def refusing(init: Init) -> Init:
    """As `refuse`, for what is wrong with the arguments or the environment of an `__init__`."""

    @wraps(init)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        try:
            init(self, *args, **options)
        except ConfigError as error:
            refuse(self, error)

    made: Any = checked
    return made  # type: ignore[no-any-return]


def refuse(middleware: Any, error: ConfigError) -> None:
    """Let a middleware that a running server has made say at its start what is wrong.

    Raises:
        ConfigError: The error, where no event loop runs, as in an import.
    """
    if loop_here() is None:
        raise error
    kind: Any = type(middleware)
    middleware.complaint, middleware.__class__ = error, _made(kind)


@lru_cache(16)
def _made(kind: Any) -> Any:
    return type(kind.__name__, (Refusing, kind), {"__module__": kind.__module__})
