"""What a client gets instead of a whole response that it has, or of which it wants a part.

As the response itself it is ready to be sent; its lines are made again when its age has changed.
"""

import math

from .._types import Header, Headers
from ..entry import Slot, StoredResponse
from ..policy.headers import end_to_end
from ..policy.ranges import Span, select
from ..policy.validation import not_modified_headers
from .replay import AGE_LINES, HAIR, HIT_LINES, PARTIAL, Prepared, Replay, answer


class Instead(Prepared, eq=False, gc=False):
    """What is sent instead of a whole response, once it is renewed.

    Attributes:
        headers: The field lines without `Age` and `Cache-Status`.
        aged: Whether it has an `Age`.
        due: Clock value from which its lines must be made again.
    """

    headers: Headers
    aged: bool = True
    due: float = -math.inf

    def renew(self, replay: Replay, now: float) -> bool:
        """Make its lines for a reading of the clock; False if further checks are needed.

        Args:
            replay: The response; it need not be renewed.
            now: The reading.
        """
        if now >= replay.until:
            return False
        created = replay.created
        second = int(now - created + HAIR)
        member = HIT_LINES[replay.level][replay.lifetime - second]
        if self.aged:
            self.lines: Headers = (*self.headers, AGE_LINES[second], member)
        else:
            self.lines = (*self.headers, member)
        due = created + (second + 1 - HAIR)
        self.due = due if due < replay.until else replay.until  # noqa: FURB136  # faster
        return True


class Part(Instead, eq=False, gc=False, kw_only=True):
    """What a request for one range gets: a 206, a 416, or the response's own status and content.

    Its `body` is empty: the bytes are those of the response.

    Attributes:
        wanted: The value of `Range`.
        first, end: Which bytes of the content.
    """

    wanted: bytes
    first: int
    end: int


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
        made = replay.unchanged = Instead(304, (), b"", headers)
    return made if now < made.due or made.renew(replay, now) else None


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
    part: Part | None = replay.part
    if part is None or part.wanted != wanted:
        response = slot.entry.payload
        if not isinstance(response, StoredResponse) or response.status == PARTIAL:
            return None
        part = replay.part = _part(response, replay.headers, wanted)
    if now >= part.due and not part.renew(replay, now):
        return None
    return Prepared(part.status, part.lines, replay.body[part.first : part.end])


def _part(response: StoredResponse, headers: Headers, wanted: bytes) -> Part:
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
    return Part(
        status,
        (),
        b"",
        unaged,
        len(unaged) < len(lines),
        wanted=wanted,
        first=first,
        end=first + len(body["body"]),
    )
