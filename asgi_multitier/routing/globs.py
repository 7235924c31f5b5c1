"""Compares globs of rules with path templates of routes, and fills templates."""

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from ..selectors import escape_pattern, fitted, glob_matches
from ..selectors.patterns import MAX_STARS, literal_head, symbols

_PLACE = re.compile(r"\{[A-Za-z_]\w*(?::(?P<convertor>\w+))?\}")
_NAMED_PLACE = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?::\w+)?\}")

_Kind: TypeAlias = Literal["char", "any", "segment"]


class _Token(NamedTuple):
    """One character or a run of them: of this character, of any, or of any but `/`."""

    kind: _Kind
    char: str = ""
    repeats: bool = False


def may_meet(glob: str, template: str) -> bool:
    """Whether some path is matched by the glob and taken by the route.

    Args:
        glob: A pattern of `*` and `?`.
        template: A path template such as `/products/{id:int}`; `{x:path}` matches any path.
    """
    heads = literal_head(glob), template.partition("{")[0]
    return _begin_alike(*heads) and _meet(_of_glob(glob), _of_template(template))


def globs_meet(one: str, other: str) -> bool:
    """Whether some text is matched by both patterns of `*` and `?`."""
    heads = literal_head(one), literal_head(other)
    return _begin_alike(*heads) and _meet(_of_glob(one), _of_glob(other))


def templates_meet(one: str, other: str) -> bool:
    """Whether some path is taken by routes of both path templates."""
    heads = one.partition("{")[0], other.partition("{")[0]
    return _begin_alike(*heads) and _meet(_of_template(one), _of_template(other))


def _begin_alike(one: str, other: str) -> bool:
    """Whether a text may begin with both: most pairs are told apart by that."""
    return one.startswith(other) or other.startswith(one)


def takes(template: str, path: str) -> bool:
    """Whether a route of this path template takes the path, as far as the template says."""
    return _regex_of(template).fullmatch(path) is not None


@lru_cache(4096)
def _regex_of(template: str) -> re.Pattern[str]:
    pieces = _PLACE.split(template)
    regex = re.escape(pieces[0])
    for convertor, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        regex += (".*" if convertor == "path" else "[^/]+") + re.escape(literal)
    return re.compile(regex, re.DOTALL)


def _meet(left: list[_Token], right: list[_Token]) -> bool:
    seen: set[tuple[int, int]] = set()
    open_pairs = [(0, 0)]
    while open_pairs:
        pair = open_pairs.pop()
        if pair in seen:
            continue
        seen.add(pair)
        i, j = pair
        if i == len(left) and j == len(right):
            return True
        open_pairs.extend(_steps(left, right, i, j))
    return False


def covers(glob: str, template: str) -> bool:
    """Whether the glob surely matches every path that the route takes."""
    pieces = _PLACE.split(template)
    literals, convertors = pieces[::2], pieces[1::2]
    # A run of a character that is in no pattern, of the least length and longer than any pattern.
    for length in (0, 1, 300):
        fillings = [
            "\0" * (length if convertor == "path" else max(length, 1)) for convertor in convertors
        ]
        path = "".join(a + b for a, b in zip(literals, [*fillings, ""], strict=True))
        if not glob_matches(glob, path):
            return False
    return True


def fill_path(template: str, params: Mapping[str, object]) -> str:
    """The path that a route takes for these parameters; all of its places must be given."""
    return _NAMED_PLACE.sub(lambda place: _as_text(params[place["name"]]), template)


def fill_glob(template: str, params: Mapping[str, object]) -> str | None:
    """A pattern of the paths that a route takes for these parameters, others free.

    None where too many are free; one that is too long is a wider one (`fitted`).
    """
    pieces: list[str] = []
    end = 0
    for place in _NAMED_PLACE.finditer(template):
        pieces.append(escape_pattern(template[end : place.start()]))
        name = place["name"]
        pieces.append(escape_pattern(_as_text(params[name])) if name in params else "*")
        end = place.end()
    pattern = "".join([*pieces, escape_pattern(template[end:])])
    return fitted(pattern) if pieces.count("*") <= MAX_STARS else None


def _as_text(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _steps(left: list[_Token], right: list[_Token], i: int, j: int) -> list[tuple[int, int]]:
    """The next positions in both: past a run, or over a character that both accept."""
    steps: list[tuple[int, int]] = []
    a = left[i] if i < len(left) else None
    b = right[j] if j < len(right) else None
    if a is not None and a.repeats:
        steps.append((i + 1, j))
    if b is not None and b.repeats:
        steps.append((i, j + 1))
    if a is not None and b is not None and _share_a_character(a, b):
        steps.append((i if a.repeats else i + 1, j if b.repeats else j + 1))
    return steps


def _share_a_character(a: _Token, b: _Token) -> bool:
    if a.kind == "char" and b.kind == "char":
        return a.char == b.char
    literal = a if a.kind == "char" else b
    other = b if literal is a else a
    return not (literal.kind == "char" and literal.char == "/" and other.kind == "segment")


def _of_glob(glob: str) -> list[_Token]:
    return [
        _Token("any", repeats=symbol == "*") if symbol in ("*", "?") else _Token("char", symbol[-1])
        for symbol in symbols(glob)
    ]


def _of_template(template: str) -> list[_Token]:
    tokens: list[_Token] = []
    end = 0
    for place in _PLACE.finditer(template):
        tokens += [_Token("char", c) for c in template[end : place.start()]]
        if place["convertor"] == "path":
            tokens.append(_Token("any", repeats=True))
        else:
            tokens += [_Token("segment"), _Token("segment", repeats=True)]
        end = place.end()
    return tokens + [_Token("char", c) for c in template[end:]]
