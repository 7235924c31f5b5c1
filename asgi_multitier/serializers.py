"""Values <-> bytes for the cache manager.

The first byte of every stored value names its format: `j` JSON, `m` MessagePack, `b` the value's
own bytes. So a manager whose serializer was changed misses instead of reading garbage, and a value
that is `bytes` survives as it is under every serializer.

What comes back is what the format can say: tuples and sets come back as lists, dates and UUIDs from
JSON as text, dataclasses and models as dicts. Ask with a type (`loads_as`) to get them back whole.
JSON has no place for bytes inside of a value (refused) and writes NaN and infinities as null.

Pydantic is not needed: a model can only be met where pydantic was imported already. Models are
stored under their fields' names, not their aliases, and validated when they are read.
"""

import sys
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast, runtime_checkable

import msgspec
import orjson

from .errors import SerializationError

T = TypeVar("T")

RAW: Final = b"b"
"""The first byte of a stored value that is bytes itself."""


@runtime_checkable
class Serializer(Protocol):
    """How a manager's values become bytes. Every method raises `SerializationError` and no other.

    `loads(dumps(value))` answers for every value that `dumps` takes, None and empty ones included,
    and bytes that another serializer wrote are refused.
    """

    name: ClassVar[str]

    def dumps(self, value: Any) -> bytes:
        """The value as bytes."""

    def loads(self, data: bytes) -> Any:
        """The value, as plain Python objects."""

    def loads_as(self, data: bytes, type_: type[T]) -> T:
        """The value as an instance of the type; refused if it does not fit."""


class JsonSerializer:
    """JSON, written and read by orjson; msgspec makes the types."""

    name: ClassVar[str] = "json"

    __slots__ = ()

    def dumps(self, value: Any) -> bytes:
        """The value as JSON; `bytes` as they are.

        Raises:
            SerializationError: If JSON cannot hold it: bytes inside, keys that are not text,
                numbers beyond 64 bits, objects of unknown classes.
        """
        if isinstance(value, bytes):
            return RAW + value
        try:
            return b"j" + orjson.dumps(value, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise _refused(value, self.name, error) from error

    def loads(self, data: bytes) -> Any:
        """The value, as plain Python objects.

        Raises:
            SerializationError: If it is not JSON that this class wrote.
        """
        if data[:1] == RAW:
            return data[1:]
        try:
            return orjson.loads(_content(data, b"j"))
        except orjson.JSONDecodeError as error:
            raise SerializationError(f"stored value is not JSON: {error}") from error

    def loads_as(self, data: bytes, type_: type[T]) -> T:
        """The value as an instance of the type: a dataclass, `TypedDict`, msgspec Struct, Pydantic
        model, or anything made of them.

        Raises:
            SerializationError: If it is not JSON that this class wrote, or does not fit the type.
        """
        return _loads_as(data, b"j", type_, _as_json)


class MsgPackSerializer:
    """MessagePack, by msgspec: smaller, and holds bytes and dates."""

    name: ClassVar[str] = "msgpack"

    __slots__ = ()

    def dumps(self, value: Any) -> bytes:
        """The value as MessagePack; `bytes` as they are.

        Raises:
            SerializationError: If MessagePack cannot hold it: numbers beyond 64 bits, objects of
                unknown classes.
        """
        if isinstance(value, bytes):
            return RAW + value
        try:
            return b"m" + msgspec.msgpack.encode(value, enc_hook=_plain)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise _refused(value, self.name, error) from error

    def loads(self, data: bytes) -> Any:
        """The value, as plain Python objects.

        Raises:
            SerializationError: If it is not MessagePack that this class wrote.
        """
        if data[:1] == RAW:
            return data[1:]
        try:
            return msgspec.msgpack.decode(_content(data, b"m"))
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            raise SerializationError(f"stored value is not MessagePack: {error}") from error

    def loads_as(self, data: bytes, type_: type[T]) -> T:
        """The value as an instance of the type: a dataclass, `TypedDict`, msgspec Struct, Pydantic
        model, or anything made of them.

        Raises:
            SerializationError: If it is not MessagePack that this class wrote, or does not fit.
        """
        return _loads_as(data, b"m", type_, _as_msgpack)


# What both share.


def _content(data: bytes, tag: bytes) -> memoryview:
    """What follows the tag.

    Raises:
        SerializationError: If it is another tag.
    """
    if data[:1] != tag:
        raise SerializationError(f"stored value has format {data[:1]!r}; expected {tag!r}")
    return memoryview(data)[1:]


def _refused(value: object, name: str, error: Exception) -> SerializationError:
    # orjson says only that it could not; what `_plain` said is the cause.
    error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return SerializationError(f"{type(value).__name__} cannot be stored as {name}: {error}")


def _plain(value: Any) -> Any:
    """What a format writes in place of an object that it does not know.

    Raises:
        TypeError: If there is no such thing.
    """
    if _is_model(type(value)):
        return value.model_dump(mode="json", by_alias=False, round_trip=True)
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=_plain)
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes inside of a value; use MsgPackSerializer, or store bytes alone")
    raise TypeError(f"objects of class {type(value).__name__} are not known")


def _is_model(type_: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None and isinstance(type_, type) and issubclass(type_, pydantic.BaseModel)
    )


def _object(type_: type[Any], plain: Any) -> Any:
    """An instance of a class that msgspec does not know, from what `_plain` made of it.

    Pydantic reads JSON text, not objects, because strict models take a date's text from JSON only.
    """
    if _is_model(type_):
        model = cast("Any", type_)
        return model.model_validate_json(orjson.dumps(plain), by_alias=False, by_name=True)
    raise TypeError(f"objects of class {type_.__name__} are not known")


def _convert(value: Any, type_: Any) -> Any:
    """The type's instance from plain objects. Text is never taken for bytes in base64: JSON that
    this module wrote holds none, so it would be garbage."""
    return msgspec.convert(value, type_, builtin_types=(bytes,), str_keys=True, dec_hook=_object)


def _as_json(content: memoryview, type_: Any) -> Any:
    return _convert(orjson.loads(content), type_)


# Making a decoder costs more than a small value's reading. Bounded: types may be made at run time.
@lru_cache(maxsize=512)
def _msgpack_decoder(type_: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(type_, dec_hook=_object)


def _as_msgpack(content: memoryview, type_: Any) -> Any:
    return _msgpack_decoder(type_).decode(content)


def _loads_as(data: bytes, tag: bytes, type_: type[T], read: Callable[[memoryview, Any], Any]) -> T:
    try:
        is_raw = data[:1] == RAW
        value = _convert(data[1:], type_) if is_raw else read(_content(data, tag), type_)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"stored value does not fit {type_!r}: {error}") from error
    return cast("T", value)
