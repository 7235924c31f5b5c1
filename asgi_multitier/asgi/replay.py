"""From a stored response to the messages that the client gets.

`Replay` is prepared once per slot for the plain hit; `answer` is for everything else: a request
with conditions or a range, a HEAD, a response that was just filled.
"""

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from .._types import Header, Headers, Message
from ..entry import UNSIZED, Entry, Slot, StoredResponse, one_object
from ..policy import cache_status
from ..policy.downstream import told
from ..policy.encoded import encoded_etag, encoded_headers
from ..policy.freshness import date_value
from ..policy.headers import end_to_end, first, values
from ..policy.ranges import (
    Span,
    Unsatisfiable,
    content_range,
    partial_headers,
    select,
    select_from_part,
    unsatisfiable_headers,
)
from ..policy.terms import Terms
from ..policy.validation import is_conditional, not_modified, not_modified_headers

AGE = b"age"
PARTIAL = 206


_REMEMBERED = 1 << 15
"""Lines of each kind that are remembered: ages and lifetimes up to nine hours."""


class _LinesBySecond(dict[int, Header]):
    """A field line for each number of seconds, made when it is first asked for.

    A dictionary, as a hit of the next second has to look up two: `lru_cache` moves what it finds.

    Args:
        make: Makes the line.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[int], Header]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, second: int) -> Header:
        if len(self) >= _REMEMBERED:
            self.clear()
        line = self[second] = self._make(second)
        return line


HAIR = 1e-5
"""Seconds: more than what is lost of a clock's reading as a number, also of the year's."""


AGE_LINES = _LinesBySecond(lambda second: (AGE, b"%d" % max(second, 0)))
"""The `Age` of a response, by its whole seconds (RFC 9111 §5.1)."""


def whole_seconds(span: float) -> int:
    """The whole seconds between two readings of a clock, cut.

    The difference of two may lie a hair below what was added: 964.1 + 60 - 964.1 is below 60.
    """
    return int(span + HAIR)


def age_line(age: float) -> Header:
    """The `Age` of a response of so many seconds (RFC 9111 §5.1)."""
    return AGE_LINES[whole_seconds(age)]


class _HitLines(dict[int, _LinesBySecond]):
    """What `Cache-Status` says of a plain hit: by the level of its tier, and the seconds left."""

    __slots__ = ()

    def __missing__(self, level: int) -> _LinesBySecond:
        lines = self[level] = _LinesBySecond(
            lambda ttl: (cache_status.NAME, cache_status.hit(ttl, f"l{level}"))
        )
        return lines


HIT_LINES = _HitLines()
"""What `Cache-Status` says of a plain hit: see `hit_line`."""


def hit_line(ttl: int, level: int) -> Header:
    """What `Cache-Status` says of a plain hit.

    Args:
        ttl: Seconds of freshness that are left.
        level: That of the tier that had it.
    """
    return HIT_LINES[level][ttl]


class Prepared(msgspec.Struct, eq=False, gc=False):
    """The messages of a response, ready to be sent.

    As of an entry, the garbage collector knows nothing of it: it refers to texts and bytes alone.

    Attributes:
        status: The status code.
        lines: The field lines, `Age` and `Cache-Status` included. Each client gets a list of its
            own: layers outside may edit theirs.
        body: The content.
    """

    status: int
    lines: Headers
    body: bytes


class Replay(Prepared, eq=False, gc=False):
    """A response ready to be sent again; its field lines are rebuilt when its age has changed.

    Attributes:
        created: Clock value at which its age was 0.
        until: Clock value until which it may be sent without further checks.
        headers: The field lines without `Age` and `Cache-Status`.
        level: That of the tier that it was found in.
        lifetime: Whole seconds that it is fresh, from `created` on.
        tag: Its entity tag, by which a client may say that it has it; None if it has none.
        due: Clock value from which it must be renewed before it is sent.
        unchanged: The 304 in its place, once it was asked for (see `instead`).
        part: The part that was asked for last, likewise.
    """

    created: float
    until: float
    headers: Headers
    level: int
    lifetime: int
    tag: bytes | None
    due: float = -math.inf
    unchanged: Any = None
    part: Any = None

    def encoded(self, coding: bytes, body: bytes) -> "Replay":
        """The same response in a content coding.

        Args:
            coding: The coding.
            body: The encoded content.
        """
        return replace(
            self,
            body=body,
            headers=encoded_headers(self.headers, coding, len(body)),
            tag=None if self.tag is None else encoded_etag(self.tag, coding),
            due=-math.inf,
            unchanged=None,
            part=None,
        )

    def renew(self, now: float) -> bool:
        """Build the field lines for a reading of the clock; False if further checks are needed."""
        if now < self.due:
            return True
        if now >= self.until:
            return False
        created = self.created
        second = int(now - created + HAIR)  # as `whole_seconds`: a call less for many hits
        self.lines: Headers = (
            *self.headers,
            AGE_LINES[second],
            HIT_LINES[self.level][self.lifetime - second],
        )
        due = created + (second + 1 - HAIR)
        self.due = due if due < self.until else self.until  # noqa: FURB136  # faster
        return True


def replay_of(
    entry: Entry,
    response: StoredResponse,
    terms: Terms,
    level: int = 1,
    chosen_by: Collection[bytes] = (),
) -> Replay:
    """The replay of a response; see `prepare`."""
    never = entry.always_validate or response.status == PARTIAL
    return Replay(
        status=response.status,
        lines=(),
        body=response.body,
        created=entry.created,
        until=-math.inf if never else min(entry.fresh_until, entry.refresh_at),
        headers=told(response.headers, terms, chosen_by),
        level=level,
        lifetime=one_object(whole_seconds(entry.fresh_until - entry.created)),
        tag=response.etag if 200 <= response.status < 300 else None,
    )


def prepare(
    slot: Slot, terms: Terms, level: int = 1, chosen_by: Collection[bytes] = ()
) -> Replay | None:
    """The slot's replay, made if need be; None if the slot holds no response.

    It is kept from the second hit on: much of what a cache holds is asked for once or not at all,
    and a replay takes a tenth of what an entry of 1 KB does.

    Args:
        slot: The slot.
        terms: The terms of the rule that the request has met.
        level: Of the tier that it was found in.
        chosen_by: See `told`; the same for all requests that select the slot.
    """
    replay: Replay | None = slot.replay if isinstance(slot.replay, Replay) else None
    if slot.replay is None and isinstance(slot.entry.payload, StoredResponse):
        replay = replay_of(slot.entry, slot.entry.payload, terms, level, chosen_by)
        if slot.uses or slot.size == UNSIZED:  # no tier counts the uses of what it does not hold
            slot.replay = replay
    return replay


def ttl_of(entry: Entry, now: float) -> int:
    """Whole seconds of freshness that are left, as `Cache-Status` gives it everywhere.

    Both ends are cut to whole seconds, so that the first answer and the first hit say the same.
    """
    lifetime = whole_seconds(entry.fresh_until - entry.created)
    return lifetime - whole_seconds(now - entry.created)


def aged(headers: Headers, age: float) -> Headers:
    """The field lines with an `Age` (RFC 9111 §5.1) in place of any other."""
    return (*(line for line in headers if line[0] != AGE), age_line(age))


def part_for(response: StoredResponse, method: str, request_headers: Headers) -> Span | None:
    """What a stored part holds of the range that a request asks for; None if it does not do.

    A request with a condition as well as a range is for the origin to answer.
    """
    wanted = values(request_headers, b"range")
    part = content_range(response.headers)
    if part is None or method != "GET" or len(wanted) != 1:
        return None
    if part.length != len(response.body):
        return None
    if is_conditional(request_headers) or values(request_headers, b"if-range"):
        return None
    span = select_from_part(wanted[0], part)
    return span if isinstance(span, Span) else None


def answer(
    response: StoredResponse,
    lines: Headers,
    member: bytes,
    *,
    method: str,
    request_headers: Headers,
    received: float | None,
    now: float,
) -> list[Message]:
    """What a request with any conditions, range or method gets out of a complete response.

    Args:
        response: The response: its status, validators and content.
        lines: The field lines that this client is to get.
        member: What `Cache-Status` is to say.
        method: GET or HEAD.
        request_headers: The request's field lines, lower-case names.
        received: Unix seconds at which the response's age was 0; None for content of no known date,
            of which only its own validators count.
        now: Unix seconds.
    """
    status, body = response.status, response.body
    date = math.inf if received is None else date_value(response.headers, received)
    if not_modified(request_headers, response, date=date, now=now):
        # Fields of the origin's own connection do not hold for this one.
        status, body, lines = 304, b"", not_modified_headers(end_to_end(lines))
    elif status == 200 and method == "GET" and (wanted := values(request_headers, b"range")):
        span = select(
            wanted[0] if len(wanted) == 1 else b"",
            first(request_headers, b"if-range"),
            size=len(body),
            etag=response.etag,
            last_modified=response.last_modified,
            date=None if received is None else date,
            now=now,
        )
        if isinstance(span, Span):
            status, lines = PARTIAL, partial_headers(end_to_end(lines), span, len(body))
            body = body[span.first : span.last + 1]
        elif isinstance(span, Unsatisfiable):
            status, lines, body = 416, unsatisfiable_headers(len(body)), b""
    elif status == PARTIAL and (span := part_for(response, method, request_headers)):
        part = content_range(response.headers)
        assert part is not None  # noqa: S101  # `part_for` has read it
        lines = partial_headers(end_to_end(lines), span, part.size)
        body = body[span.first - part.first : span.last - part.first + 1]
    lines = cache_status.appended(lines, member)
    return response_messages(status, lines, b"" if method == "HEAD" else body)


def response_messages(status: int, lines: Iterable[Header], body: bytes = b"") -> list[Message]:
    """The start and the body of a response."""
    return [
        {"type": "http.response.start", "status": status, "headers": list(lines)},
        {"type": "http.response.body", "body": body},
    ]
