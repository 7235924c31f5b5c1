"""Questions and answers as bytes: JSON after its length, within bounds.

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

ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Bytes of the longest answer: figures of 2,000 routes are about a third of it."""

_LENGTH = struct.Struct("!I")


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
        data = orjson.dumps(value)
    except TypeError as error:  # orjson.JSONEncodeError is one
        raise FrameError(f"not JSON: {error}") from error
    if len(data) > most:
        raise FrameError(f"{len(data)} bytes, of {most} that are allowed")
    return _LENGTH.pack(len(data)) + data


def as_json(value: Any) -> Any:
    """What the other end of a connection would get: names are texts, tuples are lists.

    Raises:
        FrameError: If JSON cannot express it.
    """
    if isinstance(value, str):  # which may be long
        return value
    return orjson.loads(packed(value, ANSWER_BYTES)[_LENGTH.size :])


async def receive(connection: socket.socket, most: int) -> Any:
    """The value of the next frame.

    Args:
        connection: A socket that does not block.
        most: Bytes that the frame may have.

    Raises:
        FrameError: If the frame is too long, ends early or is not JSON.
        OSError: If the connection is broken.
    """
    (length,) = _LENGTH.unpack(await _exactly(connection, _LENGTH.size))
    if length > most:
        raise FrameError(f"{length} bytes, of {most} that are allowed")
    try:
        return orjson.loads(await _exactly(connection, length))
    except orjson.JSONDecodeError as error:
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
