"""What is stored: the only shape that moves between tiers. An entry is replaced, never edited.

Times are readings of the process's own monotonic clock, in seconds. They mean nothing on another
machine, so the codec writes durations and the reader rebuilds the times from the lifetime that the
tier says is left. Two machines' wall clocks are compared for one thing: that nothing outlives its
life because it was written again (see `codec`).

The garbage collector does not look into these objects (`gc=False`): a full collection would visit
every entry of a tier, and stop the event loop for that time. So no cycle may lead through them, for
none would be found. What an entry holds is made before it and cannot refer to it: texts, bytes,
numbers, and tuples of these. A slot refers to its entry and to what readers have prepared from it,
which refers to no slot. A test holds all of them against this.
"""

from collections import OrderedDict
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from ._types import Headers

Number = TypeVar("Number", int, float)


class Born(msgspec.Struct, frozen=True, gc=False):
    """The log position that a fill had applied before it asked the origin.

    Attributes:
        gen: The generation of the log; positions compare only within one.
        seq: The sequence number of the last record applied.
        fence: The process's local fence: counts its own invalidations, and means nothing in another
            process (an entry read from a shared tier has fence -1).
    """

    gen: str
    seq: int
    fence: int = -1


class StoredResponse(msgspec.Struct, frozen=True, gc=False):
    """A complete final response, ready to be sent again.

    Attributes:
        status: The status code.
        headers: End-to-end field lines in order, with duplicates.
        body: The whole content.
        etag: The entity tag, if any: the value of the `ETag` line.
        last_modified: The value of the `Last-Modified` line, if any.
    """

    status: int
    headers: Headers
    body: bytes
    etag: bytes | None = None
    last_modified: bytes | None = None


class Variants(msgspec.Struct, frozen=True, gc=False):
    """Says that a URL has several representations, and which request fields choose (RFC 9111 §4.1).

    Attributes:
        fields: Lower-case names of the `Vary` fields that the primary key does not cover.
    """

    fields: tuple[bytes, ...]


Payload: TypeAlias = StoredResponse | Variants | bytes
"""A response, a marker for a URL with variants, or a manager's serialized value."""


class Reuse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an entry may be used for besides being fresh; the same for most entries of a rule.

    Attributes:
        stale_while_revalidate, stale_if_error, always_validate, stale_allowed, immutable: See
            `Entry`.
    """

    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    always_validate: bool = False
    stale_allowed: bool = True
    immutable: bool = False


_USUAL = Reuse()


@lru_cache(4096)
def reuse_of(
    stale_while_revalidate: float,
    stale_if_error: float,
    *,
    always_validate: bool = False,
    stale_allowed: bool = True,
    immutable: bool = False,
) -> Reuse:
    """One object for all entries that may be used in the same ways."""
    return Reuse(
        stale_while_revalidate=stale_while_revalidate,
        stale_if_error=stale_if_error,
        always_validate=always_validate,
        stale_allowed=stale_allowed,
        immutable=immutable,
    )


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One stored thing, with what is needed to decide whether it may still be used.

    Attributes:
        key: The full key, compared on every read from a shared tier.
        payload: What is stored.
        born: Where in the invalidation log its fill began.
        created: Clock value at which its age was 0 (RFC 9111 §4.2.3: now - created is current_age).
        fresh_until: Clock value from which it is stale.
        keep_until: Clock value from which it is of no use at all, not even stale or to validate.
        filled_at: Clock value at which this process stored or promoted it.
        reuse: The next five, as one object that many entries share.
        stale_while_revalidate: Seconds after `fresh_until` in which it may be served while one
            background fetch renews it (RFC 5861 §3).
        stale_if_error: Seconds after `fresh_until` in which it may stand in for a failing origin
            (RFC 5861 §4).
        always_validate: Never used without asking the origin first (`no-cache`).
        stale_allowed: It does not forbid being used when stale.
        immutable: It does not change while it is fresh (RFC 8246).
        refresh_at: Clock value from which a hit starts an eager refresh; infinite for none.
        path: The route path of the request, as the application sees it; "" for values.
        route: The identity of the route that filled it, "" if none.
        name: The name given by `key=`; "" if none. Values are named by their key.
        tags: The tags that select it.
        cost: Seconds that its fill took; 0 where that is not known, as of what a shared tier has.
        data_version: What the rule's `validator` returned before the payload was made, as a digest;
            None if it was not asked, or did not know.
    """

    key: str
    payload: Payload
    born: Born
    created: float
    fresh_until: float
    keep_until: float
    filled_at: float
    reuse: Reuse = _USUAL
    refresh_at: float = float("inf")
    path: str = ""
    route: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    cost: float = 0.0
    data_version: bytes | None = None

    @property
    def stale_while_revalidate(self) -> float:
        """See `reuse`, as for the others."""
        return self.reuse.stale_while_revalidate

    @property
    def stale_if_error(self) -> float:
        return self.reuse.stale_if_error

    @property
    def always_validate(self) -> bool:
        return self.reuse.always_validate

    @property
    def stale_allowed(self) -> bool:
        return self.reuse.stale_allowed

    @property
    def immutable(self) -> bool:
        return self.reuse.immutable

    def is_current(self, now: float) -> bool:
        """Whether it is fresh, and nothing wants it renewed yet."""
        return now < self.fresh_until and now < self.refresh_at and not self.always_validate


