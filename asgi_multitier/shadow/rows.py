"""Records of one route as they are compared: rows in order of time, one list for each key."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..policy.likelihood import NEVER, rank_of_cookie, rank_of_field
from .edits import Mutations, related
from .found import Cause
from .record import ADDRESS, USER, Attribute, Content, Record

ROWS: Final = 1_500
"""Rows that are compared of one route."""

_UNIQUE: Final = 0.8
"""An attribute with more different values than this share of the requests explains nothing."""

_FEW: Final = 5
"""Requests up to which an attribute may have as many values as there are requests."""

_COLUMNS: Final = 40


@dataclass(slots=True, eq=False)
class Row:
    """One answer.

    Attributes:
        record: Where it comes from.
        content: It. Of answers with one digest, it is read once what stands where.
        sent: What would have been sent; None for none.
        digest: What it is compared by: the whole, or what is left of it.
        served: The same of the answer that would have been sent; None for none.
        epoch: Rows of one key with different numbers have an edit or a new filling between them.
    """

    record: Record
    content: Content
    sent: Content | None
    digest: int
    served: int | None
    epoch: int = 0


@dataclass(slots=True, eq=False)
class Key:
    """The rows of one key.

    Attributes:
        path: The path of its requests.
        tags: The tags of its entry.
        rows: Its answers, in order of time.
    """

    path: str
    tags: frozenset[str]
    rows: list[Row]

    @property
    def differs(self) -> bool:
        """Whether not all answers are the same."""
        return len({row.digest for row in self.rows}) > 1


def rows_of(
    keys: Iterable[tuple[str, frozenset[str], int, Sequence[Record]]],
) -> list[Key]:
    """The rows of a route: of keys with several answers first, and so many as are compared."""
    several = [one for one in keys if len(one[3]) > 1]
    several.sort(key=lambda one: len({record.content.digest for record in one[3]}) < 2)
    found, total = [], 0
    for path, tags, _, records in several:
        ordered = sorted(records, key=lambda record: (record.began, record.number))
        read = _read(ordered)
        found.append(Key(path, tags, [_row(record, read) for record in ordered]))
        total += len(ordered)
        if total >= ROWS:
            break
    return found


def _read(records: Iterable[Record]) -> dict[int, Content]:
    """Answers of which it is known what stands where, by their digest."""
    contents = (one for record in records for one in (record.content, record.served))
    return {one.digest: one for one in contents if one is not None and one.places is not None}


def _row(record: Record, read: Mapping[int, Content]) -> Row:
    content = read.get(record.content.digest, record.content)
    if record.served is None:
        return Row(record, content, None, content.digest, None)
    sent = read.get(record.served.digest, record.served)
    return Row(record, content, sent, content.digest, sent.digest)


def number_epochs(keys: Iterable[Key], route: str, mutations: Sequence[Mutations]) -> None:
    """Say between which rows an edit that is about the key, or a new filling, lies."""
    for key in keys:
        epoch, before = 0, None
        for row in key.rows:
            if before is not None and (
                row.record.refilled
                or any(
                    related(edit, route, key.path)
                    for one in mutations
                    for edit in one.within(before.record.began, row.record.ended)
                )
            ):
                epoch += 1
            row.epoch = epoch
            before = row


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One attribute of all rows.

    Attributes:
        names: The attributes that have it, the likeliest first: their values divide the rows of
            each key in the same way.
        values: A value for each row, as the keys and rows stand.
    """

    names: tuple[Attribute, ...]
    values: list[list[int]]


def columns_of(keys: Sequence[Key]) -> list[Column]:
    """The attributes that may explain: those that differ within a key, but not in each request."""
    by_row = [[row.record.attributes() for row in key.rows] for key in keys]
    present: dict[Attribute, int] = {}
    for rows in by_row:
        for row in rows:
            for name in row:
                present[name] = present.get(name, 0) + 1
    total = sum(map(len, by_row))
    grouped: dict[tuple[tuple[int, ...], ...], list[Attribute]] = {}
    values: dict[tuple[tuple[int, ...], ...], list[list[int]]] = {}
    for name in sorted(present, key=lambda one: (rank(one), one))[: 3 * _COLUMNS]:
        if rank(name) >= NEVER:
            continue
        column = [[row.get(name, 0) for row in rows] for rows in by_row]
        different = len({value for rows in column for value in rows if value})
        if total > _FEW and different > _UNIQUE * total:
            continue
        parts = tuple(_numbered(rows) for rows in column)
        if all(max(numbers) == 0 for numbers in parts):
            continue
        grouped.setdefault(parts, []).append(name)
        values.setdefault(parts, column)
    return [Column(tuple(names), values[parts]) for parts, names in grouped.items()][:_COLUMNS]


def _numbered(values: Sequence[int]) -> tuple[int, ...]:
    """Values as numbers in order of their first appearance: how they divide the rows."""
    seen: dict[int, int] = {}
    return tuple(seen.setdefault(value, len(seen)) for value in values)


_RANKS: Final = {Cause.QUERY: 0, Cause.USER: 2, Cause.ADDRESS: 4}


def rank(name: Attribute) -> int:
    """How late an attribute stands among those that explain equally well."""
    kind, text = name
    if kind is Cause.FIELD:
        return rank_of_field(text.encode("latin-1", "replace"))
    if kind is Cause.COOKIE:
        return rank_of_cookie(text)
    return _RANKS[kind]


def signature(values: Mapping[Attribute, int], left_out: frozenset[Attribute]) -> tuple[int, ...]:
    """All attributes of a request that do not stand for this one message."""
    return tuple(
        hash((name, value))
        for name, value in sorted(values.items())
        if name not in left_out and rank(name) < NEVER
    )


def unique_names(keys: Sequence[Key]) -> frozenset[Attribute]:
    """Fields and cookies with a new value in nearly every request."""
    total, seen = 0, dict[Attribute, set[int]]()
    for key in keys:
        for row in key.rows:
            total += 1
            for name, value in row.record.attributes().items():
                seen.setdefault(name, set()).add(value)
    return frozenset(
        name
        for name, values in seen.items()
        if name not in (USER, ADDRESS) and total > _FEW and len(values) > _UNIQUE * total
    )


def projected(content: Content, left_out: frozenset[str]) -> int:
    """The digest of an answer without some of its places."""
    if content.places is None or content.values is None or not left_out:
        return content.digest
    return hash(
        tuple(
            (name, value)
            for name, value in zip(content.places, content.values, strict=True)
            if general(name) not in left_out
        )
    )


@lru_cache(maxsize=4096)
def general(place: str) -> str:
    """A place without the positions in arrays: `$.items[*].token`."""
    if "[" not in place:
        return place
    head, *rest = place.split("[")
    return head + "".join("[*]" + part.partition("]")[2] for part in rest)
