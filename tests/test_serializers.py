"""Values as bytes: what survives, what typed reading gives back, and what is refused."""

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_multitier.errors import SerializationError
from asgi_multitier.serializers import JsonSerializer, MsgPackSerializer, Serializer, dumps_as

JSON, MSGPACK = JsonSerializer(), MsgPackSerializer()
BOTH = pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float = 0.5


@dataclass
class Order:
    id: UUID
    at: datetime
    day: date
    price: Decimal
    colour: Colour
    tags: set[str]
    path: tuple[Point, ...]
    note: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class Blob:
    data: bytes


class Item(msgspec.Struct):
    name: str
    point: Point


class Row(TypedDict):
    id: int
    item: Item


class Product(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    name: str = pydantic.Field(validation_alias="in", serialization_alias="out")
    price: Decimal
    since: datetime
    keys: frozenset[int] = frozenset()


class Names(pydantic.RootModel[list[str]]):
    pass


class Shelf(msgspec.Struct):
    products: dict[str, Product]


@dataclass
class Page:
    items: list[Product]


ORDER = Order(
    UUID(int=7),
    datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC),
    date(2024, 2, 29),
    Decimal("19.90"),
    Colour.RED,
    {"a", "b"},
    (Point(1), Point(2, 1.5)),
)
PRODUCT = Product.model_validate(
    {
        "in": "lamp",
        "price": Decimal("9.50"),
        "since": datetime(2020, 1, 1, tzinfo=UTC),
        "keys": frozenset({1}),
    }
)

PLAIN: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -(2**63),
    "large": 2**64 - 1,
    "float": 0.1,
    "empty-text": "",
    "text": 'Grüße "\u2028" \U0001f600 \0',
    "empty-bytes": b"",
    "bytes": b"\0j\xff",
    "bytes-like-json": b"j{}",
    "empty-list": [],
    "empty-dict": {},
    "nested": {"a": [1, {"b": None}], "c": ""},
}


@BOTH
@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_plain_values_survive(serializer: Serializer, value: Any) -> None:
    """None and empty ones are values, and bytes are bytes in every serializer."""
    back = serializer.loads(serializer.dumps(value))

    assert back == value
    assert type(back) is type(value)


TYPED: dict[str, tuple[Any, Any]] = {
    "dataclass": (ORDER, Order),
    "list-of-dataclasses": ([Point(1)], list[Point]),
    "struct": (Item("a", Point(1)), Item),
    "typed-dict": ({"id": 1, "item": Item("a", Point(1))}, Row),
    "model": (PRODUCT, Product),
    "list-of-models": ([PRODUCT, PRODUCT], list[Product]),
    "model-in-struct": (Shelf({"a": PRODUCT}), Shelf),
    "model-in-dataclass": (Page([PRODUCT]), Page),
    "root-model": (Names(["a"]), Names),
    "optional-none": (None, Product | None),
    "optional-some": (PRODUCT, Product | None),
    "tuple": ((1, "a"), tuple[int, str]),
    "set": ({1, 2}, set[int]),
    "frozenset": (frozenset({1}), frozenset[int]),
    "decimal": (Decimal("1.10"), Decimal),
    "date": (date(2024, 2, 29), date),
    "uuid": (UUID(int=1), UUID),
    "enum": (Colour.RED, Colour),
    "bytes": (b"\xff", bytes),
    "optional-bytes": (b"", bytes | None),
    "any": ([1], Any),
}


@BOTH
@pytest.mark.parametrize(("value", "type_"), TYPED.values(), ids=TYPED)
def test_typed_values_come_back_whole(serializer: Serializer, value: Any, type_: Any) -> None:
    """Asked for with its type, a value is what was stored, strict models and aliases included."""
    back = serializer.loads_as(serializer.dumps(value), type_)

    assert back == value
    assert type(back) is type(value)


@BOTH
def test_untyped_reading_gives_plain_objects(serializer: Serializer) -> None:
    """Without a type there are lists and dicts, models by their fields' names."""
    back = serializer.loads(serializer.dumps({"p": PRODUCT, "t": (1, 2), "s": Item("a", Point(1))}))

    assert back["p"]["name"] == "lamp"
    assert back["t"] == [1, 2]
    assert back["s"] == {"name": "a", "point": {"x": 1, "y": 0.5}}


