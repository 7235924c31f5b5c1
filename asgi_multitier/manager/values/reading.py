"""Values and their stored bytes: what makes one of the other, and what stands for none."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ...serializers import Serializer, dumps_as

T = TypeVar("T")

Reader: TypeAlias = Callable[[bytes], Any]
"""Makes a value of stored bytes; raises `SerializationError` if they are not of its kind."""

Writer: TypeAlias = Callable[[Any], bytes]
"""Makes bytes of a value; raises `SerializationError` if they would not give it back."""


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


def writer(serializer: Serializer, type_: Any) -> Writer:
    """How values become bytes that are read as a type later, or as plain objects."""
    if type_ in (None, Any, object):
        return serializer.dumps
    return lambda value: dumps_as(serializer, value, type_)
