"""From a stored response to the messages that the client gets.

`Replay` is prepared once per slot for the plain hit; `answer` is for everything else: a request
with conditions or a range, a HEAD, a response that was just filled.
"""

import math
from typing import TypeAlias

from ._types import Headers, Message
from .entry import Entry, Slot, StoredResponse
from .policy import cache_status
from .policy.headers import first, values
from .policy.ranges import Span, Unsatisfiable, partial_headers, select, unsatisfiable_headers
from .policy.validation import not_modified, not_modified_headers

Reply: TypeAlias = tuple[Message, Message]
"""The start and the body of a response."""

AGE = b"age"


class Replay:
    """A response ready to be sent again; its field lines are rebuilt when its age has changed.

    Attributes:
        until: Clock value until which a plain hit needs no further thought.
        created: Clock value at which its age was 0.
        second: The age in whole seconds for which `lines` was built.
        status: The status code.
        lines: The field lines, `Age` and `Cache-Status` included. Copied for each client: layers
            outside may edit theirs.
        body: The content.
    """

    __slots__ = ("_headers", "_lifetime", "body", "created", "lines", "second", "status", "until")

    def __init__(self, entry: Entry, response: StoredResponse) -> None:
        self.until = (
            -math.inf if entry.always_validate else min(entry.fresh_until, entry.refresh_at)
        )
        self.created = entry.created
        self.second = -1
        self.status = response.status
        self.body = response.body
        self.lines: list[tuple[bytes, bytes]] = []
        self._headers = response.headers
        self._lifetime = int(entry.fresh_until - entry.created)

    def renew(self, second: int) -> None:
        """Build the field lines for this age in seconds."""
        self.second = second
        member = cache_status.hit(self._lifetime - second, "l1")
        self.lines = [
            *self._headers,
            (AGE, b"%d" % max(second, 0)),
            (cache_status.NAME, member),
        ]


def prepare(slot: Slot) -> Replay | None:
    """The slot's replay, made if need be; None if the slot holds no response."""
    if slot.replay is None and isinstance(slot.entry.payload, StoredResponse):
        slot.replay = Replay(slot.entry, slot.entry.payload)
    replay: Replay | None = slot.replay if isinstance(slot.replay, Replay) else None
    return replay


def aged(headers: Headers, age: float) -> Headers:
    """The field lines with an `Age` (RFC 9111 §5.1) in place of any other."""
    return (*(line for line in headers if line[0] != AGE), (AGE, b"%d" % max(age, 0)))


def answer(
    response: StoredResponse,
    lines: Headers,
    member: bytes,
    *,
    method: str,
    request_headers: Headers,
    received: float,
    now: float,
) -> Reply:
    """What a request with any conditions, range or method gets out of a complete response.

    Args:
        response: The response: its status, validators and content.
        lines: The field lines that this client is to get.
        member: What `Cache-Status` is to say.
        method: GET or HEAD.
        request_headers: The request's field lines, lower-case names.
        received: Unix seconds at which the response's age was 0.
        now: Unix seconds.
    """
    status, body = response.status, response.body
    if not_modified(
        request_headers,
        status=status,
        etag=response.etag,
        last_modified=response.last_modified,
        date=received,
        now=now,
    ):
        status, body, lines = 304, b"", not_modified_headers(lines)
    elif status == 200 and method == "GET" and (wanted := values(request_headers, b"range")):
        span = select(
            wanted[0] if len(wanted) == 1 else b"",
            first(request_headers, b"if-range"),
            size=len(body),
            etag=response.etag,
            last_modified=response.last_modified,
            date=received,
            now=now,
        )
        if isinstance(span, Span):
            status, lines = 206, partial_headers(lines, span, len(body))
            body = body[span.first : span.last + 1]
        elif isinstance(span, Unsatisfiable):
            status, lines, body = 416, unsatisfiable_headers(len(body)), b""
    lines = cache_status.appended(lines, member)
    start: Message = {"type": "http.response.start", "status": status, "headers": list(lines)}
    return start, {"type": "http.response.body", "body": b"" if method == "HEAD" else body}
