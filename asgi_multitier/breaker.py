"""A circuit breaker: stop asking what does not answer, and try again with one call at a time.

Pure: the time is an argument, in seconds of any clock that does not go backwards.
"""

from enum import Enum

from .errors import ConfigError


class BreakerState(Enum):
    """`closed` lets calls through, `open` none, `half-open` one at a time to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Opens after some failures in a row; after a while lets one call through to see.

    Whoever was allowed reports how it went: `succeeded` or `failed`. A probe that never reports
    (cancelled, say) holds its place for `reset` seconds only.

    Args:
        failures: Failures in a row that open it, from 1.
        reset: Seconds that it stays open before a probe, more than 0.

    Raises:
        ConfigError: If a value is out of range.
    """

    __slots__ = ("_failed", "_limit", "_reset", "_until", "state")

    state: BreakerState

    def __init__(self, failures: int = 3, reset: float = 1.0) -> None:
        if type(failures) is not int or failures < 1:
            raise ConfigError.of("failures", failures, "a whole number from 1")
        if type(reset) not in (int, float) or not reset > 0:
            raise ConfigError.of("reset", reset, "a number of seconds above 0")
        self.state = BreakerState.CLOSED
        self._limit = failures
        self._reset = reset
        self._failed = 0
        self._until = 0.0

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.state.value}, {self._failed} failures in a row>"

    def allows(self, now: float) -> bool:
        """Whether a call may be made now. True while half-open makes that call the probe."""
        if self.state is BreakerState.CLOSED:
            return True
        if now < self._until:
            return False
        self.state = BreakerState.HALF_OPEN
        self._until = now + self._reset
        return True

    def is_blocked(self, now: float) -> bool:
        """Whether `allows` would say no; asking changes nothing."""
        return self.state is not BreakerState.CLOSED and now < self._until

    def succeeded(self, now: float) -> None:
        """A call went well.

        An answer to a call made before it opened counts as well: the other side is there.
        """
        self.state = BreakerState.CLOSED
        self._failed = 0
        self._until = now

    def failed(self, now: float) -> None:
        """A call failed."""
        self._failed += 1
        if self.state is BreakerState.HALF_OPEN or self._failed >= self._limit:
            self.state = BreakerState.OPEN
            self._until = now + self._reset
