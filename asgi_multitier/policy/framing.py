"""Where a message ends and what becomes of its connection, as its field lines say (RFC 9112 §6)."""

import re
from collections.abc import Iterable

from .._types import Header
from .headers import is_token

_EMPTY = frozenset((204, 304))
"""Final status codes whose responses end with their field lines (RFC 9112 §6.3)."""

_OWN_WORD = frozenset((b"connection", b"transfer-encoding", b"upgrade"))
"""Fields by which a response changes how it ends, or its connection."""

_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
"""A value that servers send as it is: no control bytes, and no white space around it."""


def is_sendable(lines: Iterable[Header]) -> bool:
    """Whether field lines can be sent as they are, and say nothing of the message's end."""
    return all(
        name.lower() not in _OWN_WORD
        and name.lower() != b"content-length"
        and is_token(name)
        and _VALUE.fullmatch(value)
        for name, value in lines
    )


def is_simply_framed(status: int, lines: Iterable[Header], size: int) -> bool:
    """Whether the field lines of a response can be sent as they stand, and a server adds none.

    Args:
        status: The status code.
        lines: Its field lines, in any case.
        size: Bytes of the content that the same request gets with GET.
    """
    lines = list(lines)
    if not is_sendable(line for line in lines if line[0].lower() != b"content-length"):
        return False
    lengths = [value for name, value in lines if name.lower() == b"content-length"]
    if status in _EMPTY:
        return not lengths and size == 0
    return status >= 200 and lengths == [b"%d" % size]


def keeps_connection(lines: Iterable[Header]) -> bool:
    """Whether the field lines of a request of HTTP/1.1 leave its connection open and as it is.

    Args:
        lines: Its field lines, lower-case names.
    """
    return all(name != b"connection" or value.lower() == b"keep-alive" for name, value in lines)
