"""The content of an answer: one digest for one content, however it comes, and nothing kept."""

import gc
import gzip
import json
import sys
from typing import Any

import pytest

from asgi_multitier.asgi.shadowing.answers import Content, answer_of
from asgi_multitier.asgi.shadowing.fingerprints import Fingerprints
from asgi_multitier.asgi.shadowing.places import MOST, SMALL, places_of

JSON = ((b"content-type", b"application/json; charset=utf-8"),)
FINGERPRINTS = Fingerprints()


def taken(*chunks: Any, limit: int = 1_000_000) -> Content:
    """A content in these pieces."""
    content = Content(FINGERPRINTS, limit)
    for chunk in chunks:
        content.add(chunk, 200)
    return content


PIECES: dict[str, tuple[tuple[Any, ...], int]] = {
    "one": ((b"abcdef",), 6),
    "several": ((b"a", b"bc", b"def"), 6),
    "views": ((memoryview(b"abc"), bytearray(b"def")), 6),
    "long": ((b"x" * SMALL, b"x" * SMALL, b"y"), 2 * SMALL + 1),
    "long at once": ((b"x" * 3 * SMALL,), 3 * SMALL),
    "nothing": ((), 0),
}


@pytest.mark.parametrize("pieces", PIECES)
def test_pieces_make_no_difference(pieces: str) -> None:
    """Nor does what is kept until the end."""
    chunks, size = PIECES[pieces]
    whole = b"".join(bytes(chunk) for chunk in chunks)

    found = taken(*chunks).answer(200, tuple, lambda _: False)

    assert found == answer_of(FINGERPRINTS, 200, (), whole)
    assert found is not None
    assert found.size == size


def test_other_answers_have_other_digests() -> None:
    """By content, by status, and in each process."""
    answers = [
        answer_of(FINGERPRINTS, 200, (), b"a"),
        answer_of(FINGERPRINTS, 200, (), b"b"),
        answer_of(FINGERPRINTS, 404, (), b"a"),
        answer_of(FINGERPRINTS, 200, (), b""),
        answer_of(Fingerprints(), 200, (), b"a"),
    ]

    assert len({answer.digest for answer in answers}) == len(answers)


def test_the_time_of_gzip_is_no_content() -> None:
    """Compressed twice, it is the same answer; another content is another one."""
    one, later = (gzip.compress(b"abc", mtime=time) for time in (1, 2_000_000_000))
    other = gzip.compress(b"abd", mtime=1)

    first, second, third = (answer_of(FINGERPRINTS, 200, (), body) for body in (one, later, other))

    assert first.digest == second.digest
    assert first.digest != third.digest


def test_what_is_beyond_the_bound_is_counted_alone() -> None:
    """Nothing of it is kept, and it cannot be compared."""
    content = taken(b"x" * 60, b"x" * 60, limit=100)

    assert (content.size, content.kept, content.is_whole) == (120, 0, False)
    assert content.answer(200, tuple, lambda _: True) is None


def test_a_long_content_is_not_kept() -> None:
    """A short one is, until it is digested."""
    assert taken(b"x" * SMALL).kept == SMALL
    assert taken(b"x" * (SMALL + 1)).kept == 0
    short = taken(b"abc")
    short.digest(200)
    assert (short.kept, short.text) == (0, None)


def test_places_are_read_where_asked() -> None:
    """Of short JSON texts."""
    text = b'{"price": 3}'
    for headers, body, asked, known in (
        (JSON, text, True, True),
        (((b"content-type", b"application/problem+json"),), text, True, True),
        (JSON, text, False, False),
        ((), text, True, False),
        (JSON, b"not json", True, False),
        (JSON, b"[%s]" % (b"0," * SMALL), True, False),
    ):
        answer = answer_of(FINGERPRINTS, 200, headers, body, places=asked)
        assert (answer.places is not None) is known, (headers, body[:20])
    assert answer_of(FINGERPRINTS, 200, JSON, text).media_type == b"application/json"


PLACES: dict[str, tuple[Any, list[str]]] = {
    "a value": (3, ["$"]),
    "members": ({"a": 1, "b": {"c": None}}, ["$.a", "$.b.c"]),
    "elements": ({"items": [{"price": 1}, {"price": 2}]}, ["$.items[0].price", "$.items[1].price"]),
    "nothing in it": ({"a": [], "b": {}}, ["$.a", "$.b"]),
    "names that may be data": (
        {"ann@example.org": 1, "bob@example.org": 2, "a": 3},
        ["$.*", "$.a"],
    ),
}


@pytest.mark.parametrize("text", PLACES)
def test_each_place_has_a_name(text: str) -> None:
    """That is told; what may be data is not."""
    value, places = PLACES[text]
    found = places_of(json.dumps(value).encode(), FINGERPRINTS)

    assert found is not None
    assert list(found) == places


def test_places_differ_where_values_do() -> None:
    """And only there."""
    one, other = (
        places_of(json.dumps({"at": at, "id": 1, "ann@a": at}).encode(), FINGERPRINTS) or {}
        for at in (1, 2)
    )

    assert [place for place in one if one[place] != other[place]] == ["$.at", "$.*"]


def test_a_place_with_a_long_name_is_not_told() -> None:
    """All places below have it in their names: a short text could make megabytes of them."""
    value: object = {f"k{number}": number for number in range(MOST)}
    for depth in range(100):
        value = {"a" * 60: value}
        if depth in (1, 2):
            found = places_of(json.dumps(value).encode(), FINGERPRINTS)
            assert (found is None) == (depth == 2)
    text = json.dumps(value).encode()
    assert len(text) < SMALL
    assert places_of(text, FINGERPRINTS) is None


def test_small_pieces_are_not_kept_one_by_one() -> None:
    """An object for each would take twenty times as much as what it holds."""
    content = Content(FINGERPRINTS, SMALL)
    for number in range(8_000):
        content.add(b"%c!" % (33 + number % 90), 200)

    assert content.kept == 16_000
    held = sum(map(sys.getsizeof, gc.get_referents(content)))
    assert held < 3 * content.kept


def test_a_text_with_many_places_has_none() -> None:
    """They would take more room than they are worth."""
    assert len(places_of(json.dumps([0] * MOST).encode(), FINGERPRINTS) or ()) == MOST
    assert places_of(json.dumps([[0] * 20] * MOST).encode(), FINGERPRINTS) is None
