"""From a stored response to the messages that the client gets.

`Replay` is prepared once per slot for the plain hit; `answer` is for everything else: a request
with conditions or a range, a HEAD, a response that was just filled.
"""

import math
from collections.abc import Collection, Iterable
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from .._types import Header, Headers, Message
from ..entry import Entry, Slot, StoredResponse
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


_HAIR = 1e-5
"""Seconds: more than what is lost of a clock's reading as a number, also of the year's."""


@lru_cache(_REMEMBERED)
def _age_line_of(second: int) -> Header:
    return AGE, b"%d" % max(second, 0)


def whole_seconds(span: float) -> int:
    """The whole seconds between two readings of a clock, cut.

    The difference of two may lie a hair below what was added: 964.1 + 60 - 964.1 is below 60.
    """
    return int(span + _HAIR)


@lru_cache(_REMEMBERED)
def _same(second: int) -> int:
    """One object for all replays with this number: most have the lifetime of their rule."""
    return second


def age_line(age: float) -> Header:
    """The `Age` of a response of so many seconds (RFC 9111 §5.1)."""
    return _age_line_of(whole_seconds(age))


@lru_cache(_REMEMBERED)
def hit_line(ttl: int, level: int) -> Header:
    """What `Cache-Status` says of a plain hit."""
    return cache_status.NAME, cache_status.hit(ttl, f"l{level}")


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
        held: The 304 in its place, if it was made since the last renewal.
        held_headers: The field lines of that without `Age` and `Cache-Status`, once it was asked
            for.
        part: The part that was asked for last.
    """

    created: float
    until: float
    headers: Headers
    level: int
    lifetime: int
    tag: bytes | None
    due: float = -math.inf
    held: Prepared | None = None
    held_headers: Headers | None = None
    part: "Part | None" = None

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
            held=None,
            held_headers=None,
            part=None,
        )

    def renew(self, now: float) -> bool:
        """Build the field lines for a reading of the clock; False if further checks are needed."""
        if now < self.due:
            return True
        if now >= self.until:
            return False
        self.lines = (*self.headers, *self._ends(now))
        self.due = min(self.created + whole_seconds(now - self.created) + 1, self.until)
        self.held = None
        return True

    def unchanged(self, now: float) -> Prepared:
        """The 304 for a client that has it (RFC 9110 §15.4.5), once it is renewed."""
        if self.held is None:
            if self.held_headers is None:
                self.held_headers = not_modified_headers(end_to_end(self.headers))
            self.held = Prepared(304, (*self.held_headers, *self._ends(now)), b"")
        return self.held

    def _ends(self, now: float) -> Headers:
        second = whole_seconds(now - self.created)
        return _age_line_of(second), hit_line(self.lifetime - second, self.level)


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
        lifetime=_same(whole_seconds(entry.fresh_until - entry.created)),
        tag=response.etag if 200 <= response.status < 300 else None,
    )


def prepare(
    slot: Slot, terms: Terms, level: int = 1, chosen_by: Collection[bytes] = ()
) -> Replay | None:
    """The slot's replay, made if need be; None if the slot holds no response.

    Args:
        slot: The slot.
        terms: The terms of the rule that the request has met.
        level: Of the tier that it was found in.
        chosen_by: See `told`; the same for all requests that select the slot.
    """
    if slot.replay is None and isinstance(slot.entry.payload, StoredResponse):
        slot.replay = replay_of(slot.entry, slot.entry.payload, terms, level, chosen_by)
    replay: Replay | None = slot.replay if isinstance(slot.replay, Replay) else None
    return replay


class Part(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What is sent of a response to a request for one range, without its bytes.

    Attributes:
        wanted: The value of `Range`.
        due: That of the replay that it was made of.
        status: The status code: 206, 416, or the response's own where it is sent whole.
        lines: The field lines.
        first, end: Which bytes of the content.
    """

    wanted: bytes
    due: float
    status: int
    lines: Headers
    first: int
    end: int


def part_of(slot: Slot, replay: Replay, wanted: bytes) -> Prepared | None:
    """What a client gets that asks for one range of a response, and nothing else (RFC 9110 §14.2).

    Args:
        slot: The response.
        replay: The same, renewed.
        wanted: The value of `Range`.

    Returns:
        None if the response is not whole.
    """
    part = replay.part
    if part is None or part.wanted != wanted or part.due != replay.due:
        response = slot.entry.payload
        if not isinstance(response, StoredResponse) or response.status == PARTIAL:
            return None
        part = replay.part = _part(response, replay, wanted)
    return Prepared(part.status, part.lines, replay.body[part.first : part.end])


def _part(response: StoredResponse, replay: Replay, wanted: bytes) -> Part:
    *lines, (_, member) = replay.lines
    start, body = answer(
        response,
        tuple(lines),
        member,
        method="GET",
        request_headers=((b"range", wanted),),
        received=None,
        now=0.0,
    )
    span = select(wanted, size=len(response.body)) if start["status"] == PARTIAL else None
    first = span.first if isinstance(span, Span) else 0
    end = first + len(body["body"])
    return Part(wanted, replay.due, start["status"], tuple(start["headers"]), first, end)


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
