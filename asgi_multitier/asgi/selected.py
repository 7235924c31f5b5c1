"""What a request that is not plain selects: its stored response, and by what (RFC 9111 §4.1)."""

from dataclasses import dataclass
from typing import TypeAlias

from ..entry import Slot

Selecting: TypeAlias = tuple[object, ...]
"""The key of the target, and what of the fields counts: texts, and tuples of texts."""


@dataclass(slots=True, eq=False)
class Selected:
    """What requests select that are alike.

    Attributes:
        key: The stored response's.
        primary: The key of the URL's marker, if it has several representations.
        fields: The request fields that choose among these.
        codings: Content codings that their answers may have, the preferred one first; see
            `Request.accepts`.
        marker: The marker as it was found last; None where the tier must see each use. It counts
            while its view is the index's: one that was replaced has another.
        slot: What lies under the key, as a hit found it last; see `hands`.
    """

    key: str
    primary: str | None = None
    fields: tuple[bytes, ...] = ()
    codings: tuple[bytes, ...] = ()
    marker: Slot | None = None
    slot: Slot | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Last:
    """The last request of a target of which it was found out what it selects.

    A request with equal lines selects the same: to compare them is faster than to say what counts
    of them.

    Attributes:
        lines: Its lines that count, as `Way.take` gives them; `None` for none.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
        counts: What counts of all that.
        selected: What it selects.
    """

    lines: object
    partition: bytes | None
    counts: Selecting
    selected: Selected
