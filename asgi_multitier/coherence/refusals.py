"""Why an entry may not be used, for those who look: `Index.permits` decides."""

from typing import Literal, NamedTuple

from ..entry import Entry
from ..selectors import Selector
from .index import Index


class Refusal(NamedTuple):
    """Why an entry may not be used.

    Attributes:
        cause: `selector`: a record selects it. `forgotten`: it is older than what is remembered of
            the log. `generation`: the log that it was born in was replaced. `untrusted`: the log
            has not been heard of for too long.
        selector: Which, in the form in which it is remembered; None for other causes.
        seq: Number of its last record; 0 while the log has none.
        pending: Whether this node has begun it, and it has not come back in the log.
        held: Whether it holds until its origin has settled.
    """

    cause: Literal["selector", "forgotten", "generation", "untrusted"]
    selector: Selector | None = None
    seq: int = 0
    pending: bool = False
    held: bool = False


def refusals(index: Index, entry: Entry) -> list[Refusal]:
    """All that makes `Index.permits` say no; empty if it says yes."""
    born, marks = entry.born, index.marks
    if born.gen != index.gen:
        return [Refusal("generation")]
    found = []
    if born.seq < marks.floor or -1 < born.fence < marks.fence_floor:
        found.append(Refusal("forgotten", seq=marks.floor))
    names = (entry.key, entry.name, entry.path, entry.route, entry.tags)
    found += [
        Refusal("selector", selector, mark.seq, mark.pending, mark.holds > 0)
        for selector, mark in marks.refusing(born, *names)
    ]
    if not (found or index.permits(entry)):
        found.append(Refusal("untrusted"))
    return found
