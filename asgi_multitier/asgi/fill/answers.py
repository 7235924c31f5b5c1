"""What the members of a flight get: an entry, or that they are to ask alone, or to look again."""

from dataclasses import dataclass
from typing import TypeAlias

from ...entry import Entry, Slot
from ...policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry, for every request whose key and variant it has."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class StaleStored:
    """The origin failed, and a stale entry stands in.

    Attributes:
        slot: The entry.
        status: The origin's own status; None if it raised.
    """

    slot: Slot
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """The response is the leader's own; the other requests ask alone."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Personal:
    """The response is to the leader's own credentials; look again."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The response was invalidated during the run; look again.

    Attributes:
        entry: The response, for requests that came before the invalidation.
    """

    entry: Entry


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """The application's answer to a HEAD: for waiting HEADs, and not stored.

    Attributes:
        entry: The answer, without content, under the key of its variant.
        fields: The request fields that choose the variant, if it is one.
    """

    entry: Entry
    fields: tuple[bytes, ...] = ()


Answer: TypeAlias = Stored | StaleStored | Passed | Personal | Overtaken | HeadAnswer