@BOTH
@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ({"x": "not a number"}, Point),
        ({}, Point),
        ([1], Point),
        (None, Point),
        ({"name": "a"}, Product),
        ({"name": 1, "price": "1", "since": "2020-01-01T00:00:00Z"}, Product),
        ("text", bytes),
        (b"raw", int),
        (b"raw", Product),
        ("blue", Colour),
        (1, complex),
        ("text", int | Point | Item | Row),
        ({"x": 1, "z": 2}, Point | Row),
    ],
    ids=str,
)
def test_shape_that_no_longer_fits_is_refused(
    serializer: Serializer, value: Any, type_: Any
) -> None:
    """So that the caller can compute it anew, instead of failing until the lifetime ends."""
    with pytest.raises(SerializationError, match="does not fit"):
        serializer.loads_as(serializer.dumps(value), type_)


@pytest.mark.parametrize(
    ("writer", "reader"), [(JSON, MSGPACK), (MSGPACK, JSON)], ids=["json-first", "msgpack-first"]
)
def test_changed_serializer_does_not_read_garbage(writer: Serializer, reader: Serializer) -> None:
    """What another one wrote is refused; bytes are read by both."""
    data = writer.dumps({"a": 1})

    for read in (reader.loads, lambda data: reader.loads_as(data, dict)):
        with pytest.raises(SerializationError):
            read(data)
    assert reader.loads(writer.dumps(b"raw")) == b"raw"


REFUSED: dict[str, tuple[Serializer, Any, str]] = {
    "json-bytes-inside": (JSON, {"a": b"x"}, "MsgPackSerializer"),
    "json-bytes-in-dataclass": (JSON, Blob(b"x"), "MsgPackSerializer"),
    "json-bytes-in-struct": (JSON, msgspec.defstruct("S", [("b", bytes)])(b"x"), "MsgPack"),
    "json-number-as-key": (JSON, {1: 2}, "key must be str"),
    "json-huge": (JSON, 2**64, "(64-bit|too big)"),
    "json-object": (JSON, object(), "class object"),
    "json-lone-surrogate": (JSON, "\ud800", "(?i:utf-8)"),
    "msgpack-huge": (MSGPACK, 2**64, "2\\*\\*64"),
    "msgpack-object": (MSGPACK, [object()], "class object"),
    "msgpack-lone-surrogate": (MSGPACK, "\ud800", "utf-8"),
}


@pytest.mark.parametrize(("serializer", "value", "reason"), REFUSED.values(), ids=REFUSED)
def test_value_that_would_not_survive_is_refused(
    serializer: Serializer, value: Any, reason: str
) -> None:
    """The error names the class of the value, the format, and what is wrong."""
    with pytest.raises(
        SerializationError, match=f"cannot be stored as {serializer.name}.*{reason}"
    ):
        serializer.dumps(value)


@dataclass
class Moment:
    at: datetime


PRAGUE = ZoneInfo("Europe/Prague")
SHIFTED = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))


@pytest.mark.parametrize(
    "value", [SHIFTED, {"at": [SHIFTED]}, {SHIFTED: 1}, Moment(SHIFTED)], ids=str
)
def test_messagepack_refuses_a_clock_that_it_would_set_to_utc(value: Any) -> None:
    """An equal moment of another offset is another hour, often another day."""
    with pytest.raises(SerializationError, match=r"astimezone\(UTC\)"):
        MSGPACK.dumps(value)
    with pytest.raises(SerializationError, match=r"astimezone\(UTC\)"):
        dumps_as(MSGPACK, value, type(value))


@pytest.mark.parametrize(
    "value",
    [
        SHIFTED,
        datetime(2026, 7, 1, 12, tzinfo=PRAGUE),
        datetime(2026, 10, 25, 2, 30, tzinfo=PRAGUE),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=PRAGUE),
    ],
    ids=str,
)
def test_json_keeps_a_clock_and_its_offset(value: datetime) -> None:
    """In the hour that there is twice as well; of a time zone its offset at that moment stays."""
    back = JSON.loads_as(dumps_as(JSON, value, datetime), datetime)

    assert back.replace(tzinfo=None) == value.replace(tzinfo=None)
    assert back.utcoffset() == value.utcoffset()


