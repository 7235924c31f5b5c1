"""Sending: an operation goes into the log, or waits here until it can.

A record has 250 ms. What could not be sent, or may not have been, is queued by selector in the
`Follower`, stays in force on this node, and is sent as soon as the store takes it.
"""

import asyncio
import logging
from collections.abc import Callable

from .._types import Clock
from ..breaker import CircuitBreaker
from ..entry import Born
from ..errors import BackendError
from .follower import Follower
from .log import Operation
from .records import RecordCodec
from .store import LogStore
from .trust import TRUST

logger = logging.getLogger("asgi_multitier")

COMMIT = 0.25
"""Seconds that a record may take; a commit is one record, unless it brings many values."""

PAUSE = 0.02
MAX_PAUSE = 0.5
"""Seconds between two attempts: at first, and at most."""

_FLUSH = 1.0


class Outbox:
    """What this node has to say.

    Args:
        store: Where records go.
        follower: Knows what waits.
        codec: Makes records of operations.
        clock: Monotonic seconds.
        sent: Called with each operation that has reached the log, at once or later.

    Attributes:
        failure: Why the last operation that could not be sent was not.
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
        self._wake = asyncio.Event()
        self._waiting_since: float | None = None
        self.failure = ""

    def prepare(self) -> None:
        """Serve the event loop that runs now."""
        self._wake = asyncio.Event()
        self.look()

    def look(self) -> None:
        """Something may wait to be sent."""
        if self._follower.queued:
            if self._waiting_since is None:
                self._waiting_since = self._clock()
            self._wake.set()

    @property
    def is_overdue(self) -> bool:
        """Whether something has waited longer to be written than a silent log is trusted.

        A log that can be read and not written (a full disk, no memory, a permission taken away, a
        replica) looks well from the reader's side alone.
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
            # Whoever waited for it left. What it dropped must be dropped everywhere all the same.
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
            position = await self._store.append(
                op,
                data,
                mac,
                after=follower.index.seq,
                timeout=COMMIT,
            )
        self._breaker.succeeded(self._clock())
        follower.sent(operation, epoch)
        self._sent(operation)
        return position

    def _queue(self, operation: Operation) -> None:
        self._follower.unsent(operation)
        self.look()

    async def run(self) -> None:
        """Send what could not be sent, as soon as that is possible. Ends with its task."""
        pause = PAUSE
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (operation := self._follower.resend()) is not None:
                try:
                    await self._send(operation)
                    pause = PAUSE
                    continue
                except BackendError as error:
                    self.failure = str(error)
                    logger.debug("%s: not sent yet: %s", self._store.name, error)
                except Exception:
                    # A sender that ended would keep for itself all that is begun from now on.
                    logger.exception("%s: the sender broke and begins again", self._store.name)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)

    async def flush(self) -> None:
        """Send what waits, again and again for up to a second, or say what is lost."""
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
            logger.error("%s: %s invalidations are lost: %s", self._store.name, lost, failure)
