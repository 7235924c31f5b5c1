"""The serializers: JSON and MessagePack, with what both share."""

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


def dumps_as(serializer: Serializer, value: Any, type_: Any) -> bytes:
    """The value as bytes that give it back as an instance of the type, the same all through.

    They are read at once: what would come back changed, or as nothing that fits, is refused where
    it is made.

    Raises:
        SerializationError: If the value cannot be turned into such bytes.
    """
    # Models are looked at as parts of the whole.
    write = serializer.written if isinstance(serializer, _Format) else serializer.dumps
    data = write(value)
    _check_whole(serializer, data, value, type_)
    return data


def _check_whole(serializer: Serializer, data: bytes, value: Any, type_: Any) -> None:
    """Refuse a value that its bytes do not give back.

    Raises:
        SerializationError: If what is read is not the same, all through.
    """
    try:
        read = serializer.loads_as(data, type_)
    except SerializationError as error:
        raise SerializationError(
            f"{type(value).__name__} would not come back as {type_!r}: {error}"
        ) from error
    if not is_same(read, value):
        raise SerializationError(
            f"{type(value).__name__} would come back changed as {type_!r}; expected a type that "
            "says all of it, such as the value's own class, or a value of other parts"
        )


class _Format(ABC):
    """What both serializers share: the tag, bytes as they are, models, and whose error it is."""

    name: ClassVar[str]
    _tag: ClassVar[bytes]
    _mark: ClassVar[bytes]

    __slots__ = ()

    @abstractmethod
    def _encode(self, value: Any) -> tuple[bytes, int]:
        """The value in this format, and how many models are in it."""

    @abstractmethod
    def _decode(self, content: memoryview) -> Any:
        """Plain objects, models with their notes."""

    def _check(self, value: Any, content: bytes) -> None:  # noqa: B027 - most change nothing
        """Refuse what this format would change without a word.

        Raises:
            ValueError: If there is something.
        """

    def dumps(self, value: Any) -> bytes:
        """The value in this format; `bytes` as they are.

        Raises:
            SerializationError: If the format cannot hold it: numbers beyond 64 bits, objects of
                unknown classes, models that it would change; in JSON also bytes inside, keys that
                are not text, NaN and infinities; in MessagePack datetimes with an offset.
        """
        data = self.written(value)
        if self._mark in data:
            for kind, models in _by_kind(outer_models(value)):
                _check_whole(self, self.written(models), models, GenericAlias(list, (kind,)))
        return data

    def written(self, value: Any) -> bytes:
        """As `dumps`, without a look at whether models come back whole.

        Raises:
            SerializationError: If the format cannot hold it.
        """
        if isinstance(value, bytes):
            return RAW + value
        try:
            content, models = self._encode(value)
            self._check(value, content)
            found = content.count(self._mark)  # it may stand within bytes as well
            if found != models and count_marked(self._decode(memoryview(content)), MARK) != models:
                raise ValueError("the key '\\0model' in a dict")
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise _refused(value, self.name, error) from error
        return self._tag + content

    def loads(self, data: bytes) -> Any:
        """The value, as plain Python objects.

        Raises:
            SerializationError: If these are not bytes that this class wrote.
        """
        if data[:1] == RAW:
            return data[1:]
        try:
            plain = self._decode(self._content(data))
        except MISFIT as error:
            raise SerializationError(f"stored value is not {self.name}: {error}") from error
        return unmarked(plain) if self._mark in data else plain

    def loads_as(self, data: bytes, type_: type[T]) -> T:
        """The value as an instance of the type: a dataclass, `TypedDict`, msgspec Struct, Pydantic
        model, or anything made of them, unions included.

        Raises:
            SerializationError: If these are not bytes that this class wrote, or do not fit.
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
            raise SerializationError(f"stored value has format {data[:1]!r}; not {self._tag!r}")
        return memoryview(data)[1:]


def _by_kind(models: Iterable[Any]) -> Iterable[tuple[Any, list[Any]]]:
    """The models of each class: together they cost less to read than one by one."""
    kinds: dict[Any, list[Any]] = {}
    for model in models:
        kinds.setdefault(type(model), []).append(model)
    return kinds.items()


def _refused(value: object, name: str, error: BaseException) -> SerializationError:
    # orjson says only that it could not; what was said below it is the cause.
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return SerializationError(f"{type(value).__name__} cannot be stored as {name}: {error}")


class JsonSerializer(_Format):
    """JSON, written and read by orjson; msgspec makes the types."""

    name: ClassVar[str] = "json"
    _tag: ClassVar[bytes] = b"j"
    _mark: ClassVar[bytes] = b'{"\\u0000model":'

    __slots__ = ()

    def _encode(self, value: Any) -> tuple[bytes, int]:
        return (run := _Json()).encode(value), run.models

    def _decode(self, content: memoryview) -> Any:
        return orjson.loads(content)

    def _check(self, value: Any, content: bytes) -> None:
        if b"null" in content and has_no_number(value):
            raise ValueError(
                "NaN or an infinity, which JSON has no words for; use MsgPackSerializer"
            )


class MsgPackSerializer(_Format):
    """MessagePack, by msgspec: smaller, and holds bytes and dates."""

    name: ClassVar[str] = "msgpack"
    _tag: ClassVar[bytes] = b"m"
    _mark: ClassVar[bytes] = b"\xa6\x00model"

    __slots__ = ()

    def _encode(self, value: Any) -> tuple[bytes, int]:
        return (run := _MsgPack()).encode(value), run.models

    def _decode(self, content: memoryview) -> Any:
        return msgspec.msgpack.decode(content)

    def _check(self, value: Any, content: bytes) -> None:
        if any(mark in content for mark in _MOMENTS) and has_offset(value):
            raise ValueError(
                "a datetime with an offset, which MessagePack gives back in UTC; use "
                "`.astimezone(UTC)`, or JsonSerializer"
            )


_MOMENTS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
"""How timestamps begin in MessagePack."""

_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS
# Only within models, whose types say what a key is: in a dict on its own it would become text.
_MODEL_OPTIONS = _JSON_OPTIONS | orjson.OPT_NON_STR_KEYS


class _Json:
    """The writing of one value.

    Attributes:
        models: How many models were met.
    """

    __slots__ = ("models",)

    def __init__(self) -> None:
        self.models = 0

    def encode(self, value: Any, options: int = _JSON_OPTIONS) -> bytes:
        return orjson.dumps(value, default=self._hook, option=options)

    def _hook(self, value: Any) -> Any:
        plain = self._plain(value)
        if is_model(type(value)):
            return orjson.Fragment(self.encode(plain, _MODEL_OPTIONS))
        return plain

    def _plain(self, value: Any) -> Any:
        self.models += is_model(type(value))
        return plain_of(value, self._plain)


class _MsgPack:
    """The writing of one value.

    Attributes:
        models: How many models were met.
    """

    __slots__ = ("models",)

    def __init__(self) -> None:
        self.models = 0

    def encode(self, value: Any) -> bytes:
        return msgspec.msgpack.encode(value, enc_hook=self._plain)

    def _plain(self, value: Any) -> Any:
        self.models += is_model(type(value))
        return plain_of(value, self._plain)
