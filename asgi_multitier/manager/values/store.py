"""Values in the tiers: looked up and read, stored, and told to every instance."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...coherence.log import MAX_RIDE, Update
from ...config.policy import Policy
from ...engine.engine import Engine
from ...entry import Born, Entry, Slot
from ...errors import BackendError, SerializationError
from ...events import MANAGER, Outcome
from ...serializers import Serializer
from .entries import entry_of
from .names import checked_key
from .reading import MISSING, Reader

_REACH = 0.25
"""Seconds that a new value's writer waits for its own record before it leaves L2 alone."""


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

    # Looking.

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
        slot = stack.peek(key)
        if slot is not None and self._clock() < slot.entry.fresh_until:
            return slot, 1
        if not stack.has_shared:
            return slot, 1
        found = await stack.fetch(key)
        # Somebody else may have stored it while this caller waited for the reply.
        slot = stack.peek(key)
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
        payloads = {checked_key(key): self._dumped_for(key, value) for key, value in values.items()}
        if not payloads:
            return
        for key, payload in payloads.items():
            if self.too_large(payload):
                limit = self._engine.config.max_entry
                raise SerializationError(
                    f"{key!r}: {len(payload)} bytes are more than max_entry={limit}"
                )
        entries = self._entries(payloads, policy, tags)
        if broadcast:
            await self._announce(entries)
            return
        kept = [self._keep(entry) for entry in entries]
        taken, error = await self._stack.write(entries)
        if not taken and not all(kept):
            reason = error or "there is no room in memory, and no shared tier"
            raise BackendError(f"no tier took {entries[kept.index(False)].key!r}: {reason}")

    def dumped(self, value: Any) -> bytes:
        """The value's bytes.

        Raises:
            SerializationError: If it cannot be turned into bytes.
        """
        return self._serializer.dumps(value)

    def _dumped_for(self, key: str, value: Any) -> bytes:
        try:
            return self.dumped(value)
        except SerializationError as error:
            raise SerializationError(f"{key!r}: {error}") from error

    def too_large(self, payload: bytes) -> bool:
        """Whether these are more bytes than one entry may have."""
        return len(payload) > self._engine.config.max_entry

    def _entries(
        self, payloads: Mapping[str, bytes], policy: Policy, tags: tuple[str, ...]
    ) -> list[Entry]:
        born, now = self._index.born(), self._clock()
        return [
            entry_of(key, payload, policy, tags, born=born, now=now)
            for key, payload in payloads.items()
        ]

    async def _announce(self, entries: list[Entry]) -> None:
        """Tell every instance the new values; they are born with the record that says so."""
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
            # What lies in L2 was dropped by this very operation; a value that cannot be proven
            # to be younger than what else is on its way is not put in its place.
            return
        place: Born = replace(position, fence=operation.fence)
        valid = [entry for entry in entries if self._index.permits(entry)]
        await stack.write([replace(entry, born=place) for entry in valid])

    def _keep(self, entry: Entry) -> bool:
        """Store here; a run that is under way for the key does not overwrite it.

        Returns:
            False if the local tier has no place for it. What was invalidated meanwhile counts as
            stored, and dropped since.
        """
        self._engine.flights.supersede(entry.key)
        slot = self._stack.keep(entry)
        return slot is None or self._stack.local.get(entry.key) is slot
