"""The callers that wait for one key, and which of them leads one more run if the last is slow.

There is one timer for all of them. When the newest run is as old as the patience of the caller that
has waited longest, that caller may lead one more; the age then counts from there on.
"""

import asyncio
import math
from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Generic, TypeAlias, TypeVar

from ...errors import CacheError

R = TypeVar("R")


class WaitExpired(Exception):  # noqa: N818  # an outcome, not a fault
    """A member has waited for as long as it may; the flight goes on."""


class MayLead(Exception):  # noqa: N818  # an outcome, not a fault
    """The run takes too long, and this member, of all that wait, is to lead one more."""


class RunCancelled(CacheError):  # noqa: N818  # an outcome, not a fault
    """The run was cancelled: the cache was closed, or the origin cancelled itself.

    Attributes:
        closed: Whether the cache was closed.
    """

    def __init__(self, message: str, *, closed: bool = False) -> None:
        super().__init__(message)
        self.closed = closed


class _Signal(Enum):
    """Why a member is woken."""

    ANSWERED = auto()
    EXPIRED = auto()
    LEAD = auto()


Member: TypeAlias = "asyncio.Future[_Signal]"
"""A caller that waits."""


class WaitingList(Generic[R]):
    """The callers that wait for a key, its members.

    Attributes:
        answered: Whether there is an answer for them.
        runs: Runs under way that may bring it.
        opened: Runs there have been.
        openers: Members who have begun a run and wait for it.
    """

    def __init__(self) -> None:
        self.answered: bool = False
        self.runs: int = 0
        self.opened: int = 0
        self.openers: int = 0
        self._began = -math.inf
        self._patience = math.inf
        self._members: dict[Member, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._result: R | None = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    def __len__(self) -> int:
        return len(self._members)

    # The runs.

    def begin(self) -> None:
        """One more run is under way; its age counts from now."""
        self.runs += 1
        self.opened += 1
        self._restart()

    def answer(self, result: R) -> None:
        """A run has brought this for all. The first answer counts; a later one is ignored."""
        self.runs -= 1
        if not self.answered:
            self._result = result
            self._wake()

    def fail(self, error: BaseException) -> None:
        """A run has failed. Members get that when no other run may still bring an answer."""
        self.runs -= 1
        if not self.answered and not self.runs:
            self._error = error
            self._traceback = error.__traceback__
            self._wake()

    def _wake(self) -> None:
        self.answered = True
        if self._timer is not None:
            self._timer.cancel()
        for member in self._members:
            if not member.done():
                member.set_result(_Signal.ANSWERED)
        self._members.clear()

    # Who leads.

    def is_late(self, patience: float) -> bool:
        """Whether the newest run is so old that a caller that comes now leads one more."""
        return asyncio.get_running_loop().time() - self._began >= patience

    def hurry(self) -> None:
        """The newest run is slow: the caller that waits longest, or comes next, begins one more."""
        if not self.answered and not self._elect(math.inf):
            self._began = -math.inf

    def _restart(self) -> None:
        """The age of the newest run counts from now."""
        self._began = asyncio.get_running_loop().time()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._members and self._patience < math.inf:
            due = self._began + self._patience
            self._timer = asyncio.get_running_loop().call_at(due, self._due, self._patience)

    def _due(self, age: float) -> None:
        """The newest run is as old as the shortest patience."""
        if not self._elect(age):
            # Whose patience that was has left.
            self._patience = min(self._members.values(), default=math.inf)
            self._arm()

    def _elect(self, age: float) -> bool:
        """Wake the member that has waited longest, of those that lead at this age of a run."""
        for member, patience in self._members.items():
            if patience <= age and patience < math.inf and not member.done():
                del self._members[member]
                self._restart()
                member.set_result(_Signal.LEAD)
                return True
        return False

    # The members.

    async def wait(
        self,
        patience: float | None,
        limit: float | None,
        opener: Callable[[Member], None] | None = None,
    ) -> R:
        """Wait for the answer as a member.

        Args:
            patience: Seconds of age of a run after which this member may lead another; None if it
                never does.
            limit: Seconds to wait at most, or None.
            opener: Takes the member, if it has begun a run: others may wake it as well.

        Raises:
            MayLead: If this member is to lead one more run.
            WaitExpired: If the limit is over.
            BaseException: What the last run raised.
        """
        if not self.answered:
            signal = await self._signal(math.inf if patience is None else patience, limit, opener)
            if signal is _Signal.LEAD:
                raise MayLead
            if signal is _Signal.EXPIRED:
                raise WaitExpired
        if self._error is not None:
            # Each member raises it afresh, as it left the origin: the tracebacks of many members
            # must not pile up on it.
            raise self._error.with_traceback(self._traceback)
        return self._result  # type: ignore[return-value]  # answered without error: a result

    async def _signal(
        self, patience: float, limit: float | None, opener: Callable[[Member], None] | None
    ) -> _Signal:
        loop = asyncio.get_running_loop()
        member: Member = loop.create_future()
        self._members[member] = patience
        if opener is not None:
            opener(member)
            self.openers += 1
        if patience < self._patience or self._timer is None:
            self._patience = min(patience, self._patience)
            self._arm()
        timer = None if limit is None else loop.call_later(limit, _expire, member)
        try:
            return await member
        except asyncio.CancelledError:
            if _has_signal(member, _Signal.LEAD):
                self.hurry()  # the next one, in this one's place
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._members.pop(member, None)
            self.openers -= opener is not None
            if not self._members and self._timer is not None:
                self._timer.cancel()
                self._timer = None


def _has_signal(member: Member, signal: _Signal) -> bool:
    over = member.done() and not member.cancelled() and member.exception() is None
    return over and member.result() is signal


def _expire(member: Member) -> None:
    if not member.done():
        member.set_result(_Signal.EXPIRED)
