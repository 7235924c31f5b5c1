"""How a command ends: exit codes for scripts, and the error that carries one."""

from enum import IntEnum

from ..errors import CacheError


class Exit(IntEnum):
    """Exit codes of `asgi-multitier`."""

    OK = 0
    FINDING = 1
    """Something was found that needs a person: `doctor`, `report`, `routes --check`."""
    USAGE = 2
    """The arguments are wrong."""
    UNREACHABLE = 3
    """The cache, or the server that holds its log, does not answer."""
    NOT_ALLOWED = 4
    """The token is missing or wrong, or its rights do not suffice."""
    DEGRADED = 5
    """The cache answers, and works without one of its parts."""
    QUEUED = 6
    """Accepted, but not written to the log yet: other instances do not know it."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""
    PIPE = 141
    """What reads the output has ended, such as `head`."""


class CommandError(CacheError):
    """A command cannot do what was asked.

    Attributes:
        exit: The code that the program ends with.
        remedy: What to do about it; "" if the message says it.
    """

    def __init__(self, exit: Exit, message: str, remedy: str = "") -> None:  # noqa: A002 - as in sys
        super().__init__(message)
        self.exit = exit
        self.remedy = remedy