LEFT: Final = -2
"""The view of a slot that is in its tier no more: no index has this view, so a reader that still
holds the slot looks again."""

MAX_USES: Final = 3
"""Up to which the uses of a slot are counted."""


class Encoded(msgspec.Struct, eq=False, gc=False):
    """The content of a response in one coding, as its slot has it.

    Attributes:
        body: The encoded content; None while it is being made, and where it is not worth it.
        replay: As that of `Slot`.
    """

    body: bytes | None = None
    replay: Any = None


UNSIZED: Final = -1
"""The size of a slot that is in no local tier, and will be in none."""


class Slot(msgspec.Struct, eq=False, gc=False):
    """An entry's place in a local tier, with what its readers note with it.

    Attributes:
        entry: The entry.
        size: Bytes accounted for it, an estimate of what the process holds because of it; computed
            when the slot is made, unless it is given (`UNSIZED` for one that no tier will hold).
        view: The log view at which the entry was last found valid (see `coherence.index`); while it
            equals the index's own, a hit needs no other check.
        uses: Requests that it has answered, up to `MAX_USES`; a reader adds one, and the tier takes
            some away as it decides which slot leaves.
        rank: Where the tier has put it in its order of leaving.
        replay: What the middleware prepared so that a hit has nothing to build; None until then.
        encoded: Of a response, its content by coding as far as it was asked for; None if it was
            not, in any coding.
        variants: Of a marker, the keys of the variants stored here, the oldest first.
    """

    entry: Entry
    view: int = -1
    size: int = 0
    uses: int = 0
    rank: int = 0
    replay: Any = None
    encoded: dict[bytes, Encoded] | None = None
    variants: OrderedDict[str, None] | None = None

    def __post_init__(self) -> None:
        if not self.size:
            self.size = one_object(size_of(self.entry))


@lru_cache(1 << 15, typed=True)
def one_object(number: Number) -> Number:
    """One object for all that hold this number: sizes, lifetimes and costs are often equal."""
    return number


_OVERHEAD = 540
"""Bytes that the objects around an entry take: entry, slot, key, links, prepared messages."""

_PER_HEADER = 80
"""Bytes of a tuple and two bytes objects, beyond the text; some lines are shared by entries."""


def size_of(entry: Entry) -> int:
    """Bytes that an entry is accounted for in a local tier; an estimate, on the high side."""
    size = _OVERHEAD + 2 * len(entry.key) + len(entry.path) + len(entry.name)
    size += 64 * len(entry.tags) + sum(map(len, entry.tags))
    payload = entry.payload
    if isinstance(payload, bytes):
        return size + len(payload)
    if isinstance(payload, Variants):
        return size + sum(64 + len(field) for field in payload.fields)
    size += _PER_HEADER * len(payload.headers) + sum(map(len, chain.from_iterable(payload.headers)))
    return size + len(payload.body)
