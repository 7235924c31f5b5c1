"""Whose copy it is: what may say so, and that no two values are one."""

import enum
import uuid
from collections import namedtuple
from datetime import UTC, date, datetime
from typing import Any

import pytest

from asgi_multitier.policy.partition import partition_part

Pair = namedtuple("Pair", "tenant user")  # noqa: PYI024  # as code without types has it


class Plan(enum.Enum):
    FREE = 1
    PAID = "1"


class Level(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    ONE = "1"


class UserId(int):
    pass


class Name(str):
    __slots__ = ()


ONE = uuid.UUID(int=1)
DAY = date(2026, 11, 29)
NOON = datetime(2026, 11, 29, 12)  # as databases give it
DIFFERENT: list[Any] = [
    *("1", 1, b"1", ONE, str(ONE), ONE.bytes, "", b"", 0, -1, "a:b", "ä"),
    *(DAY, NOON, NOON.replace(microsecond=1), NOON.replace(tzinfo=UTC), NOON.isoformat()),
    *(NOON.replace(hour=0), str(DAY), Plan.FREE, Plan.PAID, Level.ONE, Word.ONE),
    *(("1",), (1,), ("1", "1"), ("11",), (("1",), "1"), ("1", ("1",)), (True,), (False,)),
    *(("a", "b:c"), ("a:b", "c"), (ONE, Plan.FREE), ("3:str:1",), (10**300,)),
]


def test_no_two_partitions_are_one() -> None:
    """By type and by value, however tuples are nested."""
    parts = [partition_part(value) for value in DIFFERENT]

    assert None not in parts
    assert len(set(parts)) == len(DIFFERENT)


@pytest.mark.parametrize(
    ("one", "other"),
    [(UserId(7), 7), (Name("a"), "a"), (Pair("t", 1), ("t", 1)), (uuid.UUID(int=1), ONE)],
    ids=repr,
)
def test_what_only_has_a_type_of_its_own_is_the_same(one: Any, other: Any) -> None:
    """A subclass of a text, a number or a tuple is one."""
    assert partition_part(one) == partition_part(other) is not None


DEEP: Any = ()
for _ in range(50):
    DEEP = (DEEP, "x")


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, 1.5, object(), ["a"], {"a": 1}, frozenset("a"), None, ()),
        *("\udce9", ("a", "\ud800"), ("a", None), (1.5,), (), ("a", ()), DEEP, 10**10_000),
        *(enum.Enum("Odd", {"A": 1.5}).A, enum.Enum("Sur", {"A": "\ud800"}).A),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_what_cannot_be_told_apart_is_no_partition(value: Any) -> None:
    """Nor what does not say who: a bool alone is the same for all who are logged in."""
    assert partition_part(value) is None
