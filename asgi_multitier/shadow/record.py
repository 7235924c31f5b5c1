"""An observation as it is kept: without its texts, which many have in common."""

from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from .found import Cause
from .observation import Answer, Observation, Traits

Attribute: TypeAlias = tuple[Cause, str]
"""What may choose an answer: its kind, and its name; "" for the user and the address."""

USER: Final[Attribute] = (Cause.USER, "")
ADDRESS: Final[Attribute] = (Cause.ADDRESS, "")

MAX_ATTRIBUTES: Final = 96
"""Attributes of one request that are kept."""

MAX_PLACES: Final = 256
"""Places of one answer that are kept; of an answer with more, none is."""

MAX_NAME: Final = 128
"""Characters of a name or a place that are kept."""

_MASK: Final = (1 << 64) - 1
_SHAPES: Final = 1024
_RECORD: Final = 340
_ARRAY: Final = 80
_TEXT: Final = 64

_Names: TypeAlias = tuple[tuple[bytes, ...], tuple[str, ...], tuple[str, ...]]
_Value: TypeAlias = Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What is known of an answer.

    Attributes:
        digest: Of the whole.
        places: Names of places in a JSON text; None where they are not known.
        values: The digest of each.
    """

    digest: int
    places: tuple[str, ...] | None = None
    values: _Value | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One observation of one key.

    Attributes:
        number, hit, began, ended: As in `Observation`.
        names: What may have chosen the answer.
        values: The digest of each.
        content: The answer.
        served: The answer that would have been sent; None for none.
        refilled: Whether it would have been stored in place of something that does not count.
        lifetime: Seconds of the entry; 0 for none.
        bytes: What it takes, about.
    """

    number: int
    hit: int
    began: float
    ended: float
    names: tuple[Attribute, ...]
    values: _Value
    content: Content
    served: Content | None
    refilled: bool
    lifetime: float
    bytes: int

    @property
    def wrong(self) -> bool:
        """Whether the cache would have sent something else."""
        return self.served is not None and self.served.digest != self.content.digest

    def attributes(self) -> dict[Attribute, int]:
        """What may have chosen the answer, with its digest."""
        return dict(zip(self.names, self.values, strict=True))


class Shapes:
    """Sequences of names that many records have in common, each held once."""

    __slots__ = ("_names", "_places")

    def __init__(self) -> None:
        self._names: dict[_Names, tuple[Attribute, ...]] = {}
        self._places: dict[tuple[str, ...], tuple[str, ...]] = {}

    def clear(self) -> None:
        """Forget them; records keep theirs."""
        self._names.clear()
        self._places.clear()

    def names(self, traits: Traits) -> tuple[tuple[Attribute, ...], int]:
        """The names of what traits have, and the bytes that they take if they are new."""
        key = (tuple(traits.fields), tuple(traits.cookies), tuple(traits.query))
        found = self._names.get(key)
        if found is not None:
            return found, 0
        if len(self._names) >= _SHAPES:
            self._names.clear()
        fields = ((Cause.FIELD, _short(name.decode("latin-1"))) for name in key[0])
        cookies = ((Cause.COOKIE, _short(name)) for name in key[1])
        query = ((Cause.QUERY, _short(name)) for name in key[2])
        found = (*(*fields, *cookies, *query)[: MAX_ATTRIBUTES - 2], USER, ADDRESS)
        self._names[key] = found
        return found, sum(2 * (_TEXT + len(name)) + _TEXT for _, name in found)

    def places(self, names: Mapping[str, int]) -> tuple[tuple[str, ...] | None, int]:
        """The places of an answer, and the bytes that they take if they are new.

        None where they are too many or too long.
        """
        key = tuple(names)
        found = self._places.get(key)
        if found is not None:
            return found, 0
        if not 0 < len(key) <= MAX_PLACES or max(map(len, key)) > MAX_NAME:
            return None, 0
        if len(self._places) >= _SHAPES:
            self._places.clear()
        self._places[key] = key
        return key, sum(_TEXT + len(name) for name in key)


def _short(name: str) -> str:
    return name[:MAX_NAME]


def record_of(one: Observation, answer: Answer, shapes: Shapes, last: Record | None) -> Record:
    """An observation as it is kept.

    Args:
        one: It.
        answer: Its answer.
        shapes: What others have in common with it.
        last: The record before it of its key; None for none.
    """
    traits = one.traits
    names, new = shapes.names(traits)
    values = _packed(_values(traits, len(names) - 2))
    content, size = content_of(answer, shapes, last)
    served, more = (None, 0) if one.served is None else content_of(one.served, shapes, last)
    if served is not None and served.digest == content.digest:
        served, more = content, 0
    return Record(
        one.number,
        one.hit,
        one.began,
        one.ended,
        names,
        values,
        content,
        served,
        one.would == "miss" and last is not None,
        one.lifetime or 0.0,
        _RECORD + new + _ARRAY + 8 * len(values) + size + more,
    )


def _values(traits: Traits, length: int) -> list[int]:
    values = [*traits.fields.values(), *traits.cookies.values(), *traits.query.values()]
    del values[length:]
    values += (traits.user, traits.client)
    return values


def _packed(values: Collection[int]) -> _Value:
    """Digests of 64 bits, 8 bytes each; of a longer one, its last 64 bits."""
    try:
        return array("Q", values)
    except OverflowError:
        return array("Q", [value & _MASK for value in values])


def content_of(answer: Answer, shapes: Shapes, last: Record | None) -> tuple[Content, int]:
    """An answer as it is kept, and the bytes that it takes."""
    digest, places = answer.digest & _MASK, answer.places
    for known in () if last is None else (last.content, last.served):
        if known is not None and known.digest == digest and not (places and known.places is None):
            return known, 0
    names, new = (None, 0) if places is None else shapes.places(places)
    if names is None or places is None:
        return Content(digest), _TEXT
    values = _packed(places.values())
    return Content(digest, names, values), _TEXT + new + _ARRAY + 8 * len(values)
