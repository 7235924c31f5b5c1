"""Stored bytes as values: what makes them, and what stands for none."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ..serializers import Serializer

T = TypeVar("T")

Reader: TypeAlias = Callable[[bytes], Any]
"""Makes a value of stored bytes; raises `SerializationError` if they are not of its kind."""


class _Missing:
    """The answer of a look-up that found nothing: None is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def reader(serializer: Serializer, type_: type[T] | None) -> Reader:
    """How stored bytes are read: as plain objects, or as instances of a type."""
    if type_ is None:
        return serializer.loads
    return lambda data: serializer.loads_as(data, type_)
