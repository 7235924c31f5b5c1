"""Whether what is read is what was written."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import msgspec

from .models import is_model, state_of

_SCALARS = frozenset({str, int, bool, type(None)})


def is_same(read: Any, written: Any) -> bool:
    """Whether a value that was read is the written one: equal, and of the same type, all through.

    Objects are compared by their state, not by an `__eq__` of their own. An integer may come back
    as an equal float, as a float is declared there.
    """
    kind = type(written)
    if type(read) is not kind:
        return kind is int and type(read) is float and bool(read == written)
    if kind in _SCALARS:
        return bool(read == written)
    if is_model(kind):
        return _are_same(state_of(read), state_of(written))
    if is_dataclass(kind):
        return _are_same(_parts(read), _parts(written))
    if isinstance(written, msgspec.Struct):
        names = kind.__struct_fields__
        return _are_same((getattr(read, n) for n in names), (getattr(written, n) for n in names))
    if isinstance(written, dict):
        return len(read) == len(written) and _are_same(_flat(read), _flat(written))
    if isinstance(written, set | frozenset):
        return {(type(x), x) for x in read} == {(type(x), x) for x in written}
    if isinstance(written, list | tuple) or hasattr(kind, "appendleft"):
        return len(read) == len(written) and _are_same(read, written)
    if isinstance(written, float | Decimal):
        return repr(read) == repr(written)  # NaN is itself, and 1.10 is not 1.1
    return bool(read == written)


def _are_same(read: Iterable[Any], written: Iterable[Any]) -> bool:
    return all(map(is_same, read, written))


def _parts(value: Any) -> list[Any]:
    return [getattr(value, part.name, None) for part in fields(value)]


def _flat(value: dict[Any, Any]) -> list[Any]:
    """Keys and values: both formats keep their order."""
    return [item for pair in value.items() for item in pair]
