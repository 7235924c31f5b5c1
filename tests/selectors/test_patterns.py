"""The language of patterns: what it means, how long it takes, and what is wider than what."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_multitier import InvalidationError, escape_pattern
from asgi_multitier.selectors import check_glob, fitted, glob_matches, patterns
from asgi_multitier.selectors.patterns import MAX_PATTERN, MAX_STARS, symbols, united

PIECES = st.sampled_from(["a", "b", "é", "\u4e00", "*", "?", "\\", "\\*", "\\?", "\\\\", "\n"])
PATTERNS = st.lists(PIECES, min_size=1, max_size=10).map("".join)
TEXTS = st.text("ab\u00e9\u4e00*?\\\n", max_size=12)


def expected(pattern: str, text: str) -> bool:
    """The same by a regular expression."""
    wild = {"*": ".*", "?": "."}
    expression = "".join(wild.get(s, re.escape(s[-1])) for s in symbols(pattern))
    return re.fullmatch(expression, text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        pytest.param("/a/*", "/a/b/c", True, id="a star crosses slashes"),
        pytest.param("/a/*", "/a", False, id="all of the text"),
        pytest.param("/a/?", "/a/", False, id="one character, not none"),
        pytest.param(r"/a\*", "/a*", True, id="an escaped star is one"),
        pytest.param(r"/a\*", "/ab", False, id="and nothing else"),
        pytest.param(r"/a\?", "/ab", False, id="an escaped question mark"),
        pytest.param(r"a\\*", r"a\b", True, id="an escaped backslash, and a star"),
        pytest.param(r"c:\x", r"c:\x", True, id="a backslash before anything else is itself"),
        pytest.param("a\\", "a\\", True, id="and at the end"),
        pytest.param("[ab]", "a", False, id="no classes"),
    ],
)
def test_what_a_pattern_matches(pattern: str, text: str, matches: bool) -> None:
    """The examples of the documentation."""
    assert glob_matches(pattern, text) is matches


@pytest.mark.parametrize("many", [0, 1, patterns._MANY])
@pytest.mark.parametrize("looks", [patterns._LOOKS, 0], ids=["each place", "all at once"])
@given(pattern=PATTERNS, text=TEXTS)
def test_it_matches_as_a_regular_expression_would(
    looks: int, many: int, pattern: str, text: str
) -> None:
    """All ways of searching a piece with question marks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "_LOOKS", looks)
        patch.setattr(patterns, "_MANY", many)
        assert glob_matches(pattern, text) is expected(pattern, text)


@given(TEXTS, TEXTS)
def test_an_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    """Also beside something else."""
    assert glob_matches(escape_pattern(text), text)
    assert glob_matches(escape_pattern(text), other) is (text == other)
    assert glob_matches(escape_pattern(text) + "*", text + other)


@given(PATTERNS, PATTERNS, TEXTS)
def test_united_patterns_match_what_either_does(one: str, other: str, text: str) -> None:
    """Uniting never loses anything."""
    if expected(one, text) or expected(other, text):
        assert glob_matches(united(one, other), text)


def test_united_patterns_keep_what_they_have_in_common() -> None:
    """Beginning and end."""
    assert united("*:sku-17:*", "*:sku-18:*") == "*:sku-1*:*"
    assert united("*x", "*y") == "*"


@pytest.mark.parametrize(
    "pattern",
    [
        "/users/" + "a" * 300 + "/*",
        "/users/" + r"\*" * 200 + "/x",
        "/a" + "*/b" * 12,
        "*" * 300,
    ],
    ids=["long", "escapes", "stars", "only stars"],
)
def test_a_pattern_that_is_too_much_becomes_its_beginning(pattern: str) -> None:
    """It stays allowed, matches all that it did, and what it begins with still counts."""
    short = fitted(pattern)
    text = "".join("xy" if s == "*" else s[-1] for s in symbols(pattern))

    assert check_glob(short) == short
    assert glob_matches(pattern, text)
    assert glob_matches(short, text)
    assert glob_matches(short, "/other") is (pattern[0] == "*")


@pytest.mark.parametrize(
    "pattern", ["", "a" * (MAX_PATTERN + 1), "*a" * (MAX_STARS + 1)], ids=["empty", "long", "stars"]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """By hand it is an error; escaped stars are not counted."""
    with pytest.raises(InvalidationError, match="expected 1 to 256 characters"):
        check_glob(pattern)
    assert check_glob(r"\*" * (MAX_STARS + 1))


def cycle(period: int, length: int = 2730) -> str:
    """As many characters again and again, beyond Latin."""
    return "".join(chr(0x4E00 + number % period) for number in range(length))


def spaced(period: int) -> str:
    """Every other one of them, and question marks between."""
    return "".join(f"{character}?" for character in cycle(period, 240)[::2])


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param("*" + "?" * 240 + "b*", "a" * 8192, id="240 question marks"),
        pytest.param("*a" * 7 + "*b", "a" * 8192, id="stars"),
        pytest.param("*" + "a?" * 120 + "ba*", "a" * 8191 + "b", id="a between question marks"),
        pytest.param("*" + "a?" * 60 + "aa" + "?b" * 60 + "*", "ab" * 4096, id="a period"),
        pytest.param("*" + "\u4e00?" * 120 + "aa*", "\u4e00b" * 2000 + "a", id="wide characters"),
        pytest.param(f"*{spaced(28)}\u5000*", cycle(28), id="28 characters in turn"),
        pytest.param(f"*{spaced(64)}\u5000*", cycle(64), id="64 characters in turn"),
        pytest.param(f"*{spaced(100)}\u5000*", cycle(100), id="100 characters in turn"),
        pytest.param("*abababab?ab?a?b*c?d*", "ab" * 4096, id="fragments that overlap"),
    ],
)
def test_the_worst_patterns_cost_few_looks(
    pattern: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest text against them: few places are looked at, and few characters asked for."""
    looks = rows = 0
    fills, row = patterns._Piece._fills, patterns._Rows._row

    def counted_fills(piece: patterns._Piece, data: bytes, at: int) -> bool:
        nonlocal looks
        looks += 1
        return fills(piece, data, at)

    def counted_row(texts: patterns._Rows, character: str) -> int:
        nonlocal rows
        rows += 1
        return row(texts, character)

    monkeypatch.setattr(patterns._Piece, "_fills", counted_fills)
    monkeypatch.setattr(patterns._Rows, "_row", counted_row)
    assert not glob_matches(pattern, text)
    assert looks <= patterns._LOOKS + patterns._MANY
    assert rows <= MAX_PATTERN // 8
