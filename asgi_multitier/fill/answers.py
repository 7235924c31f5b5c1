"""What a flight's members are told: an entry, that they are on their own, or to look again."""

from dataclasses import dataclass
from typing import TypeAlias

from ..entry import Slot
from ..policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry for everybody whose key and variant it is."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class StaleStored:
    """The origin failed, and a stale entry may stand in."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Passed:
    """The response is the leader's own; everybody else asks for himself."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Personal:
    """It is one to the leader's own condition or credentials; who has none looks again."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """It was invalidated while it flew; look again."""


Answer: TypeAlias = Stored | StaleStored | Passed | Personal | Overtaken
