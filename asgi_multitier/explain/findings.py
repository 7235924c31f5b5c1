"""What a lint of routes finds: codes that stay the same, with their levels."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final


@unique
class Level(StrEnum):
    """How grave a finding is, the gravest first."""

    ERROR = "error"
    """The application does not start."""

    WARNING = "warning"
    """Something is most likely not as it was meant."""

    INFORMATION = "information"
    """Something to know, or that cannot be checked."""


LEVELS: Final = {
    "E1": Level.ERROR,
    "W1": Level.WARNING,
    "W2": Level.WARNING,
    "W3": Level.WARNING,
    "W4": Level.WARNING,
    "W5": Level.WARNING,
    "W6": Level.WARNING,
    "W7": Level.WARNING,
    "I1": Level.INFORMATION,
    "I2": Level.INFORMATION,
    "I3": Level.INFORMATION,
    "I4": Level.INFORMATION,
}
"""The level of each code; `docs/guides/explain.md` says what each means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        code: What kind it is; never given to another kind.
        level: How grave it is.
        route: The route that it is about; "" for the whole application.
        text: What was found.
        remedy: What to do.
    """

    code: str
    level: Level
    route: str
    text: str
    remedy: str

    @classmethod
    def of(cls, code: str, route: str, text: str, remedy: str) -> "Finding":
        """A finding with the level of its code."""
        return cls(code=code, level=LEVELS[code], route=route, text=text, remedy=remedy)
