"""URL patterns of Django as path templates.

A template never takes less than its pattern: what is not understood of a regular expression is a
place that takes anything.
"""

import re
from typing import Any, NamedTuple

from ..layers import attribute

_PLACE = re.compile(r"<(?:(?P<converter>[^>:]+):)?(?P<name>[^>]+)>")
"""A place of a route: `<name>`, `<int:name>`."""

_WITHIN_SEGMENT = frozenset(("IntConverter", "StringConverter", "SlugConverter", "UUIDConverter"))

_LITERAL = re.compile(r"[\w/~ -]|\\[^\w]")
"""A character of a regular expression that stands for itself."""

_GROUP = re.compile(r"\(\?P<(?P<name>\w+)>(?:\[[^\]\\]*\]|\\.|[^()\[\]\\])*\)(?![*+?{])")
"""A named group without groups in it, which is there once."""


class Part(NamedTuple):
    """What a pattern adds to a path template.

    Attributes:
        text: The text.
        params: The names of its places.
    """

    text: str
    params: tuple[str, ...] = ()


def part_of(pattern: Any, *, last: bool, number: int) -> Part:
    """A pattern as a part of a path template.

    Args:
        pattern: Of `path`, of `re_path`, or of another kind.
        last: Whether a view follows, and not more patterns.
        number: Told apart from other patterns by it where it cannot be shown.
    """
    route, regex = attribute(pattern, "_route"), attribute(pattern, "_regex")
    if isinstance(route, str):
        return _of_route(pattern, route, number)
    return _of_regex(regex if isinstance(regex, str) else "", number, last=last)


def _of_route(pattern: Any, route: str, number: int) -> Part:
    pieces, params, end = [], [], 0
    for place in _PLACE.finditer(route):
        converter = type(pattern.converters[place["name"]])
        known = converter.__module__ == "django.urls.converters"
        within = known and converter.__name__ in _WITHIN_SEGMENT
        pieces += [route[end : place.start()], _place(place["name"], within=within)]
        params.append(place["name"])
        end = place.end()
    literals = [*pieces[::2], route[end:]]
    if any("{" in each or "}" in each for each in literals):
        return _anything(number, tuple(params))
    return Part("".join([*pieces, route[end:]]), tuple(params))


def _of_regex(regex: str, number: int, *, last: bool) -> Part:
    """As much from its start as is understood, then a place that takes anything."""
    if not regex.startswith("^"):
        return _anything(number)
    pieces, params, at = [], [], 1
    while at < len(regex):
        if (literal := _LITERAL.match(regex, at)) and regex[
            literal.end() : literal.end() + 1
        ] not in (*"*+?{",):
            pieces.append(literal[0][-1])
            at = literal.end()
        elif group := _GROUP.match(regex, at):
            pieces.append(_place(group["name"], within=False))
            params.append(group["name"])
            at = group.end()
        else:
            break
    ended = regex[at:] in ("$", r"\Z") if last else at == len(regex)
    understood = "|" not in regex and ended and not {"{", "}"}.intersection(pieces)
    if "|" in regex:
        return _anything(number)
    if understood:
        return Part("".join(pieces), tuple(params))
    rest = _anything(number)
    return Part("".join(pieces) + rest.text, (*params, *rest.params))


def _place(name: str, *, within: bool) -> str:
    return "{" + name + ("}" if within else ":path}")


def _anything(number: int, params: tuple[str, ...] = ()) -> Part:
    name = f"_{number}"
    return Part("{" + name + ":path}", (*params, name))
