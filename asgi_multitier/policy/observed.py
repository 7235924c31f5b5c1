"""What of a request and its response is compared with others, where the cache only observes."""

from .._types import Headers
from .headers import first

_FRAMING = frozenset(
    b"connection content-length expect host keep-alive proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
_CHOICES = frozenset(
    b"if-match if-modified-since if-none-match if-range if-unmodified-since range".split()
)
_ELSEWHERE = frozenset((b"cookie",))
"""Its cookies are told apart one by one."""

_LONGEST = 64
"""Bytes of the longest name that is told: clients choose them."""


def may_choose(name: bytes) -> bool:
    """Whether a request field may have chosen the content of an answer.

    A condition or a range chooses what is sent of it, the others belong to the connection.

    Args:
        name: Its name, lower-case.
    """
    left_out = name in _FRAMING or name in _CHOICES or name in _ELSEWHERE
    return not left_out and len(name) <= _LONGEST


def media_type_of(headers: Headers) -> bytes:
    """The media type of a response, lower-case, without parameters; empty if it has none."""
    return (first(headers, b"content-type") or b"").partition(b";")[0].strip().lower()


def is_stream(media_type: bytes) -> bool:
    """Whether a media type is that of server-sent events: no two streams of them are the same."""
    return media_type == b"text/event-stream"


def is_json(media_type: bytes) -> bool:
    """Whether a media type is one of JSON (RFC 6839 §3.1)."""
    return media_type == b"application/json" or media_type.endswith(b"+json")
