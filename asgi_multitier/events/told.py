"""What is told to those who watch, and what is said of tiers, operators and audits."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..tracing.attributes import OUTCOME, REASON
from .counters import Counters
from .live import MAX_TEXT, Live
from .log_lines import logger
from .statistics import NOT_COUNTED, Tally
from .troubles import Troubles

if TYPE_CHECKING:
    from ..tracing.traces import Traces


class Told(Counters):
    """Counters, and events for listeners.

    Args:
        clock: Monotonic seconds.
        wall: Unix seconds.

    Attributes:
        live: What happens, for those who watch.
        traces: The spans of the cache; None unless `CacheManager.instrument` was called.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__()
        self.live: Live = Live(clock, wall)
        self._troubles = Troubles()
        self.traces: Traces | None = None

    def _tell(self, kind: str, **told: Any) -> None:
        if self.live.on:
            self.live.emit(kind, **told)

    def passed(self, tally: Tally, route: str, reason: str) -> None:
        """A request meets no cache.

        Args:
            tally: The counters of its route; `NOT_COUNTED` for a request that nothing tells of.
            route: The route.
            reason: Why.
        """
        if tally is NOT_COUNTED:
            return
        tally.passed(reason)
        if self.traces is not None:
            self.traces.note(lambda: {OUTCOME: "pass", REASON: str(reason)})
        if self.live.on:
            self.live.bypassed(route, str(reason))

    def not_stored(self, reason: str, route: str) -> None:
        """What a run of the origin has brought is not stored."""
        self.refused[reason] += 1
        self._tell("refused", route=route, reason=str(reason))

    def acted(self, what: str, right: str, client: str) -> None:
        """An operator has done something by hand.

        Args:
            what: What, without keys, tags and paths.
            right: By which right.
            client: The address, as the server says.
        """
        logger.info("admin.act: %s, by %s at %s", what, right, client or "an unknown address")
        self._tell("act", what=what, right=right)

    def tier_suspended(self, name: str, operation: str, error: str) -> None:
        """A circuit breaker opened: a tier, or one of its servers, fails at something."""
        self._tell("breaker", tier=name, state="open", operation=operation)
        logger.warning(
            "tier %s: circuit breaker open, %s fails: %s; skipped until it answers again",
            name,
            operation,
            error,
        )

    def tier_resumed(self, name: str) -> None:
        """All operations that failed succeed again."""
        self._tell("breaker", tier=name, state="closed")
        logger.info("tier %s answers again", name)

    def not_closed(self, name: str, error: Exception) -> None:
        """A tier's back end could not be released."""
        logger.warning("tier %s could not be closed: %s: %s", name, type(error).__name__, error)

    def wrong_hit(self, route: str, key: str, cause: str, name: str, *, dropped: bool) -> None:
        """An audit has shown that a client got something else than the application answers.

        Args:
            route: What its request is counted under.
            key: The digest of the key of what it got.
            cause: Why, as far as that can be told; see `shadow.Cause`.
            name: The field, cookie, parameter or mutation that this is about; "" for none.
            dropped: Whether what it got was dropped everywhere.
        """
        name = name[:MAX_TEXT]
        self._tell("wrong", route=route, key=key, cause=cause, name=name, dropped=dropped)
        if self._troubles.begins(f"hits are wrong, likely cause: {cause}", route):
            logger.warning(
                "a hit of %s was wrong: the application answers something else to the same "
                "request, and nothing has dropped what was sent; likely cause: %s%s%s",
                route,
                cause,
                f" {name!r}" if name else "",
                "; it was dropped on all instances" if dropped else "",
            )

    def audit_failed(self, error: Exception) -> None:
        """The audit of a hit broke, where the application did not."""
        self.failures["audit"] += 1
        logger.error("the audit of a hit broke; nothing follows for clients", exc_info=error)
