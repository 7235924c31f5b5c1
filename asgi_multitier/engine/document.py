"""A document that all processes and all releases of an application share, apart from entries."""

from collections.abc import Callable

from .._types import Clock
from ..entry import Born, Entry
from ..policy.key import RESPONSE_MARK, storage_key
from ..tiers.metadata import Unreadable
from .formats import Format
from .placed import Placed

_UNBORN = Born("", 0)
"""It belongs to no position in the log: no invalidation is about it, and the last writer counts."""


class NoAnswer(Exception):  # noqa: N818  # an outcome, not a fault
    """The tier does not answer."""


class Document:
    """Bytes under one name in a shared tier, signed as entries are.

    Deliberate: a release reads what another has written, which no entry allows; what is in it must
    say its own format.

    Args:
        placed: The tier.
        name: The document's name.
        form: How it is written; its version does not count.
        lifetime: Seconds that it is kept after a write.
        clock: Monotonic seconds.
        unreadable: Called if there is something that cannot be read.
    """

    def __init__(
        self,
        placed: Placed,
        name: str,
        form: Format,
        *,
        lifetime: float,
        clock: Clock,
        unreadable: Callable[[Unreadable], None],
    ) -> None:
        self._placed = placed
        # No key of a response or a value begins so.
        self._key = f"{RESPONSE_MARK}{name}"
        self._form = form
        self._lifetime = lifetime
        self._clock = clock
        self._unreadable = unreadable

    async def read(self) -> bytes | None:
        """What is there; None if there is nothing that can be read.

        Raises:
            NoAnswer: If that is not known.
        """
        ((server, names),) = self._placed.by_server([storage_key(self._key)]).items()
        replies = await self._placed.get(server, names)
        if replies is None:
            raise NoAnswer
        held = replies[0]
        if held is None:
            return None
        entry = self._form.read(held.value, self._key, held.remaining)
        if isinstance(entry, Unreadable):
            self._unreadable(entry)
            return None
        return entry.payload if isinstance(entry.payload, bytes) else None

    async def write(self, data: bytes) -> bool:
        """Replace it; whether the tier took it."""
        now = self._clock()
        until = now + self._lifetime
        entry = Entry(
            key=self._key,
            payload=data,
            born=_UNBORN,
            created=now,
            fresh_until=until,
            keep_until=until,
            filled_at=now,
        )
        written = self._form.written(entry)
        return await self._placed.set({storage_key(self._key): (written, self._lifetime, _UNBORN)})
