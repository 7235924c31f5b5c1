"""Values: how one is looked up, stored and computed.

The same tiers, flights and log as for responses, with a function in the place of the application.
Every call ends in exactly one outcome of `events.Tally`. Values travel as bytes: whoever computes
one keeps his own object, everybody else gets a copy of his own.

A run of a compute function is a flight: it goes on when a caller leaves, or has waited for long
enough, and what it brings is stored only if nothing that selects it was invalidated since it began,
and nobody has set the key since.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import isawaitable
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

from .coalescing import Flight, WaitExpired, running_for, waits_for_itself
from .coherence.log import MAX_RIDE, Update
from .config import Policy
from .engine import Engine
from .entry import Born, Entry, Slot
from .errors import BackendError, CacheError, ConfigError, SerializationError
from .events import MANAGER
from .fleet import Claim, Leases, run_in_fleet
from .options import refuse_unknown
from .policy.key import RESPONSE_MARK, storage_key
from .policy.reasons import Reason
from .policy.reuse import usable_on_error
from .selectors import is_short
from .serializers import Serializer
from .strategy import Lifetime, seconds_of
from .templates import MAX_TAG_BYTES, MAX_TAGS

T = TypeVar("T")

MAX_KEY = 8192
"""Bytes of UTF-8 of a key, at most."""

_REACH = 0.25
"""Seconds that a new value's writer waits for its own record before it leaves L2 alone."""

Reader: TypeAlias = Callable[[bytes], Any]
"""Makes a value of stored bytes; raises `SerializationError` if they are not of its kind."""


