"""What a client gets instead of a whole response that it has, or of which it wants a part.

As the response itself it is ready to be sent; its lines are made again when its age has changed.
"""

import math

import msgspec

from .._types import Header, Headers
from ..entry import Slot, StoredResponse
from ..policy.headers import end_to_end
from ..policy.ranges import Span, select
from ..policy.validation import not_modified_headers
from .replay import AGE_LINES, HAIR, HIT_LINES, PARTIAL, Prepared, Replay, answer


class Instead(msgspec.Struct, eq=False, gc=False):
    """What is sent instead of a whole response.

    Attributes:
        wanted: The value of `Range`; empty for the 304.
        status: The status code: 304, 206, 416, or the response's own where it is sent whole.
        headers: The field lines without `Age` and `Cache-Status`.
        aged: Whether it has an `Age`.
        first, end: Which bytes of the content it has.
        due: Clock value from which its lines must be made again.
        lines: The field lines.
    """

    wanted: bytes
    status: int
    headers: Headers
    aged: bool = True
    first: int = 0
    end: int = 0
    due: float = -math.inf
    lines: Headers = ()

    def of(self, replay: Replay, now: float) -> Prepared | None:
        """It, at a reading of the clock; None if further checks are needed."""
        if now >= self.due:
            if now >= replay.until:
                return None
            created = replay.created
            second = int(now - created + HAIR)
            member = HIT_LINES[replay.level][replay.lifetime - second]
            if self.aged:
                self.lines = (*self.headers, AGE_LINES[second], member)
            else:
                self.lines = (*self.headers, member)
            due = created + (second + 1 - HAIR)
            self.due = due if due < replay.until else replay.until  # noqa: FURB136  # faster
        return Prepared(self.status, self.lines, replay.body[self.first : self.end])


def unchanged(replay: Replay, now: float) -> Prepared | None:
    """The 304 for a client that has the response (RFC 9110 §15.4.5).

    Args:
        replay: The response; it need not be renewed.
        now: A reading of the clock.

    Returns:
        None if further checks are needed.
    """
    made: Instead | None = replay.unchanged
    if made is None:
        headers = not_modified_headers(end_to_end(replay.headers))
        made = replay.unchanged = Instead(b"", 304, headers)
    return made.of(replay, now)


def part_of(slot: Slot, replay: Replay, wanted: bytes, now: float) -> Prepared | None:
    """What a client gets that asks for one range of a response, and nothing else (RFC 9110 §14.2).

    Args:
        slot: The response.
        replay: The same; it need not be renewed.
        wanted: The value of `Range`.
        now: A reading of the clock.

    Returns:
        None if the response is not whole, or if further checks are needed.
    """
    part: Instead | None = replay.part
    if part is None or part.wanted != wanted:
        response = slot.entry.payload
        if not isinstance(response, StoredResponse) or response.status == PARTIAL:
            return None
        part = replay.part = _part(response, replay.headers, wanted)
    return part.of(replay, now)


def _part(response: StoredResponse, headers: Headers, wanted: bytes) -> Instead:
    age = AGE_LINES[0]
    start, body = answer(
        response,
        (*headers, age),
        b"",
        method="GET",
        request_headers=((b"range", wanted),),
        received=None,
        now=0.0,
    )
    status: int = start["status"]
    lines: list[Header] = start["headers"][:-1]
    span = select(wanted, size=len(response.body)) if status == PARTIAL else None
    first = span.first if isinstance(span, Span) else 0
    unaged = tuple(line for line in lines if line is not age)
    return Instead(
        wanted, status, unaged, len(unaged) < len(lines), first, first + len(body["body"])
    )
