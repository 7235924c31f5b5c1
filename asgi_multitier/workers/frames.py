"""Questions and answers as bytes: frames of JSON, or of a text, after their length.

What comes from another worker is not trusted to be small or well-formed: it may be of another
release.
"""

import asyncio
import socket
import struct
from typing import Any, Final

import orjson

QUESTION_BYTES: Final = 64 * 1024
"""Bytes of the longest question."""

ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Bytes of the longest answer: figures of 2,000 routes are about half of it."""

_HEAD = struct.Struct("!cI")
HEAD_BYTES: Final = _HEAD.size
"""Bytes of a frame besides its content."""

_JSON, _TEXT = b"j", b"t"
"""Kinds of frames: a piece of a long text is not written as JSON."""


class FrameError(Exception):
    """What came is no frame, or one that is too long."""


def packed(value: object, most: int) -> bytes:
    """A value as a frame.

    Args:
        value: What JSON can express.
        most: Bytes that it may have.

    Raises:
        FrameError: If it is too long, or JSON cannot express it.
    """
    try:
        kind, data = (_TEXT, value.encode()) if isinstance(value, str) else (_JSON, _dumped(value))
    except (TypeError, UnicodeEncodeError) as error:  # orjson.JSONEncodeError is the former
        raise FrameError(f"not JSON: {error}") from error
    if len(data) > most:
        raise FrameError(f"{len(data)} bytes, of {most} that are allowed")
    return _HEAD.pack(kind, len(data)) + data


def _dumped(value: object) -> bytes:
    return orjson.dumps(value)


async def receive(connection: socket.socket, most: int) -> Any:
    """The value of the next frame.

    Args:
        connection: A socket that does not block.
        most: Bytes that the frame may have.

    Raises:
        FrameError: If the frame is too long, ends early or is not JSON.
        OSError: If the connection is broken.
    """
    kind, length = _HEAD.unpack(await _exactly(connection, _HEAD.size))
    if length > most:
        raise FrameError(f"{length} bytes, of {most} that are allowed")
    data = await _exactly(connection, length)
    try:
        return data.decode() if kind == _TEXT else orjson.loads(data)
    except ValueError as error:  # also what is no UTF-8
        raise FrameError(f"not JSON: {error}") from error


async def send(connection: socket.socket, frame: bytes) -> None:
    """Send a whole frame.

    Raises:
        OSError: If the connection is broken.
    """
    await asyncio.get_running_loop().sock_sendall(connection, frame)


async def _exactly(connection: socket.socket, count: int) -> bytearray:
    loop, data = asyncio.get_running_loop(), bytearray(count)
    view, here = memoryview(data), 0
    while here < count:
        came = await loop.sock_recv_into(connection, view[here:])
        if not came:
            raise FrameError(f"ended after {here} of {count} bytes")
        here += came
    return data
