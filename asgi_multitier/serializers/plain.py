"""The plain objects that are written in place of objects that a format does not know."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from .models import is_model, state_of, written
from .same import is_same
from .shapes import MISFIT, TEXTS, convert, is_of_pydantic


def plain_of(value: Any, hook: Callable[[Any], Any]) -> Any:
    """A plain object for one that the format does not know.

    Args:
        value: The object.
        hook: This function as the format calls it, for nested objects.

    Raises:
        TypeError: If objects of this class cannot be stored.
    """
    kind = type(value)
    if is_model(kind):
        return written(value, _differs_from_its_type)
    if is_dataclass(kind):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, msgspec.Struct | timedelta):
        return msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=hook)
    if isinstance(value, set | frozenset | deque | tuple):
        return list(value)
    if isinstance(value, (Decimal, *TEXTS)):
        return str(value)
    if is_of_pydantic(kind):
        return value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes within a value; use MsgPackSerializer, or store the bytes alone")
    raise TypeError(f"objects of class {kind.__name__} are not supported")


def _differs_from_its_type(value: Any, type_: Any) -> bool:
    """Whether this is a plain value that would come back changed as this type."""
    if type_ is type(value) or not _is_plain(value):
        return False
    try:
        return not is_same(convert(value, type_), value)
    except MISFIT:
        return True


def _is_plain(value: Any) -> bool:
    """Whether every format stores and restores the value unchanged."""
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    return value is None or kind in (bool, int, str)


def parts_of(value: Any) -> Iterable[Any]:
    """The direct parts of a value."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset | deque):
        return value
    if is_model(type(value)):
        state = state_of(value)
        return [*state.fields.values(), *state.extra.values(), *state.private.values()]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, part.name, None) for part in fields(value)]
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    return ()


def has_no_number(value: Any) -> bool:
    """Whether the value contains a NaN or an infinity."""
    if isinstance(value, float):
        return not isfinite(value)
    return any(map(has_no_number, parts_of(value)))


def has_offset(value: Any) -> bool:
    """Whether the value contains a datetime with an offset other than UTC."""
    if isinstance(value, datetime):
        return bool(value.utcoffset())
    return any(map(has_offset, parts_of(value))) or (
        isinstance(value, dict) and any(map(has_offset, value))
    )


def outer_models(value: Any) -> Iterator[Any]:
    """The models in a value that are not part of another model."""
    if is_model(type(value)):
        yield value
    else:
        for part in parts_of(value):
            yield from outer_models(part)


def count_marked(plain: Any, mark: str) -> int:
    """The number of dicts with this key, at any level."""
    own = isinstance(plain, dict) and mark in plain
    return own + sum(count_marked(part, mark) for part in parts_of(plain))
