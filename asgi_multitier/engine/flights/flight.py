"""One run of the origin, and the callers that wait for it."""

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec.structs import replace

from ...coherence.index import Index
from ...entry import Entry
from .waiting_list import Member, WaitingList

if TYPE_CHECKING:
    from ...tracing.runs import RunTrace

R = TypeVar("R")


class Flight(Generic[R]):
    """One run of the origin for a waiting list.

    Args:
        seed: What is known of the entry before it exists.
        view: The log view at which it was last found valid.
        after: A flight that takes too long: its waiting list is this one's as well.

    Attributes:
        seed, view: As above; the `born` of the seed is the flight's.
        waiting_list: The callers that wait for it.
        task: The run, once `launch` was called.
        led: Whether a client gets the run's own messages.
        begun: Whether the origin has begun to answer.
        streams: Whether what it answers is sent on while it comes.
        superseded: Whether something younger was stored for the key while it ran.
        answered: Whether this run has brought what it was to bring.
        reported: Whether its failure was counted and logged.
        trace: Its span; None where there are none.
    """

    def __init__(self, seed: Entry, view: int, after: "Flight[R] | None" = None) -> None:
        self.seed: Entry = seed
        self.view: int = view
        follows = after is not None and not after.waiting_list.answered
        self.waiting_list: WaitingList[R] = (
            after.waiting_list if after is not None and follows else WaitingList()
        )
        self.task: asyncio.Task[None] | None = None
        self.led = False
        self.begun: bool = False
        self.streams = False
        self.superseded = False
        self.answered: bool = False
        self.reported = False
        self.trace: RunTrace | None = None
        self._opener: Member | None = None
        self.waiting_list.begin()

    @property
    def waiting(self) -> int:
        """Members now waiting."""
        return len(self.waiting_list)

    @property
    def joined(self) -> int:
        """Members now waiting for a run that another began."""
        return len(self.waiting_list) - self.waiting_list.openers

    @property
    def turn(self) -> int:
        """How many runs there were for the same waiting list before the newest."""
        return self.waiting_list.opened - 1

    @property
    def wanted(self) -> bool:
        """Whether any caller still waits for what the run brings."""
        return self.led or self.waiting > 0

    def is_late(self, patience: float | None) -> bool:
        """Whether it takes so long that a caller that comes now leads one more."""
        return patience is not None and self.waiting_list.is_late(patience)

    def hurry(self) -> None:
        """It will take its time: the caller that waits longest, or comes next, begins one more."""
        self.waiting_list.hurry()

    def begin(self) -> None:
        """The origin has begun to answer."""
        self.begun = True
        if self.trace is not None:
            self.trace.event("first-byte")

    def answer(self, result: R) -> None:
        """Give all members the result. The first answer counts; a later one is ignored."""
        if not self.answered:
            self.answered = True
            if self.trace is not None:
                self.trace.answers(self.joined)
            self.waiting_list.answer(result)

    def fail(self, error: BaseException) -> None:
        """Give all members the exception, unless another run may still answer them.

        Its opener has it in any case.
        """
        if not self.answered:
            self.answered = True
            if self.trace is not None:
                self.trace.answers(self.joined)
            if self._opener is not None and not self._opener.done():
                self._opener.set_exception(error)
            self.waiting_list.fail(error)

    async def wait(
        self, *, patience: float | None = None, limit: float | None = None, opened: bool = False
    ) -> R:
        """Wait for the answer as a member: see `WaitingList.wait`.

        Args:
            patience: Seconds of a run's age after which this member may lead another, or None.
            limit: Seconds to wait at most, or None.
            opened: Whether the member has opened this flight, and never leads another.
        """
        if opened:
            return await self.waiting_list.wait(None, limit, self._open)
        return await self.waiting_list.wait(patience, limit)

    def _open(self, member: Member) -> None:
        self._opener = member

    def renew(self, index: Index) -> None:
        """Take a newer birth: nothing of the origin's answer has been asked for yet."""
        self.seed = replace(self.seed, born=index.born())
        self.view = index.view
