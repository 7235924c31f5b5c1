"""The content of a request as a part of its key: what is the same question, and what is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_multitier.policy.content import content_part, json_meaning
from asgi_multitier.policy.key import Veil
from tests.policy.support import lines

VEIL = Veil(b"a namespace")
JSON = {"Content-Type": "application/json"}


def part(
    content: bytes, fields: dict[str, str] | None = None, *, method: str = "POST", body: Any = True
) -> bytes:
    """The key part of a request with this content and these fields."""
    headers = lines(*(JSON if fields is None else fields).items())
    return content_part(method, headers, content, VEIL, by_meaning=body == "json")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(b'{"a":1,"b":2}', b'{"b":2,"a":1}', id="order-of-names"),
        pytest.param(b'{"a":[1,2]}', b' {\n"a" : [ 1,\t2 ] }\r\n', id="white-space"),
        pytest.param(b'"\xc3\xa9/"', b'"\\u00e9\\/"', id="escapes"),
        pytest.param(b'"\\ud83d\\ude00"', '"\U0001f600"'.encode(), id="a-pair-of-surrogates"),
        pytest.param(b'{"a":{"c":1,"b":[{"e":0,"d":0}]}}', b'{"a":{"b":[{"d":0,"e":0}],"c":1}}',
                     id="order-of-inner-names"),
    ],
)  # fmt: skip
def test_json_of_one_meaning_is_one_question(one: bytes, other: bytes) -> None:
    """Only where the rule asks for the meaning."""
    assert part(one, body="json") == part(other, body="json")
    assert part(one) != part(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(b"1", b"1.0", id="a-fraction"),
        pytest.param(b"1", b"1e0", id="an-exponent"),
        pytest.param(b"1", b"true", id="a-truth"),
        pytest.param(b"0", b"false", id="an-untruth"),
        pytest.param(b"0", b"-0", id="minus-zero"),
        pytest.param(b"1", b'"1"', id="a-text"),
        pytest.param(b"1", b'"\\u00001"', id="a-text-that-is-marked-as-numbers-are"),
        pytest.param(b"null", b'"null"', id="nothing-as-text"),
        pytest.param(b"null", b"", id="no-content"),
        pytest.param(b'{"a":null}', b"{}", id="an-absent-name"),
        pytest.param(b"[1,2]", b"[2,1]", id="order-of-a-list"),
        pytest.param(b"[]", b"{}", id="an-empty-object"),
        pytest.param(b"[[1],2]", b"[[1,2]]", id="nesting"),
        pytest.param(b"9007199254740993", b"9007199254740992", id="large-numbers"),
        pytest.param(b"0.1", b"0.10000000000000001", id="close-fractions"),
        pytest.param(b"1e400", b"1e401", id="beyond-floats"),
        pytest.param(b"1" * 5000, b"1" * 5001, id="longer-than-python-reads"),
        pytest.param(b'{"a":1,"a":2}', b'{"a":2}', id="a-name-twice"),
        pytest.param(b'{"a":1,"a":2}', b'{ "a":1,"a":2}', id="a-name-twice-spelt-otherwise"),
        pytest.param(b'{"a":{"b":1,"b":2}}', b'{"a":{"b":2}}', id="an-inner-name-twice"),
        pytest.param(b"[NaN]", b"[ NaN]", id="no-json"),
        pytest.param(b'"\xff"', b' "\xff"', id="no-utf-8"),
        pytest.param(b"\xef\xbb\xbf1", b"1", id="a-byte-order-mark"),
        pytest.param("1".encode("utf-16"), b"1", id="utf-16"),
        pytest.param(b"[" * 60_000, b" " + b"[" * 60_000, id="nested-too-deeply"),
        pytest.param(b'{"a":' * 10_000, b' {"a":' * 10_000, id="nested-objects"),
        pytest.param(b"[" * 900 + b"]" * 900, b"[" * 901 + b"]" * 901, id="nested"),
    ],
)  # fmt: skip
def test_json_of_another_meaning_is_another_question(one: bytes, other: bytes) -> None:
    """Also where only some applications see a difference."""
    assert part(one, body="json") != part(other, body="json")


@pytest.mark.parametrize(
    ("fields", "by_meaning"),
    [
        ({"Content-Type": "application/json"}, True),
        ({"Content-Type": "Application/JSON"}, True),
        ({"Content-Type": "application/json; charset=UTF-8"}, True),
        ({"Content-Type": 'application/json;charset="utf-8"; v=1'}, True),
        ({"Content-Type": "application/graphql+json"}, True),
        ({"Content-Type": "application/json; charset=latin-1"}, False),
        ({"Content-Type": "application/json; charset=utf-8; charset=utf-16"}, False),
        ({"Content-Type": "application/jsonl"}, False),
        ({"Content-Type": "text/plain"}, False),
        ({"Content-Type": "image/svg+json"}, False),
        ({}, False),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, False),
        ({"Content-Type": "application/json", "Content-Encoding": ""}, False),
    ],
)
def test_only_what_is_declared_as_json_is_read_as_json(
    fields: dict[str, str], by_meaning: bool
) -> None:
    """In UTF-8, and not compressed."""
    one, other = (part(text, fields, body="json") for text in (b'{"a":1}', b'{ "a":1}'))

    assert (one == other) is by_meaning


def test_a_second_content_type_is_no_json() -> None:
    """Applications differ in which of the two they take."""
    twice = lines(*JSON.items(), *JSON.items())
    one, other = (
        content_part("POST", twice, text, VEIL, by_meaning=True) for text in (b"[1]", b"[1 ]")
    )

    assert one != other


PLAIN = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"content": b"ab"}, id="content"),
        pytest.param({"content": b""}, id="no-content"),
        pytest.param({"method": "QUERY"}, id="method"),
        pytest.param({"fields": {}}, id="no-type"),
        pytest.param({"fields": {"Content-Encoding": "text/plain"}}, id="name"),
        pytest.param({"fields": {"Content-Type": ""}}, id="empty-type"),
        pytest.param({"fields": {"Content-Type": "text/html"}}, id="type"),
        pytest.param({"fields": {"Content-Type": "text/plain;charset=x"}}, id="charset"),
        pytest.param({"fields": {**PLAIN, "Content-Encoding": "gzip"}}, id="coding"),
        pytest.param({"fields": {**PLAIN, "Content-Encoding": ""}}, id="empty-coding"),
        pytest.param({"fields": {**PLAIN, "Content-Language": "fr"}}, id="language"),
        pytest.param({"fields": {**PLAIN, "Content-Location": "/a"}}, id="location"),
        pytest.param({"fields": {**PLAIN, "Content-Disposition": "inline"}}, id="disposition"),
    ],
)
def test_every_part_of_a_question_counts(other: dict[str, Any]) -> None:
    """Method, content, and all that describes it."""
    asked: dict[str, Any] = {"content": b"a", "fields": PLAIN, "method": "POST"}

    assert part(**asked) == part(**asked)
    assert part(**asked | other) != part(**asked)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([("Content-Length", "1")], id="length"),
        pytest.param([("Transfer-Encoding", "chunked")], id="transfer"),
        pytest.param([("X-Content-Kind", "a")], id="another-field"),
    ],
)
def test_how_content_is_sent_does_not_count(others: list[tuple[str, str]]) -> None:
    """Nor do fields that do not describe it, nor the order of those that do."""
    described = [("Content-Type", "a/b"), ("Content-Language", "fr")]
    one = content_part("POST", lines(*described), b"a", VEIL, by_meaning=False)

    other = lines(*reversed(described), *others)
    assert content_part("POST", other, b"a", VEIL, by_meaning=False) == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("Content-Language", "fr"), ("Content-Language", "de")],
         [("Content-Language", "de"), ("Content-Language", "fr")]),
        ([("Content-Language", "fr"), ("Content-Language", "de")],
         [("Content-Language", "fr, de")]),
        ([("Content-Language", "a"), ("Content-Location", "b")],
         [("Content-Language", "b"), ("Content-Location", "a")]),
    ],
    ids=["order-of-lines", "one-line", "swapped"],
)  # fmt: skip
def test_lines_of_one_name_count_as_they_stand(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    """Applications differ in which line they take."""
    parts = {
        content_part("POST", lines(*each), b"a", VEIL, by_meaning=False) for each in (one, other)
    }

    assert len(parts) == 2


def test_a_meaning_is_never_taken_for_bytes() -> None:
    """Content that looks like the form of another's meaning is another question."""
    meaning = json_meaning(b'{"a": 1}')

    assert meaning is not None
    assert part(meaning, body="json") != part(b'{"a": 1}', body="json")
    assert part(meaning) != part(b'{"a": 1}', body="json")


def test_a_key_shows_nothing_of_the_content() -> None:
    """It is a digest that only this application can make, and short."""
    shown = part(b"secret" * 1000)

    assert b"secret" not in shown
    assert len(shown) < 100
    headers = lines(*JSON.items())
    assert content_part("POST", headers, b"x", Veil(b"other"), by_meaning=False) != part(b"x")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, values, st.booleans())
def test_texts_have_one_meaning_if_they_are_read_as_one_value(
    one: Any, other: Any, ascii_only: bool
) -> None:
    """Type included; whatever the spelling."""
    text = json.dumps(one).encode()
    spelt = json.dumps(_shuffled(one), ensure_ascii=ascii_only, indent=1)
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    meaning = json_meaning(text)

    if meaning is None:
        assert "\\u0000" in text.decode()
        return
    assert json_meaning(spelt.encode()) == meaning
    assert (json_meaning(json.dumps(other).encode()) == meaning) is same


def _shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shuffled(value[name]) for name in reversed(value)}
    return [_shuffled(one) for one in value] if isinstance(value, list) else value
