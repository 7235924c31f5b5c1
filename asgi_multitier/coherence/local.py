"""The log of a single process: the same fences and the same index, without other nodes."""

import time
from collections.abc import Sequence

from .._types import Clock
from ..entry import Born
from ..selectors import Selector
from .follower import Follower
from .index import Index
from .log import Applied, InvalidationStats, LogListener, Operation, Update
from .shared import call_later


class LocalLog:
    """An invalidation log without a server: what is begun is applied in the same moment.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.index: Index = Index(clock=clock)
        self._follower = Follower(self.index, later=call_later, clock=clock)
        self._follower.be_alone()

    @property
    def is_alone(self) -> bool:
        """Whether no other process can write to this log: none can."""
        return True

    def __repr__(self) -> str:
        return f"<LocalLog {self.index!r}>"

    async def start(self, listener: LogListener) -> None:
        """Nothing to follow."""
        self._follower.listener = listener
        self._follower.rearm()

    async def close(self) -> None:
        """Nothing to stop."""

    def begin(
        self, selectors: Sequence[Selector], updates: Sequence[Update] = (), *, settle: float = 0.0
    ) -> Operation:
        """Put an invalidation into force, for good. See `InvalidationLog.begin`."""
        return self._follower.begin_alone(selectors, updates, settle)

    async def commit(self, operation: Operation) -> Born | None:  # noqa: ARG002 (protocol)
        """The position now; the operation was applied when it was begun."""
        return Born(self.index.gen, self.index.seq)

    async def reached(self, position: Born, timeout: float) -> bool:  # noqa: ARG002 (protocol)
        """Whether the position is one of this process."""
        return position.gen == self.index.gen and position.seq <= self.index.seq

    @property
    def node(self) -> str:
        """This process's random id."""
        return self._follower.node

    @property
    def trusted(self) -> bool:
        """Always True: no other node writes."""
        return True

    def stats(self) -> InvalidationStats:
        """A frozen reading of the counters."""
        return self._follower.stats()

    def recent(self) -> list[Applied]:
        """The last records applied, oldest first."""
        return self._follower.recent()
