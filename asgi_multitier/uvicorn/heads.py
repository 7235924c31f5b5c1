"""The head of a response as uvicorn's protocols write it: one block of bytes."""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from .._types import Header
from ..policy.framing import is_simply_framed


def head_of(
    status: int, lines: Sequence[Header], defaults: Sequence[Header], size: int
) -> bytes | None:
    """The status line and the field lines, with the empty line after them.

    None where uvicorn would add or refuse something: then its own protocol writes the response.

    Args:
        status: The status code.
        lines: The response's field lines.
        defaults: What the server puts before them.
        size: Bytes of the content that the same request gets with GET.
    """
    whole = [*defaults, *lines]
    if not is_simply_framed(status, whole, size):
        return None
    text = b"".join([b"%b: %b\r\n" % (name.lower(), value) for name, value in whole])
    return b"%b%b\r\n" % (_status_line(status), text)


@lru_cache(512)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
