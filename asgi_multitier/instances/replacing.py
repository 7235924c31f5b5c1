"""For how long an instance was silent, and whether it was replaced. Pure.

By the order in which the store has the beats, and by how long each process says it has run: both
stay right where the clock of a server is set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from .beat import Beat, Heard
from .instance import Instance

_ROUNDING = 1.0
"""Seconds by which a start may seem to be earlier than it is."""


class Span(NamedTuple):
    """The beats of one instance among those of all.

    Attributes:
        first, last: The places of its first and its last beat in the order of the store.
        started: Unix seconds by the clock of the store at which the process started.
        ended: The same of its last beat.
        since: Seconds that another instance has run since its last beat, as far as one tells.
    """

    first: int
    last: int
    started: float
    ended: float
    since: float


def spans_of(heard: Sequence[Heard]) -> dict[str, Span]:
    """The spans of all instances, by node."""
    spans: dict[str, Span] = {}
    youngest: dict[str, Beat] = {}
    since = 0.0
    for place in range(len(heard) - 1, -1, -1):
        at, beat = heard[place].at, heard[place].beat
        if beat is None:
            continue
        last = youngest.setdefault(beat.node, beat)
        known = spans.get(beat.node) or Span(place, place, at, at, since)
        spans[beat.node] = known._replace(first=place, started=at - beat.uptime)
        since = max(since, last.uptime - beat.uptime)
    return spans


def replaced(instances: Sequence[Instance], spans: Mapping[str, Span]) -> list[Instance]:
    """The instances, of which those that are silent and have a replacement are `"replaced"`.

    A replacement is an instance of the same host and the same application that started after the
    last beat of the silent one and has not closed. Each replaces one only, that which told last: so
    a process that hangs is not hidden by the replacement of another one that was killed.
    """
    starts = [(spans[one.beat.node].first, 0, one) for one in instances if one.state != "closed"]
    ends = [(spans[one.beat.node].last, 1, one) for one in instances if one.state == "silent"]
    waiting: dict[tuple[str, str], list[Span]] = {}
    found: set[Span] = set()
    for _, ends_here, one in sorted(starts + ends, key=lambda event: event[:2]):
        left = waiting.setdefault((one.beat.host, one.beat.application), [])
        span = spans[one.beat.node]
        if ends_here:
            left.append(span)
        # The first beat that is known of a process may not be the first that it told.
        elif left and span.started + _ROUNDING >= left[-1].ended:
            found.add(left.pop())
    return [
        replace(one, state="replaced") if spans[one.beat.node] in found else one
        for one in instances
    ]
