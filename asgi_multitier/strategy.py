"""Named lifetimes, and the accepted forms of a lifetime."""

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, TypeAlias

from .errors import ConfigError

MAX_SECONDS: float = 2**31
"""RFC 9111 §1.2.2: a cache may treat anything larger as 2^31 seconds."""


@dataclass(frozen=True, slots=True, repr=False)
class CacheStrategy:
    """A named lifetime: the time for which a response or value is fresh.

    A number of seconds or a `timedelta` is accepted wherever a strategy is.

    Attributes:
        name: The strategy's name, `"CUSTOM"` for those made by `custom()`.
        seconds: The lifetime in seconds, more than 0 and at most 2^31.
    """

    REAL_TIME: ClassVar["CacheStrategy"]
    SHORT_TERM: ClassVar["CacheStrategy"]
    MEDIUM_TERM: ClassVar["CacheStrategy"]
    LONG_TERM: ClassVar["CacheStrategy"]
    DEFAULT: ClassVar["CacheStrategy"]

    name: str = field(compare=False)
    seconds: float

    @classmethod
    def custom(cls, lifetime: float | timedelta) -> "CacheStrategy":
        """A custom lifetime.

        Args:
            lifetime: Seconds, or a `timedelta`.

        Raises:
            ConfigError: If it is not a number or `timedelta`, not more than 0 s, or more than
                2^31 s.
        """
        return cls("CUSTOM", seconds_of(lifetime, option="lifetime"))

    @property
    def ttl(self) -> timedelta:
        """The lifetime as a `timedelta`."""
        return timedelta(seconds=self.seconds)

    def __repr__(self) -> str:
        return f"CacheStrategy.{self.name}({self.seconds:g} s)"


CacheStrategy.REAL_TIME = CacheStrategy("REAL_TIME", 10.0)
CacheStrategy.SHORT_TERM = CacheStrategy("SHORT_TERM", 300.0)
CacheStrategy.MEDIUM_TERM = CacheStrategy("MEDIUM_TERM", 3600.0)
CacheStrategy.LONG_TERM = CacheStrategy("LONG_TERM", 10800.0)
CacheStrategy.DEFAULT = CacheStrategy("DEFAULT", 300.0)

Lifetime: TypeAlias = CacheStrategy | float | timedelta
"""The accepted forms of a lifetime; plain numbers are seconds."""

_FORMS = (
    "a CacheStrategy such as CacheStrategy.SHORT_TERM, a number of seconds such as 60, or a "
    "timedelta"
)


def seconds_of(value: object, *, option: str, where: str = "", zero: bool = False) -> float:
    """The seconds of a strategy, number or `timedelta`.

    Args:
        value: The value given by the user.
        option: The option's name, for the error.
        where: The route or rule, for the error.
        zero: Whether 0 is allowed.

    Raises:
        ConfigError: If it has another type, or is not finite, negative, zero (unless allowed) or
            above 2^31.
    """
    if isinstance(value, CacheStrategy):
        return value.seconds
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ConfigError.of(option, value, _FORMS, where=where)
    low_enough = math.isfinite(seconds) and seconds <= MAX_SECONDS
    if not low_enough or seconds < 0 or (seconds == 0 and not zero):
        bound = "0 or more" if zero else "more than 0"
        raise ConfigError.of(option, value, f"{bound} and at most 2**31 seconds", where=where)
    return seconds
