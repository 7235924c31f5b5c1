"""The user or tenant that `vary_by=` returns, as bytes that are unique to its value."""

from datetime import date
from enum import Enum
from uuid import UUID

from .key import length_prefixed

ALLOWED = "a str, an int, bytes, a UUID, a date, an Enum, a tuple of these, or None"

_DEEPEST = 8
_MOST_BITS = 4096


def partition_part(partition: object) -> bytes | None:
    """A partition as bytes that no other value, of any type, is turned into.

    Returns:
        None for what is not a partition: another type, text that is not Unicode, a tuple that is
        empty or contains such. *Deliberate*: a bool alone is not one. It says that a user is logged
        in, not which one, and would give all of them one copy; in a tuple it is allowed.
    """
    if type(partition) is str:  # nearly always: asked first
        return _text(partition)
    return None if isinstance(partition, bool) else _encoded(partition, 0)


def _encoded(value: object, depth: int) -> bytes | None:
    # Before int and str, as members of an enumeration may be either.
    if isinstance(value, Enum):
        inner = _encoded(value.value, depth + 1) if depth < _DEEPEST else None
        kind = type(value)
        return None if inner is None else _typed(f"{kind.__module__}.{kind.__qualname__}", inner)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return _typed("bool", b"%d" % value)
    if isinstance(value, int):
        number = int.__index__(value)
        return _typed("int", b"%d" % number) if number.bit_length() <= _MOST_BITS else None
    if isinstance(value, bytes):
        return _typed("bytes", bytes(value))
    if isinstance(value, UUID):
        return _typed("uuid", value.bytes)
    if isinstance(value, date):  # a datetime is one, and its text has a time
        return _typed("date", value.isoformat().encode())
    return _encoded_tuple(value, depth) if isinstance(value, tuple) else None


def _text(value: str) -> bytes | None:
    try:
        return b"str:" + str.encode(value, "utf-8")
    except UnicodeEncodeError:
        return None


def _encoded_tuple(values: tuple[object, ...], depth: int) -> bytes | None:
    if not values or depth >= _DEEPEST:
        return None
    parts: list[bytes] = []
    for value in values:
        part = _encoded(value, depth + 1)
        if part is None:
            return None
        parts.append(part)
    return _typed("tuple", length_prefixed(parts).encode("latin-1"))


def _typed(kind: str, text: bytes) -> bytes:
    return kind.encode("utf-8", "surrogatepass") + b":" + text
