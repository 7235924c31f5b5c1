"""Tags that a mutation names and no entry carries, though one carries a similar one."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..explain.similar import closest
from .observation import Edit

_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A tag that is named otherwise than it is carried.

    Attributes:
        named: How the mutation names it, up to its first value.
        carried: How the entry carries it.
    """

    named: str
    carried: str


def misspelt(edit: Edit, carried: Collection[str], known: Collection[str]) -> Misspelt | None:
    """What of an edit's tags is most likely a tag of the entry that was to be dropped.

    Args:
        edit: The edit.
        carried: Tags of the entry.
        known: Beginnings of the tags that entries of any route carry.
    """
    named = [text.removeprefix(_TAG) for text in edit.selectors if text.startswith(_TAG)]
    if set(named) & set(carried):
        return None
    heads = {head_of(tag): tag for tag in carried}
    for tag in named:
        head = head_of(tag)
        if head in known:
            continue
        found = closest(head.casefold(), [one.casefold() for one in heads])
        if found is not None:
            return Misspelt(head, next(one for one in heads if one.casefold() == found))
    return None


def head_of(tag: str) -> str:
    """A tag up to its first value."""
    return tag.partition(":")[0]


def heads_of(tags: Iterable[Collection[str]]) -> frozenset[str]:
    """The beginnings of all tags."""
    return frozenset(head_of(tag) for some in tags for tag in some)
