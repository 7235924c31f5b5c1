"""Values in the tiers: read and written, looked up, stored, and told to every instance.

Values travel as bytes: the caller whose function ran gets the very object, all others get a copy of
their own. Every call ends in exactly one outcome of `events.Tally`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from msgspec.structs import replace

from ..coherence.log import MAX_RIDE, Update
from ..config.policy import Policy
from ..engine.engine import Engine
from ..entry import Born, Entry, Slot, reuse_of
from ..errors import BackendError, SerializationError
from ..events import MANAGER, Outcome
from ..policy.storing import kept_for_validation
from ..serializers import Serializer, dumps_as
from .keys import checked_key

T = TypeVar("T")

_REACH = 0.25
"""Seconds that a new value's writer waits for its own record before it leaves L2 alone."""

Reader: TypeAlias = Callable[[bytes], Any]
"""Makes a value of stored bytes; raises `SerializationError` if they are not of its kind."""

Writer: TypeAlias = Callable[[Any], bytes]
"""Makes bytes of a value; raises `SerializationError` if they would not give it back."""


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""The answer of a look-up that found nothing; None is a value."""


def reader(serializer: Serializer, type_: type[T] | None) -> Reader:
    """How stored bytes are read: as plain objects, or as instances of a type."""
    if type_ is None:
        return serializer.loads
    return lambda data: serializer.loads_as(data, type_)


def writer(serializer: Serializer, type_: Any) -> Writer:
    """How values become bytes that are read as a type later, or as plain objects."""
    if type_ in (None, Any, object):
        return serializer.dumps
    return lambda value: dumps_as(serializer, value, type_)


def value_entry(
    key: str,
    payload: bytes,
    policy: Policy,
    tags: tuple[str, ...],
    *,
    born: Born,
    now: float,
    cost: float = 0.0,
    data_version: bytes | None = None,
) -> Entry:
    """The entry of a value.

    Args:
        key: The key.
        payload: The value's bytes; empty for one that is yet to come.
        policy: Lifetime and options.
        tags: The value's tags.
        born: The position in the log that this process had applied when the value was made.
        now: The clock's reading.
        cost: Seconds that it took to make, if that is known.
        data_version: The version of the data that it was made of, if that is known.
    """
    lifetime = policy.lifetime or 0.0
    if policy.jitter:
        lifetime *= 1 - policy.jitter * random.random()  # noqa: S311  # not a secret
    revalidate = policy.stale_while_revalidate or 0.0
    on_error = policy.stale_if_error or 0.0
    eager = policy.eager_refresh
    validation = 0.0 if data_version is None else kept_for_validation(lifetime)
    return Entry(
        key=key,
        payload=payload,
        born=born,
        created=now,
        fresh_until=now + lifetime,
        keep_until=now + lifetime + max(revalidate, on_error, validation),
        filled_at=now,
        reuse=reuse_of(revalidate, on_error),
        refresh_at=now + lifetime * eager if eager else float("inf"),
        tags=tags,
        cost=cost,
        data_version=data_version,
    )


class Values:
    """The values of one cache.

    Args:
        engine: The parts.
        serializer: How values become bytes.
    """

    def __init__(self, engine: Engine, serializer: Serializer) -> None:
        self._engine = engine
        self._stack = engine.stack
        self._index = engine.index
        self._clock = engine.clock
        self._tally = engine.events.tally(MANAGER)
        self._serializer = serializer

    def __repr__(self) -> str:
        return f"<Values as {self._serializer.name} in {self._stack!r}>"

    # Look-up.

    async def find(self, key: str, read: Reader) -> Any:
        """The fresh value of a key, or MISSING; counted."""
        slot, level = await self.look(key)
        if slot is not None and self._clock() < slot.entry.fresh_until:
            value = self.read(slot.entry, read)
            if value is not MISSING:
                self._tally.hit(level)
                return value
        self._tally.count(Outcome.MISS)
        return MISSING

    async def look(self, key: str) -> tuple[Slot | None, int]:
        """The freshest slot of a key, which may be stale, and the level of its tier."""
        stack = self._stack
        slot = stack.read(key)
        if slot is not None and self._clock() < slot.entry.fresh_until:
            return slot, 1
        if not stack.has_shared:
            return slot, 1
        try:
            found = await stack.fetch(key)
        except asyncio.CancelledError:
            self._tally.count(Outcome.MISS)  # every call is counted, also one that leaves here
            raise
        # Another caller may have stored it while this one waited for the reply.
        slot = stack.read(key)
        if found is None or (
            slot is not None and slot.entry.fresh_until > found.slot.entry.fresh_until
        ):
            return slot, 1
        return found.slot, found.level

    def read(self, entry: Entry, read: Reader) -> Any:
        """The entry's value; MISSING, counted, if it is of another shape or format."""
        if not isinstance(entry.payload, bytes):
            return MISSING
        return self.parsed(entry.payload, read)

    def parsed(self, payload: bytes, read: Reader) -> Any:
        """The value of these bytes; MISSING, counted, if they are of another shape or format."""
        try:
            return read(payload)
        except SerializationError:
            self._engine.events.failures["value-unreadable"] += 1
            return MISSING

    # Storing.

    async def put(
        self, values: Mapping[str, Any], policy: Policy, tags: tuple[str, ...], *, broadcast: bool
    ) -> None:
        """Store values in every tier, in one round trip to each.

        Raises:
            SerializationError: If one cannot be turned into bytes, or into too many.
            BackendError: If no tier took them.
        """
        payloads = {checked_key(key): self._dumped(key, value) for key, value in values.items()}
        if not payloads:
            return
        born, now = self._index.born(), self._clock()
        entries = [
            value_entry(key, payload, policy, tags, born=born, now=now)
            for key, payload in payloads.items()
        ]
        if broadcast:
            await self._announce(entries)
            return
        kept = [self._keep(entry) for entry in entries]
        taken, error = await self._stack.write(entries)
        if not taken and not all(kept):
            reason = error or "there is no room in memory, and no shared tier"
            raise BackendError(f"no tier took {entries[kept.index(False)].key!r}: {reason}")

    def _dumped(self, key: str, value: Any) -> bytes:
        try:
            payload = self._serializer.dumps(value)
        except SerializationError as error:
            raise SerializationError(f"{key!r}: {error}") from error
        if self.is_too_large(payload):
            limit = self._engine.config.max_entry
            raise SerializationError(
                f"{key!r}: {len(payload)} bytes are more than max_entry={limit}"
            )
        return payload

    def is_too_large(self, payload: bytes) -> bool:
        """Whether these are more bytes than one entry may have."""
        return len(payload) > self._engine.config.max_entry

    async def _announce(self, entries: list[Entry]) -> None:
        """Tell every instance the new values, whose place in the log is the record that says so."""
        log, stack, now = self._engine.log, self._stack, self._clock()
        updates = []
        for entry in entries:
            data = stack.encoded(entry)
            riding = data if len(data) <= MAX_RIDE else None
            updates.append(Update(entry.key, riding, entry.keep_until - now, entry.tags))
        operation = log.begin([], updates)
        entries = [replace(entry, born=operation.born) for entry in entries]
        for entry in entries:
            self._keep(entry)
        position = await log.commit(operation)
        if position is None or not stack.shared or not await log.reached(position, _REACH):
            # This operation has dropped what lies in L2. A value that cannot be proven to be
            # younger than other writes under way is not put in its place.
            return
        place: Born = replace(position, fence=operation.fence)
        valid = [entry for entry in entries if self._index.permits(entry)]
        await stack.write([replace(entry, born=place) for entry in valid])

    def _keep(self, entry: Entry) -> bool:
        """Store here; a run that is under way for the key does not overwrite it.

        Returns:
            False if the local tier has no room for it. A value that was invalidated meanwhile
            counts as stored and dropped since.
        """
        self._engine.flights.supersede(entry.key)
        slot = self._stack.keep(entry, wanted=True)
        return slot is None or self._stack.find(entry.key) is slot
