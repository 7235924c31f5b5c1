"""Whether a value that was read equals the one that was written."""

import operator
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias

import msgspec

from .models import is_model, state_of

Comparison: TypeAlias = Callable[[Any, Any], bool]

_SCALARS = frozenset({str, int, bool, type(None)})


def is_same(read: Any, written: Any) -> bool:
    """Whether two values are equal and of the same type, at every level.

    Objects are compared by their state, not by their `__eq__`. Two differences are allowed: an
    integer may come back as an equal float where a float is declared, and a time zone as its offset
    at that moment.
    """
    kind: Any = type(written)
    if type(read) is not kind:
        return kind is int and type(read) is float and bool(read == written)
    if kind in _SCALARS:
        return bool(read == written)
    compare: Comparison = _comparison(kind)  # type: ignore[arg-type]  # a class has a hash
    return compare(read, written)


@lru_cache(maxsize=512)
def _comparison(kind: Any) -> Comparison:
    """The function that compares two objects of a class."""
    if is_model(kind):
        return _are_same_models
    if is_dataclass(kind):
        return _by_parts(tuple(part.name for part in fields(kind)))
    if issubclass(kind, msgspec.Struct):
        return _by_parts(kind.__struct_fields__)
    for base, compare in _COMPARISONS:
        if issubclass(kind, base):
            return compare
    return operator.eq


def _by_parts(names: Iterable[str]) -> Comparison:
    def compare(read: Any, written: Any) -> bool:
        return all(
            is_same(getattr(read, name, None), getattr(written, name, None)) for name in names
        )

    return compare


def _are_same_models(read: Any, written: Any) -> bool:
    ours, theirs = state_of(read), state_of(written)
    return ours.was_set == theirs.was_set and (
        _are_same_named(ours.fields, theirs.fields)
        and _are_same_named(ours.extra, theirs.extra)
        and _are_same_named(ours.private, theirs.private)
    )


def _are_same_named(read: dict[str, Any], written: dict[str, Any]) -> bool:
    return read.keys() == written.keys() and all(
        map(is_same, map(read.get, written), written.values())
    )


def _are_same_dicts(read: Any, written: Any) -> bool:
    """Compare keys and values in order, which both formats preserve."""
    flat = chain.from_iterable
    return len(read) == len(written) and all(
        map(is_same, flat(read.items()), flat(written.items()))
    )


def _are_same_sets(read: Any, written: Any) -> bool:
    return {(type(x), x) for x in read} == {(type(x), x) for x in written}


def _are_same_lists(read: Any, written: Any) -> bool:
    return len(read) == len(written) and all(map(is_same, read, written))


def _are_same_deques(read: Any, written: Any) -> bool:
    return read.maxlen == written.maxlen and _are_same_lists(read, written)


def _are_same_numbers(read: Any, written: Any) -> bool:
    return repr(read) == repr(written)  # NaN equals NaN, and Decimal 1.10 differs from 1.1


def _are_same_times(read: Any, written: Any) -> bool:
    """Local time and offset must be equal: the same moment in another offset is not enough."""
    bare = read.replace(tzinfo=None) == written.replace(tzinfo=None)
    return bool(bare and read.utcoffset() == written.utcoffset())


_COMPARISONS = (
    (dict, _are_same_dicts),
    ((set, frozenset), _are_same_sets),
    ((list, tuple), _are_same_lists),
    (deque, _are_same_deques),
    ((float, Decimal), _are_same_numbers),
    (datetime, _are_same_times),
)
