"""A circuit breaker: stop asking what does not answer, and try again with one call at a time.

Pure: the time is an argument, in seconds of any clock that does not go backwards.
"""

from collections.abc import Callable, Collection
from enum import Enum
from typing import TypeAlias

from .errors import ConfigError


class BreakerState(Enum):
    """`closed` lets calls through, `open` none, `half-open` one at a time to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Opens after some failures in a row; after a while lets one call through to see.

    Each call that was allowed reports its result: `succeeded` or `failed`. A probe that never
    reports (cancelled, say) holds its place for `reset` seconds only.

    Args:
        failures: Failures in a row that open it, from 1.
        reset: Seconds that it stays open before a probe, more than 0.

    Raises:
        ConfigError: If a value is out of range.
    """

    __slots__ = ("_failed", "_limit", "_reset", "_until", "state")

    def __init__(self, failures: int = 3, reset: float = 1.0) -> None:
        if type(failures) is not int or failures < 1:
            raise ConfigError.of("failures", failures, "a whole number from 1")
        if type(reset) not in (int, float) or not reset > 0:
            raise ConfigError.of("reset", reset, "a number of seconds above 0")
        self.state: BreakerState = BreakerState.CLOSED
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

    def succeeded(self) -> None:
        """A call went well.

        An answer to a call made before it opened counts as well: the other side is there.
        """
        self.state = BreakerState.CLOSED
        self._failed = 0

    def failed(self, now: float) -> None:
        """A call failed."""
        self._failed += 1
        if self._failed >= self._limit:
            self.state = BreakerState.OPEN
            self._until = now + self._reset


Circuit: TypeAlias = tuple[str, str]
"""Name of the server that is called, and of the operation."""

WHOLE = ""
"""Names all servers of a back end together, and the one of a back end that has but one."""


def _only_one() -> tuple[str, ...]:
    return (WHOLE,)


class Breakers:
    """One circuit breaker for each operation on each of a back end's servers.

    Reads that work say nothing of writes that are refused, nor one server of another. Only what has
    failed since it last went well has a breaker here.

    Args:
        failures, reset: As `CircuitBreaker` takes them.
        servers: Gives the names of the servers that there are now; others are forgotten.

    Raises:
        ConfigError: If a value is out of range.
    """

    __slots__ = ("_failing", "_failures", "_reset", "_servers")

    def __init__(
        self,
        failures: int = 3,
        reset: float = 1.0,
        servers: Callable[[], Collection[str]] = _only_one,
    ) -> None:
        CircuitBreaker(failures, reset)
        self._failures = failures
        self._reset = reset
        self._servers = servers
        self._failing: dict[Circuit, CircuitBreaker] = {}

    def __repr__(self) -> str:
        failing = ", ".join(f"{operation} {one!r}" for (_, operation), one in self._failing.items())
        return f"<Breakers {failing or 'all well'}>"

    def allows(self, circuit: Circuit, now: float) -> bool:
        """Whether a call may be made now. See `CircuitBreaker.allows`."""
        breaker = self._failing.get(circuit)
        return breaker is None or breaker.allows(now)

    def is_blocked(self, operation: str, now: float) -> bool:
        """Whether `allows` would say no for every one of the servers; asking changes nothing."""
        if not self._failing:
            return False
        breakers = [self._failing.get((server, operation)) for server in self._servers()]
        return all(breaker is not None and breaker.is_blocked(now) for breaker in breakers)

    def succeeded(self, circuit: Circuit) -> bool:
        """A call went well. True if by this a server is no longer skipped."""
        if not self._failing:
            return False
        were = self._left_out()
        self._failing.pop(circuit, None)
        self._forget_others(circuit)
        return bool(were - self._left_out())

    def failed(self, circuit: Circuit, now: float) -> bool:
        """A call failed. True if by this its server is skipped, for this operation at first."""
        were = self._left_out()
        self._forget_others(circuit)
        breaker = self._failing.setdefault(circuit, CircuitBreaker(self._failures, self._reset))
        breaker.failed(now)
        return circuit[0] in self._left_out() - were

    def _left_out(self) -> set[str]:
        failing = self._failing.items()
        return {circuit[0] for circuit, one in failing if one.state is not BreakerState.CLOSED}

    def _forget_others(self, circuit: Circuit) -> None:
        present = {WHOLE, circuit[0], *self._servers()}
        for other in [other for other in self._failing if other[0] not in present]:
            del self._failing[other]

    def state(self, now: float) -> BreakerState:
        """Open if any call is skipped now, half-open if one is to be tried."""
        out = [one for one in self._failing.values() if one.state is not BreakerState.CLOSED]
        if not out:
            return BreakerState.CLOSED
        blocked = any(one.is_blocked(now) for one in out)
        return BreakerState.OPEN if blocked else BreakerState.HALF_OPEN
