"""The serializers, JSON and MessagePack, and their common base."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import GenericAlias
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast, runtime_checkable

import msgspec
import orjson

from ..errors import SerializationError
from .models import MARK, is_model, unmarked
from .plain import count_marked, has_no_number, has_offset, outer_models, plain_of
from .same import is_same
from .shapes import MISFIT, convert

T = TypeVar("T")

RAW: Final = b"b"
"""The first byte of a stored `bytes` value."""


@runtime_checkable
class Serializer(Protocol):
    """Converts a manager's values to bytes and back. Methods raise `SerializationError` only.

    `loads(dumps(value))` works for every value that `dumps` accepts, including None and empty ones.
    Bytes that another serializer wrote are refused.
    """

    name: ClassVar[str]

    def dumps(self, value: Any) -> bytes:
        """Serialize the value."""

    def loads(self, data: bytes) -> Any:
        """Deserialize to plain Python objects."""

    def loads_as(self, data: bytes, type_: type[T]) -> T:
        """Deserialize to an instance of the type; refuse bytes that do not fit it."""


def dumps_as(serializer: Serializer, value: Any, type_: Any) -> bytes:
    """Serialize a value that `loads_as` with the same type restores equal at every level.

    The bytes are read back at once, so that a value that would come back changed, or not at all, is
    refused when it is stored.

    Raises:
        SerializationError: If the value cannot be restored from its bytes.
    """
    # `written` does not check models by themselves: here they are checked with the whole value.
    write = serializer.written if isinstance(serializer, _BaseSerializer) else serializer.dumps
    data = write(value)
    _check_whole(serializer, data, value, type_)
    return data


def _check_whole(serializer: Serializer, data: bytes, value: Any, type_: Any) -> None:
    """Refuse a value that differs at any level, in value or type, when it is read back."""
    try:
        read = serializer.loads_as(data, type_)
    except SerializationError as error:
        raise SerializationError(
            f"{type(value).__name__} would not come back as {type_!r}: {error}"
        ) from error
    if not is_same(read, value):
        raise SerializationError(
            f"{type(value).__name__} would come back changed as {type_!r}; expected a type that "
            "describes the value completely, such as its own class, or a value without such parts"
        )


class _BaseSerializer(ABC):
    """The common base: the tag, raw bytes, models, and the translation of errors."""

    name: ClassVar[str]
    _tag: ClassVar[bytes]
    _mark: ClassVar[bytes]

    __slots__ = ()

    @abstractmethod
    def _encode(self, value: Any, plain: "_Plain") -> bytes:
        """Encode the value, with plain objects for those that the format does not know."""

    @abstractmethod
    def _decode(self, content: memoryview) -> Any:
        """Decode to plain objects; models are dicts with their note (`models.MARK`)."""

    def _check(self, value: Any, content: bytes) -> None:  # noqa: B027 - most change nothing
        """Raise ValueError for a value that this format would change silently."""

    def dumps(self, value: Any) -> bytes:
        """Serialize the value; `bytes` are stored unchanged.

        Raises:
            SerializationError: If the format cannot express it: integers beyond 64 bits, objects
                of unknown classes, models that would come back changed; in JSON also nested bytes,
                keys that are not strings, NaN and infinities; in MessagePack datetimes with an
                offset other than UTC.
        """
        data = self.written(value)
        if self._mark in data:
            for kind, models in _by_kind(outer_models(value)):
                _check_whole(self, self.written(models), models, GenericAlias(list, (kind,)))
        return data

    def written(self, value: Any) -> bytes:
        """Like `dumps`, without the check that models come back unchanged.

        Raises:
            SerializationError: If the format cannot express it.
        """
        if isinstance(value, bytes):
            return RAW + value
        try:
            plain = _Plain()
            content, models = self._encode(value, plain), plain.models
            self._check(value, content)
            found = content.count(self._mark)  # nested bytes may contain the mark as well
            if found != models and count_marked(self._decode(memoryview(content)), MARK) != models:
                raise ValueError("the key '\\0model' in a dict")
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise _refused(value, self.name, error) from error
        return self._tag + content

    def loads(self, data: bytes) -> Any:
        """Deserialize to plain Python objects.

        Raises:
            SerializationError: If this class did not write these bytes.
        """
        if data[:1] == RAW:
            return data[1:]
        try:
            plain = self._decode(self._content(data))
        except MISFIT as error:
            raise SerializationError(f"stored value is not {self.name}: {error}") from error
        return unmarked(plain) if self._mark in data else plain

    def loads_as(self, data: bytes, type_: type[T]) -> T:
        """Deserialize to an instance of the type: a dataclass, `TypedDict`, msgspec Struct,
        Pydantic model, or a container or union of these.

        Raises:
            SerializationError: If this class did not write these bytes, or they do not fit.
        """
        is_raw = data[:1] == RAW
        try:
            plain = data[1:] if is_raw else self._decode(self._content(data))
            value = convert(plain, type_)
        except MISFIT as error:
            raise SerializationError(f"stored value does not fit {type_!r}: {error}") from error
        return cast("T", value if is_raw or self._mark not in data else unmarked(value))

    def _content(self, data: bytes) -> memoryview:
        if data[:1] != self._tag:
            raise SerializationError(f"stored value has format {data[:1]!r}, not {self._tag!r}")
        return memoryview(data)[1:]


def _by_kind(models: Iterable[Any]) -> Iterable[tuple[Any, list[Any]]]:
    """The models grouped by class: one read for each class is cheaper than one for each model."""
    kinds: dict[Any, list[Any]] = {}
    for model in models:
        kinds.setdefault(type(model), []).append(model)
    return kinds.items()


def _refused(value: object, name: str, error: BaseException) -> SerializationError:
    # orjson's own message says only that it failed; the cause says why.
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return SerializationError(f"{type(value).__name__} cannot be stored as {name}: {error}")


class _Plain:
    """Makes plain objects for one value.

    Attributes:
        models: Number of models among them so far.
    """

    __slots__ = ("models",)

    def __init__(self) -> None:
        self.models = 0

    def of(self, value: Any) -> Any:
        """The plain object that is written in place of one."""
        self.models += is_model(type(value))
        return plain_of(value, self.of)


_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS
# Only within models, whose types restore the keys: a plain dict's keys would become strings.
_MODEL_OPTIONS = _JSON_OPTIONS | orjson.OPT_NON_STR_KEYS


class JsonSerializer(_BaseSerializer):
    """JSON: orjson reads and writes it, msgspec converts to types."""

    name: ClassVar[str] = "json"
    _tag: ClassVar[bytes] = b"j"
    _mark: ClassVar[bytes] = b'{"\\u0000model":'

    __slots__ = ()

    def _encode(self, value: Any, plain: "_Plain", options: int = _JSON_OPTIONS) -> bytes:
        def hook(unknown: Any) -> Any:
            made = plain.of(unknown)
            if is_model(type(unknown)):
                return orjson.Fragment(self._encode(made, plain, _MODEL_OPTIONS))
            return made

        return orjson.dumps(value, default=hook, option=options)

    def _decode(self, content: memoryview) -> Any:
        return orjson.loads(content)

    def _check(self, value: Any, content: bytes) -> None:
        if b"null" in content and has_no_number(value):
            raise ValueError("NaN or an infinity, which JSON cannot express; use MsgPackSerializer")


class MsgPackSerializer(_BaseSerializer):
    """MessagePack by msgspec: smaller than JSON, and can express bytes and dates."""

    name: ClassVar[str] = "msgpack"
    _tag: ClassVar[bytes] = b"m"
    _mark: ClassVar[bytes] = b"\xa6\x00model"

    __slots__ = ()

    def _encode(self, value: Any, plain: "_Plain") -> bytes:
        return msgspec.msgpack.encode(value, enc_hook=plain.of)

    def _decode(self, content: memoryview) -> Any:
        return msgspec.msgpack.decode(content)

    def _check(self, value: Any, content: bytes) -> None:
        if any(mark in content for mark in _MOMENTS) and has_offset(value):
            raise ValueError(
                "a datetime with an offset, which MessagePack converts to UTC; use "
                "`.astimezone(UTC)`, or JsonSerializer"
            )


_MOMENTS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
"""The first bytes of a timestamp in MessagePack."""