class _Missing:
    """The answer of a look-up that found nothing: None is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class StoreOptions(TypedDict, total=False):
    """What may be said beside the lifetime where a value is stored; `Policy` has the meanings."""

    jitter: float
    stale_while_revalidate: Lifetime | None
    stale_if_error: Lifetime | None
    eager_refresh: float | None


class ComputeOptions(StoreOptions, total=False):
    """What may be said where a value is computed; `Policy` has the meanings and the defaults.

    `hard_timeout` is for how long a caller waits: the run goes on without him, for up to 30 s, and
    what it brings is stored.
    """

    coalesce: bool | Literal["fleet"]
    coalesce_timeout: Lifetime | None
    soft_timeout: Lifetime | None
    hard_timeout: Lifetime | None


_STORE = frozenset(StoreOptions.__annotations__)
_COMPUTE = frozenset(ComputeOptions.__annotations__)


def store_policy(strategy: Lifetime, where: str, options: Mapping[str, Any]) -> Policy:
    """What holds for a value that is stored.

    Raises:
        ConfigError: If the lifetime or an option is not allowed.
    """
    refuse_unknown(options, _STORE, where=where)
    return _policy(strategy, where, options)


def compute_policy(strategy: Lifetime, where: str, options: Mapping[str, Any]) -> Policy:
    """What holds for a value that is computed.

    Raises:
        ConfigError: If the lifetime or an option is not allowed, or two contradict.
    """
    refuse_unknown(options, _COMPUTE, where=where)
    return _policy(strategy, where, options)


def _policy(strategy: Lifetime, where: str, options: Mapping[str, Any]) -> Policy:
    try:
        return _made(strategy, where, **options)
    except TypeError:  # something that is not hashable, and so nothing that is allowed
        return _make(strategy, where, **options)


def _make(strategy: Lifetime, where: str, **options: Any) -> Policy:
    return Policy(seconds_of(strategy, option="strategy", where=where), where=where, **options)


# Checking costs more than a hit. By type as well, since True and 1 are not the same here.
_made = lru_cache(maxsize=1024, typed=True)(_make)


def checked_key(key: object) -> str:
    """The key.

    Raises:
        ConfigError: If it is none.
    """
    if (
        not isinstance(key, str)
        or not 0 < len(key) <= MAX_KEY
        or key[0] == RESPONSE_MARK
        or not is_short(key)
    ):
        shown = key[:80] if isinstance(key, str) else key
        allowed = f"a text of 1 to {MAX_KEY} bytes of UTF-8 that does not begin with NUL"
        raise ConfigError.of("key", shown, allowed, where="CacheManager")
    return key


def checked_tags(tags: object) -> tuple[str, ...]:
    """The tags.

    Raises:
        ConfigError: If they are none, too many, or one is too long.
    """
    allowed = f"at most {MAX_TAGS} texts of 1 to {MAX_TAG_BYTES} bytes"
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise ConfigError.of("tags", tags, allowed, where="CacheManager")
    marks = tuple(tags)
    if len(marks) > MAX_TAGS:
        raise ConfigError.of("tags", f"{len(marks)} of them", allowed, where="CacheManager")
    for tag in marks:
        sound = isinstance(tag, str) and is_short(tag)
        if not sound or not 0 < len(tag.encode()) <= MAX_TAG_BYTES:
            raise ConfigError.of("tags", tag, allowed, where="CacheManager")
    return marks


@dataclass(frozen=True, slots=True)
class Ask:
    """One caller's question for a value that may have to be computed.

    Attributes:
        key: The key.
        compute: A function without arguments, sync or async.
        policy: Lifetime and options.
        tags: What the value will be found by.
        read: Makes a value of stored bytes.
    """

    key: str
    compute: Callable[[], Any]
    policy: Policy
    tags: tuple[str, ...]
    read: Reader


@dataclass(frozen=True, slots=True)
class _Result:
    """What a run brings.

    Attributes:
        payload: The value's bytes, for everybody.
        value: The value itself, for who computed it; MISSING if it was computed elsewhere.
    """

    payload: bytes
    value: Any = MISSING


@dataclass(frozen=True, slots=True)
class _StandIn:
    """A stale value that is used because the run takes too long."""

    value: Any


class Values:
    """The value side of one cache.

    Args:
        engine: The parts.
        serializer: How values become bytes.
    """

    def __init__(self, engine: Engine, serializer: Serializer) -> None:
        self._engine = engine
        self._stack = engine.stack
        self._flights = engine.flights
        self._index = engine.index
        self._clock = engine.clock
        self._tally = engine.events.tally(MANAGER)
        self._serializer = serializer

    def __repr__(self) -> str:
        return f"<Values as {self._serializer.name} in {self._stack!r}>"

    # Looking.

    async def find(self, key: str, read: Reader) -> Any:
        """The fresh value of a key, or MISSING."""
        slot, level = await self._look(key)
        if slot is not None and self._clock() < slot.entry.fresh_until:
            value = self._read(slot.entry, read)
            if value is not MISSING:
                self._count_hit(level)
                return value
        self._tally.misses += 1
        return MISSING

    async def _look(self, key: str) -> tuple[Slot | None, int]:
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

    def _read(self, entry: Entry, read: Reader) -> Any:
        """The entry's value; MISSING, counted, if it is of another shape or format."""
        if not isinstance(entry.payload, bytes):
            return MISSING
        return self._parsed(entry.payload, read)

    def _parsed(self, payload: bytes, read: Reader) -> Any:
        try:
            return read(payload)
        except SerializationError:
            self._engine.events.failures["value-unreadable"] += 1
            return MISSING

    def _count_hit(self, level: int) -> None:
        if level == 1:
            self._tally.local += 1
        else:
            self._tally.hits[level] += 1

    # Storing.

    async def put(
        self, values: Mapping[str, Any], policy: Policy, tags: tuple[str, ...], *, broadcast: bool
    ) -> None:
        """Store values in every tier, in one round trip to each.

        Raises:
            SerializationError: If one cannot be turned into bytes, or into too many.
            BackendError: If no tier took them.
        """
        payloads = {checked_key(key): self._bytes(value) for key, value in values.items()}
        if not payloads:
            return
        for key, payload in payloads.items():
            if self._too_large(payload):
                limit = self._engine.config.max_entry
                raise SerializationError(
                    f"{key!r}: {len(payload)} bytes are more than max_entry={limit}"
                )
        if broadcast:
            await self._announce(payloads, policy, tags)
            return
        born = self._index.born()
        entries = [self._entry(key, data, policy, tags, born) for key, data in payloads.items()]
        kept = [self._keep(entry) for entry in entries]
        taken, error = await self._stack.write(entries)
        if not taken and not all(kept):
            reason = error or "there is no room in memory, and no shared tier"
            raise BackendError(f"no tier took {entries[kept.index(False)].key!r}: {reason}")

    def _bytes(self, value: Any) -> bytes:
        return self._serializer.dumps(value)

    def _too_large(self, payload: bytes) -> bool:
        return len(payload) > self._engine.config.max_entry

    async def _announce(
        self, payloads: Mapping[str, bytes], policy: Policy, tags: tuple[str, ...]
    ) -> None:
        """Tell every instance the new values; they are born with the record that says so."""
        log, stack, now = self._engine.log, self._stack, self._clock()
        born = self._index.born()
        entries = [self._entry(key, data, policy, tags, born) for key, data in payloads.items()]
        updates = []
        for entry in entries:
            data = stack.encoded(entry)
            riding = data if len(data) <= MAX_RIDE else None
            updates.append(Update(entry.key, riding, entry.keep_until - now, tags))
        operation = log.begin([], updates)
        entries = [replace(entry, born=operation.born) for entry in entries]
        for entry in entries:
            self._keep(entry)
        position = await log.commit(operation)
        if position is None or not stack.shared or not await log.reached(position, _REACH):
            # What lies in L2 was dropped by this very operation; a value that cannot be proven
            # to be younger than what else is on its way is not put in its place.
            return
        place = replace(position, fence=operation.fence)
        valid = [entry for entry in entries if self._index.permits(entry)]
        await stack.write([replace(entry, born=place) for entry in valid])

    def _keep(self, entry: Entry) -> bool:
        """Store here; a run that is under way for the key does not overwrite it.

        Returns:
            False if the local tier has no place for it. What was invalidated meanwhile counts as
            stored, and dropped since.
        """
        self._flights.supersede(entry.key)
        slot = self._stack.keep(entry)
        return slot is None or self._stack.local.get(entry.key) is slot

    def _entry(
        self, key: str, payload: bytes, policy: Policy, tags: tuple[str, ...], born: Born
    ) -> Entry:
        now = self._clock()
        lifetime = policy.lifetime or 0.0
        if policy.jitter:
            lifetime *= 1 - policy.jitter * random.random()  # noqa: S311  # not a secret
        revalidate = policy.stale_while_revalidate or 0.0
        on_error = policy.stale_if_error or 0.0
        eager = policy.eager_refresh
        return Entry(
            key=key,
            payload=payload,
            born=born,
            created=now,
            fresh_until=now + lifetime,
            keep_until=now + lifetime + max(revalidate, on_error),
            filled_at=now,
            stale_while_revalidate=revalidate,
            stale_if_error=on_error,
            refresh_at=now + lifetime * eager if eager else float("inf"),
            tags=tags,
        )

    # Computing.

    async def answer(self, ask: Ask) -> Any:
        """The value; if there is none, what a run of the compute function brings.

        Raises:
            CacheError: If the compute function asks for its own key.
            TimeoutError: If the caller has waited for `hard_timeout`.
            Exception: What the compute function raised, unchanged.
        """
        while True:
            slot, level = await self._look(ask.key)
            stale = None
            if slot is not None:
                value = self._use(slot, level, ask)
                if value is not MISSING:
                    return value
                stale = slot if self._clock() >= slot.entry.fresh_until else None
            value = await self._ask_function(ask, stale)
            if value is not MISSING:
                return value

    def _use(self, slot: Slot, level: int, ask: Ask) -> Any:
        """The slot's value if it may be used as it is, renewed in the background if need be."""
        entry, now = slot.entry, self._clock()
        fresh = now < entry.fresh_until
        if not fresh and now >= entry.fresh_until + entry.stale_while_revalidate:
            return MISSING
        value = self._read(entry, ask.read)
        if value is MISSING:
            return MISSING
        if fresh:
            self._count_hit(level)
        else:
            self._tally.stale += 1
        if not fresh or now >= entry.refresh_at:
            self._refresh(ask)
        return value

    async def _ask_function(self, ask: Ask, stale: Slot | None) -> Any:
        """Get the value from a run; MISSING if it is worth looking again."""
        key, flights = ask.key, self._flights
        if waits_for_itself(key):
            raise CacheError(f"the compute function of {key!r} asks for {key!r}, and so for itself")
        if not ask.policy.coalesce:
            flight: Flight[_Result] = Flight(self._probe(ask), self._index.view)
            flights.launch(flight, self._run(ask, flight))
            return await self._wait(ask, flight, stale, leads=True)
        joined = flights.find(key)
        if joined is not None:
            if not flights.joinable(joined):
                return await self._alone(ask, Reason.OVERLOADED)
            return await self._wait(ask, joined, stale, leads=False)
        opened = flights.open(self._probe(ask))
        if opened is None:
            return await self._alone(ask, Reason.OVERLOADED)
        flights.launch(opened, self._run(ask, opened))
        return await self._wait(ask, opened, stale, leads=True)

    def _probe(self, ask: Ask) -> Entry:
        return self._entry(ask.key, b"", ask.policy, ask.tags, self._index.born())

    async def _wait(
        self, ask: Ask, flight: "Flight[_Result]", stale: Slot | None, *, leads: bool
    ) -> Any:
        """Wait for a run, as its opener or with him; MISSING if its answer is not this caller's."""
        tally, policy = self._tally, ask.policy
        limit = policy.hard_timeout
        patience = None
        if not leads:
            patience = policy.coalesce_timeout or self._engine.config.coalesce_timeout
            limit = patience if limit is None else min(limit, patience)
        try:
            result = await self._result(ask, flight, stale, limit)
        except WaitExpired:
            self._flights.abandon(flight)
            if limit != policy.hard_timeout:
                # Whoever comes later goes alone at once; the run goes on, and may be stored.
                flight.closed = True
                self._engine.events.failures["coalesce-timeout"] += 1
                return await self._alone(ask, Reason.COALESCE_TIMEOUT)
            self._engine.events.failures["hard-timeout"] += 1
            error: Exception = TimeoutError(
                f"the compute function of {ask.key!r} takes longer than hard_timeout={limit:g} s"
            )
            return self._failed(ask, stale, error, leads=leads)
        except asyncio.CancelledError:
            self._flights.abandon(flight)
            raise
        except Exception as error:  # noqa: BLE001  # raised again unless something stands in
            return self._failed(ask, stale, error, leads=leads)
        if isinstance(result, _StandIn):
            tally.stale += 1
            return result.value
        if leads and result.value is not MISSING:
            tally.misses += 1
            return result.value
        value = self._parsed(result.payload, ask.read)
        tally.coalesced += value is not MISSING
        return value

    async def _result(
        self, ask: Ask, flight: "Flight[_Result]", stale: Slot | None, limit: float | None
    ) -> "_Result | _StandIn":
        """What the run brings, or the stale value if that takes too long.

        Raises:
            WaitExpired: If the caller has waited for `limit` seconds.
            Exception: What the run raised.
        """
        soft = ask.policy.soft_timeout
        if soft is not None and stale is not None and (limit is None or soft < limit):
            try:
                return await flight.wait(soft)
            except WaitExpired:
                if (value := self._stand_in(ask, stale)) is not MISSING:
                    self._flights.abandon(flight)
                    return _StandIn(value)
            limit = None if limit is None else limit - soft
        return await flight.wait(limit)

    def _failed(self, ask: Ask, stale: Slot | None, error: Exception, *, leads: bool) -> Any:
        """The stale value that stands in for a failure.

        Raises:
            Exception: The failure, where nothing may stand in.
        """
        value = self._stand_in(ask, stale)
        if value is not MISSING:
            self._tally.stale += 1
            if leads:
                self._engine.events.failures["origin"] += 1
                self._engine.events.stood_in(ask.key, error)
            return value
        if leads:
            self._tally.misses += 1
        else:
            self._tally.coalesced += 1
        raise error

    def _stand_in(self, ask: Ask, stale: Slot | None) -> Any:
        """The stale value, if it may be used in place of a failure; never an invalidated one."""
        if stale is None:
            return MISSING
        entry = stale.entry
        usable = usable_on_error(
            now=self._clock(),
            fresh_until=entry.fresh_until,
            keep_until=entry.keep_until,
            stale_if_error=entry.stale_if_error,
        )
        return self._read(entry, ask.read) if usable and self._index.permits(entry) else MISSING

    async def _alone(self, ask: Ask, reason: Reason) -> Any:
        """Compute for this caller only; nothing is stored."""
        self._tally.passes[reason] += 1
        with running_for(ask.key):
            async with asyncio.timeout(ask.policy.hard_timeout):
                return await _called(ask.compute)

    # The run.

    async def _run(self, ask: Ask, flight: "Flight[_Result]") -> None:
        if (
            ask.policy.coalesce == "fleet"
            and self._engine.leases is not None
            and self._stack.has_shared
        ):
            await self._run_in_fleet(ask, flight, self._engine.leases)
        else:
            await self._compute(ask, flight)

    async def _run_in_fleet(self, ask: Ask, flight: "Flight[_Result]", leases: Leases) -> None:
        """One of all instances computes; the others find what it brings in a shared tier."""

        async def run(claim: Claim) -> None:
            flight.renew(self._index)
            held = claim.held  # it may be lost while the function runs
            stored = await self._compute(ask, flight, shares=not held)
            if held and stored is not None:
                # Whoever waits for the lease looks there next.
                await self._stack.write([stored])

        async def look() -> _Result | None:
            return await self._found_elsewhere(ask)

        patience = ask.policy.coalesce_timeout or self._engine.config.coalesce_timeout
        found = await run_in_fleet(leases, storage_key(ask.key), patience, look, run)
        if found is not None:
            self._flights.land(flight)
            flight.answer(found)

    async def _found_elsewhere(self, ask: Ask) -> _Result | None:
        """What another instance has stored by now, if it does for this caller."""
        found = await self._stack.fetch(ask.key)
        if found is None or not isinstance(payload := found.slot.entry.payload, bytes):
            return None
        now, entry = self._clock(), found.slot.entry
        if now >= min(entry.fresh_until, entry.refresh_at):
            return None
        return None if self._parsed(payload, ask.read) is MISSING else _Result(payload)

    async def _compute(
        self, ask: Ask, flight: "Flight[_Result]", *, shares: bool = True
    ) -> Entry | None:
        """Run the function and answer the flight; the entry, if it was stored."""
        value = await _called(ask.compute)
        payload = self._bytes(value)
        entry = self._entry(ask.key, payload, ask.policy, ask.tags, flight.probe.born)
        stored = self._store(flight, entry)
        self._flights.land(flight)
        flight.answer(_Result(payload, value))
        if stored and shares:
            self._stack.share(entry)
        return entry if stored else None

    def _store(self, flight: "Flight[_Result]", entry: Entry) -> bool:
        # What a `set` has brought while it ran is younger.
        if flight.superseded:
            return False
        if isinstance(entry.payload, bytes) and self._too_large(entry.payload):
            self._engine.events.refused[Reason.OVERSIZED] += 1
            return False
        if self._stack.keep(entry) is None:
            return False
        self._engine.events.fills += 1
        return True

    # Renewing.

    def _refresh(self, ask: Ask) -> None:
        """Renew a value in the background, if nobody does so already."""
        flights = self._flights
        if flights.find(ask.key) is not None:
            return
        flight = flights.open(self._probe(ask))
        if flight is not None:
            self._engine.events.refreshes += 1
            flights.launch(flight, self._refresh_run(ask, flight))
            flights.abandon(flight)

    async def _refresh_run(self, ask: Ask, flight: "Flight[_Result]") -> None:
        """One background run, of one instance where there are leases; asks shared tiers first."""
        try:
            if self._engine.leases is not None and self._stack.has_shared:
                await self._run_in_fleet(ask, flight, self._engine.leases)
                return
            if self._stack.has_shared:
                if (found := await self._found_elsewhere(ask)) is not None:
                    self._flights.land(flight)
                    flight.answer(found)
                    return
                flight.renew(self._index)
            await self._compute(ask, flight)
        except Exception as error:
            self._engine.events.refresh_failed(ask.key, error)
            raise


def reader(serializer: Serializer, type_: type[T] | None) -> Reader:
    """How stored bytes are read: as plain objects, or as instances of a type."""
    if type_ is None:
        return serializer.loads
    return lambda data: serializer.loads_as(data, type_)


async def _called(compute: Callable[[], T | Awaitable[T]]) -> T:
    value = compute()
    if isawaitable(value):
        return await value
    return value


def keys_of(keys: Iterable[str]) -> Sequence[str]:
    """The keys, each once, in order.

    Raises:
        ConfigError: If one is not allowed, or a single text was given.
    """
    if isinstance(keys, str):
        raise ConfigError.of("keys", keys, "several keys, such as a list", where="CacheManager")
    return list(dict.fromkeys(checked_key(key) for key in keys))
