"""The content of an answer while it is sent: counted, and digested in the end.

A short one is kept until it is digested, which can be done when there is time; a longer one is
digested while it comes, and one beyond the bound only counted.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from ..._types import Headers
from ...policy.observed import is_json, media_type_of
from ...shadow import Answer
from .fingerprints import Fingerprints, number_of
from .places import SMALL, places_of

_GZIP: Final = b"\x1f\x8b\x08"
"""How gzip begins; four bytes further is the time at which it was made (RFC 1952 §2.3)."""

_TIME: Final = slice(4, 8)


class Content:
    """The content of one answer.

    Args:
        fingerprints: Makes digests.
        limit: Bytes that are digested at most.
        short: Bytes up to which the content is kept until it is digested.

    Attributes:
        size: Bytes so far.
        kept: What is kept of it: bytes.
    """

    __slots__ = ("_fingerprints", "_hashed", "_limit", "_short", "_text", "kept", "size")

    def __init__(self, fingerprints: Fingerprints, limit: int, short: int = SMALL) -> None:
        self._fingerprints = fingerprints
        self._limit = limit
        self._short = short
        self._text = bytearray()  # not pieces: streams may send many small ones
        self._hashed: blake2b | None = None
        self.kept = self.size = 0

    def add(self, chunk: bytes, status: int) -> None:
        """More of it.

        Args:
            chunk: What follows, not empty.
            status: The status of the answer.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            self.drop()
        elif self._hashed is not None:
            self._hashed.update(chunk)
        else:
            self._text += chunk
            self.kept = self.size
            if self.size > self._short:
                self.digest(status)

    def digest(self, status: int) -> None:
        """Keep no more than the digest from here on."""
        if self._hashed is None and self.is_whole:
            self._hashed = self._fingerprints.content(status)
            self._hashed.update(_timeless(bytes(self._text)))
            self.drop()

    def drop(self) -> None:
        """Keep nothing."""
        self._text = bytearray()
        self.kept = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it was digested, or will be."""
        return self.size <= self._limit

    @property
    def text(self) -> bytes | None:
        """The content, if it is kept."""
        return bytes(self._text) if self.kept == self.size else None

    def answer(
        self,
        status: int,
        lines: Callable[[], Headers],
        wants_places: Callable[[int], bool],
        expected: Answer | None = None,
    ) -> Answer | None:
        """The answer with this content; None if it is beyond the bound.

        Args:
            status: Its status.
            lines: Gives its field lines, normalised.
            wants_places: Says by the digest whether to read what stands where, if it is a short
                JSON text.
            expected: What it may be: then it is that object.
        """
        if not self.is_whole:
            return None
        text = self.text
        self.digest(status)
        assert self._hashed is not None  # noqa: S101  # it is whole
        digest, found = number_of(self._hashed), None
        if expected is not None and expected.digest == digest:
            return expected
        media_type = media_type_of(lines())
        readable = text is not None and len(text) <= SMALL and is_json(media_type)
        if wants_places(digest) and readable and text is not None:
            found = places_of(text, self._fingerprints)
        return Answer(
            status=status,
            digest=digest,
            size=self.size,
            places=found,
            media_type=media_type[:_LONGEST],
        )


_LONGEST: Final = 64
"""Bytes of the longest media type that is told."""


def answer_of(
    fingerprints: Fingerprints, status: int, headers: Headers, body: bytes, *, places: bool = True
) -> Answer:
    """The answer with a content that is at hand.

    Args:
        fingerprints: Makes digests.
        status, headers, body: The response, its field lines normalised.
        places: Whether to read what stands where, if it is a short JSON text.
    """
    content = Content(fingerprints, max(1, len(body)))
    if body:
        content.add(body, status)
    found = content.answer(status, lambda: headers, lambda _: places)
    assert found is not None  # noqa: S101  # all of it is within the bound
    return found


def _timeless(content: bytes) -> bytes:
    """Without the time at which gzip was made: it is no part of what it contains."""
    if not content.startswith(_GZIP):
        return content
    return content[: _TIME.start] + content[_TIME.stop :]