def test_a_bounded_deque_is_refused() -> None:
    """Its bound has no place in a list."""
    with pytest.raises(SerializationError, match="come back changed"):
        dumps_as(JSON, deque([1], maxlen=2), deque[int])


@BOTH
def test_endless_value_is_refused(serializer: Serializer) -> None:
    """A list that contains itself has no bytes."""
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(SerializationError):
        serializer.dumps(endless)


def test_messagepack_holds_what_json_does_not() -> None:
    """Bytes inside of values, keys that are numbers, dates, NaN, which JSON refuses."""
    value = {1: [b"\xff"], "at": ORDER.at}

    assert MSGPACK.loads(MSGPACK.dumps(value)) == value
    assert MSGPACK.loads_as(MSGPACK.dumps(Blob(b"\xff")), Blob) == Blob(b"\xff")
    assert math.isnan(MSGPACK.loads(MSGPACK.dumps(math.nan)))
    with pytest.raises(SerializationError, match="NaN"):
        JSON.dumps(math.nan)


def test_model_that_cannot_be_written_is_refused() -> None:
    """As for every value: JSON has no place for bytes, MessagePack has."""

    class Raw(pydantic.BaseModel):
        data: bytes

    with pytest.raises(SerializationError, match=r"Raw cannot be stored as json.*MsgPack"):
        JSON.dumps(Raw(data=b"\xff"))
    assert MSGPACK.loads_as(MSGPACK.dumps(Raw(data=b"\xff")), Raw) == Raw(data=b"\xff")


def test_pydantic_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was never imported, no value can be a model, and nothing looks for one."""
    monkeypatch.delitem(__import__("sys").modules, "pydantic")

    assert JSON.loads(JSON.dumps({"a": Decimal(1)})) == {"a": "1"}
    with pytest.raises(SerializationError, match="class object"):
        JSON.dumps(object())


@BOTH
def test_type_that_has_no_hash_is_refused_not_raised(serializer: Serializer) -> None:
    """Whatever is given as a type, the error is ours."""
    with pytest.raises(SerializationError):
        serializer.loads_as(serializer.dumps(1), [int])  # type: ignore[arg-type]


@BOTH
def test_it_is_a_serializer(serializer: Serializer) -> None:
    """It has what the protocol asks for, and a name for people."""
    assert isinstance(serializer, Serializer)
    assert serializer.name in ("json", "msgpack")


DAMAGED = [b"", b"j", b"m", b"x", b"j{", b"jnul", b'j"\xff"', b"m\xc1", b"m\xa2\xff\xff", b"m\x91"]


@BOTH
@pytest.mark.parametrize("data", [*DAMAGED, b"j" + b"[" * 5_000, b"m" + b"\x91" * 5_000], ids=repr)
def test_damaged_bytes_are_refused(serializer: Serializer, data: bytes) -> None:
    """However they are read, the error is ours."""
    for read in (serializer.loads, lambda data: serializer.loads_as(data, list[int])):
        with pytest.raises(SerializationError):
            read(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"", b"j", b"m", b"b"]), st.binary(max_size=60))
def test_any_bytes_are_answered(tag: bytes, rest: bytes) -> None:
    """Reading raises nothing but `SerializationError`."""
    reads: list[Callable[[bytes], Any]] = [JSON.loads, MSGPACK.loads]
    reads += [lambda data: JSON.loads_as(data, Order), lambda data: MSGPACK.loads_as(data, Product)]
    for read in reads:
        with suppress(SerializationError):
            read(tag + rest)


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    scalars | finite,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(plain)
def test_any_plain_value_survives(value: Any) -> None:
    """What JSON can say comes back equal from both."""
    for serializer in (JSON, MSGPACK):
        assert serializer.loads(serializer.dumps(value)) == value
