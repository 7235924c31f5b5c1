"""One `@invalidates(...)` for each mutation, for all routes that change after it."""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace

from .annotations import Dropping
from .found import OF_MUTATIONS, Finding, RouteReport


def one_line_each(routes: Sequence[RouteReport]) -> list[RouteReport]:
    """The routes, with findings of a mutation that propose the same: what all of them need.

    Args:
        routes: What was found of them, by this process or by others.
    """
    wanted: dict[str, dict[str, None]] = {}
    for route in routes:
        for one in filter(_is_written, route.findings):
            wanted.setdefault(one.name, {})[one.annotation or ""] = None
    lines = {name: _together(texts) for name, texts in wanted.items() if len(texts) > 1}
    return [
        replace(route, findings=tuple(_with(one, lines.get(one.name)) for one in route.findings))
        for route in routes
    ]


def _is_written(one: Finding) -> bool:
    return one.cause in OF_MUTATIONS and bool(one.name) and one.annotation is not None


def _with(one: Finding, line: str | None) -> Finding:
    return replace(one, annotation=line) if line is not None and _is_written(one) else one


def _together(texts: Iterable[str]) -> str | None:
    """One annotation for several; None where one of them is of another kind."""
    total: dict[str, dict[str, None]] = {"tags": {}, "paths": {}, "patterns": {}}
    settle = 0
    for text in texts:
        read = _read(text)
        if read is None:
            return None
        settle = max(settle, read.settle)
        for name, named in total.items():
            named.update(dict.fromkeys(getattr(read, name)))
    return Dropping(**{name: tuple(named) for name, named in total.items()}, settle=settle).text()


def _read(text: str) -> Dropping | None:
    """What an annotation names; None if this release does not write it so."""
    try:
        call = ast.parse(text.removeprefix("@"), mode="eval").body
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "invalidates" or call.args:
            return None
        given = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    settle = given.pop("settle", 0)
    lists = given.keys() <= {"tags", "paths", "patterns"} and all(map(_is_texts, given.values()))
    if not lists or type(settle) is not int:
        return None
    return Dropping(**{name: tuple(named) for name, named in given.items()}, settle=settle)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
