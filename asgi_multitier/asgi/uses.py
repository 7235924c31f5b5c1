"""What becomes of one request: decisions without I/O, which count nothing."""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from ..engine.flights import Flights
from ..entry import Entry, StoredResponse
from ..policy.cache_status import Forward
from ..policy.reasons import Reason
from ..policy.request import Field
from ..policy.reuse import Decision, Use
from .replay import PARTIAL, part_for
from .request import Request


class Found(Enum):
    """What a stored response is to a request."""

    ANSWER = "answer"
    """Its lifetime decides."""

    FOR_OTHERS = "for-others"
    """It is for requests without `Authorization`."""

    PART = "part"
    """It is a part that does not have all that is asked for."""


def what_is(stored: StoredResponse, request: Request) -> Found:
    """What a stored response is to a request."""
    if request.is_for_others(stored):
        return Found.FOR_OTHERS
    if stored.status == PARTIAL and part_for(stored, request.method, request.headers) is None:
        return Found.PART
    return Found.ANSWER


def is_due(entry: Entry, decision: Decision, now: float) -> bool:
    """Whether what may be served is to be renewed."""
    if decision.use is Use.FRESH:
        return now >= entry.refresh_at
    return decision.use is Use.STALE_WHILE_REVALIDATE


def renews_itself(request: Request, entry: Entry, flights: Flights[Any]) -> bool:
    """Whether a request renews an entry that is due before it is answered."""
    return request.foreground and flights.find(entry.key) is None


def forward_for(reason: Reason) -> Forward:
    """What `Cache-Status` says where a stored response may not be used for this reason."""
    asked = reason not in (Reason.STALE, Reason.NO_CACHE)
    return Forward.REQUEST if asked else Forward.STALE


# Where nothing stored answers.


def is_for_a_part(request: Request) -> bool:
    """Whether what is asked for is a part, and is stored as one."""
    return Field.RANGE in request.found and request.plan.policy.partial


def is_own_head(request: Request) -> bool:
    """Whether it is a HEAD that the application answers itself where nothing stored does."""
    return request.method == "HEAD" and not request.plan.policy.terms.annotated


def is_range_alone(request: Request) -> bool:
    """Whether it asks for a part of what is not shared: then the application alone answers it."""
    return Field.RANGE in request.found and not request.plan.policy.partial


def is_unshared(request: Request, names: Iterable[str], flights: Flights[Any]) -> bool:
    """Whether the last answers to requests like this were their clients' alone.

    Args:
        request: The request.
        names: The keys under which it waits for others.
        flights: The runs going on, and what is known of those before.
    """
    kinds = ((name, request.kind(name)) for name in names)
    return any(flights.is_hit_for_miss(one) for kind in kinds for one in kind)
