"""Looking into the tiers from outside: nothing is counted, moved or removed."""

from typing import NamedTuple

from ..entry import Entry, Slot
from ..policy.key import storage_key
from ..tiers.base import WatchedTier
from .placed import Placed
from .stack import TierStack

FAILED = "failed"
"""The tier does not answer."""


class Seen(NamedTuple):
    """What a shared tier holds under a key.

    Attributes:
        placed: The tier.
        entry: What it holds; None if that cannot be read.
        objection: Why it is not used; None if it is.
    """

    placed: Placed
    entry: Entry | None
    objection: str | None


def is_visible(stack: TierStack) -> bool:
    """Whether the local tier can be looked into."""
    return isinstance(stack.local, WatchedTier)


def look(stack: TierStack, key: str) -> Slot | None:
    """What the local tier holds, valid or not; None if it cannot be looked into."""
    return stack.local.look(key) if isinstance(stack.local, WatchedTier) else None


async def look_below(stack: TierStack, key: str) -> list[Seen]:
    """What each shared tier holds, first to last, as far as it answers.

    One that has never answered, such as a server at the default address where there is none, is
    left out: each request goes on without it.
    """
    seen = []
    for placed in stack.shared:
        try:
            (entry,) = stack.form.read_all((key,), (await placed.look(storage_key(key)),))
        except Exception:  # noqa: BLE001  # a user's back end; it is said that it failed
            if placed.has_answered:
                seen.append(Seen(placed, None, FAILED))
            continue
        if isinstance(entry, Entry):
            seen.append(Seen(placed, entry, stack.objection(entry)))
        elif entry is not None:
            seen.append(Seen(placed, None, entry))
    return seen
