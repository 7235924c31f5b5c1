"""What could not be written to the log: queued, in force here, and sent when that is possible."""

import asyncio

import pytest

from asgi_multitier.coherence.log import TRUST
from asgi_multitier.coherence.outbox import Outbox
from asgi_multitier.coherence.records import RecordCodec
from asgi_multitier.entry import Born
from asgi_multitier.errors import BackendError
from asgi_multitier.selectors import Selector
from asgi_multitier.testing import FakeClock
from tests.coherence.test_follower import Bench
from tests.support import settled

TAG = Selector("tag", "t")


class Store:
    """A store that takes records, hangs, or refuses them.

    Attributes:
        asked: How often it was to take one.
        refuses: Whether it raises.
        gate: It answers when this is set.
    """

    name = "store"

    def __init__(self) -> None:
        self.asked = 0
        self.refuses = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, op: str, data: bytes, mac: bytes, *, after: int, timeout: float) -> Born:
        self.asked += 1
        await self.gate.wait()
        if self.refuses:
            raise BackendError("refused")
        return Born("g", after + 1)


class Sending:
    """An outbox with its parts."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store()
        self.follower = Bench().follower
        codec = RecordCodec("n", None)
        self.outbox = Outbox(
            self.store,  # type: ignore[arg-type]
            self.follower,
            codec,
            clock=self.clock,
            sent=lambda _: None,
        )
        self.outbox.prepare()

    async def commit(self) -> Born | None:
        """Begin an operation, and write it."""
        return await self.outbox.commit(self.follower.begin([TAG], (), 0.0))


@pytest.fixture
async def sending() -> Sending:
    """An outbox in this event loop."""
    return Sending()


async def test_an_operation_whose_caller_is_cancelled_is_sent_all_the_same(
    sending: Sending,
) -> None:
    """What it has dropped here must be dropped everywhere."""
    sending.store.gate.clear()
    commit = asyncio.create_task(sending.commit())
    await settled()
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit

    assert sending.follower.queued == 1


async def test_it_is_overdue_for_as_long_as_something_waits(sending: Sending) -> None:
    """Once all is sent, nothing is; and what fails later has its own time."""
    sending.store.refuses = True
    await sending.commit()
    sending.clock.advance(TRUST + 0.1)
    assert sending.outbox.is_overdue
    sending.store.refuses = False
    await sending.outbox.flush()
    assert not sending.outbox.is_overdue
    sending.store.refuses = True
    await sending.commit()

    assert not sending.outbox.is_overdue


async def test_a_store_that_refuses_is_not_asked_by_each_caller(sending: Sending) -> None:
    """After three failures the next ones are queued at once, for a second."""
    sending.store.refuses = True
    for _ in range(5):
        assert await sending.commit() is None
    assert sending.store.asked == 3
    assert sending.follower.queued == 1
    sending.clock.advance(1.1)
    sending.store.refuses = False

    assert await sending.commit() is not None
    assert await sending.commit() is not None
