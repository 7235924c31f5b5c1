"""Sending: writes operations to the log, or queues them until that is possible.

A record has 250 ms. What could not be sent, or may not have been, is queued by selector in the
`Follower`, stays in force on this node, and is sent as soon as the store accepts it.
"""

import asyncio
import logging
from collections.abc import Callable

from .._types import Clock
from ..breaker import CircuitBreaker
from ..entry import Born
from ..errors import BackendError
from ..events import ROUND_TRIP_BOUNDS, Histogram
from .follower import Follower
from .log import TRUST, Operation
from .records import RecordCodec
from .store import LogStore

logger: logging.Logger = logging.getLogger("asgi_multitier")

COMMIT = 0.25
"""Seconds that a record may take; a commit is one record, unless it brings many values."""

PAUSE = 0.02
MAX_PAUSE = 0.5
"""Seconds between two attempts: at first, and at most."""

_FLUSH = 1.0


class Outbox:
    """This node's writes to the log.

    Args:
        store: Where records go.
        follower: Knows what is queued.
        codec: Encodes records.
        clock: Monotonic seconds.
        sent: Called with each operation that has reached the log, at once or later.

    Attributes:
        failure: The error of the last operation that could not be sent.
        durations: How long records took to be written, of those that were.
    """

    def __init__(
        self,
        store: LogStore,
        follower: Follower,
        codec: RecordCodec,
        *,
        clock: Clock,
        sent: Callable[[Operation], None],
    ) -> None:
        self._store = store
        self._follower = follower
        self._codec = codec
        self._clock = clock
        self._sent = sent
        self._breaker = CircuitBreaker()
        self._woken = asyncio.Event()
        self._waiting_since: float | None = None
        self.failure: str = ""
        self.durations: Histogram = Histogram(ROUND_TRIP_BOUNDS)

    def prepare(self) -> None:
        """Move to the running event loop."""
        self._woken = asyncio.Event()
        self.wake()

    def wake(self) -> None:
        """Let the sender send what is queued, if anything is."""
        if self._follower.queued:
            if self._waiting_since is None:
                self._waiting_since = self._clock()
            self._woken.set()

    @property
    def is_overdue(self) -> bool:
        """Whether something has been queued for longer than a silent log is trusted.

        A log that can be read but not written (a full disk, no memory, a permission taken away, a
        replica) looks healthy to the reader.
        """
        if not self._follower.queued:
            self._waiting_since = None
        since = self._waiting_since
        return since is not None and self._clock() - since > TRUST

    async def commit(self, operation: Operation) -> Born | None:
        """See `InvalidationLog.commit`."""
        if not self._breaker.allows(self._clock()):
            self._queue(operation)
            return None
        try:
            return await self._send(operation)
        except BackendError as error:
            self.failure = str(error)
            self._breaker.failed(self._clock())
            self._queue(operation)
            return None
        except BaseException:
            # The caller was cancelled. What it dropped must be dropped on every node all the same.
            self._queue(operation)
            raise

    async def _send(self, operation: Operation) -> Born:
        follower = self._follower
        epoch = follower.epoch
        position = Born("", 0)
        for number, body in enumerate(follower.bodies(operation)):
            op = f"{operation.id}.{number}" if number else operation.id
            data, mac = self._codec.encode(op, body)
            follower.sending(op)
            begun = self._clock()
            position = await self._store.append(
                op, data, mac, after=follower.index.seq, timeout=COMMIT
            )
            self.durations.add(self._clock() - begun)
        self._breaker.succeeded()
        follower.sent(operation, epoch)
        self._sent(operation)
        return position

    def _queue(self, operation: Operation) -> None:
        self._follower.unsent(operation)
        self.wake()

    async def run(self) -> None:
        """Send what is queued, as soon as the store accepts it. Ends with its task."""
        pause = PAUSE
        while True:
            await self._woken.wait()
            self._woken.clear()
            while (operation := self._follower.resend()) is not None:
                try:
                    await self._send(operation)
                    pause = PAUSE
                    continue
                except BackendError as error:
                    self.failure = str(error)
                    logger.debug("%s: not sent yet: %s", self._store.name, error)
                except Exception:
                    # If the sender ended, no later invalidation would reach other nodes.
                    logger.exception("%s: sending failed; restarting", self._store.name)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)

    async def flush(self) -> None:
        """Send what is queued, retrying for up to a second, or log what is lost."""
        failure: Exception = TimeoutError("no answer in time")
        try:
            async with asyncio.timeout(_FLUSH):
                while (operation := self._follower.resend()) is not None:
                    try:
                        await self._send(operation)
                    except BackendError as error:
                        failure = error
                        await asyncio.sleep(PAUSE)
        except TimeoutError:
            lost = self._follower.queued
            logger.error(
                "%s: %s invalidations are lost, other processes may serve older copies until they "
                "expire: %s",
                self._store.name,
                lost,
                failure,
            )
