"""What the members of a flight get: an entry, or that they are to ask alone, or to look again."""

from typing import TypeAlias

import msgspec

from ...entry import Entry, Slot
from ...policy.reasons import Reason


class Stored(msgspec.Struct, frozen=True):
    """An entry, for every request whose key and variant it has."""

    slot: Slot


class StaleStored(msgspec.Struct, frozen=True):
    """The origin failed, and a stale entry stands in.

    Attributes:
        slot: The entry.
        status: The origin's own status; None if it raised.
    """

    slot: Slot
    status: int | None = None


class Passed(msgspec.Struct, frozen=True):
    """The response is the leader's own; the other requests ask alone."""

    reason: Reason


class Personal(msgspec.Struct, frozen=True):
    """The response is to the leader's own credentials; look again."""


class Overtaken(msgspec.Struct, frozen=True):
    """The response was invalidated during the run; look again.

    Attributes:
        entry: The response, for requests that came before the invalidation.
    """

    entry: Entry


class HeadAnswer(msgspec.Struct, frozen=True):
    """The application's answer to a HEAD: for waiting HEADs, and not stored.

    Attributes:
        entry: The answer, without content, under the key of its variant.
        fields: The request fields that choose the variant, if it is one.
    """

    entry: Entry
    fields: tuple[bytes, ...] = ()


Answer: TypeAlias = Stored | StaleStored | Passed | Personal | Overtaken | HeadAnswer
