"""Which records of one key are kept: so many that evidence survives, and no more."""

from typing import Final

from .record import Record

MANY: Final = 128
"""Records of one key at most, while there is room."""

FEW: Final = 40
"""The same when there is not."""

_LEFT: Final = 0.7
"""The share of them that is left when there are more."""

_INNER: Final = 6
"""Records between two equal answers that stay longer than where an answer begins or ends."""

_NEWEST: Final = 6
"""Of these the last that are never given up."""

_DIGESTS: Final = 8
"""Answers of which the first record is kept."""

_KEY: Final = 700
_TAG: Final = 90
_TAGS: Final = 64
_SPREAD: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1


class Kept:
    """The records of one key, in the order in which they were told.

    Attributes:
        path: The path of its requests.
        tags: The tags of its entry.
        size: Bytes of the last answer.
        records: The records.
        bytes: What all of it takes, about.
        filled: When a cache with each of the usual lifetimes would have filled it last.
    """

    __slots__ = ("bytes", "filled", "path", "records", "size", "tags")

    def __init__(self, key: str, path: str, lifetimes: int) -> None:
        self.path, self.tags, self.size = path, frozenset[str](), 0
        self.records: list[Record] = []
        self.bytes: int = _KEY + len(key) + len(path)
        self.filled: list[float] = [float("-inf")] * lifetimes

    def tagged(self, tags: frozenset[str]) -> int:
        """Keep the tags of its newest entry; return by how many bytes this has grown."""
        if not tags or tags == self.tags:
            return 0
        before = sum(map(len, self.tags)) + _TAG * len(self.tags)
        self.tags = tags if len(tags) <= _TAGS else frozenset(sorted(tags)[:_TAGS])
        grown = sum(map(len, self.tags)) + _TAG * len(self.tags) - before
        self.bytes += grown
        return grown

    def add(self, record: Record, most: int) -> int:
        """Keep a record; return by how many bytes this has grown.

        Args:
            record: The record.
            most: Records that may be kept.
        """
        records = self.records
        records.append(record)
        grown = record.bytes
        if len(records) > most:
            for at in sorted(_dispensable(records, round(most * _LEFT)), reverse=True):
                grown -= records.pop(at).bytes
        self.bytes += grown
        return grown


def _dispensable(records: list[Record], left: int) -> list[int]:
    """The places of records that tell least: first those between two equal answers.

    The first of each answer stays, and so do those that a wrong answer came from.
    """
    seen: set[int] = set()
    needed = {record.hit for record in records if record.wrong}
    inner: list[int] = []
    others: list[int] = []
    for at, record in enumerate(records[:-_NEWEST]):
        digest = record.content.digest
        first = digest not in seen and len(seen) < _DIGESTS
        seen.add(digest)
        if first or (record.number and record.number in needed):
            continue
        same = records[at - 1].content.digest == digest == records[at + 1].content.digest
        (inner if same else others).append(at)
    # Any of them, but the same ones each time that the same is told.
    for places in (inner, others):
        places.sort(key=lambda at: records[at].number * _SPREAD & _WORD)
    found = [*inner[_INNER:], *others, *inner[:_INNER]][: len(records) - left]
    return found or [1]
