"""The version of the data behind a response or value, as `validator=` returns it."""

from hashlib import blake2b

from .partition import partition_part

_ALLOWED = "a str, an int, bytes, a UUID, a date, an Enum or a tuple of these"

_DIGEST = 16
"""Bytes: finding two versions with the same digest is not feasible by chance."""


def version_digest(version: object) -> bytes | None:
    """A version as 16 bytes, the same for the same type and value only.

    Args:
        version: What the validator has returned.

    Returns:
        None if it has returned None: the version is not known.

    Raises:
        TypeError: If it cannot be distinguished from other versions with certainty.
    """
    if version is None:
        return None
    part = partition_part(version)
    if part is None:
        raise TypeError(f"a {type(version).__name__} is no version; expected {_ALLOWED}")
    return blake2b(part, digest_size=_DIGEST, person=b"asgi-mt version").digest()


def is_unchanged(stored: bytes | None, current: bytes | None) -> bool:
    """Whether what was made from one version holds for the other.

    Args:
        stored: The version that was read before it was made; None if it was not known.
        current: The version now; None if it is not known.
    """
    return current is not None and stored == current
