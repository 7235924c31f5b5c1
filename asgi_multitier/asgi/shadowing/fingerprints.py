"""Digests in place of what requests and answers contain: they can be compared, and not read."""

from hashlib import blake2b
from secrets import token_bytes
from typing import Final

SIZE: Final = 8
"""Bytes of a digest."""


class Fingerprints:
    """Makes digests with a key that no other process knows.

    A text has one digest in this process; what is digested for another purpose has another.
    """

    __slots__ = ("_content", "_value")

    def __init__(self) -> None:
        key = token_bytes(32)
        self._value = blake2b(key=key, digest_size=SIZE, person=b"value")
        self._content = blake2b(key=key, digest_size=SIZE, person=b"content")

    def of(self, value: bytes) -> int:
        """The digest of a value; never 0."""
        hashed = self._value.copy()
        hashed.update(value)
        return number_of(hashed)

    def content(self, status: int) -> blake2b:
        """What takes the content of an answer with this status, and gives its digest."""
        hashed = self._content.copy()
        hashed.update(b"%d:" % status)
        return hashed


def number_of(hashed: blake2b) -> int:
    """The digest as a number; never 0."""
    return int.from_bytes(hashed.digest(), "big") or 1
