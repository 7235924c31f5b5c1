"""What is prepared of a stored response: for the framework, and as it last left for a client.

Between the two lie the layers of the application. Where they send what they sent the last time, a
hit builds nothing.
"""

import math
import sys
from copy import copy
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from ..._types import Header, Headers, Message
from ...engine.encodings import InCoding
from ...entry import Entry, Slot, StoredResponse
from ...policy.encoded import encoded_etag, encoded_headers
from ...policy.headers import end_to_end, without
from ...policy.validation import not_modified_headers
from ..replay import PARTIAL, age_line, hit_line, whole_seconds
from .made import OWN_FIELDS


class GuardedReplay:
    """A stored response of a guarded endpoint, ready to be given to the framework and to clients.

    Attributes:
        until: Clock value until which a plain hit may be served without further checks.
        created: Clock value at which its age was 0.
        status, body: The response.
        given: Its field lines, as the framework gets them.
        joins: Whether the fields that dependencies set are joined to it.
        told: What clients are told of it, with the validators of the content; None until it has
            left for the first time.
        tag: The validator of what clients are told, if that is a success; None until then.
        encodable: Whether clients may get it in other content codings, as it has left.
    """

    __slots__ = (
        "_ends",
        "_lifetime",
        "_second",
        "_sent",
        "_status",
        "_unchanged",
        "body",
        "created",
        "encodable",
        "given",
        "joins",
        "status",
        "tag",
        "told",
        "until",
    )

    def __init__(self, entry: Entry, response: StoredResponse) -> None:
        never = entry.always_validate or response.status == PARTIAL
        self.until: float = -math.inf if never else min(entry.fresh_until, entry.refresh_at)
        self.created: float = entry.created
        self.status: int = response.status
        self.body: bytes = response.body
        self.given: Headers = without(response.headers, {OWN_FIELDS})
        self.joins: bool = len(self.given) == len(response.headers)
        if self.joins:
            self.given = response.headers  # not held twice
        self.told: StoredResponse | None = None
        self.tag: bytes | None = None
        self.encodable: bool = False
        self._ends: Headers = ()
        self._unchanged: Headers | None = None
        self._sent: list[Header] = []
        self._second = -1
        self._status = 0
        self._lifetime = whole_seconds(entry.fresh_until - entry.created)

    def response(self, added: Headers = ()) -> Any:
        """A response of the framework: as one is made, without reading the content again.

        Args:
            added: Further field lines, which dependencies have set for this request.
        """
        kind = sys.modules["starlette.responses"].Response
        made = kind.__new__(kind)
        made.__dict__.update(_attributes_of(kind))
        made.status_code, made.body = self.status, self.body
        made.raw_headers = [*self.given, *added]
        return made

    def has_left(self, sent: list[Header], told: StoredResponse, *, encodable: bool) -> None:
        """It has left with its own content.

        Args:
            sent: The field lines that the application has sent, without those of one request.
            told: What clients are told, without the same.
            encodable: Whether clients may get it in other content codings.
        """
        self._sent, self.told, self._unchanged = sent, told, None
        self.encodable = encodable
        self._status = told.status
        self.tag = told.etag if told.status == 200 else None

    def encoded(self, coding: bytes, body: bytes) -> "GuardedReplay":
        """The same, as it leaves in a content coding; it has left before.

        Args:
            coding: The coding.
            body: The encoded content.
        """
        told = self.told
        assert told is not None  # noqa: S101  # it has left before
        made = copy(self)
        lines = encoded_headers(told.headers, coding, len(body))
        etag = None if told.etag is None else encoded_etag(told.etag, coding)
        made.body = body
        coded = replace(told, headers=lines, body=body, etag=etag)
        made.has_left(self._sent, coded, encodable=self.encodable)
        return made

    def is_of(self, other: "GuardedReplay") -> bool:
        """Whether this was made of the other as that has left the last time."""
        return self._sent is other._sent

    def leaves_as_before(self, start: Message, added: Headers) -> bool:
        """Whether it leaves with the start with which it left the last time.

        Args:
            start: The start of the response.
            added: The field lines of this request alone.
        """
        return (
            self.told is not None
            and start.get("headers") == ([*self._sent, *added] if added else self._sent)
            and start["status"] == self._status
        )

    def messages(self, age: float, tag: bytes | None, added: Headers) -> tuple[Message, Message]:
        """What a client gets: the start and the content of a response that has left before.

        Args:
            age: Seconds since it was generated.
            tag: What the client holds, if that is the same: it gets a 304. None if nothing.
            added: The field lines of this request alone.
        """
        told = self.told
        assert told is not None  # noqa: S101  # it has left before
        if (second := whole_seconds(age)) != self._second:
            self._second, self._ends = second, (age_line(age), self.member(age))
        status, lines, body = self._status, told.headers, self.body
        if tag is not None:
            if self._unchanged is None:
                self._unchanged = not_modified_headers(end_to_end(lines))
            status, lines, body = 304, self._unchanged, b""
        return (
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*lines, *self._ends, *added],
            },
            {"type": "http.response.body", "body": body},
        )

    def member(self, age: float) -> Header:
        """What `Cache-Status` says of a hit at this age in seconds."""
        return hit_line(self._lifetime - whole_seconds(age), 1)


@lru_cache(1)
def _attributes_of(kind: Any) -> dict[str, Any]:
    """What a response of the framework has besides its status, field lines and content."""
    return dict(vars(kind(b"")))


def in_coding(found: InCoding, own: GuardedReplay) -> GuardedReplay:
    """What was found in a coding, as it leaves.

    Args:
        found: The content.
        own: The response without a coding, which has left before.
    """
    replay: GuardedReplay | None = found.encoded.replay
    if replay is None or not replay.is_of(own):
        replay = found.encoded.replay = own.encoded(found.coding, found.body)
    return replay


def prepared(slot: Slot) -> GuardedReplay | None:
    """The slot's replay, made if need be; None if the slot holds no response."""
    if slot.replay is None and isinstance(slot.entry.payload, StoredResponse):
        slot.replay = GuardedReplay(slot.entry, slot.entry.payload)
    replay: GuardedReplay | None = slot.replay
    return replay
