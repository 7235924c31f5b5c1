"""What is told of a request that the application has answered, and of a mutation.

Values of fields, cookies, parameters and credentials stand here as digests alone: 64 bits of a
keyed hash that no other process knows the key of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_NONE: Mapping[bytes, int] = {}
_NO_TEXTS: Mapping[str, int] = {}

NAMELESS: Final = "(no name)"
"""The parameter for all parts of a query string without `=`: they may be values."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What may have chosen an answer and is not in its key: digests, never values.

    Attributes:
        fields: Lower-case name of a request field, and the digest of its values. Host and scheme
            stand among them as `:host` and `:scheme` where the rule leaves them out of the key.
        cookies: Name of a cookie, and the digest of its value.
        query: Name of a parameter that the rule keeps out of the key, and the digest of its values.
        client: Digest of the client's address; 0 where it is not known.
        user: Digest of the credentials, or of the user in the scope; 0 for none.
    """

    fields: Mapping[bytes, int] = field(default_factory=lambda: _NONE)
    cookies: Mapping[str, int] = field(default_factory=lambda: _NO_TEXTS)
    query: Mapping[str, int] = field(default_factory=lambda: _NO_TEXTS)
    client: int = 0
    user: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, without its content.

    Attributes:
        status: The status code.
        digest: Digest of the status and the content, in no content coding; 64 bits at least.
        size: Bytes of the content.
        places: Place in a small JSON text (`$.items[3].price`), and the digest of what is there;
            None for other content.
        media_type: The media type, lower-case, without parameters.
    """

    status: int
    digest: int
    size: int = 0
    places: Mapping[str, int] | None = None
    media_type: bytes = b""


@dataclass(frozen=True, slots=True)
class Observation:
    """One request with its answer, and what the cache would have done.

    Attributes:
        route: Label of the route, such as `GET /prices/{id}`.
        key: Digest of the key under which the answer would be stored.
        path: The path of the request.
        began: Seconds of the monotonic clock at which the request met the cache.
        ended: At which its answer was complete.
        traits: What may have chosen the answer.
        answer: What the application has answered; None where that cannot be compared with other
            answers of the key, as of a HEAD, a range, or a 304.
        would: `hit`, `stale`, `miss`, or the reason for which the answer would not be stored or
            the request would not be met (`no-rule`, `set-cookie`, ...).
        lifetime: Seconds of the entry that would be stored, or that was met; None where there is
            none.
        tags: Tags of that entry.
        hit: Number of the observation whose answer would have been sent; 0 for none.
        served: The answer that would have been sent (with an audit: that was sent); None for none.
            It is one that counts: the entry was valid until the application had answered.
        number: Its own number, from 1 up.
    """

    route: str
    key: str
    path: str
    began: float
    ended: float
    traits: Traits
    answer: Answer | None
    would: str
    lifetime: float | None = None
    tags: frozenset[str] = frozenset()
    hit: int = 0
    served: Answer | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Edit:
    """A mutation that the application has answered with success (2xx, 3xx).

    Attributes:
        route: Label of the route, such as `PUT /prices/{id}`.
        path: The path of the request.
        began: Seconds of the monotonic clock at which the request came.
        answered: At which its response began: what it names was dropped by then.
        ended: At which the application returned: what it names was dropped again.
        selectors: What it drops, in words (`tag:price:1`, `path:/prices/1`); empty for nothing.
        dropped: Entries that it has dropped.
    """

    route: str
    path: str
    began: float
    answered: float
    ended: float
    selectors: tuple[str, ...] = ()
    dropped: int = 0
