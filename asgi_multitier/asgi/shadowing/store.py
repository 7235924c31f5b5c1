"""What a cache would hold: entries of its own kind, without their content.

They lie in a tier of their own, above the same log as those that are served: what is stored, valid
and found is decided by the same functions.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from ...coherence.index import Index
from ...engine.engine import Engine
from ...engine.stack import TierStack
from ...entry import Born, Entry, Slot, Variants
from ...events import Events
from ...selectors import Selector, aliased
from ...shadow import Answer
from ...tiers.memory import Cause, MemoryTier

_PER_NAME: Final = 330
"""Bytes that it takes to find an entry by one of its names."""

_PER_ANSWER: Final = 200
_PER_PLACE: Final = 110
"""Bytes of an answer, and of each place in it, besides its name."""

_SEARCHED: Final = 1_000
"""Entries that are looked at for one selector that names no single path, tag or name."""

_GONE: Final = 256
"""Entries of which it is known that they were removed lately."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the answer in an entry.

    Attributes:
        number: Of the observation that it was the answer of.
        answer: The answer.
    """

    number: int
    answer: Answer


class NamedTier(MemoryTier):
    """A tier in memory that also finds slots by the paths, tags and names of their entries.

    Attributes:
        gone: Entries that were removed by a call lately, each with the time.
    """

    def __init__(self, max_bytes: int, engine: Engine) -> None:
        super().__init__(max_bytes, engine.config.l1_entries, clock=engine.clock)
        self._by_name: dict[tuple[str, str], dict[str, None]] = {}
        self.gone: deque[tuple[float, Entry]] = deque(maxlen=_GONE)

    def set(self, slot: Slot) -> bool:
        """As that of any tier; the size is that of what is kept here."""
        slot.size += _PER_NAME * sum(1 for _ in _names(slot.entry))
        return super().set(slot)

    def delete(self, key: str) -> bool:
        """As that of any tier."""
        if (slot := self._slots.get(key)) is not None:
            self.gone.append((self._clock(), slot.entry))
        return super().delete(key)

    def clear(self) -> None:
        """As that of any tier."""
        super().clear()
        self._by_name.clear()
        self.gone.clear()

    def _hold(self, slot: Slot, now: float) -> None:
        super()._hold(slot, now)
        for name in _names(slot.entry):
            self._by_name.setdefault(name, {})[slot.entry.key] = None

    def _left(self, slot: Slot, cause: Cause) -> None:
        super()._left(slot, cause)
        for name in _names(slot.entry):
            keys = self._by_name.get(name)
            if keys is not None:
                keys.pop(slot.entry.key, None)
                if not keys:
                    del self._by_name[name]

    def named(self, selectors: Iterable[Selector]) -> Iterator[Entry]:
        """Entries that these selectors may select, each at least once."""
        for selector in selectors:
            if selector.kind in _EXACT:
                keys: Iterable[str] = self._by_name.get((selector.kind, selector.text), ())
            else:
                keys = islice(self._slots, _SEARCHED)
            for key in keys:
                yield self._slots[key].entry


_EXACT: Final = frozenset(("key", "tag", "path"))


def _names(entry: Entry) -> Iterator[tuple[str, str]]:
    if isinstance(entry.payload, Variants):
        return
    yield "path", entry.path
    if second := aliased(entry.tags):
        yield "path", second
    if entry.name:
        yield "key", entry.name
    for tag in entry.tags:
        yield "tag", tag


class Store:
    """The entries that a cache would hold.

    Args:
        engine: The cache that observes.
        max_bytes: Bytes of all entries.

    Attributes:
        stack: The tiers: only one, in this process.
    """

    def __init__(self, engine: Engine, max_bytes: int) -> None:
        self._tier = NamedTier(max_bytes, engine)
        events = Events(engine.clock, engine.wall)  # nothing here is counted as done
        self.stack: TierStack = TierStack(
            self._tier, (), engine.log, events, form=engine.stack.form
        )
        self._clock = engine.clock
        self._max_variants = engine.config.max_variants

    @property
    def bytes(self) -> int:
        """Bytes of what is held, as it is accounted for."""
        return self._tier.statistics().bytes

    def __len__(self) -> int:
        return len(self._tier)

    def keep(self, entry: Entry, marker: Entry | None, kept: Kept) -> bool:
        """Keep an entry, if the log permits; whether it does."""
        slot = self.stack.keep(entry)
        if slot is None:
            return False
        slot.replay = kept
        places = kept.answer.places or ()
        more = _PER_ANSWER + _PER_PLACE * len(places) + sum(map(len, places))
        self._tier.resize(slot, slot.size + more)
        if marker is not None:
            self.stack.keep_variant(marker, entry.key, self._max_variants)
        return True

    def missed(self, entry: Entry) -> None:
        """An entry was dropped before it came here, but after it would have been stored."""
        self._tier.gone.append((self._clock(), entry))

    def forget(self, key: str) -> None:
        """Forget an entry, as its answer has another in its place."""
        self._tier.delete(key)

    def dropped_by(self, selectors: Sequence[Selector], since: float) -> int:
        """How many entries these selectors drop, and have dropped since then.

        What names no single path, tag or name is counted up to a bound.
        """
        selected = Selected(selectors)
        gone = (entry for at, entry in self._tier.gone if at >= since)
        entries = chain(self._tier.named(selectors), gone)
        return len({entry.key for entry in entries if entry in selected})


class Selected:
    """What some selectors select, as the index decides it."""

    __slots__ = ("_born", "_index")

    def __init__(self, selectors: Iterable[Selector]) -> None:
        self._index = Index()
        self._born = Born(self._index.gen, self._index.seq, self._index.fence)
        self._index.begin(selectors)

    def __contains__(self, entry: Entry) -> bool:
        if isinstance(entry.payload, Variants):
            return False
        return not self._index.permits_fill(
            self._born, entry.key, entry.name, entry.path, entry.route, entry.tags
        )
