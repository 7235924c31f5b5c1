"""What a flight's members are told: an entry, that they are on their own, or to look again."""

from dataclasses import dataclass
from typing import TypeAlias

from ...entry import Entry, Slot
from ...policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry for everybody whose key and variant it is."""

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
    """The response is the leader's own; everybody else asks alone."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Personal:
    """It is one to the leader's own credentials; look again."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """It was invalidated while it flew; look again.

    Attributes:
        entry: What it brought, for those who asked before that.
    """

    entry: Entry


@dataclass(frozen=True, slots=True)
class Heard:
    """What the application says to a HEAD: for those who wait for it, and not stored.

    Attributes:
        entry: It, without content, under the key of its variant.
        fields: The request fields that choose the variant, if it is one.
    """

    entry: Entry
    fields: tuple[bytes, ...] = ()


Answer: TypeAlias = Stored | StaleStored | Passed | Personal | Overtaken | Heard
