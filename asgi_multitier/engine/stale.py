"""A stale entry in place of an origin that fails, or that lets its client wait for too long."""

from ..coherence.index import Index
from ..entry import Entry
from ..policy.reuse import usable_on_error


def stands_in(entry: Entry, index: Index, now: float) -> bool:
    """Whether an entry past its freshness may be used; never one that was invalidated.

    Args:
        entry: The entry.
        index: What this node knows of the invalidation log.
        now: The clock's reading.
    """
    usable = usable_on_error(
        now=now,
        fresh_until=entry.fresh_until,
        keep_until=entry.keep_until,
        stale_if_error=entry.stale_if_error,
    )
    return usable and index.permits(entry)
