"""Work that is cancelled at one of its awaits, each in turn."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class CutOff:
    """Work that cancels its own task at one of its awaits.

    Args:
        work: A coroutine.
        at: Which await, from 1.
        late: Whether to cancel when what is awaited is already there, and not before.
        only: Names of the tasks that are cut off; None for any.

    Attributes:
        awaits: How many awaits there were.
    """

    def __init__(
        self,
        work: Coroutine[Any, Any, Any],
        at: int,
        *,
        late: bool = False,
        only: tuple[str, ...] | None = None,
    ) -> None:
        self.awaits = 0
        self._work = work
        self._at = at
        self._late = late
        self._only = only

    def __await__(self) -> Generator[Any, Any, Any]:
        step, thrown = self._work.__await__(), None
        while True:
            try:
                awaited = step.send(None) if thrown is None else step.throw(thrown)
            except StopIteration as end:
                return end.value
            self.awaits += 1
            if self.awaits == self._at:
                self._cut(awaited)
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001  # it is the work's own
                thrown = error
            else:
                thrown = None

    def _cut(self, awaited: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._only is not None and task.get_name() not in self._only:
            return
        if self._late and isinstance(awaited, asyncio.Future):
            # Called before the task's own: the task is woken and cancelled in the same turn.
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


async def run(work: CutOff) -> Any:
    """The work as a coroutine, for a task."""
    return await work
