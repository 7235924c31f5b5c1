"""How many targets are observed: as many as there is time for."""

from typing import Final

LIMIT: Final = 0.02
"""The share of time that the work after responses may take; that before it takes about as much."""

AHEAD: Final = 1.0
"""Seconds of work that may be done ahead of that: a burst is observed whole."""

_WHOLE: Final = 1 << 16
_LEAST: Final = 1 << 6
"""Of so many targets all are observed, and at least so many."""


class Budget:
    """Chooses targets, by a hash of their keys: all requests of one are observed, or none.

    Fewer are chosen while the work takes too long, and more when there is time again. Those that
    are chosen of fewer are among those that are chosen of more.

    Args:
        now: Seconds of any clock.
    """

    __slots__ = ("_chosen", "_left", "_now", "passed")

    def __init__(self, now: float) -> None:
        self._now = now
        self._left = AHEAD
        self._chosen = _WHOLE
        self.passed: int = 0

    @property
    def share(self) -> float:
        """The share of targets that are observed."""
        return self._chosen / _WHOLE

    def takes(self, key: str) -> bool:
        """Whether the target with this key is observed; those that are not are counted."""
        if self._chosen == _WHOLE or hash(key) % _WHOLE < self._chosen:
            return True
        self.passed += 1
        return False

    def spent(self, seconds: float, now: float) -> None:
        """Work was done.

        Args:
            seconds: CPU time that it took.
            now: Seconds of the clock.
        """
        self._left += LIMIT * max(0.0, now - self._now) - seconds
        self._now = now
        if self._left < 0:
            self._chosen = max(_LEAST, self._chosen // 2)
            self._left = AHEAD / 4
        elif self._left > AHEAD:
            self._left = AHEAD if self._chosen == _WHOLE else AHEAD / 2
            self._chosen = min(_WHOLE, self._chosen * 2)
